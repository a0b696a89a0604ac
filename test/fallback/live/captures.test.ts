import { describe, expect, it } from 'vitest';
import { Captures } from '../../../src/fallback/live/captures.ts';

/** Captures that end when they are told to. */
function setUp() {
  const calls: {
    readonly collection: string;
    readonly ids: readonly unknown[];
    readonly end: (ok: boolean) => void;
  }[] = [];
  const captures = new Captures({
    capture: (collection, ids) => new Promise((end) => void calls.push({ collection, ids, end })),
  });
  return { calls, captures };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('Captures', () => {
  it('takes together what comes while a collection is being captured, each document once', async () => {
    const { calls, captures } = setUp();
    const first = captures.capture('orders', [1]);
    const others = Promise.all([captures.capture('orders', [2, 3]), captures.capture('orders', [3, 1])]);
    expect(calls.map(({ ids }) => ids)).toEqual([[1]]);
    calls[0]?.end(true);
    expect(await first).toBe(true);
    await settled();
    expect(calls.map(({ ids }) => ids)).toEqual([[1], [2, 3, 1]]);
    calls[1]?.end(true);
    expect(await others).toEqual([true, true]);
  });

  it('lets no collection wait for another', () => {
    const { calls, captures } = setUp();
    void captures.capture('orders', [1]);
    void captures.capture('people', [1]);
    expect(calls.map(({ collection }) => collection)).toEqual(['orders', 'people']);
  });

  it('says of all that came together that they are not captured when that failed, and goes on', async () => {
    const captures = new Captures({
      capture: (_, ids) => (ids.includes(1) ? Promise.reject(new Error('no')) : Promise.resolve(true)),
    });
    expect(await Promise.all([captures.capture('orders', [1]), captures.capture('orders', [2])])).toEqual([
      false,
      true,
    ]);
  });
});
