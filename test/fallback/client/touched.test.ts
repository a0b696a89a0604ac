import { Int32, ObjectId } from 'bson';
import { describe, expect, it } from 'vitest';
import { idsNamed, pinned, Touched } from '../../../src/fallback/client/touched.ts';

const id = new ObjectId();

describe('the documents that a write is about', () => {
  it.each([
    [{ _id: 1 }, [1]],
    [{ _id: id, a: 2 }, [id]],
    [{ _id: { a: 1 } }, [{ a: 1 }]],
    [{ _id: { $eq: 1 } }, [1]],
    [{ _id: { $in: [1, 2] }, a: 1 }, [1, 2]],
    [{ _id: { $gt: 1 } }, undefined],
    [{ _id: { $in: [/a/] } }, undefined],
    [{ _id: /a/ }, undefined],
    [{ _id: null }, undefined],
    [{ a: 1 }, undefined],
    [undefined, undefined],
  ])('are named by a filter that says which: %j', (filter, expected) => {
    expect(idsNamed(filter)).toEqual(expected);
  });

  it('are bound to a filter without what an upsert would insert', () => {
    expect(pinned({ a: 1 }, [5])).toEqual({ a: 1, $and: [{ _id: { $gte: 5, $lte: 5 } }] });
    expect(pinned({ $and: [{ a: 1 }] }, [5, 6])).toEqual({ $and: [{ a: 1 }, { _id: { $in: [5, 6] } }] });
  });

  it('are known as a store has them, or not at all', () => {
    const touched = new Touched();
    touched.add([new Int32(5), id]);
    expect(touched.ids).toEqual([5, id]);
    touched.add([undefined]);
    expect(touched.ids).toBeUndefined();
  });
});
