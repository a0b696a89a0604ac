import { Decimal128, Long, MaxKey, MinKey } from 'bson';
import { describe, expect, it } from 'vitest';
import { type Document, encodeDocument } from '../../src/model/document.ts';
import { type Bounds, boundsOf, indexKeys, type KeyRange } from '../../src/store/bounds.ts';
import { compileFilter } from '../../src/store/filter.ts';
import { keyOf } from '../../src/store/key.ts';
import { compileSort } from '../../src/store/sort.ts';
import { PATHS, randomDocument, randomFilter } from '../support/bson-values.ts';
import { Choices } from '../support/choices.ts';

function holds({ ranges }: Bounds, key: Uint8Array): boolean {
  return ranges.some(({ low, high }) => Buffer.compare(low, key) <= 0 && Buffer.compare(key, high) < 0);
}

function isAscending(ranges: readonly KeyRange[]): boolean {
  return ranges.every(
    ({ low, high }, i) =>
      Buffer.compare(low, high) < 0 && (i === 0 || Buffer.compare(ranges[i - 1]?.high as Uint8Array, low) < 0),
  );
}

describe('boundsOf', () => {
  it.each([1, 2, 3])('holds a key of every document that matches (seed %i)', (seed) => {
    const choices = new Choices(seed);
    let found = 0;
    for (let i = 0; i < 600; i++) {
      const filter = randomFilter(choices);
      const matches = compileFilter(filter);
      const documents = Array.from({ length: 15 }, () => randomDocument(choices));
      for (const path of PATHS) {
        const bounds = boundsOf(filter, path);
        if (bounds === undefined) continue;
        found++;
        expect(isAscending(bounds.ranges)).toBe(true);
        for (const document of documents.filter(matches)) {
          const inside = indexKeys(document, path).some((key) => holds(bounds, key));
          if (!inside) expect.fail(`${encodeDocument(document)} matches ${encodeDocument(filter)} outside of ${path}`);
        }
      }
    }
    expect(found).toBeGreaterThan(100);
  });

  it.each([7, 8, 9])('of a path with single keys holds every match, and where exact nothing else (seed %i)', (seed) => {
    const choices = new Choices(seed);
    const seen = { matching: 0, exact: 0 };
    for (let i = 0; i < 600; i++) {
      const filter = randomFilter(choices);
      const matches = compileFilter(filter);
      const documents = Array.from({ length: 15 }, () => randomDocument(choices));
      for (const path of PATHS) {
        const bounds = boundsOf(filter, path, { single: true });
        if (bounds === undefined) continue;
        for (const document of documents) {
          const keys = indexKeys(document, path);
          if (keys.length > 1) continue;
          const inside = holds(bounds, keys[0] as Uint8Array);
          const where = `${encodeDocument(document)}, ${encodeDocument(filter)}, ${path}`;
          if (matches(document) && !inside) expect.fail(`matches outside: ${where}`);
          if (bounds.exact && matches(document) !== inside) expect.fail(`not exact: ${where}`);
          if (matches(document)) seen.matching++;
          if (bounds.exact) seen.exact++;
        }
      }
    }
    expect(seen.matching).toBeGreaterThan(100);
    expect(seen.exact).toBeGreaterThan(100);
  });

  it.each<[string, Document, number, boolean]>([
    ['a value', { a: 1 }, 1, true],
    ['an operator', { a: { $eq: 1 } }, 1, true],
    ['a list', { a: { $in: [1, 2, 1] } }, 2, true],
    ['an empty list', { a: { $in: [] } }, 0, true],
    ['a list with a pattern', { a: { $in: [1, /^a/] } }, 3, false],
    ['null', { a: null }, 1, true],
    ['absence', { a: { $exists: false } }, 1, false],
    ['a range', { a: { $gt: 1 } }, 1, true],
    ['a range of arrays that holds the empty one', { a: { $lt: [1] } }, 2, true],
    ['a range of nothing', { a: { $gt: Number.NaN } }, 0, true],
    ['a range of everything', { a: { $gte: new MinKey() } }, 1, true],
    ['a pattern', { a: { $regex: '^ab' } }, 2, false],
    ['clauses of one path', { $or: [{ a: 1 }, { a: { $gt: 5 } }] }, 2, true],
    ['another path beside it', { a: 1, b: 2 }, 1, false],
    ['another path beside it in a clause', { $and: [{ a: 1 }, { b: 2 }] }, 1, false],
    ['a negation beside it', { a: { $gt: 1, $ne: 5 } }, 1, false],
    ['a comment beside it', { a: 1, $comment: 'x' }, 1, true],
  ])('reads %s', (_, filter, ranges, exact) => {
    const bounds = boundsOf(filter, 'a');
    expect(bounds?.ranges.length).toBe(ranges);
    expect(bounds?.exact).toBe(exact);
  });

  it.each<[string, Document]>([
    ['another path', { b: 1 }],
    ['a longer path', { 'a.b': 1 }],
    ['a negation', { a: { $ne: 1 } }],
    ['a clause that says nothing', { $or: [{ a: 1 }, { b: 1 }] }],
    ['a refused alternative', { $nor: [{ a: 1 }] }],
  ])('says nothing of %s', (_, filter) => {
    expect(boundsOf(filter, 'a')).toBeUndefined();
  });

  it('does not join conditions that two elements of an array may meet', () => {
    const filter = { a: { $gt: 1, $lt: 5 } };
    const apart = boundsOf(filter, 'a') as Bounds;
    expect(indexKeys({ a: [0, 10] }, 'a').some((key) => holds(apart, key))).toBe(true);
    expect(apart.exact).toBe(false);
    const joined = boundsOf(filter, 'a', { single: true }) as Bounds;
    expect(holds(joined, keyOf(3))).toBe(true);
    expect(holds(joined, keyOf(10))).toBe(false);
    expect(joined.exact).toBe(true);
  });

  it('marks the range of one value, and no other, by an end of its key and 255', () => {
    const isPoint = ({ low, high }: KeyRange) => high.length === low.length + 1 && high.at(-1) === 0xff;
    for (const filter of [{ a: 'x' }, { a: null }, { a: [] }, { a: { $in: [1, 'b'] } }]) {
      expect(boundsOf(filter, 'a')?.ranges.every(isPoint)).toBe(true);
    }
    const stretches = [
      { $gt: 1 },
      { $gte: new MinKey() },
      { $regex: '^a' },
      { $regex: 'a' },
      { $lt: 'a' },
      { $gt: true },
    ];
    for (const operators of stretches) expect(boundsOf({ a: operators }, 'a')?.ranges.some(isPoint)).toBe(false);
  });

  it('holds the key of a value with further keys behind it', () => {
    const key = Buffer.concat([keyOf('x'), keyOf(new MaxKey()), keyOf(Infinity)]);
    expect(holds(boundsOf({ a: 'x' }, 'a') as Bounds, key)).toBe(true);
    expect(holds(boundsOf({ a: { $gt: 'x' } }, 'a') as Bounds, key)).toBe(false);
    expect(holds(boundsOf({ a: { $lte: 'x' } }, 'a') as Bounds, key)).toBe(true);
  });

  it('finds equal numbers of any type under one key', () => {
    const bounds = boundsOf({ a: 5 }, 'a') as Bounds;
    for (const value of [5, Long.fromNumber(5), Decimal128.fromString('5.0')]) {
      expect(indexKeys({ a: value }, 'a').every((key) => holds(bounds, key))).toBe(true);
    }
  });
});

