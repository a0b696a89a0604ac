import { type Collection, type Document, MongoClient as DriverClient } from 'mongodb';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type FallbackSettings, MongoClient, provenance } from '../../../src/fallback/index.ts';
import { eventually } from '../../support/eventually.ts';
import { databaseName } from '../../support/mongo-store.ts';
import { describeWith } from '../../support/servers/describe-with.ts';
import { type MongoServer, startMongo } from '../../support/servers/mongo.ts';
import { temporaryDirectory } from '../../support/temporary.ts';
import { READS, THINGS, type TriedCall, WRITES } from './calls.ts';

interface Bench extends AsyncDisposable {
  readonly client: MongoClient;
  readonly things: Collection<Document>;
  /** Of the driver's own client. */
  readonly raw: Collection<Document>;
  readonly settings: FallbackSettings;
  readonly url: string;
}

/** A client with a change log over things that were there before, and the driver's own beside it. */
async function setUp(server: MongoServer, settings: Partial<FallbackSettings> = {}): Promise<Bench> {
  await using parts = new AsyncDisposableStack();
  const { path: directory } = parts.use(await temporaryDirectory());
  const url = server.urlOf(databaseName());
  const other = new DriverClient(url);
  parts.defer(() => other.close());
  const raw = other.db().collection('things');
  await raw.insertMany(THINGS.map((thing) => ({ ...thing })));
  const fallback = { changeLog: { directory, exclusiveWriter: true }, ...settings };
  const client = new MongoClient(url, { fallback });
  parts.defer(() => client.close());
  await client.connect();
  await complete(client);
  const owned = parts.move();
  return {
    ...{ client, raw, url, settings: fallback, things: client.db().collection('things') },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function complete(client: MongoClient): Promise<void> {
  await eventually('the copy is there', async () => (await client.fallbackStatus()).live?.complete === true);
}

async function isOpen(client: MongoClient): Promise<void> {
  await eventually('it is known', async () => (await client.fallbackStatus()).state === 'OPEN');
}

async function isClosed(client: MongoClient): Promise<void> {
  await eventually('it is back', async () => (await client.fallbackStatus()).state === 'CLOSED', 20_000);
}

async function outcomeOf(things: Collection<Document>, call: TriedCall['call']): Promise<unknown> {
  return call(things).catch(({ name, code }) => ({ name, code }));
}

describeWith('mongodb', 'The client with a change log', () => {
  let server: MongoServer;
  beforeAll(async () => {
    server = await startMongo();
  }, 60_000);
  afterAll(() => server[Symbol.asyncDispose]());

  it('answers as the driver does, and shows nothing of what it keeps in documents', async () => {
    await using bench = await setUp(server, { deadlineMs: { read: 10_000, write: 10_000 } });
    await using plain = new DriverClient(server.urlOf(databaseName()));
    const theirs = plain.db().collection('things');
    await theirs.insertMany(THINGS.map((thing) => ({ ...thing })));
    const ours = bench.things;
    await ours.updateMany({}, { $set: { touched: 1 } });
    await theirs.updateMany({}, { $set: { touched: 1 } });
    expect(await bench.raw.countDocuments({ _holdfast: { $exists: true } })).toBe(60);
    for (const { name, call } of [...READS, ...WRITES]) {
      expect(await outcomeOf(ours, call), name).toEqual(await outcomeOf(theirs, call));
    }
    const sorted = { sort: { _id: 1 } } as const;
    expect(await ours.find({}, sorted).toArray()).toEqual(await theirs.find({}, sorted).toArray());
    expect(await bench.raw.find({ '_holdfast.deleted': true }).toArray()).toEqual([]);
  });

  it('answers with what was written last when the server is gone', async () => {
    await using bench = await setUp(server);
    const { client, things } = bench;
    // Two documents without a name cannot be there at once, nor two that were deleted.
    await bench.raw.createIndex({ name: 1 }, { unique: true });
    const fresh = await things.insertOne({ name: 'fresh' });
    await things.updateOne({ name: 'thing 1' }, { $set: { size: 100 } });
    await things.updateMany({ size: 2 }, { $inc: { size: 50 } });
    await things.findOneAndReplace({ name: 'thing 3' }, { name: 'third' });
    await things.deleteOne({ name: 'thing 4' });
    await things.deleteMany({ name: { $in: ['thing 5', 'thing 6'] } });
    await things.bulkWrite([{ insertOne: { document: { _id: 'bulk' as never, name: 'bulk' } } }]);
    const sorted = { sort: { _id: 1 } } as const;
    const expected = await things.find({}, sorted).toArray();
    await eventually('nothing is missed', async () => (await staleness(client)) < 1_000, 20_000);
    await server.kill();
    try {
      const found = await things.find({}, sorted).toArray();
      await isOpen(client);
      expect(found).toEqual(expected);
      expect(provenance(found)).toMatchObject({ source: 'LIVE', degraded: true });
      expect(await things.findOne({ _id: fresh.insertedId })).toEqual({ _id: fresh.insertedId, name: 'fresh' });
      await expect(things.insertOne({ name: 'no' })).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    } finally {
      await server.restart();
    }
    await isClosed(client);
    await things.insertOne({ name: 'after' });
    expect(await things.countDocuments({ name: 'after' })).toBe(1);
  });
});

async function staleness(client: MongoClient): Promise<number> {
  const { live } = await client.fallbackStatus();
  return live?.stalenessMs ?? Number.POSITIVE_INFINITY;
}
