import type { HoldfastError } from '../errors.ts';
import type { BulkOptions, BulkResult, Collection, WriteOptions, WriteResult } from '../store/store.ts';
import type { Overlay } from './overlay.ts';

/** The writes of a collection. */
export type WriteMethod = Extract<keyof Collection, `${'insert' | 'update' | 'replace' | 'delete'}${string}`>;

/** A write as its collection was asked for it. */
export interface OfferedWrite {
  readonly collection: string;
  readonly method: WriteMethod;
  /** As the method got them. */
  readonly arguments: readonly unknown[];
  readonly options: WriteOptions | BulkOptions;
  /** Who writes; undefined for the gateway itself. */
  readonly principal?: string | undefined;
}

/** A write that the database did not take. */
export interface RefusedWrite extends OfferedWrite {
  /** DATABASE_UNAVAILABLE: nothing happened. WRITE_OUTCOME_UNKNOWN: it may have, and must not simply be done again. */
  readonly error: HoldfastError;
}

/** What is added to the result of a write that was taken in place of the database: its version and position mean nothing yet. */
export interface Journaled {
  /** Id of the entry in the journal; null for several. */
  readonly journalId: string | null;
}

/** What becomes of writes while the database is away. */
export interface WriteFallback {
  /** Takes a write in, or returns undefined: then `write.error` is the answer. */
  take(write: RefusedWrite): Promise<WriteResult | BulkResult> | undefined;
  /** What a write was answered before under its key; asked before it goes to the database. Default: nothing. */
  repeated?(write: OfferedWrite): WriteResult | BulkResult | undefined;
  /** Whether a write must wait for others that were taken in, and so must not go to the database now. Default: never. */
  holds?(write: OfferedWrite): boolean;
  /** Documents of `collection` as `principal` wrote them, that are not in the database yet; undefined when there are none. */
  overlay?(collection: string, principal: string | undefined): Overlay | undefined;
}

/** Whether a result is that of a write that waits in the journal. */
export function isJournaled<T extends WriteResult | BulkResult>(result: T): result is T & Journaled {
  return 'journalId' in result;
}
