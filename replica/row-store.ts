import type { RowReader, RowWriter } from '../src/store/row-store.ts';
import type { AdoptedSchema } from './progress.ts';

/** Where a replica keeps documents: the store's rows, read and written as they are. */
export type RowStore = RowReader & RowWriter;

/** A store that fits one SDL. */
export interface Prepared {
  readonly store: RowStore;
  /** Names of the collections that replicate. */
  readonly collections: readonly string[];
}

/**
 * Opens, or opens anew, whatever depends on the SDL (store, API) and gives the store. Called before the first document of
 * that SDL comes, and at the start with the SDL adopted before. @throws SCHEMA_INVALID and others: the replica tries again.
 */
export type Prepare = (schema: AdoptedSchema) => Promise<Prepared>;
