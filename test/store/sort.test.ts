import { Long } from 'bson';
import { describe, expect, it } from 'vitest';
import { type Document, encodeDocument } from '../../src/model/document.ts';
import { compileSort } from '../../src/store/sort.ts';
import { PATHS, randomDocument } from '../support/bson-values.ts';
import { Choices } from '../support/choices.ts';

function order(sort: Document, documents: readonly Document[]): unknown[] {
  return documents.toSorted(compileSort(sort)).map(({ _id }) => _id);
}

describe('compileSort', () => {
  it('sorts by type, then value', () => {
    const documents = ['b', 2, null, [], { x: 1 }, new Date(0), 1.5, 'a', true].map((a, _id) => ({ _id, a }));
    expect(order({ a: 1 }, documents)).toEqual([3, 2, 6, 1, 7, 0, 4, 8, 5]);
    expect(order({ a: -1 }, documents)).toEqual([5, 8, 4, 0, 7, 1, 6, 2, 3]);
  });

  it('takes the smallest element of an array ascending, the largest descending', () => {
    const documents = [
      { _id: 0, a: [1, 9] },
      { _id: 1, a: 5 },
      { _id: 2, a: [4, 6] },
    ];
    expect(order({ a: 1 }, documents)).toEqual([0, 2, 1]);
    expect(order({ a: -1 }, documents)).toEqual([0, 2, 1]);
  });

  it('puts an empty array before null and missing, which are equal', () => {
    const documents = [{ _id: 0 }, { _id: 1, a: [] }, { _id: 2, a: null }, { _id: 3, a: [null] }];
    expect(order({ a: 1 }, documents)).toEqual([1, 0, 2, 3]);
    expect(order({ a: -1 }, documents)).toEqual([0, 2, 3, 1]);
  });

  it('goes through documents, arrays of documents and indexes', () => {
    const documents = [
      { _id: 0, a: [{ b: 3 }, { b: 1 }] },
      { _id: 1, a: { b: 2 } },
      { _id: 2, a: [{ b: 4 }, 'x'] },
      { _id: 3, a: 7 },
    ];
    expect(order({ 'a.b': 1 }, documents)).toEqual([2, 3, 0, 1]);
    expect(order({ 'a.b': -1 }, documents)).toEqual([2, 0, 1, 3]);
    expect(order({ 'a.0.b': -1 }, documents)).toEqual([2, 0, 1, 3]);
  });

  it('sorts by the next field where the first is equal', () => {
    const documents = [
      { _id: 0, a: 1, b: 1 },
      { _id: 1, a: Long.fromNumber(1), b: 2 },
      { _id: 2, a: 0, b: 0 },
    ];
    expect(order({ a: 1, b: -1 }, documents)).toEqual([2, 1, 0]);
  });

  it('keeps the order with an empty sort', () => {
    expect(order({}, [{ _id: 2 }, { _id: 1 }])).toEqual([2, 1]);
  });

  it.each<[string, Document]>([
    ['direction 2', { a: 2 }],
    ['a fraction', { a: 1.5 }],
    ['a word', { a: 'asc' }],
    ['$meta', { a: { $meta: 'textScore' } }],
    ['an empty path', { '': 1 }],
    ['an empty part', { 'a.': 1 }],
    ['an operator', { $natural: 1 }],
  ])('refuses %s', (_, sort) => {
    expect(() => compileSort(sort)).toThrow(expect.objectContaining({ code: 'VALIDATION_FAILED' }));
  });

  it.each([1, 2])('is a total order (seed %i)', (seed) => {
    const choices = new Choices(seed);
    for (let i = 0; i < 20; i++) {
      const sort = Object.fromEntries(choices.list(2, () => [choices.pick(PATHS), choices.pick([1, -1])]));
      const compare = compileSort(sort);
      const sorted = Array.from({ length: 40 }, () => randomDocument(choices)).sort(compare);
      for (const [at, a] of sorted.entries()) {
        for (const b of sorted.slice(at)) {
          if (compare(a, b) > 0 || compare(b, a) < 0) {
            expect.fail(`${JSON.stringify(sort)}: ${encodeDocument(a)}, ${encodeDocument(b)}`);
          }
        }
      }
    }
  });
});
