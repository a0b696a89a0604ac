import { Double, Int32, Long, ObjectId } from 'bson';
import { expect, it } from 'vitest';
import { documentHash, type LogEntry } from '../../src/model/change.ts';
import { type Document, encodeDocument } from '../../src/model/document.ts';
import { MongoRows } from '../../src/store/mongo-rows.ts';
import { type Baseline, MongoScrub } from '../../src/store/mongo-scrub.ts';
import { MongoSweeper } from '../../src/store/mongo-sweeper.ts';
import { systemClock } from '../../src/util/clock.ts';
import { entriesOf, indexed, PLAIN, refusalOf } from '../contract/store/fixture.ts';
import { databaseName, type MongoNode, openMongoNode } from '../support/mongo-store.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';
import { shared } from '../support/servers/shared.ts';

describeWith('mongodb', 'MongoStore beside other writers', () => {
  const server = shared(startMongo);

  const people = (node: MongoNode) => node.store.collection('people');
  const raw = (node: MongoNode) => node.store.table('people').raw;

  /** What a copy that follows the log would hold: first what was there, then the log. */
  function copyOf(first: readonly Document[], entries: readonly LogEntry[]): Baseline {
    const rows = new Map<string, { readonly id: string; readonly version: number; readonly text: string }>();
    for (const document of first) {
      const id = JSON.stringify(document._id);
      rows.set(id, { id, version: 1, text: encodeDocument(document) });
    }
    for (const { id, version, image } of entries) {
      if (image === null) rows.delete(id);
      else rows.set(id, { id, version, text: image });
    }
    return {
      page: () => ({ rows: [...rows.values()], next: null }),
      rowState: (collection, id) => {
        const row = rows.get(id);
        return row && { version: row.version, hash: documentHash(collection, id, row.version, row.text) };
      },
    };
  }

  async function scrub(node: MongoNode, baseline?: Baseline) {
    const timers = { after: () => () => {}, every: () => () => {} };
    await using scrubbing = new MongoScrub({ store: node.store, baseline, pauseMs: 0, timers, onTrouble: () => {} });
    return scrubbing.scrub();
  }

  it('takes a collection with data as it is, and writes only what is touched', async () => {
    const url = server().urlOf(databaseName());
    await using node = await openMongoNode(url, PLAIN);
    const _id = new ObjectId();
    await raw(node).insertMany([
      { _id: 1, n: 1, list: [1, 2] },
      { _id, n: new Double(2), big: Long.fromNumber(3) },
    ] as never[]);
    expect(await people(node).find({}).toArray()).toEqual([
      { _id: 1, n: 1, list: [1, 2] },
      { _id, n: new Double(2), big: Long.fromNumber(3) },
    ]);
    await refusalOf(people(node).insertOne({ _id: 1 }), 'ALREADY_EXISTS');
    await people(node).updateOne({ _id: 1 }, { $set: { n: 5 } }, { ifVersion: 1 });
    const stored = await raw(node).find({}, { promoteValues: false }).sort({ _id: 1 }).toArray();
    expect(Object.keys(stored[0] ?? {})).toEqual(['_id', 'n', 'list', '_holdfast']);
    expect(stored[1]).toEqual({ _id, n: new Double(2), big: Long.fromNumber(3) });
    expect(stored[0]?.n).toEqual(new Int32(5));
    const [entry] = await entriesOf(node);
    expect(entry?.before).toBe(documentHash('people', '1', 1, encodeDocument({ _id: 1, n: 1, list: [1, 2] })));
    await node.connection.database.dropDatabase();
  });

  it('keeps what another writer does to other fields', async () => {
    const url = server().urlOf(databaseName());
    await using node = await openMongoNode(url, PLAIN);
    await people(node).insertOne({ _id: 'a', ours: 1, theirs: 1 });
    const update = raw(node).updateOne.bind(raw(node));
    raw(node).updateOne = async (...args) => {
      await update({ _id: 'a' } as object, { $set: { theirs: 2 } });
      return update(...args);
    };
    await people(node).updateOne({ _id: 'a' }, { $inc: { ours: 1 } });
    expect(await people(node).findOne({})).toEqual({ _id: 'a', ours: 2, theirs: 2 });
    await node.connection.database.dropDatabase();
  });

  it('captures foreign inserts, updates and deletions once, by whichever of two primaries', async () => {
    const url = server().urlOf(databaseName());
    await using one = await openMongoNode(url, PLAIN);
    await using two = await openMongoNode(url, PLAIN);
    const first = [
      { _id: 'old', n: 1 },
      { _id: 'untouched', n: 1 },
      { _id: 'gone', n: 1 },
    ];
    await raw(one).insertMany(first as never[]);
    await people(one).insertMany([
      { _id: 'ours', n: 1 },
      { _id: 'deleted by us', n: 1 },
      { _id: 'gone too', n: 1 },
    ]);
    await people(one).deleteOne({ _id: 'deleted by us' });
    await one.store.close();
    const baseline = copyOf(first, await entriesOf(one));
    expect(await scrub(one, baseline)).toMatchObject({ created: 0, updated: 0, deleted: 0 });

    await raw(one).insertOne({ _id: 'new', n: 1 } as never);
    await raw(one).updateOne({ _id: 'old' } as object, { $set: { n: 2 } });
    await raw(one).updateOne({ _id: 'ours' } as object, { $set: { n: 2 } });
    await raw(one).deleteMany({ _id: { $in: ['gone', 'gone too'] } } as object);
    const results = await Promise.all([scrub(one, baseline), scrub(two, baseline)]);
    const sum = (field: 'created' | 'updated' | 'deleted') =>
      results.reduce((total, result) => total + result[field], 0);
    expect([sum('created'), sum('updated'), sum('deleted')]).toEqual([1, 2, 2]);

    await using reader = await openMongoNode(url, PLAIN);
    const entries = await entriesOf(reader);
    expect(
      entries
        .slice(4)
        .map(({ operation, id }) => `${operation} ${id}`)
        .sort(),
    ).toEqual(['CREATED "new"', 'DELETED "gone too"', 'DELETED "gone"', 'UPDATED "old"', 'UPDATED "ours"']);
    const settled = copyOf(first, entries);
    await one.store.close();
    await two.store.close();
    expect(await scrub(reader, settled)).toMatchObject({ created: 0, updated: 0, deleted: 0 });
    expect(new Set(settled.page('people', null, 10, 1e6).rows.map(({ text }) => text))).toEqual(
      new Set((await people(reader).find({}).toArray()).map((document) => encodeDocument(document))),
    );
    await reader.connection.database.dropDatabase();
  });

  it('does not call a scrub complete that was stopped, or whose baseline could not be asked all along', async () => {
    const url = server().urlOf(databaseName());
    await using node = await openMongoNode(url, PLAIN);
    const first = Array.from({ length: 250 }, (_, _id) => ({ _id, n: 1 }));
    await raw(node).insertMany(first as never[]);
    const baseline = copyOf(first, []);
    let tick = (): void => {};
    const told: boolean[] = [];
    const begin = (isSettled: () => boolean, pauseMs: number) =>
      new MongoScrub({
        ...{ store: node.store, baseline, isSettled, pauseMs, onTrouble: (error: unknown) => expect(error).toBeNull() },
        onScrubbed: ({ isComplete }) => told.push(isComplete),
        timers: {
          after: (ms, task) => systemClock.after(ms, task),
          every: (_, task) => {
            tick = task;
            return () => {};
          },
        },
      });

    const stopped = begin(() => true, 60_000);
    tick();
    const cut = stopped.scrub();
    await stopped[Symbol.asyncDispose]();
    expect(await cut).toMatchObject({ isComplete: false });

    let needed = 0;
    await using whole = begin(() => ++needed > 0, 0);
    expect(await whole.scrub()).toMatchObject({ checked: 250, isComplete: true });
    for (const asks of [0, 1, 100, needed - 2, needed - 1]) {
      let asked = 0;
      const isSettled = () => asked++ < asks;
      await using unsettled = begin(isSettled, 0);
      expect(await unsettled.scrub(), `${asks}`).toMatchObject({ isComplete: false });
    }
    await using without = begin(() => false, 0);
    tick();
    await without[Symbol.asyncDispose]();
    expect(told).toEqual([]);
    await node.connection.database.dropDatabase();
  });

  it('hides its own field, and refuses to be asked about it', async () => {
    const url = server().urlOf(databaseName());
    await using node = await openMongoNode(url, PLAIN);
    await people(node).insertOne({ _id: 'a', n: 1 });
    for (const work of [
      () => people(node).find({ '_holdfast.version': 1 }).toArray(),
      () =>
        people(node)
          .find({ $or: [{ _holdfast: null }] })
          .toArray(),
      () =>
        people(node)
          .find({}, { sort: { '_holdfast.version': 1 } })
          .toArray(),
      () =>
        people(node)
          .find({}, { projection: { _holdfast: 1 } })
          .toArray(),
      () => people(node).updateOne({ _id: 'a' }, { $set: { '_holdfast.version': 1 } }),
      () => people(node).updateOne({ _id: 'a' }, { $rename: { n: '_holdfast' } }),
      () => people(node).insertOne({ _id: 'b', _holdfast: {} }),
    ]) {
      await refusalOf(work(), 'VALIDATION_FAILED');
    }
    await node.connection.database.dropDatabase();
  });

  it('stores no null in a unique field, at any depth', async () => {
    const url = server().urlOf(databaseName());
    await using node = await openMongoNode(url, indexed({ uniqueEmail: ['email'], uniqueCode: ['inner.code'] }));
    const { document } = await people(node).insertOne({
      _id: 1,
      email: null,
      inner: { code: null, n: 1 },
      other: null,
    });
    expect(document).toEqual({ _id: 1, inner: { n: 1 }, other: null });
    await people(node).insertOne({ _id: 2, email: 'a', inner: { code: 'c' } });
    const cleared = await people(node).updateOne({ _id: 2 }, { $set: { email: null, 'inner.code': null } });
    expect(cleared.document).toEqual({ _id: 2, inner: {} });
    expect(await people(node).countDocuments({ email: null, 'inner.code': null })).toBe(2);
    await node.connection.database.dropDatabase();
  });

  it('pages through ids of all types, and helps what is pending into the log first', async () => {
    const url = server().urlOf(databaseName());
    await using node = await openMongoNode(url, PLAIN);
    const ids = [1, Long.fromNumber(2), 2.5, 'a', 'b', new ObjectId(), true, new Date(0)];
    await raw(node).insertMany(ids.map((_id) => ({ _id })) as never[]);
    await people(node).deleteOne({ _id: 'b' });
    await using victim = await openMongoNode(url, PLAIN, {
      step: (name) => {
        if (name === 'write.afterWrite') throw new Error('dead');
      },
    });
    await expect(people(victim).updateOne({ _id: 'a' }, { $set: { n: 1 } })).rejects.toThrow('dead');
    const rows = new MongoRows(node.store);
    const found: string[] = [];
    let after: string | null = null;
    do {
      const page: Awaited<ReturnType<MongoRows['page']>> = await rows.page('people', after, 3, 1e6);
      found.push(...page.rows.map(({ text }) => text));
      after = page.next;
    } while (after !== null);
    expect(found).toHaveLength(7);
    expect(found).toContain(encodeDocument({ _id: 'a', n: 1 }));
    await using reader = await openMongoNode(url, PLAIN);
    expect((await entriesOf(reader)).map(({ id, operation }) => `${operation} ${id}`)).toEqual([
      'DELETED "b"',
      'UPDATED "a"',
    ]);
    expect([...(await rows.existing('people', ['"a"', '"b"', '"c"', '1']))].sort()).toEqual(['"a"', '1']);
    await node.connection.database.dropDatabase();
  });

  it('forgets tombstones when their entries have left the log, not before', async () => {
    const url = server().urlOf(databaseName());
    await using node = await openMongoNode(url, PLAIN, { clock: () => Date.now() - 7_200_000 });
    await people(node).insertMany([{ _id: 1 }, { _id: 2 }, { _id: 3 }]);
    await people(node).deleteOne({ _id: 1 });
    await people(node).deleteOne({ _id: 2 });
    await node.store.close();
    const timers = { soon: () => {}, every: () => () => {} };
    await using sweeper = new MongoSweeper({ store: node.store, timers, onTrouble: () => {} });
    await node.log.trim(5);
    await sweeper.prune({ logFloor: node.log.floor() });
    expect(await raw(node).countDocuments({})).toBe(2);
    expect((await people(node).insertOne({ _id: 1 })).modifiedCount).toBe(1);
    await node.connection.database.dropDatabase();
  });
});
