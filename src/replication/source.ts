import { chainAt } from '../changelog/chain-at.ts';
import type { ChangeLog } from '../changelog/change-log.ts';
import { HoldfastError } from '../errors.ts';
import type { Hash } from '../model/change.ts';
import type { DocumentText } from '../model/document.ts';
import type { EpochStart, Position } from '../model/position.ts';
import { decodeCursor, encodeCursor } from '../protocol/cursor.ts';
import type {
  Ack,
  BucketDigests,
  BucketRows,
  CollectionDigest,
  CursorText,
  Frame,
  Hello,
  HelloStatus,
  Row,
  Shape,
  SnapshotPage,
  SyncSource,
} from '../protocol/sync-source.ts';
import type { RowReader } from '../store/row-store.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import { Checkpoints } from './checkpoints.ts';
import { DigestAt } from './digest-at.ts';
import { Feed } from './feed.ts';
import { Followers } from './followers.ts';
import { statusOf } from './history.ts';
import { Relay } from './relay.ts';
import { pageOf, requireFew, rowsOf } from './snapshot.ts';
import { SLOW_CONSUMER_MS, subscription } from './subscriber.ts';

/** How much of a node may be copied. A primary is always EQUAL; a replica says how far it is. */
export const SourceStage = {
  /** It has no history yet: every call is NOT_READY. */
  EMPTY: 'EMPTY',
  /** Its log may be followed; its documents are not, or not surely, those of its position: calls about them are NOT_READY. */
  SETTLING: 'SETTLING',
  /** Its documents are those of its position. */
  EQUAL: 'EQUAL',
} as const;
export type SourceStage = (typeof SourceStage)[keyof typeof SourceStage];

export interface PrimarySourceOptions {
  readonly log: ChangeLog;
  readonly rows: RowReader;
  /** SDL of the entities and its digest, as a new follower gets them. */
  readonly schema: { readonly sdl: string; readonly sdlHash: Hash };
  /** Collections handed on: those that replicate and that this node holds itself. */
  readonly collections: readonly string[];
  /** Default: always EQUAL. */
  readonly stage?: () => SourceStage;
  /**
   * Sequence up to which changes exist in this node's history, though its own log may not hold them yet: a copy's is behind. A follower
   * that holds one of those is not of another history, it is only ahead. Default: the log's head.
   */
  readonly knownHead?: () => number;
  /**
   * Told when a follower's hello shows an epoch higher than ours, and where it began: this node is no longer the primary. `from` is the
   * first sequence of the epoch after ours, where the histories part. The follower is answered once that is done: who got FENCED for an
   * answer need not tell again.
   */
  readonly onHigherEpoch?: (epoch: number, from: number) => unknown;
  /** The higher epoch that this node knows of, which nobody should follow any more; null while it knows of none. */
  readonly fencedBy?: () => number | null;
  readonly clock?: Clock;
  /** Bytes of encoded frames kept for sharing. Default 32 MiB. */
  readonly cacheBytes?: number;
  readonly slowConsumerMs?: number;
}

const CACHE_BYTES = 32 * 1024 * 1024;

/**
 * A node that may be followed, over its log and its rows: the primary, or a replica that hands its copied log on. SPEC.md of
 * this directory and of `src/protocol`.
 */
export class PrimarySource implements SyncSource {
  /** Who follows, and how far. */
  readonly followers: Followers;
  readonly #log: ChangeLog;
  readonly #rows: RowReader;
  readonly #schema: PrimarySourceOptions['schema'];
  readonly #collections: readonly string[];
  readonly #stage: () => SourceStage;
  readonly #knownHead: () => number;
  readonly #onHigherEpoch: (epoch: number, from: number) => unknown;
  readonly #fencedBy: () => number | null;
  readonly #clock: Clock;
  readonly #slowConsumerMs: number;
  readonly #feed: Feed;
  readonly #relay: Relay;
  readonly #digestAt: DigestAt;
  readonly #checkpoints: Checkpoints;
  readonly #endMarks: () => void;
  #stopped = false;

