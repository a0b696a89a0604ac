import type { DatasetSource } from '../fallback/dataset/gather.ts';
import type { Model } from '../model/entity.ts';
import { Database } from '../sqlite/database.ts';
import { UsageError } from './command.ts';

/** A database that datasets are made from, or compared with. */
export interface OpenedSource extends AsyncDisposable {
  readonly source: DatasetSource;
  /** Paths, by comma, of the indexes of a collection. Left out: they are always those of the schema. */
  readonly indexesOf?: (collection: string) => Promise<ReadonlySet<string> | undefined>;
}

/**
 * Opens the database at `url`, to read it only: `mongodb://…`, or `sqlite:DIRECTORY` that no process uses. Drivers are loaded where
 * they are used.
 * @throws DATABASE_UNAVAILABLE, DATA_LOCKED
 */
export async function openSource(url: string, model: Model): Promise<OpenedSource> {
  if (/^mongodb(\+srv)?:\/\//.test(url)) {
    const { connectMongo } = await import('../store/mongo-connection.ts');
    const { mongoReader } = await import('../store/mongo-reader.ts');
    const connection = await connectMongo(url, { reachMs: 5_000, silenceMs: 60_000, readsAnyMember: true });
    const reader = mongoReader(connection);
    const indexesOf = (collection: string) => reader.indexesOf(collection);
    return { source: reader, indexesOf, [Symbol.asyncDispose]: () => connection.close() };
  }
  const directory = /^sqlite:(.+)$/.exec(url)?.[1];
  if (directory === undefined) throw new UsageError(`${url} is no database; write mongodb://… or sqlite:DIRECTORY`);
  const { SqliteChangeLog } = await import('../changelog/sqlite-change-log.ts');
  const { SqliteStore } = await import('../store/sqlite-store.ts');
  const database = Database.open({ directory });
  try {
    const log = await SqliteChangeLog.open(database);
    const collections = model.entities.map(({ collection, indexes }) => ({ name: collection, indexes }));
    const source = await SqliteStore.open({ database, outbox: log, collections });
    return { source, [Symbol.asyncDispose]: () => database.close() };
  } catch (error) {
    await database.close();
    throw error;
  }
}
