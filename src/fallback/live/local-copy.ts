import { LiveCopy } from '../../../replica/live-copy.ts';
import type { SqliteChangeLog } from '../../changelog/sqlite-change-log.ts';
import type { Database } from '../../sqlite/database.ts';
import { SqliteStore } from '../../store/sqlite-store.ts';
import type { CollectionSpec } from '../../store/store.ts';
import { copied } from './collection-list.ts';
import type { Troubles } from './follow-database.ts';
import { LiveTier } from './live-tier.ts';

/** The copy on this machine. */
export interface Local {
  readonly collections: readonly CollectionSpec[];
  readonly store: SqliteStore;
  readonly copy: LiveCopy;
  readonly tier: LiveTier;
}

export interface LocalOptions {
  readonly exclusiveWriter: boolean;
  /** Since when a write may be in the database that is not in its log. */
  readonly uncapturedSince: () => number | undefined;
  readonly troubles: Troubles;
}

/** Opens what there is of these collections, and makes what is missing. */
export async function openLocal(
  options: LocalOptions,
  database: Database,
  log: SqliteChangeLog,
  collections: readonly CollectionSpec[],
): Promise<Local> {
  const { exclusiveWriter, uncapturedSince, troubles } = options;
  const store = await SqliteStore.open({ database, outbox: log, collections: copied(collections) });
  const copy = await LiveCopy.open({
    ...{ database, log, store, collections: collections.map(({ name }) => name) },
    onProblem: (error) => troubles.set('the local copy of the database stands still', error),
  });
  const tier = new LiveTier({ copy, log, store, database, exclusiveWriter, uncapturedSince });
  return { collections, store, copy, tier };
}
