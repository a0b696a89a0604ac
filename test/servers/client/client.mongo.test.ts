import { type Collection, type Document, MongoClient as DriverClient } from 'mongodb';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DrillProxy } from '../../../src/fallback/drill/proxy.ts';
import { createFallback, FallbackError, MongoClient, provenance } from '../../../src/fallback/index.ts';
import { eventually } from '../../support/eventually.ts';
import { databaseName } from '../../support/mongo-store.ts';
import { describeWith } from '../../support/servers/describe-with.ts';
import { type MongoServer, startMongo } from '../../support/servers/mongo.ts';
import { shared } from '../../support/servers/shared.ts';
import { READS, THINGS, type TriedCall, WRITES } from './calls.ts';

const COMPLETE = { from: THINGS, complete: true } as const;

describeWith('mongodb', 'The client of a database that answers', () => {
  const server = shared(startMongo);
  let theirs: Collection<Document>;
  let ours: Collection<Document>;
  const clients: DriverClient[] = [];
  beforeAll(async () => {
    const collectionOf = async (client: DriverClient): Promise<Collection<Document>> => {
      clients.push(client);
      const things = client.db().collection('things');
      await things.insertMany(structuredCopy());
      return things;
    };
    theirs = await collectionOf(new DriverClient(server().urlOf(databaseName())));
    const fallback = { datasets: { things: COMPLETE }, deadlineMs: { read: 10_000, write: 10_000 } };
    ours = await collectionOf(new MongoClient(server().urlOf(databaseName()), { fallback }));
  });
  afterAll(async () => {
    for (const client of clients) await client.close();
  });

  it.each([...READS, ...WRITES])('answers as the driver does: $name', async ({ call }) => {
    const expected = await outcomeOf(theirs, call);
    expect(await outcomeOf(ours, call)).toEqual(expected);
  });

  it('has the classes of the driver', () => {
    const { client } = ours.db;
    expect(client).toBeInstanceOf(DriverClient);
    expect(ours.constructor.name).toMatch(/Collection$/);
    expect(ours.find().constructor).toBe(theirs.find().constructor);
    expect(ours.aggregate().constructor).toBe(theirs.aggregate().constructor);
    expect(provenance(ours.find())).toEqual({ source: 'DATABASE', asOf: null, degraded: false });
  });

  it('leaves to the driver what belongs to a session', async () => {
    await ours.db.client.withSession(async (session) => {
      expect(await ours.findOne({ name: 'thing 20' }, { session })).toMatchObject({ name: 'thing 20' });
      expect(await ours.updateOne({ name: 'thing 20' }, { $set: { n: 1 } }, { session })).toMatchObject({
        matchedCount: 1,
      });
    });
  });
});