describe('indexKeys', () => {
  it.each<[string, Document, string, readonly unknown[]]>([
    ['a value', { a: 1 }, 'a', [1]],
    ['a missing field as null', {}, 'a', [null]],
    ['each element and the array', { a: ['x', 'y', 'x'] }, 'a', ['x', 'y', ['x', 'y', 'x']]],
  ])('of %s', (_, document, path, values) => {
    expect(indexKeys(document, path).map(hex).sort()).toEqual(values.map((value) => hex(keyOf(value))).sort());
  });

  it('gives an empty array a key of its own, before null', () => {
    expect(indexKeys({ a: [] }, 'a').map(hex)).toEqual(['12']);
  });

  it('gives a document more than one key when the path leads through an array', () => {
    for (const a of [[], [1], [{ b: 1 }], [{ b: [] }], [[1]]]) {
      expect(indexKeys({ a }, 'a.b').length).toBeGreaterThan(1);
      expect(indexKeys({ a }, 'a.0').length).toBeGreaterThan(1);
    }
    expect(indexKeys({ a: [5] }, 'a').length).toBeGreaterThan(1);
  });

  it('orders documents with single keys as their sort does (seed 11)', () => {
    const choices = new Choices(11);
    for (const path of PATHS) {
      const compare = compileSort({ [path]: 1 });
      const documents = Array.from({ length: 200 }, () => randomDocument(choices));
      const single = documents.filter((document) => indexKeys(document, path).length === 1);
      for (const a of single) {
        for (const b of single) {
          const byKey = Buffer.compare(indexKeys(a, path)[0] as Uint8Array, indexKeys(b, path)[0] as Uint8Array);
          if (byKey !== Math.sign(compare(a, b))) expect.fail(`${path}: ${encodeDocument(a)}, ${encodeDocument(b)}`);
        }
      }
    }
  });
});

function hex(key: Uint8Array): string {
  return Buffer.from(key).toString('hex');
}
