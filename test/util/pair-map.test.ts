import { expect, it } from 'vitest';
import { PairMap } from '../../src/util/pair-map.ts';

it('keeps values through growth, by both halves of the key', () => {
  const map = new PairMap();
  for (let n = 0; n < 20_000; n++) map.set(map.slotFor(n >>> 3, n * 2), n, ~n);
  expect(map.size).toBe(20_000);
  for (let n = 0; n < 20_000; n++) {
    const slot = map.slotOf(n >>> 3, n * 2);
    expect([map.high(slot), map.low(slot)]).toEqual([n, ~n >>> 0]);
  }
  expect(map.slotOf(1, 0)).toBe(-1);
  expect(map.slotOf(0, 40_000)).toBe(-1);
});

it('makes a slot of value 0 once, also for the key 0', () => {
  const map = new PairMap();
  const slot = map.slotFor(0, 0);
  expect([map.high(slot), map.low(slot), map.size]).toEqual([0, 0, 1]);
  expect(map.slotFor(0, 0)).toBe(slot);
  expect(map.size).toBe(1);
});
