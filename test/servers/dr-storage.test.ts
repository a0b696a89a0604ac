import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkArchive } from '../../src/dr/archive/archive-check.ts';
import { readChunk } from '../../src/dr/archive/chunk-reader.ts';
import { openChunk } from '../../src/dr/archive/chunk-writer.ts';
import { openStorage, placesIn } from '../../src/dr/archive/open-storage.ts';
import type { ArchiveStorage } from '../../src/dr/archive/storage.ts';
import { describeWithS3, type S3Server, startS3 } from '../support/servers/s3.ts';

const BUCKET = 'archives';
const BUILD_TIMEOUT_MS = 600_000;

describeWithS3('an archive in a bucket', () => {
  let server: S3Server;
  let prefixes = 0;

  beforeAll(async () => {
    server = await startS3();
    await server.createBucket(BUCKET);
  }, BUILD_TIMEOUT_MS);

  afterAll(() => server?.[Symbol.asyncDispose]());

  /** An empty prefix of its own for each test. */
  async function storage(): Promise<ArchiveStorage & AsyncDisposable> {
    const opened = await openStorage(server.locationOf(BUCKET, `tests/${++prefixes}`));
    return Object.assign(opened, { [Symbol.asyncDispose]: () => opened.close() });
  }

  async function text(from: ArchiveStorage, name: string): Promise<string> {
    const parts: Uint8Array[] = [];
    for await (const part of from.read(name)) parts.push(part);
    return Buffer.concat(parts).toString();
  }

  it.each([0, 10, 5 << 20, 21_000_001])(
    'stores and gives back a file of %i bytes, visible when it is whole',
    async (size) => {
      await using archive = await storage();
      const bytes = randomBytes(size);
      const sink = await archive.create('data/1/0.copy');
      const buffer = Buffer.alloc(1 << 20);
      for (let from = 0; from < size; from += buffer.length) {
        const part = bytes.copy(buffer, 0, from);
        await sink.write(buffer.subarray(0, part));
      }
      expect(await archive.list()).toEqual([]);
      await sink.commit();
      expect(await archive.list()).toEqual([{ name: 'data/1/0.copy', bytes: size }]);
      const parts: Uint8Array[] = [];
      for await (const part of archive.read('data/1/0.copy')) parts.push(part);
      expect(Buffer.concat(parts).equals(bytes)).toBe(true);
      // What lies on the server's disk is the file itself, not the framing of the upload.
      const onDisk = join(server.directory, BUCKET, `tests/${prefixes}`, 'data/1/0.copy');
      expect(readdirSync(join(onDisk, '..'))).toEqual(['0.copy']);
    },
  );

  it('leaves nothing of a file that was given up, large or small', async () => {
    await using archive = await storage();
    for (const size of [10, 30_000_000]) {
      const sink = await archive.create('data/1/0.copy');
      await sink.write(randomBytes(size));
      await sink.abort();
    }
    expect(await archive.list()).toEqual([]);
    const client = new S3Client({ endpoint: server.url, region: 'us-east-1', forcePathStyle: true });
    const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }));
    client.destroy();
    expect(Uploads ?? []).toEqual([]);
  });

  it('creates a new file once, and replaces one that may exist', async () => {
    await using archive = await storage();
    await archive.createNew('metadata.json', Buffer.from('first'));
    await expect(archive.createNew('metadata.json', Buffer.from('second'))).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    expect(await text(archive, 'metadata.json')).toBe('first');
    await archive.replace('verified.json', Buffer.from('one'));
    await archive.replace('verified.json', Buffer.from('two'));
    expect(await text(archive, 'verified.json')).toBe('two');
  });

  it('says what is missing: the file, the archive, the bucket', async () => {
    await using archive = await storage();
    await expect(text(archive, 'data/1/0.copy')).rejects.toMatchObject({ code: 'DR_NOT_FOUND' });
    await expect(checkArchive(archive)).rejects.toMatchObject({
      code: 'DR_NOT_FOUND',
      message: expect.stringContaining('is not a backup'),
    });
    const nowhere = await openStorage(server.locationOf('nowhere', 'x'));
    await expect(nowhere.list()).rejects.toMatchObject({
      code: 'DR_NOT_FOUND',
      message: expect.stringContaining('no such bucket'),
    });
    await nowhere.close();
  });

  it('carries chunks, encrypted or not, and their check', async () => {
    await using archive = await storage();
    const rows = Buffer.from('1\tone\n2\ttwo\n'.repeat(900_000));
    const writer = await openChunk(archive, 'data/1/0.copy.zst', { compression: { zstd: 1 } });
    await writer.write(rows);
    const chunk = { file: 'data/1/0.copy.zst', ...(await writer.finish()) };
    const pieces: Buffer[] = [];
    for await (const piece of readChunk(archive, chunk, { manifest: { compression: 'zstd', encryption: null } }))
      pieces.push(Buffer.from(piece));
    expect(Buffer.concat(pieces).equals(rows)).toBe(true);
  });

  it('is found among others, and removed without them', async () => {
    await using first = await storage();
    await using second = await storage();
    await first.createNew('metadata.json', Buffer.from('{}'));
    await second.createNew('metadata.json', Buffer.from('{}'));
    const places = await placesIn(server.locationOf(BUCKET, 'tests'));
    expect(places).toEqual(expect.arrayContaining([first.location, second.location]));
    await first.removeAll();
    expect(await first.list()).toEqual([]);
    expect(await second.list()).toHaveLength(1);
  });

  it('shows no secret, and says who was refused', async () => {
    const key = process.env.AWS_SECRET_ACCESS_KEY;
    process.env.AWS_SECRET_ACCESS_KEY = 'another-secret';
    try {
      await using archive = await storage();
      const refused = archive.list();
      await expect(refused).rejects.toMatchObject({
        code: 'DATA_UNWRITABLE',
        message: expect.not.stringContaining('secret'),
      });
    } finally {
      process.env.AWS_SECRET_ACCESS_KEY = key;
    }
  });
});
