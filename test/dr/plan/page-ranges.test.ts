import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkBytes, pageRanges } from '../../../src/dr/plan/page-ranges.ts';

const MIB = 1 << 20;

describe('chunkBytes', () => {
  it('gives each worker eight chunks of the whole, between 16 and 256 MiB', () => {
    expect(chunkBytes(1, 2)).toBe(16 * MIB);
    expect(chunkBytes(1600 * MIB, 2)).toBe(100 * MIB);
    expect(chunkBytes(1e13, 2)).toBe(256 * MIB);
  });
});

describe('pageRanges', () => {
  it('gives no range of a table without pages', () => {
    expect(pageRanges({ pages: 0, bytes: 8192 }, MIB)).toEqual([]);
  });

  it('keeps a table of up to one and a half chunks whole, without an end', () => {
    expect(pageRanges({ pages: 100, bytes: 1_400_000 }, MIB)).toEqual([{ from: 0, to: null, bytes: 1_400_000 }]);
  });

  it('counts what is stored apart from the pages: few pages may be many bytes', () => {
    expect(pageRanges({ pages: 4, bytes: 4 * MIB }, MIB).map(({ from, to }) => [from, to])).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
      [3, null],
    ]);
  });

  it('covers every page once, and leaves the last range open', () => {
    const table = fc.record({ pages: fc.integer({ min: 1, max: 1e6 }), bytes: fc.integer({ min: 0, max: 1e10 }) });
    fc.assert(
      fc.property(table, fc.integer({ min: 16 * MIB, max: 256 * MIB }), ({ pages, bytes }, target) => {
        const ranges = pageRanges({ pages, bytes }, target);
        expect(ranges[0]?.from).toBe(0);
        expect(ranges.at(-1)?.to).toBeNull();
        ranges.slice(1).forEach(({ from }, index) => {
          expect(ranges[index]?.to).toBe(from);
          expect(from).toBeGreaterThan(ranges[index]!.from);
        });
      }),
    );
  });
});
