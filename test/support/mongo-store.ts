import { randomBytes } from 'node:crypto';
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
    await MongoChangeLog.open({ database: connection.database, commandMs: 10_000, appendMs: 20_000 }),
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

/** A store on a new database of the server; `urlOf` gives the URL of a database by its name. */
export async function openMongoStore(
  urlOf: (database: string) => string,
  collections: readonly CollectionSpec[],
): Promise<StoreFixture> {
  const url = urlOf(databaseName());
  let node = await openMongoNode(url, collections);
  let open = true;
  return {
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
