import { type Clock, systemClock } from '../src/util/clock.ts';

/** How far a replica is behind, without comparing clocks of machines; SPEC.md section 4. */
export interface LagReport {
  /** The source's head as it was last heard of; 0 when never. */
  readonly head: number;
  /** Changes the source is known to have that are not applied here. */
  readonly lagChanges: number;
  /** Age of the data in ms: time since this replica last knew it was at the head. Infinity when it never was. */
  readonly stalenessMs: number;
  /** That instant by this machine's wall clock, ISO 8601; null when it never was. */
  readonly asOf: string | null;
}

export interface LagOptions {
  /** This process's monotonic clock. Default: the machine's. */
  readonly clock?: Pick<Clock, 'now'> | undefined;
  /** Wall clock in ms since 1970; only used over a restart and to print `asOf`. Default `Date.now`. */
  readonly wall?: (() => number) | undefined;
  /** `asOf` as it was stored before a restart, ms since 1970 by this machine's wall clock. */
  readonly storedAsOf?: number | null | undefined;
}

/** The source had `head` when we heard it, at `at` on the monotonic clock. */
interface Heard {
  readonly head: number;
  readonly at: number;
}

/** Heads remembered while we are behind them, at least this far apart in ms. */
const SAMPLE_MS = 100;
/** At most this many, that is a minute; further behind, the staleness is rounded up. */
const MAX_SAMPLES = 600;

/**
 * Keeps the last instant whose head is applied here: the data is at least as new as it. Also a replica that never quite reaches
 * the head under load knows it, from the heads it heard of before.
 */
export class Lag {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #wall: () => number;
  /** On the monotonic clock; undefined when never. */
  #fresh: number | undefined;
  #latest: Heard | undefined;
  #samples: Heard[] = [];
  #applied = 0;
  #frozen = false;

  constructor(options: LagOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#wall = options.wall ?? Date.now;
    const stored = options.storedAsOf ?? null;
    // A wall clock that was set back must not make the data look newer than now.
    if (stored !== null) this.#fresh = this.#clock.now() - Math.max(0, this.#wall() - stored);
  }

  /** A frame arrived: the source had `head` just now. A lower one than heard before is late, and says nothing. */
  heard(head: number): void {
    if (this.#latest !== undefined && head < this.#latest.head) return;
    const heard: Heard = { head, at: this.#clock.now() };
    this.#latest = heard;
    const last = this.#samples.at(-1);
    if (last === undefined || (heard.at - last.at >= SAMPLE_MS && this.#samples.length < MAX_SAMPLES)) {
      this.#samples.push(heard);
    }
    this.#refresh();
  }

  /** Another source is heard from now on, or the same one after a break: its head may be lower. */
  forgetHead(): void {
    this.#latest = undefined;
    this.#samples = [];
  }

  /** Everything up to `sequence` is durable here. */
  applied(sequence: number): void {
    this.#applied = sequence;
    this.#refresh();
  }

  /** While frozen, applying entries makes nothing fresh: documents are missing, or known to differ. */
  freeze(frozen: boolean): void {
    this.#frozen = frozen;
    this.#refresh();
  }

  report(): LagReport {
    const stalenessMs = this.#fresh === undefined ? Number.POSITIVE_INFINITY : this.#clock.now() - this.#fresh;
    const asOfMs = this.asOfMs();
    const head = this.#latest?.head ?? 0;
    return {
      head,
      lagChanges: Math.max(0, head - this.#applied),
      stalenessMs: Math.round(stalenessMs),
      asOf: asOfMs === null ? null : new Date(asOfMs).toISOString(),
    };
  }

  /** The last fresh instant by the wall clock, ms since 1970; null when never. */
  asOfMs(): number | null {
    return this.#fresh === undefined ? null : Math.round(this.#wall() - (this.#clock.now() - this.#fresh));
  }

  #refresh(): void {
    if (this.#frozen) return;
    let reached: Heard | undefined;
    while (this.#samples[0] !== undefined && this.#samples[0].head <= this.#applied) reached = this.#samples.shift();
    if (this.#latest !== undefined && this.#latest.head <= this.#applied) reached = this.#latest;
    if (reached !== undefined) this.#fresh = Math.max(this.#fresh ?? Number.NEGATIVE_INFINITY, reached.at);
  }
}
