import { type MongoBulkWriteError, MongoNetworkError, MongoNotConnectedError } from 'mongodb';
import { describe, expect, it } from 'vitest';
import type { LogEntry } from '../../src/model/change.ts';
import { documentHash } from '../../src/model/change.ts';
import { MongoSweeper } from '../../src/store/mongo-sweeper.ts';
import { entriesOf, indexed, keyOf, PLAIN, refusalOf } from '../contract/store/fixture.ts';
import { databaseName, type MongoNode, openMongoNode } from '../support/mongo-store.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';
import { shared } from '../support/servers/shared.ts';

class Crash extends Error {}

describeWith('mongodb', 'MongoStore with writers that die', () => {
  const server = shared(startMongo);

  /** A primary that dies at its `nth` arrival at a step; clearing is left to others. */
  async function dying(url: string, step: string, nth = 1): Promise<MongoNode> {
    let left = nth;
    return openMongoNode(url, PLAIN, {
      clearMs: 3_600_000,
      step: (name) => {
        if (name === step && --left <= 0) throw new Crash(name);
      },
    });
  }

  async function sweep(node: MongoNode): Promise<void> {
    await using sweeper = new MongoSweeper({
      store: node.store,
      pendingMs: 0,
      clock: () => Date.now() + 1,
      timers: { soon: () => {}, every: () => () => {} },
      onTrouble: () => {},
    });
    await sweeper.sweep();
  }

  /** What is true of every log: each change of a document leads from the one before, and the last one to what is stored. */
  async function agree(url: string): Promise<readonly LogEntry[]> {
    await using node = await openMongoNode(url, PLAIN);
    const entries = await entriesOf(node);
    const last = new Map<string, LogEntry>();
    for (const entry of entries) {
      const before = last.get(entry.id);
      expect(entry.before).toBe(before?.after ?? null);
      expect(entry.version).toBeGreaterThan(before?.version ?? 0);
      if (entry.image !== null) {
        expect(entry.after).toBe(documentHash(entry.collection, entry.id, entry.version, entry.image));
      }
      last.set(entry.id, entry);
    }
    const raw = node.store.table('people').raw;
    expect(await raw.countDocuments({ '_holdfast.pending': { $exists: true } })).toBe(0);
    const stored = await raw.find({}).toArray();
    expect(stored.map((document) => (document._holdfast as { version: number }).version).sort()).toEqual(
      [...last.values()].map(({ version }) => version).sort(),
    );
    return entries;
  }

  for (const step of ['write.afterRead', 'write.afterHelp', 'write.afterWrite', 'write.afterAppend']) {
    describe(`killed at ${step}`, () => {
      for (const [name, write] of Object.entries({
        insert: (node: MongoNode) =>
          node.store.collection('people').insertOne({ _id: 'b', n: 1 }, { idempotency: keyOf('key') }),
        update: (node: MongoNode) =>
          node.store.collection('people').updateOne({ _id: 'a' }, { $inc: { n: 1 } }, { idempotency: keyOf('key') }),
        delete: (node: MongoNode) =>
          node.store.collection('people').deleteOne({ _id: 'a' }, { idempotency: keyOf('key') }),
      })) {
        for (const helper of ['the sweeper', 'the repetition'] as const) {
          it(`${helper} finishes the ${name}: once, with the answer it would have had`, async () => {
            const url = server().urlOf(databaseName());
            await using node = await openMongoNode(url, PLAIN);
            await node.store.collection('people').insertOne({ _id: 'a', n: 1 });
            {
              await using victim = await dying(url, step);
              await expect(write(victim)).rejects.toThrow(Crash);
            }
            if (helper === 'the sweeper') await sweep(node);
            const answer = await write(node);
            expect(answer).toMatchObject({ matchedCount: 1, modifiedCount: 1, position: { sequence: 2 } });
            expect(answer.document).toEqual(
              { insert: { _id: 'b', n: 1 }, update: { _id: 'a', n: 2 }, delete: { _id: 'a', n: 1 } }[name],
            );
            expect((await write(node)).repeated).toBe(true);
            await sweep(node);
            expect(await agree(url)).toHaveLength(2);
            await node.connection.database.dropDatabase();
          });
        }
      }
    });
  }

  for (const step of ['bulk.afterRead', 'bulk.afterWrite', 'bulk.afterAppend']) {
    it(`goes on with bulk writes whose writer died at ${step}`, async () => {
      const url = server().urlOf(databaseName());
      await using node = await openMongoNode(url, PLAIN);
      const documents = Array.from({ length: 30 }, (_, index) => ({ _id: `id${index}`, n: 0 }));
      const idempotency = documents.map(({ _id }) => keyOf(_id));
      const inserting = (at: MongoNode) => at.store.collection('people').insertMany(documents, { idempotency });
      const updating = (at: MongoNode) =>
        at.store.collection('people').updateMany({ n: 0 }, { $inc: { n: 1 } }, { operation: keyOf('all') });
      for (const write of [inserting, updating]) {
        {
          await using victim = await dying(url, step);
          await expect(write(victim)).rejects.toThrow(Crash);
        }
        expect(await write(node)).toMatchObject({ matchedCount: 30, modifiedCount: 30, refused: [] });
      }
      expect(await node.store.collection('people').countDocuments({ n: 1 })).toBe(30);
      await sweep(node);
      expect(await agree(url)).toHaveLength(60);
      await node.connection.database.dropDatabase();
    });
  }

  it('knows documents of a bulk insert as its own, whichever of their unique indexes refuses them again', async () => {
    const specs = indexed({ uniqueName: ['name'] });
    const url = server().urlOf(databaseName());
    await using node = await openMongoNode(url, specs);
    const documents = [
      { _id: 'a', name: 'a' },
      { _id: 'b', name: 'b' },
    ];
    const idempotency = documents.map(({ _id }) => keyOf(_id));
    const inserting = (at: MongoNode) => at.store.collection('people').insertMany(documents, { idempotency });
    {
      await using victim = await openMongoNode(url, specs, {
        step: (name) => {
          if (name === 'bulk.afterWrite') throw new Crash(name);
        },
      });
      await expect(inserting(victim)).rejects.toThrow(Crash);
    }
    const { raw } = node.store.table('people');
    const bulkWrite = raw.bulkWrite.bind(raw);
    raw.bulkWrite = (...args) =>
      bulkWrite(...args).catch((error: MongoBulkWriteError) => {
        // Which index a server names first is its own affair.
        for (const { err } of [error.writeErrors].flat())
          err.errmsg = 'E11000 duplicate key error index: uniqueName dup key';
        throw error;
      });
    expect(await inserting(node)).toMatchObject({ modifiedCount: 2, refused: [] });
    await node.connection.database.dropDatabase();
  });

  it('lets four primaries change the same documents, each change once', async () => {
    const url = server().urlOf(databaseName());
    const nodes = await Promise.all(Array.from({ length: 4 }, () => openMongoNode(url, PLAIN)));
    const [first] = nodes as [MongoNode];
    await first.store.collection('people').insertMany([
      { _id: 0, n: 0 },
      { _id: 1, n: 0 },
    ]);
    await Promise.all(
      nodes.map(async (node) => {
        for (let round = 0; round < 10; round++) {
          await node.store.collection('people').updateOne({ _id: round % 2 }, { $inc: { n: 1 } });
        }
      }),
    );
    expect(await first.store.collection('people').find({}).toArray()).toEqual([
      { _id: 0, n: 20 },
      { _id: 1, n: 20 },
    ]);
    for (const node of nodes.slice(1)) await node[Symbol.asyncDispose]();
    await first.store.close();
    await sweep(first);
    expect(await agree(url)).toHaveLength(42);
    await first.connection.database.dropDatabase();
    await first[Symbol.asyncDispose]();
  });

  it('finds out what became of a write whose answer was lost, and makes it once', async () => {
    const url = server().urlOf(databaseName());
    await using node = await openMongoNode(url, PLAIN);
    const collection = node.store.collection('people');
    await collection.insertOne({ _id: 'a', n: 0 });
    const { raw } = node.store.table('people');
    const update = raw.updateOne.bind(raw);
    for (const arrives of [true, false]) {
      raw.updateOne = async (...args) => {
        raw.updateOne = update;
        if (arrives) await update(...args);
        throw new MongoNetworkError('the connection was cut');
      };
      expect(await collection.updateOne({ _id: 'a' }, { $inc: { n: 1 } })).toMatchObject({ modifiedCount: 1 });
    }
    expect(await collection.findOne({})).toEqual({ _id: 'a', n: 2 });
    raw.updateOne = async () => {
      throw new MongoNetworkError('the connection was cut');
    };
    await refusalOf(collection.updateOne({ _id: 'a' }, { $inc: { n: 1 } }), 'WRITE_OUTCOME_UNKNOWN');
    raw.updateOne = update;
    await node.store.close();
    expect(await agree(url)).toHaveLength(3);
    await node.connection.database.dropDatabase();
  });

  it('does not say that nothing was written when a bulk write ends half-way', async () => {
    const url = server().urlOf(databaseName());
    await using node = await openMongoNode(url, PLAIN, { clearMs: 3_600_000 });
    const collection = node.store.collection('people');
    await collection.insertMany(Array.from({ length: 501 }, (_, n) => ({ _id: n, n: 0 })));
    const { raw } = node.store.table('people');
    const bulkWrite = raw.bulkWrite.bind(raw);
    let sent = 0;
    raw.bulkWrite = async (...args) => {
      if (++sent === 2) throw new MongoNotConnectedError('not connected');
      return bulkWrite(...args);
    };
    await refusalOf(
      collection.updateMany({}, { $inc: { n: 1 } }, { operation: keyOf('all') }),
      'WRITE_OUTCOME_UNKNOWN',
    );
    raw.bulkWrite = bulkWrite;
    const again = await collection.updateMany({}, { $inc: { n: 1 } }, { operation: keyOf('all') });
    expect(again).toMatchObject({ matchedCount: 501, modifiedCount: 501 });
    expect(await collection.countDocuments({ n: 1 })).toBe(501);
    await node.connection.database.dropDatabase();
  });

  it('gives up on a document that others change each time, and says that it may be tried again', async () => {
    const url = server().urlOf(databaseName());
    await using rival = await openMongoNode(url, PLAIN);
    await rival.store.collection('people').insertOne({ _id: 'a', n: 0 });
    await using node = await openMongoNode(url, PLAIN);
    const { raw } = node.store.table('people');
    const update = raw.updateOne.bind(raw);
    raw.updateOne = async (...args) => {
      await rival.store.collection('people').updateOne({ _id: 'a' }, { $inc: { others: 1 } });
      return update(...args);
    };
    const error = await refusalOf(
      node.store.collection('people').updateOne({ _id: 'a' }, { $inc: { n: 1 } }),
      'WRITE_CONTENTION',
    );
    expect(error.retryable).toBe(true);
    expect(await rival.store.collection('people').findOne({})).toEqual({ _id: 'a', n: 0, others: 50 });
    await rival.connection.database.dropDatabase();
  });

  it('decides nothing anew for whoever has given up, and may have been refused elsewhere since', async () => {
    const url = server().urlOf(databaseName());
    await using rival = await openMongoNode(url, PLAIN);
    const seats = rival.store.collection('people');
    await seats.insertOne({ _id: 'seat' });
    const given = new AbortController();
    const reason = new Error('given up');
    await using node = await openMongoNode(url, PLAIN);
    const { raw } = node.store.table('people');
    const replace = raw.replaceOne.bind(raw);
    raw.replaceOne = async (...args) => {
      // While it is under way: the seat is freed, the caller asks elsewhere and is refused, and somebody else takes the seat.
      await seats.deleteOne({ _id: 'seat' });
      given.abort(reason);
      expect((await seats.deleteOne({ _id: 'seat' }, { idempotency: keyOf('k') })).matchedCount).toBe(0);
      await seats.insertOne({ _id: 'seat', taken: true });
      return replace(...args);
    };
    const deletion = node.store
      .collection('people')
      .deleteOne({ _id: 'seat' }, { idempotency: keyOf('k'), signal: given.signal });
    await expect(deletion).rejects.toBe(reason);
    expect(await seats.findOne({ _id: 'seat' })).toEqual({ _id: 'seat', taken: true });
    await rival.connection.database.dropDatabase();
  });
});
