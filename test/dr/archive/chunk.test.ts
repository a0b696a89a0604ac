import { randomBytes } from 'node:crypto';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readChunk } from '../../../src/dr/archive/chunk-reader.ts';
import { type ChunkTotals, type Compression, openChunk } from '../../../src/dr/archive/chunk-writer.ts';
import { DirectoryStorage } from '../../../src/dr/archive/directory-storage.ts';
import { EncryptionKey } from '../../../src/dr/archive/encryption-key.ts';
import { temporaryDirectory } from '../../support/temporary.ts';

const FILE = 'data/1/0.copy';
const KEY = new EncryptionKey(randomBytes(32));

interface Way {
  readonly compression: Compression;
  readonly key?: EncryptionKey;
}
const WAYS: readonly (readonly [string, Way])[] = [
  ['plain', { compression: 'none' }],
  ['compressed', { compression: { zstd: 1 } }],
  ['encrypted', { compression: 'none', key: KEY }],
  ['compressed and encrypted', { compression: { zstd: 3 }, key: KEY }],
];

function manifestOf({ compression, key }: Way) {
  return {
    compression: compression === 'none' ? ('none' as const) : ('zstd' as const),
    encryption: key === undefined ? null : { algorithm: 'aes-256-gcm' as const, keyId: key.id },
  };
}

async function write(
  storage: DirectoryStorage,
  pieces: Iterable<Uint8Array>,
  way: Way,
  file = FILE,
): Promise<ChunkTotals> {
  const writer = await openChunk(storage, file, way);
  for (const piece of pieces) await writer.write(piece);
  return writer.finish();
}

async function read(storage: DirectoryStorage, totals: ChunkTotals, way: Way, file = FILE): Promise<Buffer> {
  const pieces = await all(readChunk(storage, { file, ...totals }, { manifest: manifestOf(way), key: way.key }));
  return Buffer.concat(pieces);
}

/** Copies: a piece is good until the next one is asked for. */
async function all(pieces: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const found: Buffer[] = [];
  for await (const piece of pieces) found.push(Buffer.from(piece));
  return found;
}

/** Rows of about `bytes` bytes that compress like rows do, with some that do not. */
function rows(bytes: number): Buffer {
  const line = (i: number) =>
    `${i}\tname ${(i * 7919) % 1000}\t2024-01-02 03:04:05\t${i % 50 === 0 ? randomBytes(40).toString('hex') : ''}\n`;
  const lines: string[] = [];
  for (let i = 0, size = 0; size < bytes; i++) {
    lines.push(line(i));
    size += lines.at(-1)?.length ?? 0;
  }
  return Buffer.from(lines.join(''));
}

function* piecesOf(bytes: Buffer, size: number): Generator<Buffer> {
  for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size);
}

describe.each(WAYS)('a chunk that is %s', (_, way) => {
  it.each([0, 1, 70_000, 4 << 20, (4 << 20) + 1, 21_000_000])('gives back %i bytes', async (size) => {
    await using directory = await temporaryDirectory();
    const storage = new DirectoryStorage(join(directory.path, 'a'));
    const bytes = rows(size).subarray(0, size);
    const totals = await write(storage, piecesOf(bytes, 65_521), way);
    expect(totals).toMatchObject({ bytes: size, crc32: crc32(bytes).toString(16).padStart(8, '0') });
    expect((await storage.list())[0]).toEqual({ name: FILE, bytes: totals.storedBytes });
    expect((await read(storage, totals, way)).equals(bytes)).toBe(true);
  });

  it('takes rows larger than its blocks, from one buffer that is used again', async () => {
    await using directory = await temporaryDirectory();
    const storage = new DirectoryStorage(join(directory.path, 'a'));
    const shared = Buffer.alloc(9_000_000);
    const writer = await openChunk(storage, FILE, way);
    for (let i = 1; i <= 3; i++) {
      shared.fill(i);
      await writer.write(shared);
    }
    const totals = await writer.finish();
    const expected = Buffer.concat([1, 2, 3].map((i) => Buffer.alloc(shared.length, i)));
    expect((await read(storage, totals, way)).equals(expected)).toBe(true);
  });

  it.each([0, 20, 3_000, -20, -1])('shows one flipped bit at %i', async (at) => {
    await using directory = await temporaryDirectory();
    const storage = new DirectoryStorage(directory.path);
    const totals = await write(storage, [rows(2_000_000)], way);
    const path = join(directory.path, FILE);
    const stored = await readFile(path);
    const position = at < 0 ? stored.length + at : at;
    stored[position] = (stored[position] ?? 0) ^ 0x10;
    await writeFile(path, stored);
    await expect(read(storage, totals, way)).rejects.toMatchObject({
      code: 'DR_CHECKSUM_MISMATCH',
      details: { file: FILE },
    });
  });

  it('shows that bytes are missing, or added', async () => {
    await using directory = await temporaryDirectory();
    const storage = new DirectoryStorage(directory.path);
    const totals = await write(storage, [rows(2_000_000)], way);
    const path = join(directory.path, FILE);
    const stored = await readFile(path);
    await truncate(path, stored.length - 100);
    await expect(read(storage, totals, way)).rejects.toMatchObject({ code: 'DR_CHECKSUM_MISMATCH' });
    await writeFile(path, Buffer.concat([stored, Buffer.from('x')]));
    await expect(read(storage, totals, way)).rejects.toMatchObject({ code: 'DR_CHECKSUM_MISMATCH' });
  });

  it('leaves nothing behind when it is given up', async () => {
    await using directory = await temporaryDirectory();
    const storage = new DirectoryStorage(directory.path);
    const writer = await openChunk(storage, FILE, way);
    await writer.write(rows(9_000_000));
    await writer.abort();
    expect(await storage.list()).toEqual([]);
  });

  it('stops at the signal', async () => {
    await using directory = await temporaryDirectory();
    const storage = new DirectoryStorage(directory.path);
    const totals = await write(storage, [rows(9_000_000)], way);
    const controller = new AbortController();
    const chunk = { file: FILE, ...totals };
    const pieces = readChunk(storage, chunk, { manifest: manifestOf(way), key: way.key, signal: controller.signal });
    await pieces.next();
    controller.abort(new Error('enough'));
    await expect(all(pieces)).rejects.toThrow('enough');
  });
});

