import type { ChangeLog } from '../changelog/change-log.ts';
import { HoldfastError } from '../errors.ts';
import type { Hash, LogEntry } from '../model/change.ts';
import { formatPosition, type Position } from '../model/position.ts';
import { type Buckets, bucketOf } from '../protocol/digest.ts';
import type { CollectionDigest } from '../protocol/sync-source.ts';
import type { RowReader } from '../store/row-store.ts';
import type { Clock } from '../util/clock.ts';
import type { Feed } from './feed.ts';
import { isPlaceOf } from './history.ts';

/** Furthest back from the head that a state is unfolded, in changes. */
const MAX_UNFOLDED_CHANGES = 200_000;
/** How long a position that has not come yet is waited for, in ms. */
const WAIT_MS = 200;
/** Work between two pauses, in ms; one read and its fold come on top. */
const SLICE_MS = 4;
const READ_LIMITS = { maxChanges: 250, maxBytes: 1024 * 1024 };

export interface DigestAtOptions {
  readonly log: ChangeLog;
  readonly rows: RowReader;
  readonly feed: Feed;
  readonly clock: Clock;
  readonly collections: readonly string[];
  readonly maxUnfolded?: number;
}

/**
 * The state of the collections at an exact position: the buckets at the durable head, and from them the entries after the
 * position taken back (`after` subtracted, `before` added). No row is read, so the answer does not depend on what is
 * written meanwhile, and it holds for a position of the past as well as for the head.
 */
export class DigestAt {
  readonly #options: DigestAtOptions;

  constructor(options: DigestAtOptions) {
    this.#options = options;
  }

  /**
   * One digest per collection at `at`; at the head when null.
   * @throws CURSOR_EXPIRED when `at` is of another history, was trimmed, is more than 200,000 changes back, or does not come
   * within 200 ms.
   */
  async digests(
    at: Position | null,
  ): Promise<{ readonly position: Position; readonly digests: readonly CollectionDigest[] }> {
    const position = await this.#reached(at);
    const { rows, collections } = this.#options;
    const sums = new Map(collections.map((collection) => [collection, Sum.of(rows.buckets(collection).digest())]));
    await this.#takeBack(position, ({ collection, before, after }) => {
      const sum = sums.get(collection);
      if (after !== null) sum?.subtract(after);
      if (before !== null) sum?.add(before);
    });
    return { position, digests: Array.from(sums, ([collection, sum]) => ({ collection, ...sum.digest() })) };
  }

  /**
   * The buckets of `collection` at `at`; at the head when null. They are the caller's own.
   * @throws CURSOR_EXPIRED as {@link digests}
   */
  async buckets(
    collection: string,
    at: Position | null,
  ): Promise<{ readonly position: Position; readonly buckets: Buckets }> {
    const position = await this.#reached(at);
    const buckets = this.#options.rows.buckets(collection).clone();
    await this.#takeBack(position, (entry) => {
      if (entry.collection !== collection) return;
      const bucket = bucketOf(entry.id);
      if (entry.after !== null) buckets.subtract(bucket, entry.after);
      if (entry.before !== null) buckets.add(bucket, entry.before);
    });
    return { position, buckets };
  }

  /** `at`, once the log has it and when it can still be unfolded. The caller goes on in the same turn. */
  async #reached(at: Position | null): Promise<Position> {
    const { log, maxUnfolded = MAX_UNFOLDED_CHANGES } = this.#options;
    if (at === null) {
      const { epoch, sequence } = log.head();
      return { epoch, sequence };
    }
    if (at.sequence > log.head().sequence) await this.#arrival(at.sequence);
    const head = log.head();
    if (at.sequence > head.sequence) throw expired(at, `the head is still ${formatPosition(head)}`);
    if (!isPlaceOf(log, at)) throw expired(at, 'it belongs to another history');
    if (at.sequence < log.floor() - 1) throw expired(at, `changes before ${log.floor()} are no longer kept`);
    if (head.sequence - at.sequence > maxUnfolded) {
      throw expired(at, `it lies more than ${maxUnfolded} changes before the head ${formatPosition(head)}`);
    }
    return at;
  }

  async #arrival(sequence: number): Promise<void> {
    const { log, feed, clock } = this.#options;
    const timeout = new AbortController();
    const cancel = clock.after(WAIT_MS, () => timeout.abort());
    const waiter = feed.waiter(timeout.signal);
    while (log.head().sequence < sequence && !timeout.signal.aborted && !feed.stopped) await waiter.wait();
    waiter.close();
    cancel();
  }

  /** Visits every entry after `position` up to the head of this moment, with pauses for other work. */
  async #takeBack(position: Position, visit: (entry: LogEntry) => void): Promise<void> {
    const { log, clock } = this.#options;
    const head = log.head().sequence;
    const { generation } = log;
    let started = clock.now();
    for (let after = position.sequence; after < head; ) {
      const entries = await log.read(after, {
        ...READ_LIMITS,
        maxChanges: Math.min(READ_LIMITS.maxChanges, head - after),
      });
      if (log.generation !== generation || entries.length === 0) throw expired(position, 'the log was replaced');
      for (const entry of entries) visit(entry);
      after += entries.length;
      if (clock.now() - started > SLICE_MS) {
        await new Promise<void>((resolve) => clock.soon(resolve));
        started = clock.now();
      }
    }
  }
}

const MODULUS_MASK = (1n << 128n) - 1n;

/** A collection's digest that can be changed without its buckets. */
class Sum {
  #count: number;
  #sum: bigint;

  private constructor(count: number, sum: bigint) {
    this.#count = count;
    this.#sum = sum;
  }

  static of(digest: { readonly count: number; readonly sum: Hash }): Sum {
    return new Sum(digest.count, BigInt(`0x${digest.sum}`));
  }

  add(hash: Hash): void {
    this.#count += 1;
    this.#sum += BigInt(`0x${hash}`);
  }

  subtract(hash: Hash): void {
    this.#count -= 1;
    this.#sum -= BigInt(`0x${hash}`);
  }

  digest(): { readonly count: number; readonly sum: Hash } {
    return { count: this.#count, sum: (this.#sum & MODULUS_MASK).toString(16).padStart(32, '0') };
  }
}

function expired(at: Position, reason: string): HoldfastError {
  return new HoldfastError('CURSOR_EXPIRED', `the state at ${formatPosition(at)} cannot be told: ${reason}`);
}
