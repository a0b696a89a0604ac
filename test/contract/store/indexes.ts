import { expect, it } from 'vitest';
import { indexed, type OpenStore, PLAIN, people, refusalOf } from './fixture.ts';

export function indexContract(open: OpenStore): void {
  it('allows a value of a unique field once; absent and null any number of times', async () => {
    await using fixture = await open(indexed({ uniqueEmail: ['email'] }));
    const collection = people(fixture);
    await collection.insertMany([{ _id: 1 }, { _id: 2, email: null }, { _id: 3 }, { _id: 4, email: 'a' }]);
    const error = await refusalOf(collection.insertOne({ _id: 5, email: 'a' }), 'ALREADY_EXISTS');
    expect(error.details.fields).toEqual(['email']);
    await refusalOf(collection.updateOne({ _id: 1 }, { $set: { email: 'a' } }), 'ALREADY_EXISTS');
    await refusalOf(collection.replaceOne({ _id: 1 }, { email: 'a' }), 'ALREADY_EXISTS');
    await collection.updateOne({ _id: 4 }, { $set: { other: 1 } });
    await collection.updateOne({ _id: 4 }, { $unset: { email: 1 } });
    await collection.insertOne({ _id: 5, email: 'a' });
    expect(await collection.countDocuments({ email: null })).toBe(4);
  });

  it('frees a unique value with its document', async () => {
    await using fixture = await open(indexed({ uniqueEmail: ['email'] }));
    await people(fixture).insertOne({ _id: 1, email: 'a' });
    await people(fixture).deleteOne({ _id: 1 });
    await people(fixture).insertOne({ _id: 2, email: 'a' });
    expect(await people(fixture).findOne({ email: 'a' })).toEqual({ _id: 2, email: 'a' });
  });

  it('makes the elements of a unique list unique, but not within their document', async () => {
    await using fixture = await open(indexed({ uniqueCodes: ['codes'] }));
    if (!fixture.store.capabilities.uniqueLists) return;
    const collection = people(fixture);
    await collection.insertMany([
      { _id: 1, codes: ['a', 'b', 'a'] },
      { _id: 2, codes: [] },
      { _id: 3, codes: [] },
    ]);
    await refusalOf(collection.insertOne({ _id: 4, codes: ['c', 'b'] }), 'ALREADY_EXISTS');
    await refusalOf(collection.updateOne({ _id: 2 }, { $push: { codes: 'a' } }), 'ALREADY_EXISTS');
    await collection.updateOne({ _id: 2 }, { $push: { codes: 'c' } });
    await collection.updateOne({ _id: 1 }, { $pull: { codes: 'b' } });
    await collection.insertOne({ _id: 4, codes: ['b'] });
    expect((await collection.findOne({ codes: 'b' }))?._id).toBe(4);
  });

  it('compares numbers of all types in a unique field', async () => {
    await using fixture = await open(indexed({ uniqueCode: ['code'] }));
    await people(fixture).insertOne({ _id: 1, code: 1 });
    await refusalOf(people(fixture).insertOne({ _id: 2, code: 1n }), 'ALREADY_EXISTS');
    await people(fixture).insertOne({ _id: 2, code: '1' });
  });

  it('makes several fields unique together', async () => {
    await using fixture = await open(indexed({ uniqueSeat: ['room', 'seat'] }));
    const collection = people(fixture);
    await collection.insertMany([
      { _id: 1, room: 'r', seat: 1 },
      { _id: 2, room: 'r', seat: 2 },
      { _id: 3 },
      { _id: 4 },
    ]);
    const error = await refusalOf(collection.insertOne({ _id: 5, room: 'r', seat: 2 }), 'ALREADY_EXISTS');
    expect(error.details.fields).toEqual(['room', 'seat']);
    await collection.insertMany([
      { _id: 6, room: 'rs' },
      { _id: 7, room: 's', seat: 2 },
    ]);
    expect(await collection.countDocuments({})).toBe(6);
  });

  it('builds a new index from the documents that are there', async () => {
    await using fixture = await open(PLAIN);
    const documents = Array.from({ length: 300 }, (_, index) => ({
      _id: index,
      age: index % 7,
      tags: index % 50 === 0 ? ['x', 'y'] : 'z',
    }));
    await people(fixture).insertMany(documents);
    const queries = async () => [
      await people(fixture)
        .find({ age: { $gt: 4 } }, { sort: { age: -1 }, limit: 20 })
        .toArray(),
      await people(fixture)
        .find({ tags: { $in: ['x', 'z'] } }, { sort: { tags: 1 } })
        .toArray(),
      await people(fixture).findGrouped('age', [3, 9], {}, { limit: 2 }),
    ];
    const before = await queries();
    const specs = indexed({ age: ['age'], tags: ['tags'], both: ['age', 'tags'], uniqueId: ['_id'] });
    await fixture.reopen(specs);
    expect(await queries()).toEqual(before);
    await people(fixture).updateOne({ _id: 5 }, { $set: { age: 100 } });
    await fixture.reopen(specs);
    expect(await people(fixture).find({ age: 100 }).toArray()).toMatchObject([{ _id: 5 }]);
    await fixture.reopen(PLAIN);
    await people(fixture).updateOne({ _id: 6 }, { $set: { age: 100 } });
    await fixture.reopen(specs);
    expect(await people(fixture).countDocuments({ age: 100 })).toBe(2);
  });

  it('refuses a new unique index over equal values, says which, and keeps the data as it was', async () => {
    await using fixture = await open(PLAIN);
    await people(fixture).insertMany([
      { _id: 1, email: 'a' },
      { _id: 2, email: 'b' },
      { _id: 3, email: 'a' },
    ]);
    const error = await refusalOf(fixture.reopen(indexed({ uniqueEmail: ['email'] })), 'ALREADY_EXISTS');
    expect(error.details).toMatchObject({ collection: 'people', fields: ['email'], values: [['a']] });
    expect(error.message).toContain('"a"');
    await fixture.reopen(PLAIN);
    await people(fixture).deleteOne({ _id: 3 });
    await fixture.reopen(indexed({ uniqueEmail: ['email'] }));
    await refusalOf(people(fixture).insertOne({ _id: 3, email: 'b' }), 'ALREADY_EXISTS');
  });

  it('keeps the data of a collection that is not asked for', async () => {
    await using fixture = await open(indexed({ uniqueEmail: ['email'] }));
    await people(fixture).insertOne({ _id: 1, email: 'a' });
    await fixture.reopen([{ name: 'others', indexes: [] }]);
    await fixture.store.collection('others').insertOne({ _id: 1 });
    await fixture.reopen([...indexed({ uniqueEmail: ['email'] }), { name: 'others', indexes: [] }]);
    expect(await people(fixture).find({}).toArray()).toEqual([{ _id: 1, email: 'a' }]);
    await refusalOf(people(fixture).insertOne({ _id: 2, email: 'a' }), 'ALREADY_EXISTS');
  });

  it('takes any name for collections, indexes and fields', async () => {
    const name = `we"ird'; DROP TABLE log --\u00e9`;
    const specs = [{ name, indexes: [{ name, paths: [name.replaceAll('.', '')], unique: true }] }];
    await using fixture = await open(specs);
    await fixture.store.collection(name).insertOne({ _id: 1, [name]: 'x' });
    await fixture.reopen(specs);
    expect(await fixture.store.collection(name).findOne({ [name]: 'x' })).toEqual({ _id: 1, [name]: 'x' });
  });
}
