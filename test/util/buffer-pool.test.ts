import { describe, expect, it } from 'vitest';
import { BufferPool } from '../../src/util/buffer-pool.ts';

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
