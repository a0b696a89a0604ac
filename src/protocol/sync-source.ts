import type { Hash } from '../model/change.ts';
import type { DocumentText } from '../model/document.ts';
import type { EpochStart, Position } from '../model/position.ts';

/** Opaque resume token of a follower; see cursor.ts. */
export type CursorText = string;

/** Which documents a follower wants. */
export interface Shape {
  /** Collections to follow; null for every collection that replicates. Entries of others arrive without image. */
  readonly collections: readonly string[] | null;
}

/** Answer to a follower that asks whether it may resume; SPEC.md section 3. */
export const HelloStatus = {
  OK: 'OK',
  RESYNC: 'RESYNC',
  FORK: 'FORK',
  FENCED: 'FENCED',
  SCHEMA_MISMATCH: 'SCHEMA_MISMATCH',
} as const;
export type HelloStatus = (typeof HelloStatus)[keyof typeof HelloStatus];

export interface Hello {
  readonly status: HelloStatus;
  readonly logId: string;
  readonly epoch: number;
  /** Sequence of the source's last durable entry. */
  readonly head: number;
  /** Sequence of the oldest entry the source keeps. */
  readonly floor: number;
  /** Cursor at the head: where a new follower starts. */
  readonly cursor: CursorText;
  /** Every epoch that began in this history, oldest first: a follower that starts at the head keeps them. */
  readonly epochs: readonly EpochStart[];
  /** SDL of the source's entities, as one document. */
  readonly sdl: string;
  /** Digest of that SDL without comments and descriptions, 32 hexadecimal digits. */
  readonly sdlHash: Hash;
}

/** A batch of changes on the wire. Encoded once by the source, shared by all its subscribers. */
export interface Frame {
  readonly epoch: number;
  /** First sequence in the body; `to + 1` in an empty frame. */
  readonly from: number;
  /** Last sequence in the body. `from…to` is dense. */
  readonly to: number;
  /** The source's head when the frame was sent, ≥ `to`. */
  readonly head: number;
  readonly floor: number;
  /** Chain hash of entry `from - 1`. */
  readonly previous: Hash;
  /** Chain hash of entry `to`. */
  readonly chain: Hash;
  /** Cursor after this frame. */
  readonly cursor: CursorText;
  /** CRC-32 of the body before compression. */
  readonly checksum: number;
  /** The changes: base64 of zstd of frame text (frame.ts); empty string in an empty frame. */
  readonly body: string;
  /** Digests of the source's state exactly at `to`, on checkpoint frames; null on others. */
  readonly digests: readonly CollectionDigest[] | null;
}

/** State of one collection in 128 bits: the sum, modulo 2^128, of the hashes of its documents. */
export interface CollectionDigest {
  readonly collection: string;
  readonly count: number;
  readonly sum: Hash;
}

/** One document as it is stored at the source. */
export interface Row {
  readonly id: DocumentText;
  readonly version: number;
  readonly text: DocumentText;
}

export interface RowHead {
  readonly id: DocumentText;
  readonly version: number;
  readonly hash: Hash;
}

/** A page of a collection in id order. */
export interface SnapshotPage {
  readonly rows: readonly Row[];
  /** Token of the next page, to be given back; null after the last. */
  readonly next: string | null;
  /** The source's head when the page was read: the rows hold every change up to it. */
  readonly position: Position;
}

/** The bucket digests of one collection at one position. */
export interface BucketDigests {
  readonly collection: string;
  readonly position: Position;
  /** base64 of 4,096 × (16-byte sum, 4-byte count), big endian. */
  readonly buckets: string;
}

/** The documents of one bucket at one position. */
export interface BucketRows {
  readonly position: Position;
  readonly rows: readonly RowHead[];
}

/** What a follower tells about itself; for retention, lag and the list of replicas. */
export interface Ack {
  /** Stable name of the follower. */
  readonly replica: string;
  /** Last sequence it holds durably. */
  readonly applied: number;
  readonly epoch: number;
  readonly state: string;
  /** Where it serves clients, e.g. `http://127.0.0.1:4010/graphql`; null when unknown. */
  readonly url: string | null;
}

/**
 * What a follower may ask of the node it follows: a primary, or a replica that has a copied log. The GraphQL sync API
 * (`schema/sync.graphql`) carries exactly these calls; a simulation may join the two sides directly.
 * Every call ends with an error of the catalogue, or PRIMARY_UNREACHABLE when the connection is lost.
 */
export interface SyncSource {
  /**
   * Whether a follower at `cursor` may go on here. `epochs` are those of the follower's log: a source of an older epoch learns
   * from them that it is no longer the primary, and since which change. @throws FENCED when it knew before
   */
  hello(cursor: CursorText | null, shape: Shape, epochs?: readonly EpochStart[]): Promise<Hello>;
  /**
   * Frames after `cursor`, then live; an empty frame with the head at least every second. A frame may begin before the
   * cursor (shared frames); it never begins after `cursor + 1`. Pull: the next frame is read when the last one was taken.
   * @throws CURSOR_EXPIRED, FORK, FENCED as `hello` would say; SLOW_CONSUMER with the cursor to go on from.
   */
  changes(
    cursor: CursorText,
    shape: Shape,
    limits: { maxBatch: number; maxBytes: number },
    signal: AbortSignal,
  ): AsyncIterable<Frame>;
  /** A page of `collection`; `after` is the `next` of the page before, null for the first. At most `limit` rows, 4 MiB of text. */
  snapshot(collection: string, after: string | null, limit: number): Promise<SnapshotPage>;
  /** Digests per collection at `at`; at the head when null. @throws CURSOR_EXPIRED when `at` is no longer, or not yet, known. */
  digests(at: Position | null): Promise<{ readonly position: Position; readonly digests: readonly CollectionDigest[] }>;
  buckets(collection: string, at: Position | null): Promise<BucketDigests>;
  bucketRows(collection: string, bucket: number): Promise<BucketRows>;
  /** The stored rows of these ids, those that exist; at most 1,000 ids. */
  rows(collection: string, ids: readonly DocumentText[]): Promise<readonly Row[]>;
  /** Chain hashes of entries, null for one that is not kept; at most 1,000. Lets a follower find the exact entry where two histories part. */
  chain(sequences: readonly number[]): Promise<readonly (Hash | null)[]>;
  ack(ack: Ack): Promise<void>;
}
