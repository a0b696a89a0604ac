import { expect, it } from 'vitest';
import { BROKEN } from './simulation/broken.ts';
import { type SimulationFailure, simulate } from './simulation.ts';
import { runSimulations } from './simulations.ts';

/** `npm run prove -- simulation --seeds N --from S` runs any others. */
const SEEDS = 10_000;
const PARTS = 4;
/** Seeds within which each broken variant must be found; most are within the first five. */
const PATIENCE = 400;

it('decides everything by the seed', async () => {
  const first = await simulate(7);
  expect(await simulate(7)).toEqual(first);
  expect((await simulate(8)).trace).not.toBe(first.trace);
});

it.each(Array.from({ length: PARTS }, (_, part) => 1 + (part * SEEDS) / PARTS))(
  'keeps every promise in the schedules from seed %i on',
  { timeout: 600_000 },
  async (from) => {
    const totals = await runSimulations({ from, seeds: SEEDS / PARTS });
    expect(totals.failures).toEqual([]);
    expect(totals.schedules).toBe(SEEDS / PARTS);
    // The schedules do what they are for.
    for (const name of ['crashes', 'cuts', 'reads', 'events', 'acknowledged'] as const) {
      expect(totals[name], name).toBeGreaterThan(totals.schedules / 2);
    }
    for (const name of ['resyncs', 'repairs', 'promotions', 'divergent'] as const)
      expect(totals[name], name).toBeGreaterThan(50);
    expect(totals.requests).toBeGreaterThan(totals.acknowledged);
  },
);

it.each(Object.entries(BROKEN))('finds %s', { timeout: 300_000 }, async (_name, parts) => {
  let found: unknown;
  for (let seed = 1; seed <= PATIENCE && found === undefined; seed++) {
    found = await simulate(seed, { parts }).then(
      () => undefined,
      (error: SimulationFailure) => error.message,
    );
  }
  expect(found).toMatch(/^seed \d+, step \d+: /);
});
