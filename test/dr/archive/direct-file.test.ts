import { execFileSync } from 'node:child_process';
import { closeSync, constants, existsSync, openSync, readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DirectFile, readDirect } from '../../../src/dr/archive/direct-file.ts';
import { BufferPool } from '../../../src/util/buffer-pool.ts';
import { seededRandom } from '../../support/random.ts';
import { temporaryDirectory } from '../../support/temporary.ts';

const MIB = 1 << 20;
/** The size of a file that is not read through the cache. */
const LARGE = 8 * MIB;
/** Memory that begins at a page, as the rows of a backup are in. */
const blocks = new BufferPool(4 * MIB, 1);

function filled(bytes: Buffer, seed: number): Buffer {
  for (let i = 0; i + 4 <= bytes.length; i += 4) bytes.writeUInt32LE(Math.imul(i + seed, 0x9e3779b1) >>> 0, i);
  return bytes;
}

async function written(path: string, parts: readonly Uint8Array[], sync = false): Promise<Buffer> {
  const file = new DirectFile(path);
  try {
    for (const part of parts) await file.write(part);
    await file.finish(sync);
  } finally {
    file.close();
  }
  return readFile(path);
}

async function read(path: string, size: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const piece of readDirect(path, size)) parts.push(Buffer.from(piece));
  return Buffer.concat(parts);
}

/** Whether files of a directory can be opened past the cache. */
function isDirect(directory: string): boolean {
  try {
    closeSync(openSync(join(directory, 'probe'), constants.O_CREAT | constants.O_WRONLY | (constants.O_DIRECT ?? 0)));
    return constants.O_DIRECT !== undefined;
  } catch {
    return false;
  }
}

/** Bytes of a file that are in the cache. */
function cachedBytes(path: string): number {
  return Number(execFileSync('fincore', ['--bytes', '--noheadings', '--output', 'RES', path]).toString());
}

describe('a file past the cache', () => {
  it.each([
    ['nothing', []],
    ['less than a page', [100]],
    ['whole pages', [8192, 4096]],
    ['no whole pages', [4095, 1, 4097, 3]],
    ['more than is gathered', [MIB - 1, 3 * MIB + 5, 4096]],
  ])('holds what was written: %s, from anywhere in memory', async (_what, sizes) => {
    await using directory = await temporaryDirectory();
    const parts = sizes.map((size, i) => filled(Buffer.alloc(size + 1), i).subarray(1));
    expect(await written(join(directory.path, 'file'), parts)).toEqual(Buffer.concat(parts));
  });

  it('holds what was written from blocks that begin at a page, and from others between them', async () => {
    await using directory = await temporaryDirectory();
    const block = filled(blocks.take(), 7);
    const parts = [block, block.subarray(0, 8192), block.subarray(0, 5000), block, Buffer.from('odd'), block];
    expect(await written(join(directory.path, 'file'), parts, true)).toEqual(Buffer.concat(parts));
    blocks.give(block);
  });

  it.each([1, 2, 3])('holds random writes (seed %i)', async (seed) => {
    await using directory = await temporaryDirectory();
    const random = seededRandom(seed);
    const below = (limit: number): number => Math.floor(random() * limit);
    const block = filled(blocks.take(), seed);
    const parts = Array.from({ length: 40 }, () => {
      const from = random() < 0.5 ? 0 : below(9_000);
      const length = random() < 0.3 ? 4096 * below(40) : below(300_000);
      return block.subarray(from, from + length);
    });
    expect(await written(join(directory.path, 'file'), parts)).toEqual(Buffer.concat(parts));
    blocks.give(block);
  });

  it('leaves nothing but its end in the cache, written and read', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'file');
    const block = filled(blocks.take(), 1);
    const file = new DirectFile(path);
    for (const part of [block, Buffer.from('an odd part'), block]) await file.write(part);
    await file.finish(true);
    file.close();
    blocks.give(block);
    const most = isDirect(directory.path) ? 8192 : Number.POSITIVE_INFINITY;
    expect(cachedBytes(path)).toBeLessThanOrEqual(most);
    expect((await read(path, LARGE)).length).toBe(8 * MIB + 11);
    expect(cachedBytes(path)).toBeLessThanOrEqual(most);
  });

  it('never takes the place of another file', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'file');
    await writeFile(path, 'there');
    expect(() => new DirectFile(path)).toThrow('EEXIST');
    expect(await readFile(path, 'utf8')).toBe('there');
  });

  // Memory of one's own in place of a disk: older kernels have no way past the cache there.
  it.runIf(existsSync('/dev/shm'))('is an ordinary one where the file system has no such thing', async () => {
    const directory = await mkdtemp('/dev/shm/holdfast-test-');
    try {
      const path = join(directory, 'file');
      const parts = [filled(Buffer.alloc(2 * MIB + 77), 3), Buffer.from('end')];
      expect(await written(path, parts, true)).toEqual(Buffer.concat(parts));
      expect(await read(path, LARGE)).toEqual(Buffer.concat(parts));
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('may be one of more than there is memory for that begins at a page', async () => {
    await using directory = await temporaryDirectory();
    const paths = Array.from({ length: 24 }, (_, i) => join(directory.path, String(i)));
    const contents = paths.map((_, i) => filled(Buffer.alloc(MIB + 4097 * i + 1), i));
    const files = paths.map((path) => new DirectFile(path));
    for (const half of [0, 1]) {
      await Promise.all(
        files.map((file, i) => {
          const content = contents[i]!;
          return file.write(half === 0 ? content.subarray(0, 700_001) : content.subarray(700_001));
        }),
      );
    }
    await Promise.all(files.map((file) => file.finish(false)));
    for (const file of files) file.close();
    const found = await Promise.all(paths.map((path) => read(path, LARGE)));
    expect(found.every((bytes, i) => bytes.equals(contents[i]!))).toBe(true);
  });
});

describe('reading past the cache', () => {
  it.each([0, 1, 4096, MIB - 1, MIB, MIB + 1, 4 * MIB + 4096, 5 * MIB + 5])('gives all %i bytes', async (size) => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'file');
    const content = filled(Buffer.alloc(size), size);
    await writeFile(path, content);
    expect((await read(path, size)).equals(content)).toBe(true);
    // However large it was thought to be.
    expect((await read(path, LARGE)).equals(content)).toBe(true);
    expect((await read(path, 0)).equals(content)).toBe(true);
  });

  it('closes the file when it is left early', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'file');
    await writeFile(path, Buffer.alloc(3 * MIB));
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    for await (const piece of readDirect(path, LARGE)) {
      expect(piece.length).toBe(MIB);
      break;
    }
    expect(open()).toBe(before);
  });
});
