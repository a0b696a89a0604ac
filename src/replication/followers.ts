import type { Ack } from '../protocol/sync-source.ts';
import type { Clock } from '../util/clock.ts';
import { HeadMarks } from './head-marks.ts';

/** What is known about one follower, by its own word and this process's monotonic clock. */
export interface FollowerStatus {
  readonly replica: string;
  readonly state: string;
  /** Where it serves clients; null when unknown. */
  readonly url: string | null;
  readonly epoch: number;
  /** Last sequence it holds durably. */
  readonly applied: number;
  /** Changes of the log that it does not hold yet. */
  readonly lagChanges: number;
  /** Ms since what it holds stopped being the head; 0 when it holds the head. No clock of another machine is in it. */
  readonly lagMs: number;
  /** Ms since its last word. */
  readonly seenMs: number;
}

/** A follower is forgotten after this long without a word, in ms. */
const FORGET_AFTER_MS = 24 * 3_600_000;
/** Most followers remembered; the one silent for longest goes first. */
const MAX_FOLLOWERS = 10_000;

export interface FollowersOptions {
  readonly clock: Clock;
  /** Last durable sequence of the log. */
  readonly head: () => number;
  readonly forgetAfterMs?: number;
}

/** The followers of a source, from their acknowledgements. Kept in memory: after a restart they announce themselves again. */
export class Followers {
  readonly #clock: Clock;
  readonly #head: () => number;
  readonly #forgetAfterMs: number;
  /** In the order of their last word. */
  readonly #known = new Map<string, { readonly ack: Ack; readonly seenAt: number }>();
  readonly #marks: HeadMarks;

  constructor(options: FollowersOptions) {
    this.#clock = options.clock;
    this.#head = options.head;
    this.#forgetAfterMs = options.forgetAfterMs ?? FORGET_AFTER_MS;
    this.#marks = new HeadMarks(options.head(), options.clock.now());
  }

  /** To be called whenever the log advanced: remembers when. */
  headAdvanced(): void {
    this.#marks.add(this.#head(), this.#clock.now());
  }

  /** Takes down what a follower tells about itself. */
  acknowledge(ack: Ack): void {
    this.#known.delete(ack.replica);
    this.#known.set(ack.replica, { ack, seenAt: this.#clock.now() });
    this.#forget();
  }

  /** Every follower not yet forgotten, by name. */
  list(): readonly FollowerStatus[] {
    this.#forget();
    const now = this.#clock.now();
    const head = this.#head();
    return Array.from(this.#known.values(), ({ ack: { replica, state, url, epoch, applied }, seenAt }) => ({
      replica,
      state,
      url,
      epoch,
      applied,
      lagChanges: Math.max(0, head - applied),
      lagMs: applied >= head ? 0 : now - this.#marks.passedAt(applied),
      seenMs: now - seenAt,
    })).sort((a, b) => (a.replica < b.replica ? -1 : 1));
  }

  /** The lowest sequence held by a follower heard of in the last `withinMs`; null when there is none. */
  lowestApplied(withinMs: number): number | null {
    const since = this.#clock.now() - withinMs;
    let lowest: number | null = null;
    for (const { ack, seenAt } of this.#known.values()) {
      if (seenAt >= since && (lowest === null || ack.applied < lowest)) lowest = ack.applied;
    }
    return lowest;
  }

  #forget(): void {
    const before = this.#clock.now() - this.#forgetAfterMs;
    for (const [replica, { seenAt }] of this.#known) {
      if (seenAt >= before && this.#known.size <= MAX_FOLLOWERS) return;
      this.#known.delete(replica);
    }
  }
}
