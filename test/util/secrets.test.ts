import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { maskSecrets, secretOf } from '../../src/util/secrets.ts';
import { temporaryDirectory } from '../support/temporary.ts';

it.each([
  ['store.url', 'mongodb://user:pass@host/db', 'mongodb://user:***@host/db'],
  ['store.url', 'mongodb://user:p:a/ss@host/db', 'mongodb://user:***@host/db'],
  ['store.url', 'redis://:pass@host', 'redis://:***@host'],
  ['replica.primary', 'wss://host/graphql?token=abc&x=1', 'wss://host/graphql?token=***&x=1'],
  ['replica.token', 'abc', '***'],
  ['store.url', 'sqlite:./data', 'sqlite:./data'],
  [
    'store.url',
    'mongodb+srv://host/?authMechanism=MONGODB-AWS&authMechanismProperties=AWS_SESSION_TOKEN:abc&w=1',
    'mongodb+srv://host/?authMechanism=MONGODB-AWS&authMechanismProperties=***&w=1',
  ],
  [
    'dr.sources',
    { a: { ssl: { key: 'k', passphrase: 'p', pfx: 'x', ca: 'c' } } },
    '{"a":{"ssl":{"key":"***","passphrase":"***","pfx":"***","ca":"c"}}}',
  ],
  [
    'dr.sources',
    { a: { ssl: ['-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n'] } },
    '{"a":{"ssl":["***\\n"]}}',
  ],
  ['dr.keyFile', '/etc/holdfast/key', '/etc/holdfast/key'],
])('masks the secrets of %s %s', (path, value, shown) => {
  expect(maskSecrets(path, value)).toBe(shown);
});

it('takes a secret as it is, or from the first line of a file', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'token');
  writeFileSync(file, 'hf_abc\r\nmore\n');
  expect(secretOf('replica.token', 'hf_abc')).toBe('hf_abc');
  expect(secretOf('replica.token', `file:${file}`)).toBe('hf_abc');
});

it('names the setting whose file cannot be read', () => {
  expect(() => secretOf('replica.token', 'file:/nowhere/token')).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(/^replica\.token .*ENOENT/) }),
  );
});
