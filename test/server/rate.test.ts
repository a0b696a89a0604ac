import { expect, test } from 'vitest';
import { isHoldfastError } from '../../src/errors.ts';
import { RateLimiter } from '../../src/server/rate.ts';

test('allows a burst, then the rate; says how long to wait', () => {
  let nowMs = 0;
  const limiter = new RateLimiter({ perSecond: 10, burst: 3 }, () => nowMs);
  const takes = (caller: string): number | undefined => {
    try {
      limiter.take(caller);
      return undefined;
    } catch (error) {
      if (!isHoldfastError(error, 'RATE_LIMITED')) throw error;
      return error.details.retryAfterMs as number;
    }
  };
  expect([takes('a'), takes('a'), takes('a'), takes('a')]).toEqual([undefined, undefined, undefined, 100]);
  expect(takes('b')).toBeUndefined();
  nowMs = 60;
  expect(takes('a')).toBe(40);
  nowMs = 100;
  expect([takes('a'), takes('a')]).toEqual([undefined, 100]);
  nowMs = 60_000;
  expect([takes('a'), takes('a'), takes('a'), takes('a')]).toEqual([undefined, undefined, undefined, 100]);
});
