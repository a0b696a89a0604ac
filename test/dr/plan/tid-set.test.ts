import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TidSet } from '../../../src/dr/plan/tid-set.ts';

const parse = (array: string): string[] => array.match(/\(\d+,\d+\)/g) ?? [];
const tid = fc
  .tuple(
    fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 0xffff_fffe })),
    fc.integer({ min: 1, max: 291 }),
  )
  .map(([page, slot]) => `(${page},${slot})`);
const inOrder = (tids: Iterable<string>): string[] => {
  const numbers = (text: string): number[] => text.slice(1, -1).split(',').map(Number);
  return [...tids].sort((a, b) => numbers(a)[0]! - numbers(b)[0]! || numbers(a)[1]! - numbers(b)[1]!);
};

describe('TidSet', () => {
  it('holds each place once, on any page', () => {
    fc.assert(
      fc.property(fc.array(tid), (tids) => {
        const set = new TidSet();
        const known = new Set<string>();
        for (const place of tids) {
          expect(set.add(place)).toBe(!known.has(place));
          known.add(place);
        }
        expect(set.size).toBe(known.size);
        expect(tids.every((place) => set.has(place))).toBe(true);
        expect(set.has('(41,1)')).toBe(known.has('(41,1)'));
      }),
    );
  });

  it('lists places in the order of the table, part by part', () => {
    fc.assert(
      fc.property(fc.array(tid), fc.integer({ min: 1, max: 7 }), (tids, size) => {
        const set = new TidSet();
        for (const place of tids) set.add(place);
        const listed: string[] = [];
        for (let from = 0; from < set.size; from += size) listed.push(...parse(set.slice(from, size)));
        expect(listed).toEqual(inOrder(new Set(tids)));
        expect(set.slice(set.size, size)).toBe('{}');
      }),
    );
  });

  it('gives every place out once when it is emptied', () => {
    fc.assert(
      fc.property(fc.array(tid), fc.integer({ min: 1, max: 7 }), (tids, size) => {
        const set = new TidSet();
        for (const place of tids) set.add(place);
        const taken: string[] = [];
        while (set.size > 0) taken.push(...parse(set.take(size)));
        expect(inOrder(taken)).toEqual(inOrder(new Set(tids)));
        expect(set.take(1)).toBe('{}');
      }),
    );
  });

  it('knows the larger slots of larger pages', () => {
    const set = new TidSet(32_768);
    set.add('(3,1169)');
    expect(set.slice(0, 1)).toBe('{"(3,1169)"}');
  });
});
