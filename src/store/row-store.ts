import type { Hash } from '../model/change.ts';
import type { DocumentText } from '../model/document.ts';
import type { Position } from '../model/position.ts';
import type { Buckets } from '../protocol/digest.ts';
import type { Row, RowHead } from '../protocol/sync-source.ts';
import type { Transaction } from '../sqlite/database.ts';

/** A page of rows in id order. */
export interface RowPage {
  readonly rows: readonly Row[];
  /** Token of the next page; null after the last. */
  readonly next: string | null;
}

/** A store seen as rows of document text with versions, for snapshots, digests and repair. */
export interface RowReader {
  /** Rows in id order after the token `after` (null: from the start); `next` is null after the last. Ends at `limit` rows or `maxBytes` of text. */
  page(collection: string, after: string | null, limit: number, maxBytes: number): RowPage;
  /** The rows of these ids, those that exist. */
  rows(collection: string, ids: readonly DocumentText[]): Row[];
  /** Id, version and hash of every row of one bucket. */
  bucketRows(collection: string, bucket: number): RowHead[];
  /** The buckets of a collection as of the last durable change; the live object: clone it before you change it. */
  buckets(collection: string): Buckets;
  /**
   * Buckets computed anew from the stored rows, in slices that let other work go on, at the state of the database at the call.
   * What `buckets` says and what this says differ only when a row was altered behind the store's back.
   */
  scrub(collection: string): Promise<{ readonly position: Position; readonly buckets: Buckets }>;
  /** Names of the collections, in the order of the model. */
  collections(): readonly string[];
}

/** What became of a row that was to be applied. DIVERGED: written, but what was there before was not what was expected. */
export const Applied = { WRITTEN: 'WRITTEN', DIVERGED: 'DIVERGED', OLDER: 'OLDER', SAME: 'SAME' } as const;
export type Applied = (typeof Applied)[keyof typeof Applied];

/** A row to be written. */
export interface RowToPut extends Row {
  /** `documentHash` of the row, by who computed it already; else it is computed. */
  readonly hash?: Hash | null;
}

/** The applying side: writes versions made elsewhere, as they are, without log entries. Unique fields are indexed, not enforced. */
export interface RowWriter {
  /**
   * Stores a version unless the local row or tombstone has the same or a higher one (SAME, OLDER). With `force` it is
   * stored whatever is there (repair). `sequence` is the entry that brought it, 0 from a snapshot. `expected` is the hash of the
   * row that should be there, null for none; left out, nothing is expected.
   */
  put(
    transaction: Transaction,
    collection: string,
    row: RowToPut,
    sequence: number,
    force?: boolean,
    expected?: Hash | null,
  ): Applied;
  /** Deletes under the same rules and leaves a tombstone with `version`. */
  remove(
    transaction: Transaction,
    collection: string,
    id: DocumentText,
    version: number,
    sequence: number,
    force?: boolean,
    expected?: Hash | null,
  ): Applied;
  /**
   * Sets hashes and digest of one bucket to what its stored rows really are: for rows that were altered behind the store's
   * back, found by `scrub`. Afterwards the difference shows in the digests, and repair finds the documents.
   */
  recount(transaction: Transaction, collection: string, bucket: number): void;
  /** The entry that last wrote this row, its version and hash, as committed; undefined when there is none. */
  rowState(
    collection: string,
    id: DocumentText,
  ): { readonly sequence: number; readonly version: number; readonly hash: string } | undefined;
}
