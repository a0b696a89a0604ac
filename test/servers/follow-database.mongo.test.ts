import { expect, it } from 'vitest';
import { SqliteChangeLog } from '../../src/changelog/sqlite-change-log.ts';
import { followDatabase } from '../../src/fallback/live/follow-database.ts';
import { openLocal } from '../../src/fallback/live/local-copy.ts';
import { DEFAULT_RETENTION } from '../../src/replication/retention.ts';
import { Database } from '../../src/sqlite/database.ts';
import { connectMongo } from '../../src/store/mongo-connection.ts';
import { eventually } from '../support/eventually.ts';
import { databaseName } from '../support/mongo-store.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';
import { shared } from '../support/servers/shared.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** Three pages. */
const DOCUMENTS = 2_500;
const collections = [{ name: 'people', indexes: [] }];
const troubles = { set: () => {}, warn: () => {} };

describeWith('mongodb', 'a database that is followed', () => {
  const server = shared(startMongo);

  it('counts the age of its copy from the first page, also when another process goes on paging', async () => {
    await using connection = await connectMongo(server().urlOf(databaseName()), { reachMs: 5_000 });
    await using directory = await temporaryDirectory();
    const people = connection.database.collection<{ readonly _id: number }>('people');
    await people.insertMany(Array.from({ length: DOCUMENTS }, (_, _id) => ({ _id })));
    const open = async () => {
      await using parts = new AsyncDisposableStack();
      const database = parts.adopt(Database.open({ directory: directory.path }), (opened) => opened.close());
      const log = await SqliteChangeLog.open(database);
      const local = await openLocal(
        { exclusiveWriter: false, uncapturedSince: () => undefined, troubles },
        ...([database, log, collections] as const),
      );
      const { copy, store, tier } = local;
      const options = { connection, collections, copy, baseline: store, live: tier, retention: DEFAULT_RETENTION };
      const owned = parts.move();
      return {
        ...local,
        follow: async () => void owned.use(await followDatabase({ ...options, troubles })),
        [Symbol.asyncDispose]: () => owned.disposeAsync(),
      };
    };

    const first = await open();
    await first.follow();
    const { scrubbedAt } = first.tier;
    expect(scrubbedAt).toBeGreaterThan(0);
    // While it pages.
    await first[Symbol.asyncDispose]();
    expect(first.copy.isComplete).toBe(false);

    await eventually('another moment', async () => Date.now() > scrubbedAt);
    await using second = await open();
    await second.follow();
    await eventually('the copy is settled', () => second.copy.isSettled);
    expect(await second.store.collection('people').countDocuments({})).toBe(DOCUMENTS);
    expect(second.tier.scrubbedAt).toBe(scrubbedAt);
    await connection.database.dropDatabase();
  });
});
