import { describe, expect, it } from 'vitest';
import { MissedWrites } from '../../../src/fallback/live/missed-writes.ts';
import { ManualClock } from '../../support/manual-clock.ts';

interface Bench {
  readonly clock: ManualClock;
  readonly looks: (readonly string[])[];
  readonly troubles: unknown[];
  /** What a look answers. */
  answer: () => number | undefined;
  readonly missed: MissedWrites;
}

/** Writes that are missed, and the looks for them; time in ms from 0. */
function setUp(): Bench {
  const clock = new ManualClock();
  const looks: (readonly string[])[] = [];
  const troubles: unknown[] = [];
  const bench: Bench = {
    ...{ clock, looks, troubles },
    answer: (): number | undefined => clock.now(),
    missed: new MissedWrites({
      ...{ clock, now: () => clock.now(), onTrouble: (error: unknown) => void troubles.push(error) },
      look: async (collections): Promise<number | undefined> => {
        looks.push(collections);
        return bench.answer();
      },
    }),
  };
  return bench;
}

describe('MissedWrites', () => {
  it('knows since when something may be missing, until it was looked for', async () => {
    const { clock, missed, looks } = setUp();
    expect(missed.since).toBeUndefined();
    await clock.advance(100);
    missed.add('orders', 90);
    missed.add('orders', 95);
    missed.add('people', 60);
    expect(missed.since).toBe(60);
    await clock.advance(300);
    expect(looks).toEqual([['orders', 'people']]);
    expect(missed.since).toBeUndefined();
  });

  it('looks again for what could be seen only after a look began', async () => {
    const { clock, missed, looks } = setUp();
    missed.add('orders', 0, 1_000);
    await clock.advance(300);
    expect(missed.since).toBe(0);
    await clock.advance(2_000);
    expect(looks.length).toBeGreaterThan(1);
    expect(missed.since).toBeUndefined();
  });

  it('takes what another look found', async () => {
    const { clock, missed } = setUp();
    missed.add('orders', 0);
    missed.add('people', 0);
    await clock.advance(10);
    missed.found(['orders', 'people'], 0);
    expect(missed.since).toBe(0);
    missed.found(['orders'], 5);
    expect(missed.since).toBe(0);
    missed.found(['people'], 5);
    expect(missed.since).toBeUndefined();
  });

  it('tries again, ever later, while a look fails, and tells why', async () => {
    const bench = setUp();
    const { clock, missed, looks, troubles } = bench;
    const failure = new Error('no');
    bench.answer = () => {
      throw failure;
    };
    missed.add('orders', 0);
    await clock.advance(300);
    expect(troubles).toEqual([failure]);
    await clock.advance(60_000);
    expect(looks.length).toBeGreaterThan(4);
    expect(looks.length).toBeLessThan(9);
    bench.answer = () => clock.now();
    await clock.advance(60_000);
    expect(missed.since).toBeUndefined();
    expect(troubles.at(-1)).toBeNull();
  });

  it('looks no more once it is stopped', async () => {
    const { clock, missed, looks } = setUp();
    missed.add('orders', 0);
    missed.stop();
    await clock.advance(1_000);
    expect(looks).toEqual([]);
  });
});
