import type { Document } from '../model/document.ts';
import type { Position } from '../model/position.ts';

/** A MongoDB filter document. Operators a store does not implement exactly are refused with UNSUPPORTED_OPERATOR, by name. */
export type Filter = Document;
/** A MongoDB update document (operators only), e.g. `{ $set: { name: 'Ada' }, $inc: { n: 1 } }`. */
export type Update = Document;
/** Fields to order by, first first: 1 ascending, -1 descending, in BSON order. */
export type Sort = Readonly<Record<string, 1 | -1>>;
/** Fields to include (1) or leave out (0). */
export type Projection = Document;

/** How the answers of servers differ. Each flag is found at connect time and documented where it is read. */
export interface StoreCapabilities {
  /** Store and change log commit together; no sweeper is needed. */
  readonly transactionalLog: boolean;
  /** Name for status and logs, e.g. `SQLite 3.53.4`. */
  readonly server: string;
  /** A long read sees one state of the data. Without, it may or may not see what is written meanwhile, each document whole. */
  readonly snapshotReads: boolean;
  /** An index over a list may be unique. The model offers unique scalars only, so nothing depends on it. */
  readonly uniqueLists: boolean;
  /** Strings may hold half a surrogate pair, and a document text may have exactly 16 MiB. Without, both are VALIDATION_FAILED. */
  readonly anyText: boolean;
}

/** An index; the name is unique within the collection. */
export interface IndexSpec {
  readonly name: string;
  /** Stored paths, first first. A path through an array indexes each element. */
  readonly paths: readonly string[];
  /** At most one document per value. Absent and null values are exempt (sparse). */
  readonly unique: boolean;
}

/** A collection and the indexes it must have. */
export interface CollectionSpec {
  readonly name: string;
  readonly indexes: readonly IndexSpec[];
}

export interface FindOptions {
  /** Without a sort the order is that of `_id`. */
  readonly sort?: Sort | undefined;
  /** Documents to pass over, after the sort. Default 0. */
  readonly skip?: number | undefined;
  /** Most documents to return. Default: all. 0 means none (unlike the driver's, where 0 means all). */
  readonly limit?: number | undefined;
  readonly projection?: Projection | undefined;
  /** Ends the read with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Marks the write of one document so that a repetition is recognised. Kept ≥ 7 days. */
export interface IdempotencyKey {
  /** 32 hexadecimal digits, different for each document of a bulk write. */
  readonly key: string;
  /** Digest of the arguments, 32 hexadecimal digits; the same key with another digest is VALIDATION_FAILED. */
  readonly digest: string;
  /** It was made for this write, and nobody knows it yet: nothing can have been written under it before. Default false. */
  readonly fresh?: boolean | undefined;
}

export interface WriteOptions {
  readonly idempotency?: IdempotencyKey | undefined;
  /** Only when the document has this version, else CONFLICT with `current` and `currentVersion`. */
  readonly ifVersion?: number | undefined;
  /** Of an updateOne: throws when the document must not become this one. Nothing is written then. */
  readonly accept?: ((document: Document) => void) | undefined;
  /**
   * Nobody waits for the write any more: it ends with the signal's reason unless it was sent already. Whoever was told that its outcome
   * is not known may have been refused elsewhere since, so that it must not be decided anew.
   */
  readonly signal?: AbortSignal | undefined;
}

/** What became of one document. */
export interface WriteResult {
  /** How many documents the filter found: 0 or 1. 1 for an insert. */
  readonly matchedCount: number;
  /** 0 when nothing was found, or when the update changed nothing (then there is no new version and no log entry). */
  readonly modifiedCount: number;
  /** The document after the write; the one removed, for a delete; null when nothing was found. */
  readonly document: Document | null;
  /** Its version after the write; of the deletion, for a delete; null when nothing was found. */
  readonly version: number | null;
  /** Where the log was after the write: of its entry, or the head when nothing was written. Durable. */
  readonly position: Position;
  /** Whether this is the answer of an earlier write with the same key. */
  readonly repeated: boolean;
}

/** One document of a bulk write that was not written. */
export interface Refusal {
  /** Place in the input, from 0; for an update or delete by filter, the place among the documents found. */
  readonly index: number;
  readonly code: string;
  readonly message: string;
}

/** What became of many documents. Each was written whole or not at all; refusals do not stop the others. */
export interface BulkResult {
  readonly matchedCount: number;
  readonly modifiedCount: number;
  /** Documents after the write, in input order, less the refused; for a delete, the removed ones. At most the first 1,000. */
  readonly documents: readonly Document[];
  readonly refused: readonly Refusal[];
  /** Where the log was after the last write. */
  readonly position: Position;
}

export interface BulkOptions {
  /** The keys of an insertMany, aligned with its documents. */
  readonly idempotency?: readonly IdempotencyKey[] | undefined;
  /** The key of an updateMany or deleteMany; each document's key is derived from it and the document's id. */
  readonly operation?: IdempotencyKey | undefined;
  /** As of one write; what was written before stays. */
  readonly signal?: AbortSignal | undefined;
}

/** Documents being read; nothing is read before the first call. */
export interface FindCursor extends AsyncIterable<Document> {
  toArray(): Promise<Document[]>;
}

/**
 * One collection, shaped like the MongoDB driver's. Every write also appends its change to the log before it is acknowledged,
 * in the way the store's capabilities say, and is durable when the promise resolves.
 * Errors: ALREADY_EXISTS (`fields`), CONFLICT (`current`, `currentVersion`), VALIDATION_FAILED, UNSUPPORTED_OPERATOR (`operator`).
 */
export interface Collection {
  readonly name: string;
  findOne(filter: Filter, options?: FindOptions): Promise<Document | null>;
  find(filter: Filter, options?: FindOptions): FindCursor;
  /**
   * For each key, the documents whose `path` equals it (or, in an array, has it as an element), that also match `filter`,
   * with sort, skip and limit applied per key. Aligned with `keys`. One call serves a whole level of a relation.
   */
  findGrouped(path: string, keys: readonly unknown[], filter: Filter, options?: FindOptions): Promise<Document[][]>;
  countDocuments(filter: Filter, options?: { readonly signal?: AbortSignal | undefined }): Promise<number>;
  /** `_id` is required. */
  insertOne(document: Document, options?: WriteOptions): Promise<WriteResult>;
  insertMany(documents: readonly Document[], options?: BulkOptions): Promise<BulkResult>;
  /** Updates the first document found in `_id` order. */
  updateOne(filter: Filter, update: Update, options?: WriteOptions): Promise<WriteResult>;
  updateMany(filter: Filter, update: Update, options?: BulkOptions): Promise<BulkResult>;
  /** Replaces all fields but `_id`. */
  replaceOne(filter: Filter, document: Document, options?: WriteOptions): Promise<WriteResult>;
  deleteOne(filter: Filter, options?: WriteOptions): Promise<WriteResult>;
  deleteMany(filter: Filter, options?: BulkOptions): Promise<BulkResult>;
}

/** Data access of one database; the contract suite in `test/contract/store.ts` runs over each implementation. */
export interface Store {
  readonly capabilities: StoreCapabilities;
  /** @throws INTERNAL_SERVER_ERROR for a name that was not in the collection specs given at the start. */
  collection(name: string): Collection;
  close(): Promise<void>;
}
