import type { FieldSource } from '../fallback/provenance.ts';
import type { ReadRequest } from '../fallback/read-request.ts';
import type { Document } from '../model/document.ts';
import type { Entity } from '../model/entity.ts';
import type { Position } from '../model/position.ts';
import type { Filter, FindOptions, Refusal, Update } from '../store/store.ts';

/** Where an answer came from; the best known source comes first. */
export const Source = {
  DATABASE: 'DATABASE',
  REPLICA: 'REPLICA',
  LIVE: 'LIVE',
  SNAPSHOT: 'SNAPSHOT',
  DATASET: 'DATASET',
  MIXED: 'MIXED',
} as const;
export type Source = (typeof Source)[keyof typeof Source];

/** `extensions.holdfast` of an answer. */
export interface Provenance {
  readonly source: Source;
  /** ISO 8601: the data is at least as new as this instant. */
  readonly asOf: string;
  /** Age of the data in ms, by this process's monotonic clock; 0 on a primary. */
  readonly stalenessMs: number;
  /** Head known before the first read, or the position of the last write of this request; null when the source has none. */
  readonly position: string | null;
  /** Whether anything but the ordinary source answered. */
  readonly degraded: boolean;
  /** Where parts came from, when sources differ or values are masked. */
  readonly fields?: readonly FieldSource[] | undefined;
}

/** One request, as far as the data is concerned. A fresh one for each GraphQL operation. */
export interface RequestContext {
  /** Who asks: token or JWT subject, `anonymous` without authentication. */
  readonly principal: string;
  /** Header `Idempotency-Key`. */
  readonly idempotencyKey?: string | undefined;
  /** Header `holdfast-min-position`. */
  readonly minPosition?: Position | undefined;
  /** Header `holdfast-max-staleness-ms`. */
  readonly maxStalenessMs?: number | undefined;
  /** Ends the request: client gone, execution limit reached, server stopping. */
  readonly signal: AbortSignal;
  /** Written by {@link DataService} while it answers; read by the server for the extension and headers. */
  provenance?: Provenance | undefined;
  /** The reads of this request, where something answers in place of the database. Kept by {@link DataService}. */
  reads?: ReadRequest | undefined;
}

/** A mutation's root field, so that each field of one request has idempotency keys of its own. */
export interface WriteContext extends RequestContext {
  /** Response path of the root field, e.g. `createTeacher` or its alias. */
  readonly field: string;
  /** Digest of the field's arguments as the client sent them (before defaults and timestamps), 32 hexadecimal digits. */
  readonly argumentsDigest: string;
  /** Written by {@link DataService}: the key that it made for a write that came without one. */
  madeKey?: string | undefined;
}

export const WriteOutcome = { COMMITTED: 'COMMITTED', JOURNALED: 'JOURNALED' } as const;
export type WriteOutcome = (typeof WriteOutcome)[keyof typeof WriteOutcome];

/** What became of a mutation of one document. */
export interface Written {
  /** The document after the write; the removed one, for a delete. */
  readonly document: Document | null;
  readonly outcome: WriteOutcome;
  readonly version: number | null;
  readonly position: Position | null;
  readonly journalId: string | null;
}

/** What became of a mutation of many documents. */
export interface WrittenMany {
  readonly documents: readonly Document[];
  readonly matched: number;
  readonly written: number;
  readonly refused: readonly Refusal[];
  readonly outcome: WriteOutcome;
  readonly position: Position | null;
}

/** A change of one document as a subscriber sees it. */
export interface EntityChange {
  readonly operation: 'CREATED' | 'UPDATED' | 'DELETED';
  /** The document's `_id`. */
  readonly id: unknown;
  /** The document after the change; null when DELETED. */
  readonly document: Document | null;
  readonly version: number;
  readonly position: Position;
  readonly at: Date;
}

export interface ChangesQuery {
  /** Tested on the image after; DELETED is always delivered. */
  readonly filter: Filter;
  readonly operations: readonly EntityChange['operation'][];
  /** Resume after this position; from now on when absent. */
  readonly after?: Position | undefined;
}

/**
 * What resolvers do with data: entities in, documents out; no store, no log, no network in sight. A primary answers from its
 * store; a replica answers reads from its own copy, and the server forwards mutations before they come here.
 * Errors: the store's, plus STALE_READ, NOT_READY, CURSOR_EXPIRED (`oldest`), DATABASE_UNAVAILABLE, WRITE_OUTCOME_UNKNOWN.
 */
export interface DataService {
  find(entity: Entity, filter: Filter, options: FindOptions, context: RequestContext): Promise<Document[]>;
  count(entity: Entity, filter: Filter, context: RequestContext): Promise<number>;
  /** See `Collection.findGrouped`; `path` is a stored path of `entity`. */
  findGrouped(
    entity: Entity,
    path: string,
    keys: readonly unknown[],
    filter: Filter,
    options: FindOptions,
    context: RequestContext,
  ): Promise<Document[][]>;
  /**
   * Creates documents without `_id` under one drawn or derived from the idempotency key.
   * @throws ALREADY_EXISTS, VALIDATION_FAILED
   */
  create(entity: Entity, document: Document, context: WriteContext): Promise<Written>;
  createMany(entity: Entity, documents: readonly Document[], context: WriteContext): Promise<WrittenMany>;
  /** @throws NOT_FOUND, CONFLICT, ALREADY_EXISTS */
  update(
    entity: Entity,
    id: unknown,
    update: Update,
    ifVersion: number | undefined,
    context: WriteContext,
  ): Promise<Written>;
  updateMany(entity: Entity, filter: Filter, update: Update, context: WriteContext): Promise<WrittenMany>;
  /** Updates the document that matches the unique `filter`, else creates `document`. */
  upsert(entity: Entity, filter: Filter, document: Document, update: Update, context: WriteContext): Promise<Written>;
  /** @throws NOT_FOUND, CONFLICT */
  delete(entity: Entity, id: unknown, ifVersion: number | undefined, context: WriteContext): Promise<Written>;
  deleteMany(entity: Entity, filter: Filter, context: WriteContext): Promise<WrittenMany>;
  /** Changes in log order, one per document version, from the log; superseded versions of one document may be left out. Ends with the signal. */
  changes(entity: Entity, query: ChangesQuery, context: RequestContext): AsyncIterable<EntityChange>;
}
