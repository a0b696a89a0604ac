import { expect, test } from 'vitest';
import { type Cut, FrameCache } from '../../src/replication/frame-cache.ts';
import { frameOf } from '../support/entries.ts';

function cutOf(bytes: number): Cut {
  const { head, floor, digests, ...body } = frameOf([]);
  return { body: { ...body, body: 'x'.repeat(bytes) }, short: false };
}

test('a cut is made once for all who ask, also while it is being made', async () => {
  const cache = new FrameCache(10_000);
  let made = 0;
  const make = async () => {
    made += 1;
    await Promise.resolve();
    return cutOf(10);
  };
  const cuts = await Promise.all([cache.get('a', make), cache.get('a', make), cache.get('a', make)]);
  expect(await cache.get('a', make)).toBe(cuts[0]);
  expect(made).toBe(1);
});

test('it holds no more than its bytes, but always the latest', async () => {
  const cache = new FrameCache(10_000);
  for (let i = 0; i < 100; i++) {
    await cache.get(`${i}`, async () => cutOf(1_000));
    expect(cache.bytes).toBeLessThanOrEqual(10_000);
  }
  await cache.get('large', async () => cutOf(50_000));
  let again = false;
  await cache.get('large', async () => {
    again = true;
    return cutOf(1);
  });
  expect(again).toBe(false);
});

test('what was used last stays longest', async () => {
  const cache = new FrameCache(5_000);
  for (const key of ['a', 'b', 'c']) await cache.get(key, async () => cutOf(1_000));
  await cache.get('a', async () => cutOf(1));
  await cache.get('d', async () => cutOf(1_000));
  const made: string[] = [];
  for (const key of ['a', 'b']) {
    await cache.get(key, async () => {
      made.push(key);
      return cutOf(1);
    });
  }
  expect(made).toEqual(['b']);
});

test('one that fails is not kept', async () => {
  const cache = new FrameCache(1_000);
  await expect(cache.get('a', () => Promise.reject(new Error('gone')))).rejects.toThrow('gone');
  expect(await cache.get('a', async () => cutOf(3))).toEqual(cutOf(3));
});

test('one that fails after everything was dropped leaves its successor alone', async () => {
  const cache = new FrameCache(1_000);
  const failing = Promise.withResolvers<Cut>();
  const failed = cache.get('a', () => failing.promise);
  cache.clear();
  const cut = cutOf(3);
  await cache.get('a', async () => cut);
  failing.reject(new Error('gone'));
  await expect(failed).rejects.toThrow('gone');
  expect(await cache.get('a', async () => cutOf(4))).toBe(cut);
});

test('one that arrives after everything was dropped is not counted', async () => {
  const cache = new FrameCache(1_000);
  const cut = cache.get('a', async () => cutOf(100));
  cache.clear();
  await cut;
  expect(cache.bytes).toBe(0);
});