describeWith(
  'mongodb',
  'The client of a database that is away',
  () => {
    const server = shared(startMongo);

    it('answers every read as before from a copy, or refuses it with a code; refuses every write', async () => {
      await using client = await filledClient(server());
      const things = client.db().collection('things');
      const before = new Map<string, unknown>();
      for (const { name, call } of READS) before.set(name, await outcomeOf(things, call));
      await server().kill();
      try {
        await things.findOne({});
        await eventually('it is known', async () => (await client.fallbackStatus()).state === 'OPEN');
        for (const { name, call, away = 'AS_BEFORE' } of READS) {
          const expected = away === 'AS_BEFORE' ? before.get(name) : { code: away, operator: expect.any(String) };
          expect(await outcomeOf(things, call), name).toEqual(expected);
        }
        for (const { name, call } of WRITES) {
          expect(await outcomeOf(things, call), name).toEqual({ code: 'DATABASE_UNAVAILABLE', retryAfterMs: 1_000 });
        }
      } finally {
        await server().restart();
      }
    });

    it.each([
      ['killed', () => server().kill(), () => server().restart()],
      ['suspended', () => server().suspend(), () => server().resume()],
    ])(
      'fails no read when the server is %s, says where answers come from, and goes back by itself',
      async (_, end, begin) => {
        await using client = await filledClient(server());
        const things = client.db().collection('things');
        expect(provenance((await things.findOne({}))!)).toMatchObject({ source: 'DATABASE', degraded: false });
        await end();
        const reads = await Promise.all(Array.from({ length: 50 }, () => things.find({ size: 3 }).toArray()));
        const copied = { source: 'DATASET', asOf: null, degraded: true };
        for (const documents of reads) expect(documents).toHaveLength(9);
        expect(reads.map((documents) => provenance(documents))).toContainEqual(copied);
        const one = await things.findOne({ name: 'thing 3' });
        expect(provenance(one)).toEqual(copied);
        const none = things.findOne({ name: 'no' });
        expect(await none).toBeNull();
        expect(provenance(none)).toEqual(copied);
        const count = things.countDocuments();
        expect(await count).toBe(60);
        expect(provenance(count)).toEqual(copied);
        await eventually('it is known', async () => (await client.fallbackStatus()).state === 'OPEN');
        await expect(things.insertOne({ name: 'x' })).rejects.toThrow(FallbackError);
        await begin();
        await eventually('it is back', async () => (await client.fallbackStatus()).state === 'CLOSED', 20_000);
        expect(provenance((await things.findOne({}))!)).toMatchObject({ source: 'DATABASE' });
        const { incidents } = await client.fallbackStatus();
        expect(incidents).toHaveLength(1);
        expect(incidents[0]?.reads.DATASET).toBeGreaterThan(3);
      },
    );

    it('says of a write that was under way that its outcome is not known', async () => {
      await using client = await filledClient(server());
      const things = client.db().collection('things');
      await things.findOne({});
      await server().suspend();
      try {
        await expect(things.insertOne({ name: 'x' })).rejects.toMatchObject({ code: 'WRITE_OUTCOME_UNKNOWN' });
      } finally {
        await server().resume();
      }
    });

    it.each([
      ['refused', { kind: 'ERROR', code: 10_107 }],
      ['cut off', { kind: 'DROP' }],
    ] as const)('says of a bulk write whose second command was %s that its outcome is not known', async (_, fault) => {
      const url = new URL(server().urlOf(databaseName()));
      const target = { host: url.hostname, port: server().port };
      await using proxy = await DrillProxy.start({ target });
      url.host = `127.0.0.1:${proxy.port}`;
      await using client = new MongoClient(`${url}`, { directConnection: true, fallback: {} });
      const things = client.db().collection<{ _id: string }>('things');
      await things.insertOne({ _id: 'a' });
      proxy.set({ ...fault, commands: ['update'], times: 1 });
      const writing = things.bulkWrite([
        { insertOne: { document: { _id: 'b' } } },
        { updateOne: { filter: { _id: 'a' }, update: { $set: { n: 1 } } } },
      ]);
      await expect(writing).rejects.toMatchObject({ code: 'WRITE_OUTCOME_UNKNOWN', cause: { insertedCount: 1 } });
      proxy.set();
    });

    it('begins a list anew from a copy when the database goes away in the middle, and goes on with no other cursor', async () => {
      await using client = await filledClient(server());
      const things = client.db().collection('things');
      const begun = things.find({}, { batchSize: 10 });
      await begun.next();
      // The list is read from its first batch on; the server ends after that.
      const list = things.find({}, { batchSize: 10 }).sort({ _id: 1 });
      const getMore = (list as unknown as { getMore(): Promise<unknown> }).getMore.bind(list);
      const killed = Promise.withResolvers<void>();
      (list as unknown as { getMore(): Promise<unknown> }).getMore = async () => {
        await server().kill();
        killed.resolve();
        return getMore();
      };
      try {
        const documents = await list.toArray();
        await killed.promise;
        expect(documents).toHaveLength(60);
        expect(provenance(documents)).toMatchObject({ source: 'DATASET' });
        await expect(begun.toArray()).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
      } finally {
        await server().restart();
      }
    });

    it('starts without its database, answers from copies, and uses it once it is there', async () => {
      await server().kill();
      const url = server().urlOf(databaseName());
      await using functions = await createFallback({ url, datasets: { things: COMPLETE } });
      try {
        expect(await functions.findOne('things', { name: 'thing 1' })).toMatchObject({ size: 1 });
        expect(await functions.countDocuments('things', {})).toBe(60);
        await expect(functions.findOne('others', {})).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
        await expect(functions.insertOne('things', {})).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
        await expect(new MongoClient(url, { fallback: {} }).connect()).rejects.toMatchObject({
          name: 'MongoServerSelectionError',
        });
      } finally {
        await server().restart();
      }
      await eventually('it is there', async () => (await functions.status()).state === 'CLOSED', 20_000);
      expect(await functions.countDocuments('things')).toBe(0);
      expect(await functions.insertMany('things', [{ a: 1 }, { a: 2 }])).toMatchObject({ insertedCount: 2 });
      expect(await functions.find('things', { a: { $gt: 1 } }).toArray()).toMatchObject([{ a: 2 }]);
      expect(
        await functions.findOneAndUpdate('things', { a: 1 }, { $inc: { a: 9 } }, { returnDocument: 'after' }),
      ).toMatchObject({ a: 10 });
      expect(await functions.updateMany('things', {}, { $set: { b: 1 } })).toMatchObject({ matchedCount: 2 });
      expect(await functions.deleteMany('things', {})).toMatchObject({ deletedCount: 2 });
    });
  },
  { killable: true },
);

/** The driver writes ids into what it is given. */
function structuredCopy(): Document[] {
  return THINGS.map((thing) => ({ ...thing }));
}

/** A client with a copy of what its database holds; a server that has just started is slow, so the driver fills it. */
async function filledClient(server: MongoServer): Promise<MongoClient> {
  const url = server.urlOf(databaseName());
  await using driver = new DriverClient(url);
  await driver.db().collection('things').insertMany(structuredCopy());
  const client = new MongoClient(url, { fallback: { datasets: { things: COMPLETE } } });
  return client.connect();
}

async function outcomeOf(things: Collection<Document>, call: TriedCall['call']): Promise<unknown> {
  try {
    return await call(things);
  } catch (error) {
    const { code, operator, retryAfterMs } = error as FallbackError;
    if (code === undefined) throw error;
    return { code, ...(operator !== undefined && { operator }), ...(retryAfterMs !== undefined && { retryAfterMs }) };
  }
}
