import { randomBytes } from 'node:crypto';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { EncryptionKey, readKeyFile } from '../../../src/dr/archive/encryption-key.ts';
import { temporaryDirectory } from '../../support/temporary.ts';

const BYTES = randomBytes(32);

it.each([
  ['hexadecimal', BYTES.toString('hex')],
  ['capital hexadecimal with a line feed', `${BYTES.toString('hex').toUpperCase()}\n`],
  ['base64', `${BYTES.toString('base64')}\n`],
  ['base64url', BYTES.toString('base64url')],
])('a key file may be %s', async (_, text) => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'key');
  await writeFile(file, text, { mode: 0o600 });
  expect((await readKeyFile(file)).id).toBe(new EncryptionKey(BYTES).id);
});

it.each([
  ['too short', 'abcdef'],
  ['too long', BYTES.toString('hex').repeat(2)],
  ['no key', 'correct horse battery staple'],
  ['empty', ''],
  ['large', 'a'.repeat(5_000)],
])('a key file that is %s is refused, and not shown', async (_, text) => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'key');
  await writeFile(file, text, { mode: 0o600 });
  const reading = readKeyFile(file);
  await expect(reading).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining(file) });
  if (text !== '') await expect(reading).rejects.not.toThrow(text);
});

it('a key file that others can read is refused', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'key');
  await writeFile(file, BYTES.toString('hex'));
  await chmod(file, 0o640);
  await expect(readKeyFile(file)).rejects.toThrow('chmod 600');
});

it('a key file that is not there is named', async () => {
  await expect(readKeyFile('/does/not/exist')).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});
