import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openChunk } from '../../../src/dr/archive/chunk-writer.ts';
import { DirectoryStorage } from '../../../src/dr/archive/directory-storage.ts';
import type { Chunk } from '../../../src/dr/archive/manifest.ts';
import { RowsAhead } from '../../../src/dr/dialect/rows-ahead.ts';
import { temporaryDirectory } from '../../support/temporary.ts';

const MANIFEST = { compression: 'none', encryption: null } as never;

describe('RowsAhead', () => {
  /** Chunks in a directory, and a storage that says what is read of them. */
  async function bench(count: number) {
    const directory = await temporaryDirectory();
    const storage = new DirectoryStorage(directory.path);
    const contents = Array.from({ length: count }, () => randomBytes(3_000));
    const chunks: Chunk[] = [];
    for (const [index, bytes] of contents.entries()) {
      const file = `data/${index}.copy`;
      const writer = await openChunk(storage, file, { compression: 'none' });
      await writer.write(bytes);
      chunks.push({ file, rows: 1, ...(await writer.finish()) } as Chunk);
    }
    const log: string[] = [];
    const told = {
      async *read(name: string, signal?: AbortSignal) {
        log.push(`begin ${name}`);
        try {
          yield* storage.read(name, signal);
        } finally {
          log.push(`end ${name}`);
        }
      },
    } as never;
    const order = { storage: told, manifest: MANIFEST, key: undefined };
    const rows = new RowsAhead(order, chunks, new AbortController().signal);
    const dispose = async (): Promise<void> => {
      await rows[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    };
    return { chunks, contents, log, rows, [Symbol.asyncDispose]: dispose };
  }

  async function all(rows: AsyncIterable<Buffer>): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of rows) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces);
  }

  it('gives the rows of each chunk, the first piece of the next read before it is asked for', async () => {
    await using archive = await bench(3);
    const { chunks, contents, log, rows } = archive;
    const [first, second, third] = chunks as [Chunk, Chunk, Chunk];
    expect(await all(rows.rowsOf(first))).toEqual(contents[0]);
    rows.beginAfter(first);
    rows.beginAfter(first);
    expect(log).toEqual(['begin data/0.copy', 'end data/0.copy', 'begin data/1.copy']);
    expect(await all(rows.rowsOf(second))).toEqual(contents[1]);
    expect(await all(rows.rowsOf(third))).toEqual(contents[2]);
    rows.beginAfter(third);
    expect(log.filter((line) => line.startsWith('begin'))).toHaveLength(3);
  });

  it('ends what was begun and is not wanted', async () => {
    await using archive = await bench(2);
    const { chunks, log, rows } = archive;
    rows.beginAfter(chunks[0] as Chunk);
    await rows[Symbol.asyncDispose]();
    expect(log).toEqual(['begin data/1.copy', 'end data/1.copy']);
  });

  it('ends what was asked for and not read', async () => {
    await using archive = await bench(2);
    const { chunks, log, rows } = archive;
    rows.beginAfter(chunks[0] as Chunk);
    rows.rowsOf(chunks[1] as Chunk);
    await rows[Symbol.asyncDispose]();
    expect(log).toEqual(['begin data/1.copy', 'end data/1.copy']);
  });

  it('tells whoever reads the rows what was wrong with their beginning', async () => {
    await using archive = await bench(2);
    const { chunks, rows } = archive;
    const [first, second] = chunks as [Chunk, Chunk];
    Object.assign(second, { sha256: first.sha256 });
    rows.beginAfter(first);
    await new Promise((resolve) => setImmediate(resolve));
    await expect(all(rows.rowsOf(second))).rejects.toMatchObject({ code: 'DR_CHECKSUM_MISMATCH' });
  });
});
