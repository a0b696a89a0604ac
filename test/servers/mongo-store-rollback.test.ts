import { MongoNetworkError } from 'mongodb';
import { expect, it } from 'vitest';
import type { Document } from '../../src/model/document.ts';
import { durableLevel, MongoDurable } from '../../src/store/mongo-durable.ts';
import { MongoRows } from '../../src/store/mongo-rows.ts';
import { MongoSweeper } from '../../src/store/mongo-sweeper.ts';
import { entriesOf, PLAIN, refusalOf } from '../contract/store/fixture.ts';
import { databaseName, type MongoNode, openMongoNode } from '../support/mongo-store.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';
import { shared } from '../support/servers/shared.ts';

class Crash extends Error {}

/**
 * What one member of a replica set shows before a majority has it, an election may take back; what a server alone shows before it is in
 * the journal, a crash. The tests take it back by hand, at the moment in question.
 */
describeWith('mongodb', 'MongoStore where a server showed what is taken back then', () => {
  const server = shared(startMongo);

  /** A document `a` with n: 1 in the log, and n: 2 pending in the database; `takeBack` puts the former where the latter is. */
  async function begin(): Promise<AsyncDisposable & { readonly node: MongoNode; takeBack(): Promise<void> }> {
    const url = server().urlOf(databaseName());
    const node = await openMongoNode(url, PLAIN);
    await node.store.collection('people').insertOne({ _id: 'a', n: 1 });
    await node.store.writer.parts.clearer.flush();
    const { raw } = node.store.table('people');
    const before = (await raw.findOne({})) as Document;
    await using victim = await openMongoNode(url, PLAIN, {
      clearMs: 3_600_000,
      step: (name) => {
        if (name === 'write.afterWrite') throw new Crash(name);
      },
    });
    await expect(victim.store.collection('people').updateOne({ _id: 'a' }, { $set: { n: 2 } })).rejects.toThrow(Crash);
    return {
      node,
      takeBack: async () => void (await raw.replaceOne({ _id: 'a' } as Document, before)),
      [Symbol.asyncDispose]: async () => {
        await node.connection.database.dropDatabase();
        await node[Symbol.asyncDispose]();
      },
    };
  }

  /** Calls `task` once, when the log is asked whether it has a version: what it is asked for was read before. */
  function onceRead({ log }: MongoNode, task: () => Promise<void>): void {
    const ask = log.entryOfVersion.bind(log);
    log.entryOfVersion = async (...version) => {
      log.entryOfVersion = ask;
      await task();
      return ask(...version);
    };
  }

  const images = async (node: MongoNode) => (await entriesOf(node)).map(({ image }) => JSON.parse(image as string).n);

  it('a write by id rests on what is durable, and nothing else enters the log', async () => {
    await using bench = await begin();
    const { node } = bench;
    onceRead(node, bench.takeBack);
    const result = await node.store.collection('people').updateOne({ _id: 'a' }, { $inc: { n: 10 } });
    expect(result.document).toEqual({ _id: 'a', n: 11 });
    expect(await images(node)).toEqual([1, 11]);
  });

  it('a write by filter does', async () => {
    await using bench = await begin();
    const { node } = bench;
    onceRead(node, bench.takeBack);
    const result = await node.store.collection('people').updateMany({ n: { $lt: 3 } }, { $inc: { n: 10 } });
    expect(result).toMatchObject({ matchedCount: 1, modifiedCount: 1 });
    expect(await images(node)).toEqual([1, 11]);
  });

  it('a write by filter passes over what does not match then', async () => {
    await using bench = await begin();
    const { node } = bench;
    onceRead(node, bench.takeBack);
    expect(await node.store.collection('people').updateMany({ n: 2 }, { $inc: { n: 10 } })).toMatchObject({
      matchedCount: 0,
    });
    expect(await images(node)).toEqual([1]);
  });

  it('a page has it as it is durably', async () => {
    await using bench = await begin();
    const { node } = bench;
    onceRead(node, bench.takeBack);
    const { rows } = await new MongoRows(node.store).page('people', null, 10, 1_000);
    expect(rows.map(({ text }) => JSON.parse(text))).toEqual([{ _id: 'a', n: 1 }]);
    expect(await images(node)).toEqual([1]);
  });

  it('the sweeper leaves it alone', async () => {
    await using bench = await begin();
    const { node } = bench;
    onceRead(node, bench.takeBack);
    await using sweeper = new MongoSweeper({
      ...{ store: node.store, pendingMs: 0, clock: () => Date.now() + 1, onTrouble: () => {} },
      timers: { soon: () => {}, every: () => () => {} },
    });
    await sweeper.sweep();
    expect(await images(node)).toEqual([1]);
  });

  it('a document that is gone then is not there', async () => {
    await using bench = await begin();
    const { node } = bench;
    onceRead(node, async () => void (await node.store.table('people').raw.deleteOne({})));
    expect(await node.store.collection('people').updateOne({ _id: 'a' }, { $inc: { n: 10 } })).toMatchObject({
      matchedCount: 0,
    });
    expect(await images(node)).toEqual([1]);
  });

  it('what took its place is helped, when that is pending as well', async () => {
    await using bench = await begin();
    const { node } = bench;
    const { raw } = node.store.table('people');
    onceRead(node, async () => {
      await bench.takeBack();
      const url = server().urlOf(node.connection.database.databaseName);
      await using other = await openMongoNode(url, PLAIN, {
        clearMs: 3_600_000,
        step: (name) => {
          if (name === 'write.afterWrite') throw new Crash(name);
        },
      });
      await expect(other.store.collection('people').updateOne({ _id: 'a' }, { $set: { n: 3 } })).rejects.toThrow(Crash);
    });
    await node.store.collection('people').updateOne({ _id: 'a' }, { $inc: { n: 10 } });
    expect(await images(node)).toEqual([1, 3, 13]);
    expect(await raw.countDocuments({ n: 13 })).toBe(1);
  });

  it('what took its place is taken for itself, also under the same number', async () => {
    await using bench = await begin();
    const { node } = bench;
    const { raw } = node.store.table('people');
    const { _holdfast: metadata } = (await raw.findOne({})) as Document;
    const { version } = metadata as { version: number };
    onceRead(node, async () => {
      await bench.takeBack();
      const url = server().urlOf(node.connection.database.databaseName);
      await using other = await openMongoNode(url, PLAIN, { clock: () => version });
      const written = await other.store.collection('people').updateOne({ _id: 'a' }, { $set: { n: 3, other: true } });
      expect(written.version).toBe(version);
    });
    const result = await node.store.collection('people').updateOne({ _id: 'a' }, { $inc: { n: 10 } });
    expect(result.document).toEqual({ _id: 'a', n: 13, other: true });
    expect(await images(node)).toEqual([1, 3, 13]);
  });

  for (const [name, write] of Object.entries({
    'a write': (node: MongoNode) => node.store.collection('people').updateOne({ _id: 'a' }, { $inc: { n: 10 } }),
    'a bulk write': (node: MongoNode) => node.store.collection('people').updateMany({}, { $inc: { n: 10 } }),
  })) {
    it(`${name} whose answer was lost is looked for among what is durable`, async () => {
      const url = server().urlOf(databaseName());
      await using node = await openMongoNode(url, PLAIN);
      await node.store.collection('people').insertOne({ _id: 'a', n: 1 });
      await node.store.writer.parts.clearer.flush();
      const { raw } = node.store.table('people');
      const before = (await raw.findOne({})) as Document;
      // Done on a member that is cut off, whose successor never hears of it.
      const { durable } = node.store.writer.parts;
      const read = durable.read.bind(durable);
      (durable as { read: MongoDurable['read'] }).read = async (...args) => {
        await raw.replaceOne({ _id: 'a' } as Document, before);
        return read(...args);
      };
      const [updateOne, bulkWrite] = [raw.updateOne.bind(raw), raw.bulkWrite.bind(raw)];
      raw.updateOne = async (...args) => {
        await updateOne(...args);
        throw new MongoNetworkError('the connection was cut');
      };
      raw.bulkWrite = async (...args) => {
        await bulkWrite(...args);
        throw new MongoNetworkError('the connection was cut');
      };
      await refusalOf(write(node), 'WRITE_OUTCOME_UNKNOWN');
      expect(await images(node)).toEqual([1]);
      await node.connection.database.dropDatabase();
    });
  }

  it('asks a replica set for what a majority has, after a write of its own, and only its primary', async () => {
    const url = server().urlOf(databaseName());
    await using node = await openMongoNode(`${url}${url.includes('?') ? '&' : '?'}readPreference=secondary`, PLAIN);
    const { database } = node.connection;
    expect(database.readPreference.mode).toBe('primary');
    const { raw, ...table } = node.store.table('people');
    await raw.insertOne({ _id: 'a', n: 1 } as Document);
    const barriers = async () =>
      (await database.collection('holdfast_meta').findOne({ writes: { $exists: true } }))?.writes;
    const before = (await barriers()) ?? 0;
    const asked: unknown[] = [];
    const find = (...[filter, options]: Parameters<typeof raw.find>) => {
      asked.push(options?.readConcern);
      return raw.find(filter, options);
    };
    const observed = { ...table, raw: { find } as unknown as typeof raw };
    const found = await new MongoDurable(database, 'majority').read(observed, ['a', 'b'], { deadlineMs: 10_000 });
    expect(found).toMatchObject([{ id: '"a"', document: { n: 1 } }]);
    expect(asked).toEqual([{ level: 'majority' }]);
    expect(await barriers()).toBe(before + 1);
    await database.dropDatabase();
  });

  it('knows of a server alone that it has no majority', () => {
    expect(durableLevel({ setName: 'rs0' })).toBe('majority');
    expect(durableLevel({ msg: 'isdbgrid' })).toBe('majority');
    expect(durableLevel({ isWritablePrimary: true })).toBe('local');
  });
});
