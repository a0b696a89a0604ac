import { createSecretKey } from 'node:crypto';
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { MANIFEST } from '../../../src/fallback/dataset/manifest.ts';
import { type OpenDatasetOptions, openDataset } from '../../../src/fallback/dataset/open-dataset.ts';
import { refreshDataset } from '../../../src/fallback/dataset/refresh.ts';
import { loadModel } from '../../../src/model/load.ts';
import { KEY, PEOPLE, plantedSource } from '../../support/planted.ts';
import { temporaryDirectory } from '../../support/temporary.ts';

const DAY_MS = 86_400_000;
const FIRST = Date.UTC(2026, 0, 1);

/** Two datasets, a day apart. */
async function twoDatasets() {
  const directory = await temporaryDirectory();
  await using memory = await plantedSource(20);
  const base = { source: memory.source, model: PEOPLE, key: KEY, out: directory.path };
  const older = await refreshDataset({ ...base, now: () => FIRST });
  const newer = await refreshDataset({ ...base, now: () => FIRST + DAY_MS });
  const refusals: unknown[] = [];
  const open = (options: Partial<OpenDatasetOptions> = {}) =>
    openDataset(directory.path, {
      ...{ model: PEOPLE, key: KEY, onRefused: (error: Error) => refusals.push(error), now: () => FIRST + 2 * DAY_MS },
      ...options,
    });
  return { older, newer, refusals, open, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

it('opens the newest as a store with the indexes of the model', async () => {
  await using sets = await twoDatasets();
  await using dataset = await sets.open();
  expect(dataset.directory).toBe(sets.newer.directory);
  const people = dataset.store.collection('people');
  expect(await people.countDocuments({})).toBe(20);
  const person = await people.findOne({ _id: 'p3' });
  expect(await dataset.store.collection('posts').findOne({ authorEmail: person?.email })).toMatchObject({ _id: 'o3' });
  await expect(people.insertOne({ _id: 'new' })).rejects.toThrow('read only');
});

it.each([
  ['a line was added to', (place: string) => appendFileSync(join(place, 'people.jsonl'), '{"_id":"x"}\n'), 'TAMPERED'],
  ['lost a file', (place: string) => rmSync(join(place, 'desks.jsonl')), 'UNREADABLE'],
  ['has a manifest that was cut', (place: string) => writeFileSync(join(place, MANIFEST), '{'), 'UNREADABLE'],
  [
    'has a manifest that was altered',
    (place: string) => {
      const text = readFileSync(join(place, MANIFEST), 'utf8');
      writeFileSync(join(place, MANIFEST), text.replace('"complete": true', '"complete": false'));
    },
    'FOREIGN',
  ],
])('row 19: passes over one that %s, says so, and uses the older one', async (_what, damage, fault) => {
  await using sets = await twoDatasets();
  damage(sets.newer.directory);
  await using dataset = await sets.open();
  expect(dataset.directory).toBe(sets.older.directory);
  expect(sets.refusals).toMatchObject([{ code: 'DATASET_REFUSED', details: { fault } }]);
});

it.each([
  ['of another key', { key: createSecretKey(Buffer.alloc(32, 9)) }, 'FOREIGN'],
  ['too old', { maxAgeMs: DAY_MS / 2 }, 'EXPIRED'],
  [
    'of another schema',
    { model: loadModel([{ file: 'other.graphql', text: 'type Person @entity { id: ID! @id }' }]) },
    'DRIFTED',
  ],
])('row 19: refuses all when they are %s', async (_what, options, fault) => {
  await using sets = await twoDatasets();
  await expect(sets.open(options)).rejects.toMatchObject({ code: 'DATASET_REFUSED', details: { fault } });
  expect(sets.refusals).toHaveLength(2);
});

it('takes one that is just young enough', async () => {
  await using sets = await twoDatasets();
  await using dataset = await sets.open({ maxAgeMs: DAY_MS });
  expect(dataset.directory).toBe(sets.newer.directory);
});

it('says so when there is none', async () => {
  await using directory = await temporaryDirectory();
  await expect(openDataset(directory.path, { model: PEOPLE })).rejects.toMatchObject({
    details: { fault: 'UNREADABLE' },
  });
});
