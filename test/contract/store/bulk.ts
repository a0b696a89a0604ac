import { expect, it } from 'vitest';
import { entriesOf, indexed, type OpenStore, PLAIN, people, refusalOf } from './fixture.ts';

export function bulkContract(open: OpenStore): void {
  it('inserts many in their order, and refuses some without stopping the others', async () => {
    await using fixture = await open(indexed({ uniqueEmail: ['email'] }));
    const collection = people(fixture);
    await collection.insertOne({ _id: 'x', email: 'taken' });
    const result = await collection.insertMany([
      { _id: 'c', email: 'c' },
      { _id: 'x' },
      { _id: 'b', email: 'taken' },
      { email: 'no id' },
      { _id: 'a', email: 'c' },
      { _id: 'd' },
    ]);
    expect(result.refused.map(({ index, code }) => [index, code])).toEqual([
      [1, 'ALREADY_EXISTS'],
      [2, 'ALREADY_EXISTS'],
      [3, 'VALIDATION_FAILED'],
      [4, 'ALREADY_EXISTS'],
    ]);
    expect(result.refused[2]?.message).toContain('_id');
    expect(result.documents).toEqual([{ _id: 'c', email: 'c' }, { _id: 'd' }]);
    expect(result).toMatchObject({ modifiedCount: 2, position: { epoch: 1, sequence: 3 } });
    expect((await entriesOf(fixture)).map(({ id }) => id)).toEqual(['"x"', '"c"', '"d"']);
  });

  it('writes more than fits into one transaction, and gives back the first 1,000', async () => {
    await using fixture = await open(PLAIN);
    const collection = people(fixture);
    const documents = Array.from({ length: 1_700 }, (_, index) => ({ _id: index, n: 0 }));
    const inserted = await collection.insertMany(documents);
    expect(inserted).toMatchObject({ matchedCount: 1_700, modifiedCount: 1_700, position: { sequence: 1_700 } });
    expect(inserted.documents).toEqual(documents.slice(0, 1_000));
    const updated = await collection.updateMany({ _id: { $gte: 100 } }, { $inc: { n: 1 } });
    expect(updated).toMatchObject({ matchedCount: 1_600, modifiedCount: 1_600, position: { sequence: 3_300 } });
    expect(updated.documents[0]).toEqual({ _id: 100, n: 1 });
    const deleted = await collection.deleteMany({ n: 1 });
    expect(deleted).toMatchObject({ matchedCount: 1_600, modifiedCount: 1_600, position: { sequence: 4_900 } });
    expect(deleted.documents).toHaveLength(1_000);
    expect(await collection.countDocuments({})).toBe(100);
  });

  it('updates many in the order of ids; those it does not change count as matched', async () => {
    await using fixture = await open(indexed({ group: ['group'], tags: ['tags'] }));
    const collection = people(fixture);
    await collection.insertMany([
      { _id: 3, group: 1, tags: ['a', 'b'] },
      { _id: 1, group: 1, done: true, tags: ['a'] },
      { _id: 2, group: 2, tags: ['b'] },
    ]);
    const result = await collection.updateMany({ tags: { $in: ['a', 'b'] }, group: 1 }, { $set: { done: true } });
    expect(result).toMatchObject({ matchedCount: 2, modifiedCount: 1, refused: [], position: { sequence: 4 } });
    expect(result.documents.map(({ _id }) => _id)).toEqual([1, 3]);
  });

  it('refuses single documents of an update', async () => {
    await using fixture = await open(indexed({ uniqueEmail: ['email'] }));
    const collection = people(fixture);
    await collection.insertMany([
      { _id: 1, n: 1 },
      { _id: 2, n: 'text' },
      { _id: 3, n: 3 },
    ]);
    const incremented = await collection.updateMany({}, { $inc: { n: 1 } });
    expect(incremented.refused).toEqual([{ index: 1, code: 'VALIDATION_FAILED', message: expect.any(String) }]);
    expect(incremented).toMatchObject({ matchedCount: 3, modifiedCount: 2 });
    const unique = await collection.updateMany({}, { $set: { email: 'the same' } });
    expect(unique.refused.map(({ index, code }) => [index, code])).toEqual([
      [1, 'ALREADY_EXISTS'],
      [2, 'ALREADY_EXISTS'],
    ]);
    expect(await collection.find({ email: 'the same' }).toArray()).toEqual([{ _id: 1, n: 2, email: 'the same' }]);
  });

  it('says so when nothing is found', async () => {
    await using fixture = await open(PLAIN);
    const { position } = await people(fixture).insertOne({ _id: 1 });
    const nothing = { matchedCount: 0, modifiedCount: 0, documents: [], refused: [], position };
    expect(await people(fixture).updateMany({ n: 1 }, { $set: { n: 2 } })).toEqual(nothing);
    expect(await people(fixture).deleteMany({ n: 1 })).toEqual(nothing);
    expect(await people(fixture).insertMany([])).toEqual(nothing);
  });

  it('refuses an update that no document could take before it writes any', async () => {
    await using fixture = await open(PLAIN);
    await people(fixture).insertMany([{ _id: 1 }, { _id: 2 }]);
    await refusalOf(people(fixture).updateMany({}, { $nonsense: { n: 1 } }), 'UNSUPPORTED_OPERATOR');
    await refusalOf(people(fixture).updateMany({}, { n: 1 }), 'VALIDATION_FAILED');
    expect((await entriesOf(fixture)).length).toBe(2);
  });
}
