import { describe, expect, it } from 'vitest';
import { BufferPool, beginsAtPage, PAGE_BYTES } from '../../src/util/buffer-pool.ts';

describe('a pool of buffers', () => {
  it('gives out again what was given back, never one buffer twice', () => {
    const pool = new BufferPool(64, 2);
    const [first, second] = [pool.take(), pool.take()];
    expect(first.length).toBe(64);
    expect(second).not.toBe(first);
    pool.give(first);
    expect(pool.take()).toBe(first);
    expect(pool.take()).not.toBe(first);
  });

  it('gives out first what begins at a page, and never loses it for others', () => {
    const pool = new BufferPool(PAGE_BYTES, 3);
    for (let round = 0; round < 3; round++) {
      const taken = Array.from({ length: 7 }, () => pool.take());
      expect(taken.filter(beginsAtPage)).toHaveLength(3);
      for (const buffer of round === 1 ? taken.reverse() : taken) pool.give(buffer);
    }
    expect([pool.take(), pool.take()].every(beginsAtPage)).toBe(true);
    expect(beginsAtPage(Buffer.allocUnsafeSlow(PAGE_BYTES))).toBe(false);
    expect(beginsAtPage(pool.take().subarray(1))).toBe(false);
  });

  it('keeps no more than it may, and none of another size', () => {
    const pool = new BufferPool(64, 1);
    const [first, second] = [pool.take(), pool.take()];
    pool.give(Buffer.alloc(0));
    pool.give(first);
    pool.give(second);
    expect(pool.take()).toBe(first);
    expect([first, second]).not.toContain(pool.take());
  });
});
