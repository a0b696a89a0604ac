import { expect, test } from 'vitest';
import { Backoff } from '../../replica/backoff.ts';

test('pauses double up to the longest, and start again after a success', () => {
  const backoff = new Backoff({ baseMs: 100, maxMs: 1_000, random: () => 1 });
  expect(Array.from({ length: 6 }, () => backoff.next())).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  expect(backoff.tries).toBe(6);
  backoff.reset();
  expect(backoff.next()).toBe(100);
});

test('a pause is drawn from its upper half', () => {
  const least = new Backoff({ baseMs: 100, maxMs: 1_000, random: () => 0 });
  expect(least.next()).toBe(50);
  for (let n = 0; n < 5_000; n++) expect(least.next()).toBeLessThanOrEqual(1_000);
});
