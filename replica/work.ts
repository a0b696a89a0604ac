import type { SyncSource } from '../src/protocol/sync-source.ts';
import type { Database } from '../src/sqlite/database.ts';
import type { Lock } from './lock.ts';
import type { Progress } from './progress.ts';
import type { Prepared } from './row-store.ts';

export interface WorkOptions {
  /** Bound to `signal`. */
  readonly source: SyncSource;
  readonly signal: AbortSignal;
  readonly database: Database;
  readonly progress: Progress;
  readonly prepared: Prepared;
  readonly lock: Lock;
  readonly counts: LoadCounts;
}

/** What tasks have moved since the process started. */
export interface LoadCounts {
  /** Rows that came in pages. */
  rows: number;
  /** Documents put or removed one by one by repair. */
  repaired: number;
}

/** A task on one connection: what `bootstrap` and `repair` work with. */
export class Work {
  readonly source: SyncSource;
  readonly signal: AbortSignal;
  readonly database: Database;
  readonly progress: Progress;
  readonly prepared: Prepared;
  readonly lock: Lock;
  readonly #counts: LoadCounts;

  constructor(options: WorkOptions) {
    this.source = options.source;
    this.signal = options.signal;
    this.database = options.database;
    this.progress = options.progress;
    this.prepared = options.prepared;
    this.lock = options.lock;
    this.#counts = options.counts;
  }

  /** Collections not worked off yet, in the order they are. */
  remaining(): string[] {
    const { collection, paged } = this.progress.load;
    return this.prepared.collections.filter((name) => name > collection || (name === collection && !paged)).sort();
  }

  /** The token of the page to go on with; null for the start. */
  nextPage(collection: string): string | null {
    const { load } = this.progress;
    return load.collection === collection ? load.next : null;
  }

  rowsLoaded(count: number): void {
    this.#counts.rows += count;
  }

  rowsRepaired(count: number): void {
    this.#counts.repaired += count;
  }
}
