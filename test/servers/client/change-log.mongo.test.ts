import { type Collection, type Document, MongoClient as DriverClient } from 'mongodb';
import { expect, it } from 'vitest';
import { MongoClient, provenance } from '../../../src/fallback/index.ts';
import { eventually } from '../../support/eventually.ts';
import { databaseName } from '../../support/mongo-store.ts';
import { describeWith } from '../../support/servers/describe-with.ts';
import { startMongo } from '../../support/servers/mongo.ts';
import { shared } from '../../support/servers/shared.ts';
import { copied, isClosed, isOpen, setUp } from './bench.ts';
import { READS, THINGS, type TriedCall, WRITES } from './calls.ts';

async function outcomeOf(things: Collection<Document>, call: TriedCall['call']): Promise<unknown> {
  return call(things).catch(({ name, code }) => ({ name, code }));
}

describeWith(
  'mongodb',
  'The client with a change log',
  () => {
    const server = shared(startMongo);

    it('answers as the driver does, and shows nothing of what it keeps in documents', async () => {
      await using bench = await setUp(server(), { deadlineMs: { read: 10_000, write: 10_000 } });
      await using plain = new DriverClient(server().urlOf(databaseName()));
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
      await bench.client.withSession(async (session) => {
        expect(await ours.find({}, { ...sorted, session }).toArray()).toEqual(await theirs.find({}, sorted).toArray());
        const changed = await ours.findOneAndUpdate({ name: 'thing 30' }, { $set: { n: 1 } }, { session });
        expect(Object.keys(changed!)).not.toContain('_holdfast');
      });
      expect(await bench.raw.find({ '_holdfast.deleted': true }).toArray()).toEqual([]);
    });

    it('answers with what was written last when the server is gone', async () => {
      await using bench = await setUp(server());
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
      await copied(client);
      await server().kill();
      try {
        const found = await things.find({}, sorted).toArray();
        await isOpen(client);
        expect(found).toEqual(expected);
        expect(provenance(found)).toMatchObject({ source: 'LIVE', degraded: true });
        expect(await things.findOne({ _id: fresh.insertedId })).toEqual({ _id: fresh.insertedId, name: 'fresh' });
        await expect(things.insertOne({ name: 'no' })).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
      } finally {
        await server().restart();
      }
      await isClosed(client);
      await things.insertOne({ name: 'after' });
      expect(await things.countDocuments({ name: 'after' })).toBe(1);
    });

    it('captures what others write beside it, and says how old its answers are until then', async () => {
      // Not the only one who writes: what it answers is as old as the last look.
      await using bench = await setUp(server(), {}, false);
      const { client } = bench;
      await bench.raw.updateOne({ name: 'thing 1' }, { $set: { size: 77 } });
      await bench.raw.insertOne({ name: 'foreign' });
      await bench.raw.deleteOne({ name: 'thing 2' });
      // Who reports a write of somebody else's makes it be looked for.
      await client.withSession((session) =>
        client
          .db()
          .collection('things')
          .updateOne({ name: 'thing 9' }, { $set: { size: 99 } }, { session }),
      );
      await copied(client);
      await client.fallbackForce({}, 'OPEN');
      const things = client.db().collection('things');
      const size = async (name: string): Promise<unknown> => (await things.findOne({ name }))?.size;
      expect(await Promise.all(['thing 1', 'thing 2', 'thing 9'].map(size))).toEqual([77, undefined, 99]);
      expect(await things.countDocuments({ name: 'foreign' })).toBe(1);
    });

    it('copies a collection from its first document on', async () => {
      await using bench = await setUp(server());
      const { client } = bench;
      const orders = client.db().collection<{ _id: number; total: number }>('orders');
      await orders.insertOne({ _id: 1, total: 5 });
      await Promise.all([2, 3, 4].map((_id) => orders.insertOne({ _id, total: _id })));
      await orders.updateOne({ _id: 2 }, { $inc: { total: 10 } });
      await copied(client);
      await client.fallbackForce({}, 'OPEN');
      expect(await orders.find({}, { sort: { _id: 1 } }).toArray()).toEqual([
        { _id: 1, total: 5 },
        { _id: 2, total: 12 },
        { _id: 3, total: 3 },
        { _id: 4, total: 4 },
      ]);
      expect(await bench.things.countDocuments()).toBe(60);
    });

    it('captures each of many writes of the same documents, whoever wins', async () => {
      await using bench = await setUp(server(), { deadlineMs: { read: 10_000, write: 20_000 } });
      const { client, raw } = bench;
      const counters = client.db().collection<{ _id: string; n: number }>('counters');
      await counters.insertMany(['a', 'b'].map((_id) => ({ _id, n: 0 })));
      for (let round = 0; round < 6; round++) {
        const increments = Array.from({ length: 10 }, (_, i) =>
          counters.updateOne({ _id: i % 2 === 0 ? 'a' : 'b' }, { $inc: { n: 1 } }),
        );
        await Promise.all(increments);
      }
      const again = Array.from({ length: 10 }, async () => {
        await counters.deleteOne({ _id: 'c' });
        await counters.updateOne({ _id: 'c' }, { $inc: { n: 1 } }, { upsert: true }).catch(({ code }) => code);
      });
      await Promise.all(again);
      await copied(client);
      const expected = await raw.db
        .collection('counters')
        .find({}, { projection: { _holdfast: 0 } })
        .toArray();
      await client.fallbackForce({}, 'OPEN');
      expect(await counters.find().toArray()).toEqual(expected);
      expect(expected.slice(0, 2)).toEqual([
        { _id: 'a', n: 30 },
        { _id: 'b', n: 30 },
      ]);
    });

    it('inserts what a process had just deleted that was killed', async () => {
      await using bench = await setUp(server());
      const { client, raw, things } = bench;
      const at = Date.now() - 60_000;
      const pending = { operation: 'DELETED', key: null, digest: null, at, before: null, token: '0123456789abcdef' };
      const _holdfast = { version: at, deleted: true, brief: true, deletedAt: at, pending };
      await raw.insertOne({ _id: 'x' as never, _holdfast });
      expect(await things.findOne({ _id: 'x' as never })).toBeNull();
      await things.insertOne({ _id: 'x' as never, name: 'again' });
      await copied(client);
      await client.fallbackForce({}, 'OPEN');
      expect(await things.findOne({ _id: 'x' as never })).toEqual({ _id: 'x', name: 'again' });
    });

    it('starts again without its database, with what it had', async () => {
      await using bench = await setUp(server());
      const { client, things, url, settings } = bench;
      await things.insertOne({ name: 'last' });
      await client.close();
      await server().kill();
      try {
        await using again = new MongoClient(url, { fallback: settings });
        await again.connect();
        const found = again
          .db()
          .collection('things')
          .find({ name: { $in: ['last', 'thing 3'] } });
        expect((await found.toArray()).map(({ name }) => name)).toEqual(['thing 3', 'last']);
        await server().restart();
        await isClosed(again);
        await again.db().collection('things').insertOne({ name: 'after' });
        await eventually('it follows', async () => (await again.fallbackStatus()).live?.following === true);
        expect(provenance((await again.db().collection('things').findOne({ name: 'after' }))!).source).toBe('DATABASE');
      } finally {
        await server().restart();
      }
    });

    it('answers nothing from the copy of another database', async () => {
      await using bench = await setUp(server());
      await bench.client.close();
      await server().kill();
      try {
        await using other = new MongoClient(server().urlOf(databaseName()), { fallback: bench.settings });
        await expect(other.connect()).rejects.toThrow();
        await expect(other.db().collection('things').findOne({})).rejects.toThrow();
      } finally {
        await server().restart();
      }
      await using other = new MongoClient(server().urlOf(databaseName()), { fallback: bench.settings });
      await expect(other.connect()).rejects.toMatchObject({ code: 'FORK' });
    });
  },
  { killable: true },
);
