import { randomBytes } from 'node:crypto';
import { cp, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkArchive } from '../../src/dr/archive/archive-check.ts';
import { DirectoryStorage } from '../../src/dr/archive/directory-storage.ts';
import { EncryptionKey } from '../../src/dr/archive/encryption-key.ts';
import { showArchive } from '../../src/dr/archives.ts';
import type { DrProgress } from '../../src/dr/progress.ts';
import { verify } from '../../src/dr/verify.ts';
import { writeArchive } from '../support/archive.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const FIRST = 'data/0/0.copy';
const SECOND = 'data/0/1.copy';

/** What may happen to the files of an archive. */
const DAMAGES: readonly (readonly [string, (path: (name: string) => string) => Promise<unknown>, string])[] = [
  ['a cut file', (path) => truncate(path(FIRST), 5), FIRST],
  [
    'a flipped bit',
    async (path) => {
      const bytes = await readFile(path(FIRST));
      bytes[9] = (bytes[9] ?? 0) ^ 1;
      await writeFile(path(FIRST), bytes);
    },
    FIRST,
  ],
  ['a missing file', (path) => rm(path(SECOND)), SECOND],
  ['an added file', (path) => writeFile(path('data/0/2.copy'), 'x'), 'data/0/2.copy'],
  ['an added file in the archive itself', (path) => writeFile(path('.hidden'), ''), '.hidden'],
  [
    'two exchanged files',
    async (path) => {
      await rename(path(FIRST), path('x'));
      await rename(path(SECOND), path(FIRST));
      await rename(path('x'), path(SECOND));
    },
    FIRST,
  ],
];

describe.each(['QUICK', 'DEEP'] as const)('a verification at level %s', (level) => {
  it.each(DAMAGES)('finds %s, and keeps the report', async (_, damage, file) => {
    await using directory = await temporaryDirectory();
    await writeArchive(directory.path);
    await damage((name) => join(directory.path, name));
    const found = verify({ from: directory.path, level });
    await expect(found).rejects.toMatchObject({ code: 'DR_CHECKSUM_MISMATCH', message: expect.stringContaining(file) });
    const { verified } = await showArchive(directory.path);
    expect(verified[level]).toMatchObject({
      result: 'FAILED',
      problems: expect.arrayContaining([expect.stringContaining(file)]),
    });
  });

  it('passes what was written, also encrypted, again and again', async () => {
    await using directory = await temporaryDirectory();
    const key = new EncryptionKey(randomBytes(32));
    await writeArchive(directory.path, { key });
    for (let times = 0; times < 2; times++) {
      const report = await verify({ from: directory.path, level, key });
      expect(report).toMatchObject({ level, result: 'PASSED', problems: [], rows: level === 'DEEP' ? 4 : null });
    }
    expect((await showArchive(directory.path, { key })).verified).toMatchObject({ [level]: { result: 'PASSED' } });
  });

  it('is not for a directory without a manifest', async () => {
    await using directory = await temporaryDirectory();
    await writeArchive(directory.path);
    await rm(join(directory.path, 'metadata.json'));
    await expect(verify({ from: directory.path, level })).rejects.toMatchObject({ code: 'DR_NOT_FOUND' });
  });

  it('tells how far it is, to the end', async () => {
    await using directory = await temporaryDirectory();
    await writeArchive(directory.path);
    const told: DrProgress[] = [];
    await verify({ from: directory.path, level, onProgress: (progress) => told.push(progress) });
    expect(told.at(-1)).toMatchObject({ percent: 100, etaMs: 0 });
    expect(told.at(-1)?.bytesDone).toBe(told.at(-1)?.bytesTotal);
  });

  it('stops when it is cancelled', async () => {
    await using directory = await temporaryDirectory();
    await writeArchive(directory.path);
    const cancelled = verify({ from: directory.path, level, signal: AbortSignal.abort() });
    await expect(cancelled).rejects.toMatchObject({ code: 'DR_CANCELLED' });
  });
});

describe('a deep verification', () => {
  it('lists every problem, not only the first', async () => {
    await using directory = await temporaryDirectory();
    await writeArchive(directory.path);
    await truncate(join(directory.path, FIRST), 3);
    await rm(join(directory.path, 'data/1/0.copy'));
    await expect(verify({ from: directory.path, level: 'DEEP' })).rejects.toMatchObject({
      details: { problems: [expect.stringContaining(FIRST), expect.stringContaining('data/1/0.copy is missing')] },
    });
  });

  it('needs the key of an encrypted archive', async () => {
    await using directory = await temporaryDirectory();
    await writeArchive(directory.path, { key: new EncryptionKey(randomBytes(32)) });
    await expect(verify({ from: directory.path, level: 'DEEP' })).rejects.toMatchObject({ code: 'DR_INCOMPATIBLE' });
    const other = new EncryptionKey(randomBytes(32));
    await expect(verify({ from: directory.path, level: 'DEEP', key: other })).rejects.toMatchObject({
      code: 'DR_INCOMPATIBLE',
    });
  });
});

it('a drill says that it needs a target', async () => {
  await using directory = await temporaryDirectory();
  await writeArchive(directory.path);
  await expect(verify({ from: directory.path, level: 'DRILL' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});

it('a report of another backup does not count', async () => {
  await using directory = await temporaryDirectory();
  const [first, second] = [join(directory.path, 'first'), join(directory.path, 'second')];
  await writeArchive(first);
  await writeArchive(second, { database: 'other' });
  await verify({ from: first, level: 'QUICK' });
  await cp(join(first, 'verified.json'), join(second, 'verified.json'));
  expect((await showArchive(second)).verified).toEqual({});
  expect((await checkArchive(new DirectoryStorage(second))).server.database).toBe('other');
});
