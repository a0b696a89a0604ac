import type { LiveCopy } from '../../../replica/live-copy.ts';
import type { SqliteChangeLog } from '../../changelog/sqlite-change-log.ts';
import { ConflictPolicy } from '../../model/entity.ts';
import { ConflictPolicies } from '../../service/conflict-policies.ts';
import { Conflicts } from '../../service/conflicts.ts';
import type { Database } from '../../sqlite/database.ts';
import type { MongoStore } from '../../store/mongo-store.ts';
import type { SqliteStore } from '../../store/sqlite-store.ts';
import type { Troubles } from './follow-database.ts';
import { type JournalParts, openJournalParts, unreached } from './journal-parts.ts';

export interface CopyJournalOptions {
  /** Of the journal alone. */
  readonly directory: string;
  /** Of the copy; conflicts are kept there too. */
  readonly database: Database;
  /** The copied log. */
  readonly log: SqliteChangeLog;
  /** The copy as it is now. */
  readonly local: () => { readonly store: SqliteStore; readonly copy: LiveCopy };
  /** The database, while it is followed. */
  readonly store: () => MongoStore | undefined;
  /** Whether writes of a collection may wait. */
  readonly takes: (collection: string) => boolean;
  /** Whether a collection is copied. */
  readonly follows: (collection: string) => boolean;
  readonly uniquePaths: (collection: string) => readonly string[];
  /** Whether writes to a collection go to the database now. */
  readonly admits: (collection: string) => boolean;
  readonly troubles: Troubles;
}

/** Longest that a replayed write is waited for in the copy, in ms. */
const COPIED_MS = 200;

/** The journal of a copy without a schema: what comes too late is parked. @throws DATA_LOCKED */
export async function openCopyJournal(options: CopyJournalOptions): Promise<JournalParts> {
  const { directory, database, log, local, store, takes, follows, uniquePaths, admits, troubles } = options;
  await log.indexKeys();
  const conflicts = await Conflicts.open(database);
  return openJournalParts({
    ...{ directory, takes, uniquePaths, conflicts, troubles, sdlHash: '' },
    live: {
      whole: (name) => (local().copy.holds(name) ? local().store.collection(name) : undefined),
      rows: (name, ids) => local().store.rows(name, ids),
      entryOfKey: (key) => log.entryOfKey(key),
      position: () => log.head(),
    },
    entities: {
      get: (collection) =>
        follows(collection) ? { name: collection, collection, fields: [], conflict: ConflictPolicy.REJECT } : undefined,
    },
    policies: new ConflictPolicies({ conflicts, history: log, decide: new Map() }),
    store: () => store() ?? unreached(),
    admits: (collection) => store() !== undefined && admits(collection),
    copied: async (_, { sequence }) => {
      await local().copy.reached(sequence, COPIED_MS);
      // A document that was deleted may be inserted again.
      await store()?.writer.parts.clearer.flush();
    },
  });
}
