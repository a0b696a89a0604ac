import type { Chunk, ManifestTable, SchemaObject } from '../archive/manifest.ts';
import type { RestoreTask } from './restore-target.ts';

/**
 * Of the plans into an empty database and into live tables: raised when the same id stands for other work than before, so that no
 * restore goes on with marks that mean something else.
 */
export const PLAN_VERSION = 3;

/** What one task does in its transaction. */
export type TargetWork =
  | { readonly kind: 'objects'; readonly objects: readonly SchemaObject[] }
  | { readonly kind: 'statements'; readonly what: string; readonly statements: readonly string[] }
  | { readonly kind: 'rows'; readonly loads: readonly RowLoad[]; readonly deferred: boolean }
  | { readonly kind: 'sequences' };

/** A chunk to be loaded; `whole` when its transaction loads all rows of the table, which has none before. */
export interface RowLoad {
  readonly table: ManifestTable;
  readonly chunk: Chunk;
  readonly whole: boolean;
}

export interface TargetTask extends RestoreTask<TargetWork> {
  /** What is recorded as done besides its id. */
  readonly marks?: readonly string[];
}

/** Work of a task besides its rows, in bytes loaded in the same time. */
export const BASE_COST = 64 << 10;