  constructor(options: PrimarySourceOptions) {
    const { log, rows, schema, collections, clock = systemClock } = options;
    this.#log = log;
    this.#rows = rows;
    this.#schema = schema;
    this.#collections = collections;
    this.#stage = options.stage ?? (() => SourceStage.EQUAL);
    this.#knownHead = options.knownHead ?? (() => log.head().sequence);
    this.#onHigherEpoch = options.onHigherEpoch ?? (() => undefined);
    this.#fencedBy = options.fencedBy ?? (() => null);
    this.#clock = clock;
    this.#slowConsumerMs = options.slowConsumerMs ?? SLOW_CONSUMER_MS;
    this.#feed = new Feed(log, clock);
    this.#relay = new Relay({ log, collections, cacheBytes: options.cacheBytes ?? CACHE_BYTES });
    this.#digestAt = new DigestAt({ log, rows, feed: this.#feed, clock, collections });
    this.#checkpoints = new Checkpoints({
      ...{ log, feed: this.#feed, digestAt: this.#digestAt },
      isEqual: () => this.#stage() === SourceStage.EQUAL,
    });
    this.followers = new Followers({ clock, head: () => log.head().sequence });
    this.#endMarks = log.onAdvance(() => this.followers.headAdvanced());
  }

  /** Subscriptions that are open. */
  get subscribers(): number {
    return this.#feed.size;
  }

  /** Bytes of frames held for sharing. */
  get cachedBytes(): number {
    return this.#relay.cachedBytes;
  }

  /** Ends every subscription, quietly: followers resume elsewhere. A fenced source goes on telling who asks that it is fenced. */
  endSubscriptions(): void {
    this.#endMarks();
    this.#feed.stop();
  }

  /** Ends: every later call is NOT_READY. Another source may serve the same file by then, and what this one knows of it grows old. */
  stop(): void {
    this.#stopped = true;
    this.endSubscriptions();
  }

  async hello(cursor: CursorText | null, shape: Shape, theirs: readonly EpochStart[] = []): Promise<Hello> {
    this.#requireHistory();
    const status = await this.#status(cursor, shape, theirs);
    if (status !== 'FENCED') this.#requireCurrent();
    const { epoch, sequence, chain } = this.#log.head();
    const { logId } = this.#log;
    return {
      status,
      logId,
      epoch,
      head: sequence,
      floor: this.#log.floor(),
      cursor: encodeCursor({ logId, epoch, sequence, chain }),
      epochs: this.#log.epochs(),
      ...this.#schema,
    };
  }

  changes(
    cursor: CursorText,
    shape: Shape,
    limits: { maxBatch: number; maxBytes: number },
    signal: AbortSignal,
  ): AsyncGenerator<Frame, void> {
    const options = {
      log: this.#log,
      feed: this.#feed,
      relay: this.#relay,
      checkpoints: this.#checkpoints,
      clock: this.#clock,
      slowConsumerMs: this.#slowConsumerMs,
      resume: (from: CursorText) => this.#resume(from, shape),
    };
    return subscription(options, cursor, this.#relay.variant(shape, limits), signal);
  }

  async snapshot(collection: string, after: string | null, limit: number): Promise<SnapshotPage> {
    this.#requireState(collection);
    // Before the page: the rows hold at least every change up to it.
    const position = this.#position();
    return { ...pageOf(this.#rows, collection, after, limit), position };
  }

  async digests(
    at: Position | null,
  ): Promise<{ readonly position: Position; readonly digests: readonly CollectionDigest[] }> {
    this.#requireState();
    return this.#digestAt.digests(at);
  }

  async buckets(collection: string, at: Position | null): Promise<BucketDigests> {
    this.#requireState(collection);
    const { position, buckets } = await this.#digestAt.buckets(collection, at);
    return { collection, position, buckets: buckets.toBase64() };
  }

  async bucketRows(collection: string, bucket: number): Promise<BucketRows> {
    this.#requireState(collection);
    const position = this.#position();
    return { position, rows: this.#rows.bucketRows(collection, bucket) };
  }

  async rows(collection: string, ids: readonly DocumentText[]): Promise<readonly Row[]> {
    this.#requireState(collection);
    return rowsOf(this.#rows, collection, ids);
  }

  async chain(sequences: readonly number[]): Promise<readonly (Hash | null)[]> {
    this.#requireHistory();
    requireFew(sequences.length, 'chain hashes');
    const chains: (Hash | null)[] = [];
    for (const sequence of sequences) chains.push(await chainAt(this.#log, sequence));
    return chains;
  }

  async ack(ack: Ack): Promise<void> {
    this.#requireHistory();
    const { epoch, sequence } = this.#log.head();
    if (ack.epoch > epoch) {
      // Fences nobody: the number comes without where that epoch began.
      throw refusal('FENCED', `replica "${ack.replica}" is of epoch ${ack.epoch}; this node is of epoch ${epoch}`);
    }
    this.#requireReached(ack.applied);
    if (ack.applied > sequence) {
      throw refusal('FORK', `replica "${ack.replica}" holds change ${ack.applied}; the last one here is ${sequence}`);
    }
    this.followers.acknowledge(ack);
  }

  async #status(cursor: CursorText | null, shape: Shape, theirs: readonly EpochStart[] = []): Promise<HelloStatus> {
    if (shape.collections?.some((name) => !this.#collections.includes(name))) return 'SCHEMA_MISMATCH';
    if (cursor === null) return 'OK';
    const place = decodeCursor(cursor);
    if (place.logId === this.#log.logId) this.#requireReached(place.sequence);
    const status = await statusOf(this.#log, place);
    if (status === 'FENCED') {
      const ours = this.#log.head().epoch;
      const begun = theirs.filter(({ epoch }) => epoch > ours);
      // A number alone proves nothing: a cursor may be damaged, and being fenced is for good.
      if (begun.some(({ epoch }) => epoch === place.epoch)) {
        await this.#onHigherEpoch(place.epoch, Math.min(...begun.map(({ firstSequence }) => firstSequence)));
      }
    }
    return status;
  }

  /** The sequence to go on after. @throws what `hello` would say */
  async #resume(cursor: CursorText, shape: Shape): Promise<number> {
    this.#requireHistory();
    this.#requireCurrent();
    const status = await this.#status(cursor, shape);
    const { sequence } = decodeCursor(cursor);
    switch (status) {
      case 'OK':
        return sequence;
      case 'RESYNC':
        throw new HoldfastError(
          'CURSOR_EXPIRED',
          `changes after ${sequence} are no longer kept here; the oldest one is ${this.#log.floor()}`,
          { details: { oldest: this.#log.floor() } },
        );
      case 'FENCED':
        throw refusal('FENCED', `the cursor is of a later epoch than this node's ${this.#log.head().epoch}`);
      case 'FORK':
        throw refusal('FORK', `the cursor at change ${sequence} belongs to another history than this node's`);
      case 'SCHEMA_MISMATCH':
        throw refusal('SCHEMA_MISMATCH', `${unknownOf(shape, this.#collections)} is not handed on by this node`);
    }
  }

  #position(): Position {
    const { epoch, sequence } = this.#log.head();
    return { epoch, sequence };
  }

  /** @throws NOT_READY for a sequence that exists and has not come here yet */
  #requireReached(sequence: number): void {
    const head = this.#log.head().sequence;
    if (sequence <= head || sequence > this.#knownHead()) return;
    throw new HoldfastError(
      'NOT_READY',
      `this node holds the changes up to ${head}, the follower is at ${sequence} already: ask another node, or later`,
    );
  }

  /** @throws FENCED when this node knows that it is no longer the primary: its followers are to look for the one that is */
  #requireCurrent(): void {
    const epoch = this.#fencedBy();
    if (epoch === null) return;
    throw refusal(
      'FENCED',
      `this node is a former primary, fenced by epoch ${epoch}: follow the primary of that epoch`,
    );
  }

  /** @throws NOT_READY before there is anything to follow, and after the end */
  #requireHistory(): void {
    if (this.#stopped) throw new HoldfastError('NOT_READY', 'this source has stopped: ask again');
    if (this.#stage() !== SourceStage.EMPTY) return;
    throw new HoldfastError('NOT_READY', 'this replica has not reached its own primary yet: it cannot be followed');
  }

  /** Also that `collection` is one of ours, when given. */
  #requireState(collection?: string): void {
    this.#requireHistory();
    if (collection !== undefined && !this.#collections.includes(collection)) {
      throw new HoldfastError('NOT_FOUND', `the collection "${collection}" is not handed on by this node`);
    }
    if (this.#stage() === SourceStage.EQUAL) return;
    throw new HoldfastError(
      'NOT_READY',
      'this replica is not proven equal at the moment: its documents cannot be copied',
    );
  }
}

function unknownOf(shape: Shape, collections: readonly string[]): string {
  return `the collection "${shape.collections?.find((name) => !collections.includes(name))}"`;
}

function refusal(code: 'FENCED' | 'FORK' | 'SCHEMA_MISMATCH', message: string): HoldfastError {
  return new HoldfastError(code, message);
}
