import { Binary, Decimal128, Double, Long, ObjectId } from 'bson';
import { expect, it } from 'vitest';
import type { Document } from '../../../src/model/document.ts';
import type { Collection } from '../../../src/store/store.ts';
import { indexed, type OpenStore, PLAIN, people, refusalOf } from './fixture.ts';

const DOCUMENTS: readonly Document[] = [
  { _id: 'a', name: 'Ada', age: 36, tags: ['x', 'y'], address: { city: 'London' } },
  { _id: 'b', name: 'Bo', age: 20, tags: [], address: { city: 'Paris' } },
  { _id: 'c', name: 'Cy', age: 36 },
  { _id: 'd', name: 'Di', age: null, tags: ['y'] },
];

async function filled(collection: Collection): Promise<Collection> {
  await collection.insertMany(DOCUMENTS);
  return collection;
}

async function ids(found: Promise<readonly Document[]>): Promise<unknown[]> {
  return (await found).map(({ _id }) => _id);
}

export function readContract(open: OpenStore): void {
  it('finds one document by id, by filter, and none', async () => {
    await using fixture = await open(PLAIN);
    const collection = await filled(people(fixture));
    expect(await collection.findOne({ _id: 'b' })).toEqual(DOCUMENTS[1]);
    expect(await collection.findOne({ _id: { $eq: 'b' } })).toEqual(DOCUMENTS[1]);
    expect(await collection.findOne({ age: 36 })).toEqual(DOCUMENTS[0]);
    expect(await collection.findOne({ _id: 'b', age: 21 })).toBeNull();
    expect(await collection.findOne({ _id: 'z' })).toBeNull();
  });

  it('treats the id as any field in a filter', async () => {
    await using fixture = await open(PLAIN);
    const collection = await filled(people(fixture));
    expect(await ids(collection.find({ _id: { $in: ['d', 'a', 'z', 'a'] } }).toArray())).toEqual(['a', 'd']);
    expect(await ids(collection.find({ _id: { $gt: 'b' } }).toArray())).toEqual(['c', 'd']);
    expect(await ids(collection.find({ _id: { $ne: 'b' } }).toArray())).toEqual(['a', 'c', 'd']);
    expect(await ids(collection.find({ _id: /[bc]/ }).toArray())).toEqual(['b', 'c']);
    expect(await ids(collection.find({ _id: { $gte: 'b', $lt: 'd' } }, { sort: { _id: -1 } }).toArray())).toEqual([
      'c',
      'b',
    ]);
  });

  it('keeps every BSON type as it was', async () => {
    await using fixture = await open(PLAIN);
    const document = {
      _id: new ObjectId('65f0c0ffee65f0c0ffee65f0'),
      long: Long.fromString('9007199254740993'),
      double: new Double(1),
      decimal: Decimal128.fromString('0.1'),
      date: new Date(0),
      bytes: new Binary(Buffer.from([0, 255])),
      uuid: new Binary(Buffer.alloc(16, 255), 4),
      nested: { list: [null, { deep: [[]] }], $odd: 1, 'a.b': 2 },
      text: 'z\u0000\u{1f600}',
    };
    await people(fixture).insertOne(document);
    expect(await people(fixture).findOne({ _id: document._id })).toEqual(document);
    expect(await people(fixture).findOne({ long: document.long })).toEqual(document);
  });

  it('keeps half a surrogate pair, or refuses it', async () => {
    await using fixture = await open(PLAIN);
    const document = { _id: 'a', nested: [{ text: 'z\ud800' }] };
    const inserting = people(fixture).insertOne(document);
    if (fixture.store.capabilities.anyText) await inserting;
    else await refusalOf(inserting, 'VALIDATION_FAILED');
    expect(await people(fixture).find({}).toArray()).toEqual(fixture.store.capabilities.anyText ? [document] : []);
  });

  it('finds an id by a number of another type', async () => {
    await using fixture = await open(PLAIN);
    await people(fixture).insertOne({ _id: Long.fromNumber(7), name: 'seven' });
    expect(await people(fixture).findOne({ _id: 7 })).toMatchObject({ name: 'seven' });
    await refusalOf(people(fixture).insertOne({ _id: 7 }), 'ALREADY_EXISTS');
  });

  it('orders by id unless told, and equal documents by id', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    await collection.insertMany([...DOCUMENTS].reverse());
    expect(await ids(collection.find({}).toArray())).toEqual(['a', 'b', 'c', 'd']);
    expect(await ids(collection.find({}, { sort: { age: 1 } }).toArray())).toEqual(['d', 'b', 'a', 'c']);
    expect(await ids(collection.find({}, { sort: { age: -1 } }).toArray())).toEqual(['a', 'c', 'b', 'd']);
    expect(await ids(collection.find({}, { sort: { age: -1, _id: -1 } }).toArray())).toEqual(['c', 'a', 'b', 'd']);
  });

  it('skips and limits after the sort; a limit of 0 is none', async () => {
    await using fixture = await open(PLAIN);
    const collection = await filled(people(fixture));
    expect(await ids(collection.find({}, { sort: { name: -1 }, skip: 1, limit: 2 }).toArray())).toEqual(['c', 'b']);
    expect(await ids(collection.find({}, { skip: 3, limit: 5 }).toArray())).toEqual(['d']);
    expect(await collection.find({}, { skip: 9 }).toArray()).toEqual([]);
    expect(await collection.find({}, { limit: 0 }).toArray()).toEqual([]);
    expect(await collection.findOne({ _id: 'a' }, { limit: 0 })).toBeNull();
    expect(await collection.findOne({ _id: 'a' }, { skip: 1 })).toBeNull();
  });

  it('projects', async () => {
    await using fixture = await open(PLAIN);
    const collection = await filled(people(fixture));
    const projection = { name: 1, 'address.city': 1 };
    const wanted = { _id: 'a', name: 'Ada', address: { city: 'London' } };
    expect(await collection.findOne({ _id: 'a' }, { projection })).toEqual(wanted);
    expect(await collection.find({ name: 'Ada' }, { projection }).toArray()).toEqual([wanted]);
    expect(await collection.findGrouped('_id', ['a'], {}, { projection })).toEqual([[wanted]]);
  });

  it('gives a cursor that reads when it is used, all at once or one by one', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    const cursor = collection.find({ age: { $gt: 1 } }, { skip: 1 });
    await filled(collection);
    expect(await ids(cursor.toArray())).toEqual(['b', 'c']);
    const found: unknown[] = [];
    for await (const document of cursor) found.push(document._id);
    expect(found).toEqual(['b', 'c']);
    for await (const document of collection.find({}, { sort: { name: -1 } })) {
      expect(document._id).toBe('d');
      break;
    }
  });

  it('iterates one state of the data while it is written to', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    await collection.insertMany(Array.from({ length: 500 }, (_, index) => ({ _id: index, n: 0 })));
    const seen: unknown[] = [];
    for await (const document of collection.find({})) {
      if (seen.length === 10) await collection.updateMany({}, { $set: { n: 1 } });
      seen.push(document.n);
    }
    expect(seen).toHaveLength(500);
    if (fixture.store.capabilities.snapshotReads) expect(seen).toEqual(Array(500).fill(0));
  });

  it('counts', async () => {
    await using fixture = await open(indexed({ age: ['age'], tags: ['tags'] }));
    const collection = await filled(people(fixture));
    expect(await collection.countDocuments({})).toBe(4);
    expect(await collection.countDocuments({ age: 36 })).toBe(2);
    expect(await collection.countDocuments({ age: null })).toBe(1);
    expect(await collection.countDocuments({ tags: null })).toBe(1);
    expect(await collection.countDocuments({ tags: { $in: ['x', 'y'] } })).toBe(2);
    expect(await collection.countDocuments({ _id: { $gt: 'a' } })).toBe(3);
    expect(await collection.countDocuments({ age: 36, name: 'Cy' })).toBe(1);
  });

  for (const [name, specs] of [
    ['without an index', PLAIN],
    ['with an index', indexed({ school: ['school'], friends: ['friends'] })],
    ['with a compound index', indexed({ school: ['school', 'n'], friends: ['friends', 'school'] })],
  ] as const) {
    it(`finds documents per key ${name}`, async () => {
      await using fixture = await open(specs);
      const collection = people(fixture);
      await collection.insertMany([
        { _id: 3, school: 's', n: 1, friends: [1, 2] },
        { _id: 1, school: 's', n: 3, friends: [2, 2] },
        { _id: 2, school: 's', n: 2 },
        { _id: 4, school: 't', n: 9, friends: [] },
        { _id: 5, n: 5, friends: 2 },
      ]);
      const grouped = async (...args: Parameters<Collection['findGrouped']>) =>
        (await collection.findGrouped(...args)).map((group) => group.map(({ _id }) => _id));
      expect(await grouped('school', ['t', 's', 'u'], {})).toEqual([[4], [1, 2, 3], []]);
      expect(await grouped('school', ['s', 's'], { n: { $gt: 1 } })).toEqual([
        [1, 2],
        [1, 2],
      ]);
      expect(await grouped('school', ['s', 't'], {}, { sort: { n: 1 }, skip: 1, limit: 1 })).toEqual([[2], []]);
      expect(await grouped('friends', [2, 1, 7], {})).toEqual([[1, 3, 5], [3], []]);
      expect(await grouped('school', [null], {})).toEqual([[5]]);
      expect(await grouped('_id', [3, 9, Long.fromNumber(1)], {})).toEqual([[3], [], [1]]);
      expect(await grouped('_id', [3, 1], { n: 1 })).toEqual([[3], []]);
      expect(await grouped('school', ['s'], {}, { limit: 0 })).toEqual([[]]);
    });
  }

  it('refuses by name what it does not implement', async () => {
    await using fixture = await open(PLAIN);
    const collection = await filled(people(fixture));
    const refused = async (work: Promise<unknown>) => (await refusalOf(work, 'UNSUPPORTED_OPERATOR')).details.operator;
    const filter = { age: { $near: [1, 2] } };
    expect(await refused(collection.findOne(filter))).toBe('$near');
    expect(await refused(collection.find(filter).toArray())).toBe('$near');
    expect(await refused(collection.countDocuments(filter))).toBe('$near');
    expect(await refused(collection.findGrouped('age', [1], filter))).toBe('$near');
    expect(await refused(collection.updateOne(filter, { $set: { n: 1 } }))).toBe('$near');
    expect(await refused(collection.deleteMany(filter))).toBe('$near');
    expect(await refused(collection.updateOne({ _id: 'a' }, { $bit: { age: { and: 1 } } }))).toBe('$bit');
    expect(await refused(collection.updateMany({}, { $bit: { age: { and: 1 } } }))).toBe('$bit');
    await refusalOf(collection.find({}, { sort: { age: 2 as 1 } }).toArray(), 'VALIDATION_FAILED');
    expect(await collection.find({}).toArray()).toEqual(DOCUMENTS);
  });

  it('ends a read with the reason of its signal', async () => {
    await using fixture = await open(PLAIN);
    const collection = await filled(people(fixture));
    const signal = AbortSignal.abort(new Error('the client is gone'));
    await expect(collection.findOne({ _id: 'a' }, { signal })).rejects.toThrow('the client is gone');
    await expect(collection.find({}, { signal }).toArray()).rejects.toThrow('the client is gone');
    await expect(collection.countDocuments({ age: 1 }, { signal })).rejects.toThrow('the client is gone');
    await expect(collection.findGrouped('age', [1], {}, { signal })).rejects.toThrow('the client is gone');
  });

  it('ends a long read when its signal is aborted meanwhile, and goes on serving', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    await collection.insertMany(Array.from({ length: 3_000 }, (_, index) => ({ _id: index, text: 'x'.repeat(300) })));
    const controller = new AbortController();
    const reading = collection.find({ text: 'y' }, { signal: controller.signal }).toArray();
    controller.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
    expect(await collection.countDocuments({ text: { $ne: 'y' } })).toBe(3_000);
  });

  it('does not know a collection it was not opened with', async () => {
    await using fixture = await open(PLAIN);
    expect(() => fixture.store.collection('others')).toThrow('others');
  });
}
