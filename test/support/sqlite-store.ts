import { SqliteChangeLog } from '../../src/changelog/sqlite-change-log.ts';
import { Database } from '../../src/sqlite/database.ts';
import { SqliteStore } from '../../src/store/sqlite-store.ts';
import type { CollectionSpec } from '../../src/store/store.ts';
import type { StoreFixture } from '../contract/store/fixture.ts';
import { temporaryDirectory } from './temporary.ts';

/** An embedded store in a directory of its own, with all its parts. */
export interface SqliteFixture extends StoreFixture {
  readonly database: Database;
  readonly store: SqliteStore;
  readonly log: SqliteChangeLog;
  readonly rows: SqliteStore;
}

/** Opens a new embedded store; `clock` gives the time in ms. */
export async function openSqliteStore(
  collections: readonly CollectionSpec[],
  clock?: () => number,
): Promise<SqliteFixture> {
  const directory = await temporaryDirectory();
  const parts = async (specs: readonly CollectionSpec[]) => {
    const database = Database.open({ directory: directory.path });
    try {
      const log = await SqliteChangeLog.open(database);
      const store = await SqliteStore.open({ database, outbox: log, collections: specs, clock });
      return { database, log, store, rows: store };
    } catch (error) {
      await database.close();
      throw error;
    }
  };
  const fixture = {
    ...(await parts(collections)),
    async reopen(specs: readonly CollectionSpec[]) {
      await fixture.database.close();
      Object.assign(fixture, await parts(specs));
    },
    async [Symbol.asyncDispose]() {
      await fixture.database.close();
      await directory[Symbol.asyncDispose]();
    },
  };
  return fixture;
}
