import type { ChangeLog } from '../changelog/change-log.ts';
import { isHoldfastError } from '../errors.ts';
import type { Position } from '../model/position.ts';
import type { CollectionDigest } from '../protocol/sync-source.ts';
import type { DigestAt } from './digest-at.ts';
import type { Feed } from './feed.ts';
import type { Variant } from './relay.ts';

/** A checkpoint is due this often, in beats of the feed … */
const EVERY_BEATS = 10;
/** … and after this many changes. Frames further behind the head than this carry none: unfolding would cost too much. */
const EVERY_CHANGES = 10_000;

/**
 * When frames carry digests. The round is the source's, not the subscriber's: subscribers in step become due together, get
 * the same position, and it is worked out once.
 */
export class Checkpoints {
  readonly #log: ChangeLog;
  readonly #feed: Feed;
  readonly #digestAt: DigestAt;
  readonly #known = new Map<string, Promise<readonly CollectionDigest[] | null>>();
  #round = 1;
  #began: { readonly beats: number; readonly sequence: number };

  constructor(log: ChangeLog, feed: Feed, digestAt: DigestAt) {
    this.#log = log;
    this.#feed = feed;
    this.#digestAt = digestAt;
    this.#began = { beats: feed.beats, sequence: log.head().sequence };
  }

  /** The round that is on, from 1; each subscriber should get one checkpoint in each. */
  currentRound(): number {
    const { sequence } = this.#log.head();
    const { beats } = this.#feed;
    if (beats - this.#began.beats >= EVERY_BEATS || Math.abs(sequence - this.#began.sequence) >= EVERY_CHANGES) {
      this.#round += 1;
      this.#began = { beats, sequence };
      this.#known.clear();
    }
    return this.#round;
  }

  /** Digests of the variant's collections at `at`; null when that lies too far back. Never rejects with CURSOR_EXPIRED. */
  digests(variant: Variant, at: Position): Promise<readonly CollectionDigest[] | null> {
    if (this.#log.head().sequence - at.sequence > EVERY_CHANGES) return Promise.resolve(null);
    const key = `${at.sequence}|${variant.key}`;
    let digests = this.#known.get(key);
    if (digests === undefined) {
      const { visible } = variant;
      digests = this.#all(at).then((all) => all?.filter(({ collection }) => visible.has(collection)) ?? null);
      this.#known.set(key, digests);
    }
    return digests;
  }

  #all(at: Position): Promise<readonly CollectionDigest[] | null> {
    const key = `${at.sequence}`;
    let digests = this.#known.get(key);
    if (digests === undefined) {
      digests = this.#digestAt.digests(at).then(
        (answer) => answer.digests,
        (error) => {
          if (isHoldfastError(error, 'CURSOR_EXPIRED')) return null;
          throw error;
        },
      );
      this.#known.set(key, digests);
    }
    return digests;
  }
}
