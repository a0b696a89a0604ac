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

export interface CheckpointsOptions {
  readonly log: ChangeLog;
  readonly feed: Feed;
  readonly digestAt: DigestAt;
  /** Whether the documents are those of the log's head at this moment. */
  readonly isEqual: () => boolean;
}

/**
 * When frames carry digests. The round is the source's, not the subscriber's: subscribers in step become due together, get
 * the same position, and it is worked out once.
 */
export class Checkpoints {
  readonly #options: CheckpointsOptions;
  readonly #known = new Map<string, Promise<readonly CollectionDigest[] | null>>();
  #round = 1;
  #began: { readonly beats: number; readonly sequence: number; readonly generation: number };

  constructor(options: CheckpointsOptions) {
    this.#options = options;
    this.#began = this.#now();
  }

  /** The round that is on, from 1; each subscriber should get one checkpoint in each. */
  currentRound(): number {
    const now = this.#now();
    const { beats, sequence, generation } = this.#began;
    const over =
      now.beats - beats >= EVERY_BEATS || now.sequence - sequence >= EVERY_CHANGES || now.generation !== generation;
    if (over) {
      this.#round += 1;
      this.#began = now;
      this.#known.clear();
    }
    return this.#round;
  }

  /**
   * Digests of the variant's collections at `at`; null when that lies too far back, or when this node is not known to be equal.
   * Never rejects with CURSOR_EXPIRED.
   */
  async digests(variant: Variant, at: Position): Promise<readonly CollectionDigest[] | null> {
    const { log, isEqual } = this.#options;
    if (!isEqual()) {
      // Documents are being repaired: what is known of them will not hold.
      this.#known.clear();
      return null;
    }
    if (log.head().sequence - at.sequence > EVERY_CHANGES) return null;
    return this.#once(`${at.sequence}|${variant.key}`, async () => {
      const all = await this.#once(`${at.sequence}`, () => this.#all(at));
      return all?.filter(({ collection }) => variant.visible.has(collection)) ?? null;
    });
  }

  #now() {
    const { log, feed } = this.#options;
    return { beats: feed.beats, sequence: log.head().sequence, generation: log.generation };
  }

  #once(key: string, find: () => Promise<readonly CollectionDigest[] | null>) {
    let digests = this.#known.get(key);
    if (digests === undefined) {
      digests = find();
      this.#known.set(key, digests);
    }
    return digests;
  }

  async #all(at: Position): Promise<readonly CollectionDigest[] | null> {
    try {
      return (await this.#options.digestAt.digests(at)).digests;
    } catch (error) {
      if (isHoldfastError(error, 'CURSOR_EXPIRED')) return null;
      throw error;
    }
  }
}
