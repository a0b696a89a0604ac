import type { ChangeLog } from '../changelog/change-log.ts';
import type { Clock } from '../util/clock.ts';
import type { Followers } from './followers.ts';

/** How much of the change log is kept. */
export interface RetentionPolicy {
  /** Changes older than this may go. */
  readonly maxAgeMs: number;
  /** Changes further than this behind the head may go. */
  readonly maxChanges: number;
  /** Changes with more than this many bytes after them, approximately, may go. */
  readonly maxBytes: number;
  /** A follower heard of in this time keeps what it does not hold yet … */
  readonly followerMs: number;
  /** … but not more than this many times `maxChanges` and `maxBytes`: past that it must resync. */
  readonly followerFactor: number;
}

export const DEFAULT_RETENTION: RetentionPolicy = {
  maxAgeMs: 7 * 24 * 3_600_000,
  maxChanges: 1_000_000,
  maxBytes: 1024 ** 3,
  followerMs: 24 * 3_600_000,
  followerFactor: 4,
};

/** What {@link floorOf} decides from. */
export interface RetentionFacts {
  readonly floor: number;
  readonly head: number;
  /** First sequence that is younger than `maxAgeMs`; `head + 1` when none is. */
  readonly firstYoung: number;
  /** Size of a change in the log, on average. */
  readonly bytesPerChange: number;
  /** Lowest sequence held by a follower heard of lately; null without one. */
  readonly lowestApplied: number | null;
}

/**
 * The floor the log should have: the changes that no limit lets go and those that a follower still needs, the latter up to a
 * multiple of the limits. Never lower than the floor there is, never past the head. Pure.
 */
export function floorOf(policy: RetentionPolicy, facts: RetentionFacts): number {
  const { floor, head, firstYoung, bytesPerChange, lowestApplied } = facts;
  const kept = Math.min(policy.maxChanges, Math.floor(policy.maxBytes / Math.max(1, bytesPerChange)));
  const wanted = Math.max(firstYoung, head + 1 - kept);
  const held = lowestApplied === null ? wanted : Math.min(wanted, lowestApplied + 1);
  const cap = head + 1 - kept * policy.followerFactor;
  return Math.max(floor, Math.min(Math.max(held, cap), head));
}

export interface RetentionOptions {
  readonly log: ChangeLog;
  readonly followers: Pick<Followers, 'lowestApplied'>;
  readonly policy: RetentionPolicy;
  readonly clock: Clock;
  /** Wall clock in ms since 1970, as entries have it in `at`. Default `Date.now`. */
  readonly wallMs?: () => number;
  /**
   * Removes what only mattered while the log had entries below `floor` (tombstones), and what has become too old (idempotency
   * keys). Called after a trim, after a start, and every hour.
   */
  readonly prune: (floor: number) => Promise<void>;
  /** Told about a sweep that failed; the next one tries again. */
  readonly onError: (error: unknown) => void;
  /** Pause between sweeps, in ms. Default one minute, which also lets followers announce themselves after a start. */
  readonly everyMs?: number;
}

const SWEEP_EVERY_MS = 60_000;
const PRUNE_EVERY_MS = 3_600_000;
/** Entries removed before other work gets its turn. */
const TRIM_SLICE = 5_000;
/** Entries looked at to estimate the size of a change. */
const SAMPLES = 32;
/** Bytes of an entry beside its image, with its share of the index. */
const ENTRY_BYTES = 300;

/** Trims the log in the background. */
export class Retention {
  readonly #options: RetentionOptions;
  readonly #end: () => void;
  #sweeping: Promise<void> | undefined;
  #pruned: { readonly floor: number; readonly at: number } | undefined;
  #stopped = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#end = options.clock.every(options.everyMs ?? SWEEP_EVERY_MS, () => void this.#sweepOnce());
  }

  /** Ends the timer, and the sweep that is under way after its slice. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#end();
    await this.#sweeping;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Trims to the floor that the policy wants, then prunes. Returns how many entries went. */
  async sweep(): Promise<number> {
    const { log, policy, clock } = this.#options;
    const before = log.floor();
    const target = floorOf(policy, await this.#facts());
    for (let floor = before; floor < target && !this.#stopped; ) {
      floor = Math.min(target, floor + TRIM_SLICE);
      await log.trim(floor);
      await new Promise<void>((resolve) => clock.soon(resolve));
    }
    const trimmed = log.floor() - before;
    await this.#prune();
    return trimmed;
  }

  /** What was left by a crash or a failure before is caught up on as well. */
  async #prune(): Promise<void> {
    const { log, clock, prune } = this.#options;
    const floor = log.floor();
    const at = clock.now();
    if (this.#stopped || (this.#pruned?.floor === floor && at - this.#pruned.at < PRUNE_EVERY_MS)) return;
    await prune(floor);
    this.#pruned = { floor, at };
  }

  /** The timer's sweep: one at a time. */
  async #sweepOnce(): Promise<void> {
    if (this.#sweeping !== undefined) return;
    this.#sweeping = this.sweep()
      .then(() => undefined, this.#options.onError)
      .finally(() => {
        this.#sweeping = undefined;
      });
    await this.#sweeping;
  }

  async #facts(): Promise<RetentionFacts> {
    const { log, followers, policy } = this.#options;
    return {
      floor: log.floor(),
      head: log.head().sequence,
      firstYoung: await this.#firstYoung(),
      bytesPerChange: await this.#bytesPerChange(),
      lowestApplied: followers.lowestApplied(policy.followerMs),
    };
  }

  /** By halving: `at` grows with the sequence but for the skew of the writers' clocks, which does not matter here. */
  async #firstYoung(): Promise<number> {
    const { log, policy, wallMs = Date.now } = this.#options;
    const oldest = wallMs() - policy.maxAgeMs;
    let low = log.floor();
    let high = log.head().sequence + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const entry = await log.entry(middle);
      if (entry === undefined || entry.at < oldest) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  async #bytesPerChange(): Promise<number> {
    const { log } = this.#options;
    const floor = log.floor();
    const count = log.head().sequence + 1 - floor;
    let bytes = 0;
    let seen = 0;
    for (let i = 0; i < SAMPLES && i < count; i++) {
      const entry = await log.entry(floor + Math.floor((i * count) / SAMPLES));
      if (entry === undefined) continue;
      bytes += ENTRY_BYTES + (entry.image?.length ?? 0);
      seen += 1;
    }
    return seen === 0 ? ENTRY_BYTES : bytes / seen;
  }
}
