import { expect, it } from 'vitest';
import { maskSecrets } from '../../src/util/secrets.ts';

it.each([
  ['store.url', 'mongodb://user:pass@host/db', 'mongodb://user:***@host/db'],
  ['store.url', 'mongodb://user:p:a/ss@host/db', 'mongodb://user:***@host/db'],
  ['store.url', 'redis://:pass@host', 'redis://:***@host'],
  ['replica.primary', 'wss://host/graphql?token=abc&x=1', 'wss://host/graphql?token=***&x=1'],
  ['replica.token', 'abc', '***'],
  ['store.url', 'sqlite:./data', 'sqlite:./data'],
])('masks the secrets of %s %s', (path, value, shown) => {
  expect(maskSecrets(path, value)).toBe(shown);
});
