import { randomBytes } from 'node:crypto';
import { Decimal128 } from 'bson';
import type { Db } from 'mongodb';
import { MongoChangeLog } from '../../src/changelog/mongo-change-log.ts';
import { connectMongo, type MongoConnection } from '../../src/store/mongo-connection.ts';
import { MongoStore, type MongoStoreOptions } from '../../src/store/mongo-store.ts';
import type { CollectionSpec } from '../../src/store/store.ts';
import type { StoreFixture } from '../contract/store/fixture.ts';

/** One primary's parts over a database that others may use too. */
export interface MongoNode extends AsyncDisposable {
  readonly connection: MongoConnection;
  readonly log: MongoChangeLog;
  readonly store: MongoStore;
}

type NodeOptions = Partial<Omit<MongoStoreOptions, 'connection' | 'log' | 'collections'>>;

/** Opens a store with its own connection and log on the database of `url`. */
export async function openMongoNode(
  url: string,
  collections: readonly CollectionSpec[],
  options: NodeOptions = {},
): Promise<MongoNode> {
  await using parts = new AsyncDisposableStack();
  const connection = parts.use(await connectMongo(url, { reachMs: 5_000 }));
  const log = parts.use(
    await MongoChangeLog.open({ database: connection.database, commandMs: 10_000, appendMs: 20_000, keepMs: 0 }),
  );
  const store = await MongoStore.open({ connection, log, collections, writeMs: 10_000, clearMs: 50, ...options });
  parts.defer(() => store.close());
  const owned = parts.move();
  return { connection, log, store, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** A name that no other test has. */
export function databaseName(): string {
  return `holdfast-test-${randomBytes(6).toString('hex')}`;
}

/**
 * Whether a comparison finds values of its own type only, and arrays sort by their smallest element: as MongoDB's documentation says
 * (reference/bson-type-comparison-order), and as a server that only stands in for it may not.
 */
export async function comparesAsMongoDB(database: Db): Promise<boolean> {
  const values = database.collection<{ readonly _id: number; readonly v: unknown }>('values');
  await values.insertMany([
    { _id: 1, v: 5 },
    { _id: 2, v: 'five' },
    { _id: 3, v: [9, 1] },
    { _id: 4, v: null },
    { _id: 5, v: Number.NaN },
    { _id: 6, v: new Date(7) },
    { _id: 7, v: true },
    { _id: 8, v: Decimal128.fromString('4.5') },
    { _id: 9, v: { x: 1 } },
    { _id: 10, v: [] },
    { _id: 11, v: ['six', 2] },
  ]);
  const above = await values
    .find({ v: { $gt: 4 } })
    .sort({ _id: 1 })
    .toArray();
  const sorted = await values.find().sort({ v: 1 }).toArray();
  await values.drop();
  const answers = [above, sorted].map((found) => found.map(({ _id }) => _id).join(' '));
  return answers.join(', ') === '1 3 8, 10 4 5 3 11 8 1 2 9 7 6';
}

/** A store on a new database of the server; `urlOf` gives the URL of a database by its name. */
export async function openMongoStore(
  urlOf: (database: string) => string,
  collections: readonly CollectionSpec[],
): Promise<StoreFixture> {
  const url = urlOf(databaseName());
  let node = await openMongoNode(url, collections);
  const mixedTypes = await comparesAsMongoDB(node.connection.database);
  let open = true;
  return {
    mixedTypes,
    get store() {
      return node.store;
    },
    get log() {
      return node.log;
    },
    async reopen(specs) {
      if (open) await node[Symbol.asyncDispose]();
      open = false;
      node = await openMongoNode(url, specs);
      open = true;
    },
    async [Symbol.asyncDispose]() {
      if (!open) node = await openMongoNode(url, []);
      await node.connection.database.dropDatabase();
      await node[Symbol.asyncDispose]();
    },
  };
}
