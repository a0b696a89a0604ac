import type { SyncSource } from '../src/protocol/sync-source.ts';
import type { Database } from '../src/sqlite/database.ts';
import type { Lock } from './lock.ts';
import type { Progress } from './progress.ts';
import type { Prepared } from './row-store.ts';

/** What tasks have moved since the process started. */
export interface LoadCounts {
  /** Rows that came in pages. */
  rows: number;
  /** Documents put or removed one by one by repair. */
  repaired: number;
}

/** A task on one connection: what `bootstrap`, `repair` and `verify` work with. */
export interface Work {
  /** Bound to `signal`. */
  readonly source: SyncSource;
  readonly signal: AbortSignal;
  readonly database: Database;
  readonly progress: Progress;
  readonly prepared: Prepared;
  readonly lock: Lock;
  readonly counts: LoadCounts;
}

/** Collections not worked off yet, in the order they are. */
export function remaining({ progress, prepared }: Work): string[] {
  const { collection, paged } = progress.load;
  return prepared.collections.filter((name) => name > collection || (name === collection && !paged)).sort();
}

/** The token of the page to go on with; null for the start. */
export function nextPage({ progress }: Work, collection: string): string | null {
  const { load } = progress;
  return load.collection === collection ? load.next : null;
}
