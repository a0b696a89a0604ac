import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listArchives, pruneArchives } from '../../src/dr/archives.ts';
import { writeArchive } from '../support/archive.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** Four archives of two databases, and things that are none. */
async function place(): Promise<{ readonly path: string } & AsyncDisposable> {
  const directory = await temporaryDirectory();
  const at = (name: string): string => join(directory.path, name);
  for (const day of [1, 2, 3]) await writeArchive(at(`shop-${day}`), { endedAt: `2026-01-0${day}T00:00:00.000Z` });
  await writeArchive(at('crm'), { endedAt: '2025-01-01T00:00:00.000Z', database: 'crm' });
  await writeArchive(at('broken'));
  await writeFile(at('broken/metadata.json'), '{}');
  await mkdir(at('photos'));
  await writeFile(at('photos/metadata.json.txt'), 'mine');
  await writeFile(at('notes.txt'), 'mine');
  return directory;
}

describe('a list of archives', () => {
  it('is newest first, and names what is none', async () => {
    await using directory = await place();
    const { archives, unknown } = await listArchives(directory.path);
    const names = archives.map(({ location }) => location.slice(directory.path.length + 1));
    expect(names).toEqual(['shop-3', 'shop-2', 'shop-1', 'crm']);
    expect(archives[0]).toMatchObject({
      database: 'shop',
      tables: 2,
      rows: 4,
      grade: 'A',
      encrypted: false,
      verified: {},
    });
    expect(unknown).toEqual([
      { location: join(directory.path, 'broken'), reason: expect.stringContaining('was altered') },
      { location: join(directory.path, 'photos'), reason: expect.stringContaining('is not a backup') },
    ]);
  });

  it('of an archive is that archive; of a place that does not exist it is empty', async () => {
    await using directory = await place();
    const own = await listArchives(join(directory.path, 'crm'));
    expect(own.archives.map(({ database }) => database)).toEqual(['crm']);
    expect(await listArchives(join(directory.path, 'nowhere'))).toEqual({ archives: [], unknown: [] });
  });
});

describe('pruning', () => {
  it('keeps the newest of each database and leaves alone what is no archive', async () => {
    await using directory = await place();
    const summary = await pruneArchives(directory.path, { keep: 1 });
    expect(summary.removed.map(({ endedAt }) => endedAt.slice(0, 10))).toEqual(['2026-01-02', '2026-01-01']);
    expect(summary.unknown).toHaveLength(2);
    expect((await readdir(directory.path)).sort()).toEqual(['broken', 'crm', 'notes.txt', 'photos', 'shop-3']);
  });

  it('only tells with dryRun', async () => {
    await using directory = await place();
    const before = await readdir(directory.path, { recursive: true });
    const { removed } = await pruneArchives(directory.path, { keep: 2, dryRun: true });
    expect(removed).toHaveLength(1);
    expect(await readdir(directory.path, { recursive: true })).toEqual(before);
  });

  it('leaves an archive alone that holds a file of somebody else', async () => {
    await using directory = await place();
    await writeFile(join(directory.path, 'shop-1/diary.txt'), 'mine');
    const { removed, unknown } = await pruneArchives(directory.path, { keep: 2 });
    expect(removed).toEqual([]);
    expect(unknown.map(({ reason }) => reason)).toContain('diary.txt is no part of the backup');
  });

  it('lets an archive of selected rows or tables push out none but those of the same selection', async () => {
    await using directory = await place();
    const at = (name: string): string => join(directory.path, name);
    const suffixes = { orders: 'WHERE tenant = 1' };
    await writeArchive(at('rows-4'), { endedAt: '2026-02-04T00:00:00.000Z', suffixes });
    await writeArchive(at('rows-5'), { endedAt: '2026-02-05T00:00:00.000Z', suffixes });
    await writeArchive(at('tables-6'), { endedAt: '2026-02-06T00:00:00.000Z', chosen: ['users', 'orders'] });
    await writeArchive(at('tables-7'), { endedAt: '2026-02-07T00:00:00.000Z', chosen: ['orders', 'users'] });
    const { kept, removed } = await pruneArchives(directory.path, { keep: 1 });
    const names = (of: typeof kept): string[] => of.map(({ location }) => location.slice(directory.path.length + 1));
    expect(names(kept)).toEqual(['tables-7', 'rows-5', 'shop-3', 'crm']);
    expect(names(removed)).toEqual(['tables-6', 'rows-4', 'shop-2', 'shop-1']);
    expect(kept.map(({ subset }) => subset)).toEqual([true, true, false, false]);
  });

  it('leaves those alone whose server cannot be told from another', async () => {
    await using directory = await temporaryDirectory();
    for (const day of [1, 2]) {
      await writeArchive(join(directory.path, `day-${day}`), {
        endedAt: `2026-01-0${day}T00:00:00.000Z`,
        identity: '',
      });
    }
    const { kept, removed, unknown } = await pruneArchives(directory.path, { keep: 1 });
    expect([kept.length, removed.length]).toEqual([1, 0]);
    expect(unknown).toEqual([
      { location: join(directory.path, 'day-1'), reason: expect.stringContaining('did not tell its identity') },
    ]);
  });

  it('removes a damaged archive only when its manifest is whole', async () => {
    await using directory = await place();
    await rm(join(directory.path, 'shop-1/data'), { recursive: true });
    const { removed } = await pruneArchives(directory.path, { keep: 2 });
    expect(removed).toHaveLength(1);
  });

  it.each([0, -1, 1.5, Number.NaN])('does not keep %d', async (keep) => {
    await using directory = await place();
    await expect(pruneArchives(directory.path, { keep })).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    expect((await listArchives(directory.path)).archives).toHaveLength(4);
  });
});
