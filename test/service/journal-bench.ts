import { SqliteChangeLog } from '../../src/changelog/sqlite-change-log.ts';
import { Fallback } from '../../src/fallback/fallback.ts';
import { Journal } from '../../src/fallback/journal.ts';
import type { JournalEntry } from '../../src/fallback/journal-entry.ts';
import { claimsOf } from '../../src/fallback/journal-view.ts';
import { JournalWrites } from '../../src/fallback/journal-writes.ts';
import { Replay, type ReplayBase, type ReplayOptions } from '../../src/fallback/replay.ts';
import { collectionRules } from '../../src/gateway/fallback.ts';
import type { Entity } from '../../src/model/entity.ts';
import { loadModel } from '../../src/model/load.ts';
import { ConflictPolicies } from '../../src/service/conflict-policies.ts';
import { Conflicts } from '../../src/service/conflicts.ts';
import { JournalReplay } from '../../src/service/journal-replay.ts';
import { PrimaryService } from '../../src/service/primary.ts';
import { Database } from '../../src/sqlite/database.ts';
import { SqliteStore } from '../../src/store/sqlite-store.ts';
import type { Collection, Store } from '../../src/store/store.ts';
import { eventually } from '../support/eventually.ts';
import { reading, writing } from './harness.ts';

const MODEL = loadModel([
  {
    file: 'schema.graphql',
    text: `
      type Thing @entity @fallback(writes: JOURNAL) { id: ID! @id  name: String @unique  n: Int }
      type Merged @entity @fallback(writes: JOURNAL) @conflict(policy: MERGE) { id: ID! @id  name: String  n: Int }
      type Plain @entity { id: ID! @id  name: String }`,
  },
]);
const RULES = new Map(MODEL.entities.map((entity) => [entity.collection, collectionRules(entity, MODEL)]));
const ENTITIES = new Map(MODEL.entities.map((entity) => [entity.collection, entity]));

const entity = (name: string) => MODEL.entities.find((each) => each.name === name) as Entity;
export const [THING, MERGED, PLAIN] = [entity('Thing'), entity('Merged'), entity('Plain')];

interface BenchOptions extends Partial<ReplayOptions> {
  /** Whether the copy has every document. Default true. */
  readonly complete?: () => boolean;
}

/**
 * A primary whose database can be kept away. The copy is the database itself, which is all the same as long as nobody writes there: what is
 * written past the primary goes to `foreign`.
 */
export async function setUp(options: BenchOptions = {}) {
  const database = Database.open({ directory: ':memory:' });
  const log = await SqliteChangeLog.open(database);
  const collections = MODEL.entities.map(({ collection, indexes }) => ({ name: collection, indexes }));
  const store = await SqliteStore.open({ database, outbox: log, collections });
  const conflicts = await Conflicts.open(database);
  const policies = new ConflictPolicies({ conflicts, history: log, decide: new Map() });
  const uniquePaths = (collection: string) => RULES.get(collection)?.uniquePaths ?? [];
  const journal = await Journal.open({
    directory: ':memory:',
    claimsOf: (collection, document) => claimsOf(collection, document, uniquePaths(collection)),
  });
  const { complete = () => true } = options;
  const made = new JournalReplay({ store: () => store, entities: ENTITIES, policies, conflicts });
  const replay = new Replay({
    ...{ journal, write: (entry, base) => made.write(entry, base) },
    admits: (collection) => fallback.admits(collection),
    epoch: () => log.head().epoch,
    hasCollection: (collection) => ENTITIES.has(collection),
    ...options,
  });
  const writes = new JournalWrites({
    ...{
      journal,
      uniquePaths,
      sdlHash: MODEL.sdlHash,
      takes: (collection) => RULES.get(collection)?.writes === 'JOURNAL',
    },
    live: {
      whole: (collection) => (complete() ? store.collection(collection) : undefined),
      rows: (collection, ids) => store.rows(collection, ids),
      entryOfKey: (key) => log.entryOfKey(key),
      position: () => log.head(),
    },
  });
  const fallback: Fallback = new Fallback({
    tiers: [
      {
        ...{ source: 'LIVE', store, stalenessMs: () => 10, position: () => log.head() },
        coverage: () => (complete() ? 'WHOLE' : 'NONE'),
      },
    ],
    rules: (collection) => RULES.get(collection) as NonNullable<ReturnType<typeof RULES.get>>,
    ...{ writes, recover: (scope) => replay.recover(scope) },
  });
  let intercept = (collection: Collection): Collection => collection;
  const watched: Store = {
    capabilities: store.capabilities,
    collection: (name) => intercept(store.collection(name)),
    close: async () => {},
  };
  fallback.attach({ store: watched, ping: async () => {} });
  const service = new PrimaryService({ store: fallback.store, fallback, log, policies });
  return {
    ...{ service, fallback, journal, replay, conflicts, log, foreign: store as Store },
    /** Makes an entry in the database, as its replay does. */
    make: (entry: JournalEntry, base: ReplayBase) => made.write(entry, base),
    /** Puts something between the primary and the collections of its database. */
    between(change: (collection: Collection) => Collection) {
      intercept = change;
    },
    away: () => fallback.force({}, 'OPEN'),
    /** Lets the database be there again, and waits until nothing waits. */
    async back() {
      fallback.force({}, 'CLOSED');
      replay.wake();
      await eventually('nothing waits', () => journal.waiting.size === 0);
    },
    all: (name: Entity, principal = 'anonymous') => service.find(name, {}, {}, reading({ principal })),
    async [Symbol.asyncDispose]() {
      fallback.stop();
      await replay[Symbol.asyncDispose]();
      await journal.close();
      await database.close();
    },
  };
}

let fields = 0;
/** A write of its own: no two have one name. */
export const context = (principal = 'anonymous', more = {}) => writing(`field${fields++}`, { principal, ...more });
