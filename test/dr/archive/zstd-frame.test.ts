import { randomBytes } from 'node:crypto';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { compressFrame, freeMemory } from '../../../src/dr/archive/zstd-frame.ts';

const ROWS = Buffer.from(Array.from({ length: 60_000 }, (_, row) => `${row}\trow number ${row}\n`).join(''));

describe('a frame', () => {
  it.each([0, 1, 1000, 32 << 10, (32 << 10) + 1, 1_000_000])('of %i bytes gives them back', async (length) => {
    const bytes = ROWS.subarray(0, length);
    expect(zstdDecompressSync(await compressFrame(bytes, 1))).toEqual(bytes);
  });

  it('holds what does not get smaller', async () => {
    const bytes = randomBytes(300_000);
    const frame = await compressFrame(bytes, 19);
    expect(frame.length).toBeGreaterThan(bytes.length);
    expect(zstdDecompressSync(frame)).toEqual(bytes);
  });

  it('is one, as zstd writes it in one step, at each level', async () => {
    for (const level of [1, 3, 9]) {
      const params = { [constants.ZSTD_c_compressionLevel]: level };
      expect(await compressFrame(ROWS, level)).toEqual(zstdCompressSync(ROWS, { chunkSize: 2 * ROWS.length, params }));
    }
  });

  it('takes no memory once it is freed, unless it shares it', async () => {
    const [large, small] = [await compressFrame(ROWS, 1), await compressFrame(ROWS.subarray(0, 100), 1)];
    freeMemory(large);
    freeMemory(small);
    expect(large.length).toBe(0);
    expect(zstdDecompressSync(small)).toEqual(ROWS.subarray(0, 100));
  });
});
