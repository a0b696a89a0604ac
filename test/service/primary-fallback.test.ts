import { expect, it } from 'vitest';
import { Fallback } from '../../src/fallback/fallback.ts';
import type { CollectionRules } from '../../src/fallback/question.ts';
import type { Tier } from '../../src/fallback/tiers.ts';
import { PrimaryService } from '../../src/service/primary.ts';
import { primaryHarness, reading, writing } from './harness.ts';

const NOW = Date.parse('2026-01-01T00:00:10.000Z');

/** A primary whose database can be kept away; its copy is the same documents, as they were 1.5 s ago. */
async function setUp(position = { epoch: 1, sequence: 1 }) {
  const harness = await primaryHarness();
  const { store, log } = harness;
  await store.collection('things').insertOne({ _id: 'a', name: 'Ada', n: 1 });
  const live: Tier = {
    ...{ source: 'LIVE', store },
    coverage: () => 'WHOLE',
    stalenessMs: () => 1_500,
    position: () => position,
  };
  const rules = (collection: string): CollectionRules => ({
    entity: collection === 'things' ? 'Thing' : 'Token',
    ...{ uniquePaths: [], requiredPaths: [], lists: 'REFUSE', masked: 'NULL' },
  });
  const fallback = new Fallback({ tiers: [live], rules });
  fallback.attach({ store, ping: async () => {} });
  const service = new PrimaryService({ store: fallback.store, fallback, log, now: () => NOW });
  return {
    ...{ service, fallback, thing: harness.entity('Thing'), token: harness.entity('Token') },
    async [Symbol.asyncDispose]() {
      fallback.stop();
      await harness[Symbol.asyncDispose]();
    },
  };
}

it('says that the database answered, while it does', async () => {
  await using bench = await setUp();
  const context = reading();
  await bench.service.find(bench.thing, {}, {}, context);
  expect(context.provenance).toMatchObject({ source: 'DATABASE', stalenessMs: 0, position: '1.1', degraded: false });
});

it('says that the copy answered, how old it is and where it stands', async () => {
  await using bench = await setUp();
  bench.fallback.force({}, 'OPEN');
  const context = reading();
  expect(await bench.service.find(bench.thing, {}, {}, context)).toHaveLength(1);
  expect(await bench.service.count(bench.thing, {}, context)).toBe(1);
  expect(context.provenance).toEqual({
    ...{ source: 'LIVE', asOf: '2026-01-01T00:00:08.500Z', stalenessMs: 1_500, position: '1.1', degraded: true },
  });
});

it('says of each entity where it came from when that differs', async () => {
  await using bench = await setUp();
  const context = reading();
  await bench.service.find(bench.thing, {}, {}, context);
  bench.fallback.force({ collection: 'tokens' }, 'OPEN');
  await bench.service.findGrouped(bench.token, '_id', ['x'], {}, {}, context);
  expect(context.provenance).toMatchObject({
    ...{ source: 'MIXED', stalenessMs: 1_500, degraded: true },
    fields: [
      { entity: 'Thing', source: 'DATABASE', stalenessMs: 0 },
      { entity: 'Token', source: 'LIVE', stalenessMs: 1_500, asOf: '2026-01-01T00:00:08.500Z' },
    ],
  });
});

it('calls what was written to the database and read elsewhere mixed', async () => {
  await using bench = await setUp();
  const context = writing('createThing');
  await bench.service.create(bench.thing, { name: 'Bo' }, context);
  bench.fallback.force({}, 'OPEN');
  await bench.service.find(bench.thing, {}, {}, context);
  expect(context.provenance?.source).toBe('MIXED');
});

it('calls what was read elsewhere and then written to the database mixed, as it does the other way round', async () => {
  await using bench = await setUp();
  bench.fallback.force({ collection: 'tokens' }, 'OPEN');
  const request = reading();
  await bench.service.findGrouped(bench.token, '_id', ['x'], {}, {}, request);
  expect(request.provenance?.source).toBe('LIVE');
  const write = { ...writing('createThing'), ...request };
  await bench.service.create(bench.thing, { name: 'Bo' }, write);
  const mixed = {
    ...{ source: 'MIXED', stalenessMs: 1_500, degraded: true },
    fields: [
      { entity: 'Thing', source: 'DATABASE', stalenessMs: 0 },
      { entity: 'Token', source: 'LIVE', stalenessMs: 1_500 },
    ],
  };
  expect(write.provenance).toMatchObject(mixed);

  const reads = reading();
  await bench.service.findGrouped(bench.token, '_id', ['x'], {}, {}, reads);
  await bench.service.find(bench.thing, {}, {}, reads);
  expect(reads.provenance).toMatchObject(mixed);
});

it('refuses a read that wants what the copy does not have', async () => {
  await using bench = await setUp({ epoch: 1, sequence: 0 });
  bench.fallback.force({}, 'OPEN');
  const stale = { code: 'STALE_READ' };
  const old = bench.service.find(bench.thing, {}, {}, reading({ maxStalenessMs: 1_000 }));
  await expect(old).rejects.toMatchObject(stale);
  const behind = bench.service.find(bench.thing, {}, {}, reading({ minPosition: { epoch: 1, sequence: 1 } }));
  await expect(behind).rejects.toMatchObject(stale);
});

it('refuses writes while the database is away', async () => {
  await using bench = await setUp();
  bench.fallback.force({}, 'OPEN');
  const write = bench.service.create(bench.thing, { name: 'Bo' }, writing('createThing'));
  await expect(write).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE', details: { retryAfterMs: 1_000 } });
});
