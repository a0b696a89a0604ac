import type { HoldfastError } from '../errors.ts';
import type { BulkOptions, BulkResult, Collection, WriteOptions, WriteResult } from '../store/store.ts';

/** The writes of a collection. */
export type WriteMethod = Extract<keyof Collection, `${'insert' | 'update' | 'replace' | 'delete'}${string}`>;

/** A write that the database did not take. */
export interface RefusedWrite {
  readonly collection: string;
  readonly method: WriteMethod;
  /** As the method got them. */
  readonly arguments: readonly unknown[];
  readonly options: WriteOptions | BulkOptions;
  /** DATABASE_UNAVAILABLE: nothing happened. WRITE_OUTCOME_UNKNOWN: it may have, and must not simply be done again. */
  readonly error: HoldfastError;
}

/** What becomes of writes while the database is away. */
export interface WriteFallback {
  /** Takes a write in, or returns undefined: then `write.error` is the answer. */
  take(write: RefusedWrite): Promise<WriteResult | BulkResult> | undefined;
}
