import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DirectoryStorage } from '../../../src/dr/archive/directory-storage.ts';
import { openStorage } from '../../../src/dr/archive/open-storage.ts';
import { temporaryDirectory } from '../../support/temporary.ts';

async function text(storage: DirectoryStorage, name: string): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of storage.read(name)) parts.push(Buffer.from(part));
  return Buffer.concat(parts).toString();
}

async function put(storage: DirectoryStorage, name: string, content: string): Promise<void> {
  const sink = await storage.create(name);
  await sink.write(Buffer.from(content));
  await sink.commit();
}

describe('an archive in a directory', () => {
  it('shows a file when it is committed, whole', async () => {
    await using directory = await temporaryDirectory();
    const storage = new DirectoryStorage(join(directory.path, 'new/archive'));
    expect(await storage.list()).toEqual([]);
    const sink = await storage.create('data/1/0.copy');
    await sink.write(Buffer.from('one '));
    await sink.write(Buffer.from('two'));
    expect(await storage.list()).toEqual([]);
    await expect(text(storage, 'data/1/0.copy')).rejects.toMatchObject({ code: 'DR_NOT_FOUND' });
    await sink.commit();
    expect(await storage.list()).toEqual([{ name: 'data/1/0.copy', bytes: 7 }]);
    expect(await text(storage, 'data/1/0.copy')).toBe('one two');
  });

  it('makes what was committed durable when it is asked to, once, and tells what it could not', async () => {
    await using directory = await temporaryDirectory();
    const storage = new DirectoryStorage(directory.path);
    for (let i = 0; i < 20; i++) await put(storage, `data/1/${i}.copy`, 'rows');
    await rm(join(directory.path, 'data/1/13.copy'));
    await expect(storage.flush()).rejects.toMatchObject({ code: 'DR_NOT_FOUND' });
    await put(storage, 'data/1/13.copy', 'rows');
    await storage.flush();
    await storage.removeAll();
    await storage.flush();
  });

  it('makes larger files durable while others are written, and can be removed meanwhile', async () => {
    await using directory = await temporaryDirectory();
    const storage = new DirectoryStorage(join(directory.path, 'archive'));
    const content = 'rows'.repeat(100_000);
    const putAll = (name: string): Promise<unknown> =>
      Promise.all(Array.from({ length: 5 }, (_, i) => put(storage, `data/${name}.${i}.copy`, content)));
    await putAll('a');
    await storage.flush();
    expect(await storage.list()).toHaveLength(5);
    await putAll('b');
    await storage.removeAll();
    await storage.flush();
    expect(await readdir(directory.path)).toEqual([]);
  });

  it('leaves nothing of a file that was given up', async () => {
    await using directory = await temporaryDirectory();
    const storage = new DirectoryStorage(directory.path);
    const sink = await storage.create('a.bin');
    await sink.write(Buffer.from('x'));
    await sink.abort();
    expect(await readdir(directory.path)).toEqual([]);
  });

  it('creates a new file once, and replaces one that may exist', async () => {
    await using directory = await temporaryDirectory();
    const storage = new DirectoryStorage(directory.path);
    await storage.createNew('metadata.json', Buffer.from('first'));
    await expect(storage.createNew('metadata.json', Buffer.from('second'))).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    expect(await text(storage, 'metadata.json')).toBe('first');
    await storage.replace('metadata.json', Buffer.from('third'));
    expect(await text(storage, 'metadata.json')).toBe('third');
    expect(await readdir(directory.path)).toEqual(['metadata.json']);
  });

  it.each(['../x', '/etc/passwd', 'a/../../x', 'a//b', '.hidden', 'A', 'a\\b', 'a\0b', '', 'a/', 'a'.repeat(300)])(
    'refuses the name %j',
    async (name) => {
      await using directory = await temporaryDirectory();
      const storage = new DirectoryStorage(join(directory.path, 'archive'));
      await expect(storage.create(name)).rejects.toThrow(TypeError);
      await expect(storage.replace(name, Buffer.of())).rejects.toThrow(TypeError);
      await expect(text(storage, name)).rejects.toThrow(TypeError);
      await expect(storage.remove(name)).rejects.toThrow(TypeError);
    },
  );

  it('follows no links, but may itself be reached by one', async () => {
    await using directory = await temporaryDirectory();
    const outside = join(directory.path, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'secret'), 'secret');
    await mkdir(join(directory.path, 'archive'));
    await symlink(outside, join(directory.path, 'archive/data'));
    await symlink(join(outside, 'secret'), join(directory.path, 'archive/file'));
    await symlink(join(directory.path, 'archive'), join(directory.path, 'alias'));
    const storage = new DirectoryStorage(join(directory.path, 'alias'));
    await put(storage, 'fine', 'fine');
    expect(await text(storage, 'fine')).toBe('fine');
    await expect(text(storage, 'file')).rejects.toMatchObject({ code: 'DR_CHECKSUM_MISMATCH' });
    await expect(text(storage, 'data/secret')).rejects.toMatchObject({ code: 'DR_CHECKSUM_MISMATCH' });
    await expect(put(storage, 'data/x', 'x')).rejects.toMatchObject({ code: 'DR_CHECKSUM_MISMATCH' });
    await expect(storage.remove('data/secret')).rejects.toMatchObject({ code: 'DR_CHECKSUM_MISMATCH' });
    expect((await storage.list()).map(({ name }) => name)).toEqual(['data', 'file', 'fine']);
    expect(await readdir(outside)).toEqual(['secret']);
  });

  it('says what keeps it from writing', async () => {
    await using directory = await temporaryDirectory();
    await writeFile(join(directory.path, 'file'), '');
    const storage = new DirectoryStorage(join(directory.path, 'file/archive'));
    await expect(storage.create('a')).rejects.toMatchObject({ code: 'DATA_UNWRITABLE' });
  });

  it('removes itself with everything in it', async () => {
    await using directory = await temporaryDirectory();
    const storage = new DirectoryStorage(join(directory.path, 'archive'));
    await put(storage, 'data/1/0.copy', 'x');
    const unfinished = await storage.create('data/1/1.copy');
    await storage.removeAll();
    await unfinished.abort();
    expect(await readdir(directory.path)).toEqual([]);
    await storage.removeAll();
  });
});

describe('the place of an archive', () => {
  it('is a directory or a bucket, no other URL', async () => {
    expect((await openStorage('./backups/x')).location).toMatch(/^\/.*\/backups\/x$/);
    await expect(openStorage('postgres://user:secret@host/db')).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.not.stringContaining('secret'),
    });
  });
});
