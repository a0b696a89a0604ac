import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ArchivePlace, OWNER_FILE } from '../../../src/dr/archive/archive-place.ts';
import { DirectoryStorage } from '../../../src/dr/archive/directory-storage.ts';
import { temporaryDirectory } from '../../support/temporary.ts';

describe('the place of an archive', () => {
  it('is taken once by those who try at the same time, and can be cleared by the one who has it alone', async () => {
    await using directory = await temporaryDirectory();
    const places = Array.from({ length: 8 }, () => new ArchivePlace(new DirectoryStorage(directory.path)));
    const taken = await Promise.allSettled(places.map((place) => place.take()));
    expect(taken.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of taken) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'DR_LOCKED' });
    }
    const winner = taken.findIndex(({ status }) => status === 'fulfilled');
    await Promise.all(places.map((place, index) => (index === winner ? undefined : place.clear())));
    const storage = new DirectoryStorage(directory.path);
    expect((await storage.list()).map(({ name }) => name)).toEqual([OWNER_FILE]);
    await places[winner]?.clear();
    expect(await storage.list()).toEqual([]);
  });

  it('is left with what was written, and then is not empty', async () => {
    await using directory = await temporaryDirectory();
    const storage = new DirectoryStorage(directory.path);
    const place = new ArchivePlace(storage);
    await place.take();
    await storage.createNew('data/1.0.copy', Buffer.from('rows'));
    await place.leave();
    expect((await storage.list()).map(({ name }) => name)).toEqual(['data/1.0.copy']);
    await expect(new ArchivePlace(storage).take()).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  const { pid: ended } = spawnSync(process.execPath, ['-e', '0']);
  it.each([
    ['a process of this machine that has ended', { pid: ended, host: hostname() }, 'ALREADY_EXISTS', /was ended/],
    ['a process of this machine that runs', { pid: process.pid, host: hostname() }, 'DR_LOCKED', /is writing/],
    ['a process of another machine', { pid: ended, host: 'elsewhere.example' }, 'DR_LOCKED', /on elsewhere.example/],
    ['nobody', { pid: 'x' }, 'ALREADY_EXISTS', /give a place/],
  ])('tells that it was taken by %s', async (_, owner, code, message) => {
    await using directory = await temporaryDirectory();
    await mkdir(join(directory.path, 'out'));
    await writeFile(join(directory.path, 'out', OWNER_FILE), JSON.stringify(owner));
    const place = new ArchivePlace(new DirectoryStorage(join(directory.path, 'out')));
    await expect(place.assertFree()).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });
});
