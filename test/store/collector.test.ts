import { describe, expect, it } from 'vitest';
import { type Collector, InOrder, PartlyInOrder, Sorted } from '../../src/store/collector.ts';
import { compileSort } from '../../src/store/sort.ts';
import { seededRandom } from '../support/random.ts';

const BY_G = compileSort({ g: 1 });
const BY_N = compileSort({ n: 1, _id: 1 });
const BY_BOTH = compileSort({ g: 1, n: 1, _id: 1 });
const MANY = Number.POSITIVE_INFINITY;

const random = seededRandom(5);
const DOCUMENTS = Array.from({ length: 5_000 }, (_, _id) => ({
  _id,
  g: Math.floor(random() * 40),
  n: Math.floor(random() * 90),
}));
const IN_ORDER = DOCUMENTS.toSorted(BY_BOTH);

/** Gives the documents to the collector until it wants no more. */
function collected(collector: Collector, documents: typeof DOCUMENTS): { ids: unknown[]; taken: number } {
  let taken = 0;
  for (const document of documents) {
    taken += 1;
    if (collector.take({ row: document._id, document }, 10)) break;
  }
  return { ids: collector.finish().map(({ document }) => document._id), taken };
}

function wanted(skip: number, limit: number): unknown[] {
  return IN_ORDER.slice(skip, skip + limit).map(({ _id }) => _id);
}

describe('collectors', () => {
  for (const [skip, limit] of [
    [0, MANY],
    [0, 1],
    [10, 50],
    [130, 3],
    [4_990, 100],
    [6_000, 5],
  ] as const) {
    it(`give the same from any order, a partial one and the right one (skip ${skip}, limit ${limit})`, () => {
      expect(collected(new Sorted(BY_BOTH, skip, limit), DOCUMENTS).ids).toEqual(wanted(skip, limit));
      const byGroup = DOCUMENTS.toSorted(BY_G);
      expect(collected(new PartlyInOrder(BY_G, BY_N, skip, limit), byGroup).ids).toEqual(wanted(skip, limit));
      expect(collected(new InOrder(skip, limit), IN_ORDER).ids).toEqual(wanted(skip, limit));
    });
  }

  it('want no more once the order says that nothing can follow', () => {
    expect(collected(new InOrder(2, 5), IN_ORDER).taken).toBe(7);
    const byGroup = DOCUMENTS.toSorted(BY_G);
    const firstGroup = byGroup.filter(({ g }) => g === 0).length;
    expect(collected(new PartlyInOrder(BY_G, BY_N, 2, 5), byGroup).taken).toBe(firstGroup + 1);
  });
});

describe('Sorted', () => {
  const MEGABYTE = 1024 * 1024;
  const match = (_id: number) => ({ row: _id, document: { _id, n: -_id } });

  it('refuses to hold more than 100 MB and says what to do', () => {
    const sorted = new Sorted(BY_N, 0, MANY);
    for (let n = 0; n < 10; n++) sorted.take(match(n), 10 * MEGABYTE);
    expect(() => sorted.take(match(10), 1)).toThrow(
      expect.objectContaining({ code: 'VALIDATION_FAILED', message: expect.stringContaining('add an index') }),
    );
  });

  it('sorts any amount when only a few documents are wanted', () => {
    const sorted = new Sorted(BY_N, 1, 2);
    for (let n = 0; n < 1_000; n++) sorted.take(match(n), 10 * MEGABYTE);
    expect(sorted.finish().map(({ row }) => row)).toEqual([998, 997]);
  });
});
