import type { Document } from 'mongodb';
import { expect, it } from 'vitest';
import { MongoClient, provenance } from '../../../src/fallback/index.ts';
import { eventually } from '../../support/eventually.ts';
import { describeWith } from '../../support/servers/describe-with.ts';
import { startMongo } from '../../support/servers/mongo.ts';
import { shared } from '../../support/servers/shared.ts';
import { type Bench, beside, isClosed, isOpen, setUp } from './bench.ts';

const JOURNAL = { writes: 'JOURNAL' } as const;

describeWith(
  'mongodb',
  'The journal of a client',
  () => {
    const server = shared(startMongo);

    async function away({ client, things }: Bench): Promise<void> {
      await server().kill();
      await things.findOne({});
      await isOpen(client);
    }

    async function back({ client }: Pick<Bench, 'client'>): Promise<void> {
      await server().restart();
      await isClosed(client);
      await eventually('nothing waits', async () => (await journal(client)).waiting === 0, 20_000);
    }

    async function journal(client: MongoClient) {
      const { live } = await client.fallbackStatus();
      return live!.journal!;
    }

    const names = async (bench: Bench): Promise<unknown[]> => {
      const found = await bench.raw.find({ n: { $exists: true } }, { sort: { name: 1 } }).toArray();
      return found.map(({ name, n }) => [name, n]);
    };

    it('keeps writes while the database is away, shows them to the service, and brings them there', async () => {
      await using bench = await setUp(server(), JOURNAL);
      const { client, things } = bench;
      const _id = (await things.findOne({ name: 'thing 1' }))!._id;
      await away(bench);
      try {
        const document: Document = { name: 'new', n: 1 };
        const inserted = things.insertOne(document);
        expect(await inserted).toEqual({ acknowledged: true, insertedId: document._id });
        expect(provenance(await inserted)).toEqual({ source: 'JOURNAL', asOf: null, degraded: true });
        const updated = { acknowledged: true, modifiedCount: 1, upsertedId: null, upsertedCount: 0, matchedCount: 1 };
        expect(await things.updateOne({ _id: document._id }, { $inc: { n: 4 } })).toEqual(updated);
        expect(await things.updateOne({ _id }, { $set: { n: 7 } })).toEqual(updated);
        expect(await things.replaceOne({ _id: (await idOf(bench, 'thing 2'))! }, { name: 'other', n: 2 })).toEqual(
          updated,
        );
        const deletion = things.deleteOne({ _id: (await idOf(bench, 'thing 3'))! });
        expect(await deletion).toEqual({ acknowledged: true, deletedCount: 1 });
        const mixed = await things.find({ n: { $gt: 0 } }, { sort: { name: 1 } }).toArray();
        expect(mixed.map(({ name, n }) => [name, n])).toEqual([
          ['new', 5],
          ['other', 2],
          ['thing 1', 7],
        ]);
        expect(provenance(mixed)).toMatchObject({ source: 'MIXED', degraded: true });
        expect(await things.countDocuments()).toBe(60);
        expect(await things.findOne({ name: 'thing 3' })).toBeNull();
        expect(await journal(client)).toMatchObject({ waiting: 5, conflicts: 0 });
      } finally {
        await back(bench);
      }
      expect(await names(bench)).toEqual([
        ['new', 5],
        ['other', 2],
        ['thing 1', 7],
      ]);
      expect(await bench.raw.countDocuments({ '_holdfast.deleted': { $ne: true } })).toBe(60);
      expect(provenance((await things.findOne({ name: 'new' }))!)).toMatchObject({ source: 'DATABASE' });
    });

    it('answers and journals while the server hangs, and makes each write once', async () => {
      await using bench = await setUp(server(), JOURNAL);
      const { client, things } = bench;
      const acknowledged: number[] = [];
      const unknown: number[] = [];
      await server().suspend();
      try {
        const reads = await Promise.all(Array.from({ length: 20 }, () => things.find({ size: 3 }).toArray()));
        expect(reads.map(({ length }) => length)).toEqual(Array(20).fill(9));
        for (let n = 0; n < 20; n++) {
          await things.insertOne({ name: `hanging ${n}`, n }).then(
            () => acknowledged.push(n),
            (error: { readonly code: unknown }) => {
              expect(error.code).toBe('WRITE_OUTCOME_UNKNOWN');
              unknown.push(n);
            },
          );
        }
        expect(acknowledged.length).toBeGreaterThan(10);
      } finally {
        await server().resume();
      }
      await isClosed(client);
      await eventually('nothing waits', async () => (await journal(client)).waiting === 0, 20_000);
      const found = (await names(bench)).map((entry) => (entry as [string, number])[1]);
      expect(new Set(found).size).toBe(found.length);
      expect(acknowledged.filter((n) => !found.includes(n))).toEqual([]);
      expect(found.filter((n) => !acknowledged.includes(n) && !unknown.includes(n))).toEqual([]);
    });

    it('refuses what it cannot make, and does nothing of it', async () => {
      await using bench = await setUp(server(), JOURNAL);
      const { client, things } = bench;
      const _id = (await things.findOne({ name: 'thing 1' }))!._id;
      await away(bench);
      try {
        const unavailable = { code: 'DATABASE_UNAVAILABLE', retryAfterMs: 1_000 };
        await expect(things.updateOne({ name: 'thing 1' }, { $set: { n: 1 } })).rejects.toMatchObject(unavailable);
        await expect(things.updateOne({ _id }, { $set: { n: 1 } }, { upsert: true })).rejects.toMatchObject(
          unavailable,
        );
        await expect(things.updateOne({ _id }, [{ $set: { n: 1 } }])).rejects.toMatchObject(unavailable);
        await expect(things.updateMany({}, { $set: { n: 1 } })).rejects.toMatchObject(unavailable);
        await expect(things.insertMany([{ n: 1 }])).rejects.toMatchObject(unavailable);
        await expect(things.findOneAndUpdate({ _id }, { $set: { n: 1 } })).rejects.toMatchObject(unavailable);
        await expect(things.updateOne({ _id }, { $bit: { n: { and: 1 } } })).rejects.toMatchObject({
          ...unavailable,
          operator: '$bit',
        });
        // It may have been created since.
        await expect(things.updateOne({ _id: 'nobody' as never }, { $set: { n: 1 } })).rejects.toMatchObject(
          unavailable,
        );
        await expect(things.insertOne({ _id })).rejects.toMatchObject({ name: 'MongoServerError', code: 11000 });
        expect(await journal(client)).toMatchObject({ waiting: 0 });
      } finally {
        await back(bench);
      }
      expect(await names(bench)).toEqual([]);
    });

    it('keeps what waits over a restart of the service', async () => {
      await using bench = await setUp(server(), JOURNAL);
      await away(bench);
      try {
        await bench.things.insertOne({ name: 'new', n: 1 });
        await bench.client.close();
        await using again = new MongoClient(bench.url, { fallback: bench.settings });
        await again.connect();
        const things = again.db().collection('things');
        expect(await things.findOne({ name: 'new' })).toMatchObject({ n: 1 });
        await things.insertOne({ name: 'newer', n: 2 });
        await back({ client: again });
      } finally {
        await server().restart();
      }
      expect(await names(bench)).toEqual([
        ['new', 1],
        ['newer', 2],
      ]);
    });

    it('parks what others came before, for somebody to decide', async () => {
      await using bench = await setUp(server(), JOURNAL);
      const { things } = bench;
      const _id = (await things.findOne({ name: 'thing 1' }))!._id;
      await away(bench);
      await things.updateOne({ _id }, { $set: { n: 1 } });
      await bench.client.close();
      await server().restart();
      await using second = await beside(bench);
      await second.client
        .db()
        .collection('things')
        .updateOne({ _id }, { $set: { n: 2 } });
      await using again = new MongoClient(bench.url, { fallback: bench.settings });
      await again.connect();
      await eventually('it is parked', async () => (await journal(again)).conflicts === 1, 20_000);
      expect(await names(bench)).toEqual([['thing 1', 2]]);
      const [entry] = (await again.fallbackJournal())!.list({ state: 'CONFLICT', first: 10, after: null });
      expect(entry).toMatchObject({ collection: 'things', method: 'updateOne', reason: { code: 'CONFLICT' } });
      await (await again.fallbackJournal())!.discard(String(entry!.seq));
      expect(await journal(again)).toMatchObject({ conflicts: 0, waiting: 0 });
    });
  },
  { killable: true },
);

async function idOf({ things }: Bench, name: string) {
  return (await things.findOne({ name }))?._id;
}
