import { expect, it } from 'vitest';
import { SqliteChangeLog } from '../../src/changelog/sqlite-change-log.ts';
import { followDatabase } from '../../src/fallback/live/follow-database.ts';
import { openLocal } from '../../src/fallback/live/local-copy.ts';
import { DEFAULT_RETENTION } from '../../src/replication/retention.ts';
import { Database } from '../../src/sqlite/database.ts';
import { connectMongo, type MongoConnection } from '../../src/store/mongo-connection.ts';
import { eventually } from '../support/eventually.ts';
import { databaseName } from '../support/mongo-store.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';
import { shared } from '../support/servers/shared.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** Three pages. */
const DOCUMENTS = 2_500;
const collections = [{ name: 'people', indexes: [] }];

describeWith('mongodb', 'a database that is followed', () => {
  const server = shared(startMongo);

  /** A copy of the database in its directory, as a process opens it. */
  async function open(connection: MongoConnection, path: string, problems: unknown[] = []) {
    await using parts = new AsyncDisposableStack();
    const troubles = { set: (_: string, error: unknown) => void problems.push(error), warn: () => {} };
    const database = parts.adopt(Database.open({ directory: path }), (opened) => opened.close());
    const log = await SqliteChangeLog.open(database);
    const options = { exclusiveWriter: true, uncapturedSince: () => undefined, troubles };
    const local = await openLocal(options, database, log, collections);
    const { copy, store: baseline, tier: live } = local;
    const owned = parts.move();
    return {
      ...local,
      follow: async () =>
        owned.use(
          await followDatabase({
            ...{ connection, collections, copy, baseline, live, retention: DEFAULT_RETENTION, troubles },
          }),
        ),
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  }

  it('counts the age of its copy from the first page, also when another process goes on paging', async () => {
    await using connection = await connectMongo(server().urlOf(databaseName()), { reachMs: 5_000 });
    await using directory = await temporaryDirectory();
    const people = connection.database.collection<{ readonly _id: number }>('people');
    await people.insertMany(Array.from({ length: DOCUMENTS }, (_, _id) => ({ _id })));

    const first = await open(connection, directory.path);
    await first.follow();
    const { scrubbedAt } = first.tier;
    expect(scrubbedAt).toBeGreaterThan(0);
    // While it pages.
    await first[Symbol.asyncDispose]();
    expect(first.copy.isComplete).toBe(false);

    await eventually('another moment', async () => Date.now() > scrubbedAt);
    await using second = await open(connection, directory.path);
    await second.follow();
    await eventually('the copy is settled', () => second.copy.isSettled);
    expect(await second.store.collection('people').countDocuments({})).toBe(DOCUMENTS);
    expect(second.tier.scrubbedAt).toBe(scrubbedAt);
    await connection.database.dropDatabase();
  });

  it('is not written to by itself any more once its captures were ended', async () => {
    await using connection = await connectMongo(server().urlOf(databaseName()), { reachMs: 5_000 });
    await using directory = await temporaryDirectory();
    await using node = await open(connection, directory.path);
    const { store, log, scrub, endCaptures } = await node.follow();
    await store.collection('people').insertOne({ _id: 1 });
    await store.table('people').raw.updateOne({ _id: 1 } as object, { $set: { foreign: true } });
    await endCaptures();
    expect(await scrub.scrub()).toMatchObject({ checked: 0, updated: 0, isComplete: false });
    expect((await log.end()).sequence).toBe(1);
    await connection.database.dropDatabase();
  });

  it('is not taken for its copy any more when it was restored to an older state meanwhile', async () => {
    await using connection = await connectMongo(server().urlOf(databaseName()), { reachMs: 5_000 });
    await using directory = await temporaryDirectory();
    const problems: unknown[] = [];
    await using node = await open(connection, directory.path, problems);
    const { store, log } = await node.follow();
    for (const _id of [1, 2, 3]) await store.collection('people').insertOne({ _id });
    expect(await node.copy.reached(3, 5_000)).toBe(true);
    await eventually('the copy is settled and fresh', () => node.copy.isSettled && node.tier.stalenessMs() < 1_000);

    // What a restore leaves of the last change.
    await store.table('people').raw.deleteOne({ _id: 3 } as object);
    await connection.database.collection<{ readonly _id: number }>('holdfast_log').deleteOne({ _id: 3 });
    await eventually('the log knows', () => log.head().sequence === 2, 15_000);
    await eventually('it is told', () => problems.length > 0);
    expect(problems).toContainEqual(expect.objectContaining({ code: 'FORK' }));
    expect(node.copy.isSettled).toBe(false);
    await eventually('it ages', () => node.tier.stalenessMs() > 3_000);
    await connection.database.dropDatabase();
  });
});
