import { describe, expect, it } from 'vitest';
import { LiveTier } from '../../../src/fallback/live/live-tier.ts';
import { createMeta } from '../../../src/sqlite/meta.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { openSqliteStore } from '../../support/sqlite-store.ts';

/** ms since 1970 when the clock of the test says 0. */
const BEGIN = 1_000_000;

async function setUp(exclusiveWriter: boolean, uncapturedSince?: () => number | undefined) {
  const fixture = await openSqliteStore([]);
  await fixture.database.transaction(createMeta);
  const clock = new ManualClock();
  const copy = {
    holds: (name: string) => name === 'teachers',
    isSettled: true,
    lagChanges: 0,
    reached: async () => true,
  };
  const head = { epoch: 1, sequence: 0, chain: '', at: 0 };
  const open = (): LiveTier =>
    new LiveTier({
      ...{ copy, store: fixture.store, database: fixture.database, exclusiveWriter, uncapturedSince, clock },
      log: { head: () => head },
      now: () => BEGIN + clock.now(),
    });
  return { clock, copy, head, open, [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose]() };
}

describe('LiveTier', () => {
  it('has the collections that the copy has whole, and no others', async () => {
    await using bench = await setUp(true);
    const tier = bench.open();
    expect(tier.coverage('teachers')).toBe('WHOLE');
    expect(tier.coverage('pupils')).toBe('NONE');
  });

  it('is as old as the moment at which the end of the log was last known and held', async () => {
    await using bench = await setUp(true);
    const tier = bench.open();
    tier.follow({
      get endKnownMs() {
        return Math.min(bench.clock.now(), 500);
      },
    });
    await bench.clock.advance(400);
    expect(tier.stalenessMs()).toBe(0);
    await bench.clock.advance(400);
    expect(tier.stalenessMs()).toBe(300);
    bench.copy.lagChanges = 3;
    await bench.clock.advance(100);
    expect(tier.stalenessMs()).toBe(400);
  });

  it('goes no further than the first write that is not in the log', async () => {
    let since: number | undefined = BEGIN;
    await using bench = await setUp(true, () => since);
    const tier = bench.open();
    await bench.clock.advance(700);
    tier.follow({ endKnownMs: 700 });
    expect(tier.stalenessMs()).toBe(700);
    since = undefined;
    expect(tier.stalenessMs()).toBe(0);
  });

  it('goes as far as its last change while it was never at the head', async () => {
    await using bench = await setUp(true);
    bench.head.at = BEGIN - 5_000;
    const tier = bench.open();
    expect(tier.stalenessMs()).toBe(5_000);
    bench.copy.isSettled = false;
    tier.follow({ endKnownMs: 0 });
    expect(tier.stalenessMs()).toBe(5_000);
  });

  it('is as old as the last look for writers beside the gateway, also after a restart', async () => {
    await using bench = await setUp(false);
    const tier = bench.open();
    tier.follow({ endKnownMs: 0 });
    // Nobody ever looked.
    expect(tier.stalenessMs()).toBe(BEGIN);
    await tier.scrubbed(BEGIN - 60_000);
    await tier.scrubbed(BEGIN - 90_000);
    expect(tier.stalenessMs()).toBe(60_000);
    const again = bench.open();
    again.follow({ endKnownMs: 0 });
    expect(again.stalenessMs()).toBe(60_000);
  });
});
