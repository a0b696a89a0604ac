import { ObjectId } from 'bson';
import { describe, expect, it } from 'vitest';
import { journalForm } from '../../../src/fallback/client/journal-forms.ts';
import type { WriteResult } from '../../../src/store/store.ts';

const _id = new ObjectId();
const WRITTEN: WriteResult = {
  ...{ matchedCount: 1, modifiedCount: 1, document: {}, version: null, repeated: false },
  position: { epoch: 1, sequence: 0 },
};

describe('the forms of calls that may wait', () => {
  it.each([
    ['insertOne', [{ _id, n: 1 }], 'insertOne', [{ _id, n: 1 }], { acknowledged: true, insertedId: _id }],
    [
      ...['updateOne', [{ _id }, { $inc: { n: 1 } }, {}], 'updateOne', [{ _id }, { $inc: { n: 1 } }]],
      { acknowledged: true, modifiedCount: 1, upsertedId: null, upsertedCount: 0, matchedCount: 1 },
    ],
    [
      ...['replaceOne', [{ _id: { $eq: 'a' } }, { n: 1 }], 'replaceOne', [{ _id: 'a' }, { n: 1 }]],
      { acknowledged: true, modifiedCount: 1, upsertedId: null, upsertedCount: 0, matchedCount: 1 },
    ],
    ['deleteOne', [{ _id: 5 }], 'deleteOne', [{ _id: 5 }], { acknowledged: true, deletedCount: 1 }],
  ] as [string, unknown[], string, unknown[], object][])('%s of %j', (name, args, method, given, result) => {
    const form = journalForm(name, args, {});
    expect(form?.write).toMatchObject({ method, arguments: given });
    expect(form?.answer(WRITTEN)).toEqual(result);
  });

  it.each<[string, unknown[]]>([
    ['insertOne', [{ n: 1 }]],
    ['insertMany', [[{ _id }]]],
    ['updateOne', [{ name: 'x' }, { $set: { n: 1 } }]],
    ['updateOne', [{ _id, n: 1 }, { $set: { n: 2 } }]],
    ['updateOne', [{ _id: { $in: [1] } }, { $set: { n: 2 } }]],
    ['updateOne', [{ _id }, { $set: { n: 1 } }, { upsert: true }]],
    ['updateOne', [{ _id }, { $set: { 'l.$[e]': 1 } }, { arrayFilters: [{ e: 1 }] }]],
    ['updateOne', [{ _id }, [{ $set: { n: 1 } }]]],
    ['deleteOne', [{}]],
    ['deleteOne', [undefined]],
    ['deleteOne', [{ _id }, { collation: { locale: 'de' } }]],
    ['updateMany', [{ _id }, { $set: { n: 1 } }]],
    ['findOneAndDelete', [{ _id }]],
  ])('are not %s of %j', (name, args) => {
    expect(journalForm(name, args, {})).toBeUndefined();
  });

  it('have a key of their own each time', () => {
    const keys = [1, 2].map(() => journalForm('deleteOne', [{ _id }], {})?.write.options);
    expect(keys[0]).not.toEqual(keys[1]);
    expect(keys[0]).toMatchObject({
      idempotency: { key: expect.stringMatching(/^[0-9a-f]{32}$/), digest: expect.stringMatching(/^[0-9a-f]{32}$/) },
    });
  });
});
