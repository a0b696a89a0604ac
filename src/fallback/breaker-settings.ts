/** When a breaker opens, how it probes, and what it takes for flapping. */
export interface BreakerSettings {
  /** Failures in a row that open a scope. */
  readonly failures: number;
  /** Share of failures, of at least `minimum` calls within `windowMs`, that opens a scope too. */
  readonly ratio: number;
  readonly minimum: number;
  readonly windowMs: number;
  /** Collections that open within `spreadMs` of each other and so open the database. */
  readonly spread: number;
  readonly spreadMs: number;
  /** Pause before a probe: the first, and at most. Measured from the start of the one before. */
  readonly probeMs: number;
  readonly maxProbeMs: number;
  /** Good probes in a row that close a scope, and the pause between them. */
  readonly goodProbes: number;
  readonly goodProbeMs: number;
  /** A probe not reported by then counts as failed. */
  readonly lostProbeMs: number;
  /** A scope that opens within `calmMs` of its closing flaps; the `flaps`-th time and after it stays open for `holdMs`. */
  readonly calmMs: number;
  readonly flaps: number;
  readonly holdMs: number;
}

export const DEFAULT_BREAKER: BreakerSettings = {
  ...{ failures: 3, ratio: 0.5, minimum: 10, windowMs: 10_000 },
  ...{ spread: 3, spreadMs: 2_000 },
  ...{ probeMs: 100, maxProbeMs: 450, goodProbes: 3, goodProbeMs: 50, lostProbeMs: 5_000 },
  ...{ calmMs: 5_000, flaps: 3, holdMs: 10_000 },
};
