import { expect, test } from 'vitest';
import { Lru } from '../../src/util/lru.ts';

test('forgets what was used longest ago', () => {
  const lru = new Lru<string, number>(2);
  lru.set('a', 1);
  lru.set('b', 2);
  expect(lru.get('a')).toBe(1);
  lru.set('c', 3);
  expect([lru.get('a'), lru.get('b'), lru.get('c')]).toEqual([1, undefined, 3]);
  expect(lru.size).toBe(2);
});

test('setting again is using', () => {
  const lru = new Lru<string, number>(2);
  lru.set('a', 1);
  lru.set('b', 2);
  lru.set('a', 3);
  lru.set('c', 4);
  expect([lru.get('a'), lru.get('b')]).toEqual([3, undefined]);
  lru.clear();
  expect(lru.size).toBe(0);
});

test('weighs entries when told how', () => {
  const lru = new Lru<string, string>(10, (value, key) => value.length + key.length);
  lru.set('a', '1234');
  lru.set('b', '1234');
  lru.set('c', '12');
  expect([lru.get('a'), lru.get('b'), lru.get('c')]).toEqual([undefined, '1234', '12']);
  lru.set('d', 'longer than all there is room for');
  expect(lru.size).toBe(0);
  lru.set('e', '1');
  expect(lru.get('e')).toBe('1');
});
