import { expect, it } from 'vitest';
import { nearest } from '../../src/util/nearest.ts';

const KEYS = ['server.port', 'server.opsPort', 'store.url', 'schema'];

it.each([
  ['sever.port', 'server.port'],
  ['SERVER.OPSPORT', 'server.opsPort'],
  ['shcema', 'schema'],
  ['store.ulr', 'store.url'],
])('takes %s for %s', (word, expected) => {
  expect(nearest(word, KEYS)).toBe(expected);
});

it('suggests nothing when no candidate is near', () => {
  expect(nearest('colour', KEYS)).toBeUndefined();
  expect(nearest('', KEYS)).toBeUndefined();
});

it('prefers the first of equally near candidates', () => {
  expect(nearest('ab', ['ac', 'ad'])).toBe('ac');
});
