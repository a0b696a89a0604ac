import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { DatasetSource } from '../../../src/fallback/dataset/gather.ts';
import { DatasetKeeper, type DatasetKeeperOptions } from '../../../src/fallback/dataset/keeper.ts';
import { datasetKey } from '../../../src/fallback/dataset/key-file.ts';
import { openStaticTier } from '../../../src/fallback/dataset/static-dataset.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { KEY, PEOPLE, plantedSource } from '../../support/planted.ts';
import { temporaryDirectory } from '../../support/temporary.ts';

const HOUR_MS = 3_600_000;

async function keeperOver(options: Partial<DatasetKeeperOptions> = {}) {
  const directory = await temporaryDirectory();
  const memory = await plantedSource(20);
  const time = { now: Date.UTC(2026, 0, 1) };
  const errors: unknown[] = [];
  const base = { model: PEOPLE, out: directory.path, key: () => KEY, budget: { documents: 1_000, bytes: 1e9 } };
  const open = (more: Partial<DatasetKeeperOptions> = {}) =>
    new DatasetKeeper({
      ...{ ...base, source: () => memory.source, onError: (error) => errors.push(error), now: () => time.now },
      ...options,
      ...more,
    });
  return { open, errors, time, path: directory.path, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

it('has nothing before the first refresh, and serves it from then on, also after a restart', async () => {
  await using fixture = await keeperOver();
  {
    await using keeper = fixture.open();
    await keeper.run();
    expect(keeper.tier.coverage('people')).toBe('NONE');
    expect(keeper.start()).toMatchObject({ running: true });
    await keeper.settled();
    expect(keeper.status()).toMatchObject({ running: false, documents: 60, lastError: null });
  }
  fixture.time.now += 5_000;
  await using keeper = fixture.open();
  await keeper.run();
  expect(keeper.tier.coverage('people')).toBe('WHOLE');
  expect(keeper.tier.stalenessMs()).toBe(5_000);
  expect(keeper.tier.maskedPaths('posts')).toEqual(['text', 'authorEmail']);
  expect(await keeper.tier.store.collection('people').countDocuments({})).toBe(20);
});

it('makes a new one when it is due, and not before', async () => {
  await using fixture = await keeperOver();
  const clock = new ManualClock();
  await using keeper = fixture.open({ everyMs: HOUR_MS, clock });
  await keeper.run();
  await clock.advance(60_000);
  await keeper.settled();
  const first = keeper.status().capturedAt;
  expect(first).not.toBeNull();
  fixture.time.now += HOUR_MS - 1;
  await clock.advance(60_000);
  expect(keeper.status().running).toBe(false);
  fixture.time.now += 1;
  await clock.advance(60_000);
  await keeper.settled();
  expect(keeper.status().capturedAt).not.toBe(first);
});

it('row 18: keeps the one it has when the database goes away in the middle of a refresh, and says why', async () => {
  await using fixture = await keeperOver();
  await using keeper = fixture.open();
  keeper.start();
  await keeper.settled();
  const broken = { collection: () => ({ countDocuments: () => Promise.reject(new Error('gone')) }) };
  await using other = fixture.open({ source: () => broken as unknown as DatasetSource });
  await other.run();
  other.start();
  await other.settled();
  expect(other.status()).toMatchObject({ capturedAt: keeper.status().capturedAt, lastError: expect.any(String) });
  expect(fixture.errors).toHaveLength(1);
});

it('answers nothing from one that grew too old', async () => {
  await using fixture = await keeperOver({ maxAgeMs: HOUR_MS });
  await using keeper = fixture.open();
  keeper.start();
  await keeper.settled();
  fixture.time.now += HOUR_MS;
  expect(keeper.tier.coverage('people')).toBe('WHOLE');
  fixture.time.now += 1;
  expect(keeper.tier.coverage('people')).toBe('NONE');
});

it('refuses to start while the database cannot be read', async () => {
  await using fixture = await keeperOver({ source: () => undefined });
  await using keeper = fixture.open();
  expect(() => keeper.start()).toThrow(expect.objectContaining({ code: 'DATABASE_UNAVAILABLE' }));
});

it('makes a key once, and refuses one that others can read', async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, 'keys', 'dataset.key');
  expect(datasetKey(path).equals(datasetKey(path))).toBe(true);
  rmSync(path);
  writeFileSync(path, 'f'.repeat(64), { mode: 0o644 });
  expect(() => datasetKey(path)).toThrow(/chmod 600/);
  rmSync(path);
  writeFileSync(path, 'secret', { mode: 0o600 });
  expect(() => datasetKey(path)).toThrow(/64 hexadecimal digits/);
});

it('reads hand-written documents as a tier without masked fields', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'desks.json');
  writeFileSync(file, '[{"_id":"d1","room":"1","personId":"p1"},{"_id":"d2"}]');
  await using tier = await openStaticTier(PEOPLE, { desks: { file } });
  expect([tier.coverage('desks'), tier.coverage('people'), tier.maskedPaths]).toEqual(['PART', 'NONE', undefined]);
  expect(await tier.store.collection('desks').findOne({ personId: 'p1' })).toMatchObject({ room: '1' });
  writeFileSync(file, '{"_id":"d1","room":7}');
  await expect(openStaticTier(PEOPLE, { desks: { file } })).rejects.toThrow(/desks\.json:1 .* room does not fit Desk/);
  await expect(openStaticTier(PEOPLE, { nope: { file } })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});
