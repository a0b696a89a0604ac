import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { replaceFile } from '../../src/util/atomic-file.ts';
import { temporaryDirectory } from '../support/temporary.ts';

test('replaces a file as a whole, for its owner only, and leaves no draft', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'file');
  writeFileSync(file, 'old, and longer than what comes');
  replaceFile(file, 'new');
  expect(readFileSync(file, 'utf8')).toBe('new');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory.path)).toEqual(['file']);
});

test('a file that cannot be replaced stays as it was, without a draft beside it', async () => {
  await using directory = await temporaryDirectory();
  mkdirSync(join(directory.path, 'taken'));
  expect(() => replaceFile(join(directory.path, 'taken'), 'new')).toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
  expect(readdirSync(directory.path)).toEqual(['taken']);
});