describe('a compressed chunk', () => {
  const way: Way = { compression: { zstd: 1 } };

  it('never yields more than the manifest tells, whatever it expands to', async () => {
    await using directory = await temporaryDirectory();
    const storage = new DirectoryStorage(directory.path);
    const totals = await write(storage, [Buffer.alloc(50_000_000)], way);
    let seen = 0;
    const reading = async () => {
      const chunk = { file: FILE, ...totals, bytes: 1_000_000 };
      for await (const piece of readChunk(storage, chunk, { manifest: manifestOf(way) })) seen += piece.length;
    };
    await expect(reading()).rejects.toMatchObject({ code: 'DR_CHECKSUM_MISMATCH' });
    expect(seen).toBeLessThanOrEqual(1_000_000);
  });

  it('gives the memory of its rows back once they were used', async () => {
    await using directory = await temporaryDirectory();
    const storage = new DirectoryStorage(directory.path);
    const chunk = { file: FILE, ...(await write(storage, [rows(9_000_000)], way)) };
    const kept: Buffer[] = [];
    for await (const piece of readChunk(storage, chunk, { manifest: manifestOf(way) })) kept.push(piece);
    expect(kept.length).toBeGreaterThan(5);
    expect(kept.filter(({ length }) => length > 0)).toEqual([]);
  });

  it('is a file that zstd itself can read', async () => {
    await using directory = await temporaryDirectory();
    const storage = new DirectoryStorage(directory.path);
    const bytes = rows(5_000_000).subarray(0, 4 << 20);
    await write(storage, [bytes], way);
    const stored = await readFile(join(directory.path, FILE));
    expect(stored.subarray(0, 4)).toEqual(zstdCompressSync(Buffer.from('x')).subarray(0, 4));
  });
});

describe('an encrypted chunk', () => {
  const way: Way = { compression: 'none', key: KEY };

  it('cannot take the place of another, even if the manifest says so', async () => {
    await using directory = await temporaryDirectory();
    const storage = new DirectoryStorage(directory.path);
    const totals = await write(storage, [rows(10_000)], way);
    await write(storage, [rows(10_000)], way, 'data/1/1.copy');
    await writeFile(join(directory.path, 'data/1/1.copy'), await readFile(join(directory.path, FILE)));
    await expect(read(storage, totals, way, 'data/1/1.copy')).rejects.toThrow('cannot be decrypted');
  });

  it('is opened by its own key only', async () => {
    await using directory = await temporaryDirectory();
    const storage = new DirectoryStorage(directory.path);
    const totals = await write(storage, [rows(10_000)], way);
    const other = { ...way, key: new EncryptionKey(randomBytes(32)) };
    await expect(read(storage, totals, other)).rejects.toThrow('cannot be decrypted');
  });

  it('holds nothing readable, and no two files begin alike', async () => {
    await using directory = await temporaryDirectory();
    const storage = new DirectoryStorage(directory.path);
    await write(storage, [rows(10_000)], way);
    await write(storage, [rows(10_000)], way, 'data/1/1.copy');
    const [a, b] = await Promise.all([FILE, 'data/1/1.copy'].map((file) => readFile(join(directory.path, file))));
    expect(a?.includes('name ')).toBe(false);
    expect(a?.subarray(4, 64).equals(b?.subarray(4, 64) ?? Buffer.alloc(0))).toBe(false);
  });
});

it('a missing file is named', async () => {
  await using directory = await temporaryDirectory();
  const storage = new DirectoryStorage(directory.path);
  const totals = await write(storage, [rows(100)], { compression: 'none' });
  await expect(read(storage, totals, { compression: 'none' }, 'data/7/7.copy')).rejects.toMatchObject({
    code: 'DR_CHECKSUM_MISMATCH',
    message: 'data/7/7.copy is missing',
  });
});
