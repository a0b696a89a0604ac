import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ArchiveShelf } from '../../../src/dr/jobs/archive-shelf.ts';
import { temporaryDirectory } from '../../support/temporary.ts';

const ID = '20260131T083000000-backup-shop-0a1b2c';

describe('the archives of a gateway', () => {
  it('are found by name, and by nothing that leads elsewhere', async () => {
    await using directory = await temporaryDirectory();
    const place = join(directory.path, 'archives');
    for (const path of ['archives/monday', 'archives/jobs', 'elsewhere']) {
      mkdirSync(join(directory.path, path), { recursive: true });
    }
    symlinkSync(join(directory.path, 'elsewhere'), join(place, 'link'));
    writeFileSync(join(place, 'file'), '');
    const shelf = new ArchiveShelf(place);
    expect(await shelf.find('monday')).toBe(join(place, 'monday'));
    const strange = [
      '../elsewhere',
      '/etc',
      join(place, 'monday'),
      'monday/',
      './monday',
      '',
      '.',
      '..',
      'jobs',
      'link',
    ];
    for (const name of [...strange, 'file', 'tuesday', 's3://bucket/monday']) {
      await expect(shelf.find(name)).rejects.toMatchObject({ code: 'DR_NOT_FOUND' });
      await expect(shelf.remove(name, {})).rejects.toMatchObject({ code: 'DR_NOT_FOUND' });
    }
  });

  it('of a new backup lies beside the others, in a directory or a bucket', () => {
    expect(new ArchiveShelf('/srv/archives').placeFor(ID)).toBe(`/srv/archives/${ID}`);
    expect(new ArchiveShelf('s3://bucket').placeFor(ID)).toBe(`s3://bucket/${ID}`);
    const other = new ArchiveShelf('s3://bucket/a/b?endpoint=http://127.0.0.1:7070');
    expect(other.placeFor(ID)).toBe(`s3://bucket/a/b/${ID}?endpoint=${encodeURIComponent('http://127.0.0.1:7070')}`);
  });

  it('leave nothing of an interrupted backup, also when it had not begun', async () => {
    await using directory = await temporaryDirectory();
    const shelf = new ArchiveShelf(directory.path);
    expect(await shelf.settle(ID)).toBe(false);
    mkdirSync(join(directory.path, ID, 'data'), { recursive: true });
    writeFileSync(join(directory.path, ID, 'data', '1.copy.zst.0a1b2c3d4e5f.tmp'), 'half');
    expect(await shelf.settle(ID)).toBe(false);
    expect(existsSync(join(directory.path, ID))).toBe(false);
  });

  it('keep a directory that is no archive', async () => {
    await using directory = await temporaryDirectory();
    mkdirSync(join(directory.path, 'photos'));
    writeFileSync(join(directory.path, 'photos', 'summer.jpg'), '');
    const shelf = new ArchiveShelf(directory.path);
    await expect(shelf.remove('photos', {})).rejects.toMatchObject({ code: 'DR_NOT_FOUND' });
    expect(existsSync(join(directory.path, 'photos', 'summer.jpg'))).toBe(true);
    expect(await shelf.list({})).toEqual([]);
  });
});
