import { expect, it } from 'vitest';
import { DatasetTier } from '../../../src/fallback/dataset/dataset-tier.ts';
import { openDataset } from '../../../src/fallback/dataset/open-dataset.ts';
import { refreshDataset } from '../../../src/fallback/dataset/refresh.ts';
import { Fallback } from '../../../src/fallback/fallback.ts';
import type { CollectionRules } from '../../../src/fallback/question.ts';
import { KEY, PEOPLE, plantedSource } from '../../support/planted.ts';
import { temporaryDirectory } from '../../support/temporary.ts';

/** What answers from a dataset of `documents` while the database was never reached. */
async function answering(documents: number, rules: Partial<CollectionRules> = {}) {
  await using directory = await temporaryDirectory();
  await using memory = await plantedSource(40);
  await refreshDataset({ source: memory.source, model: PEOPLE, key: KEY, out: directory.path, budget: { documents } });
  const tier = new DatasetTier();
  tier.use(await openDataset(directory.path, { model: PEOPLE, key: KEY }));
  const base = {
    entity: 'Person',
    uniquePaths: ['email'],
    requiredPaths: [],
    lists: 'REFUSE',
    masked: 'NULL',
  } as const;
  const fallback = new Fallback({ tiers: [tier], rules: () => ({ ...base, ...rules }) });
  fallback.lost('it was never there');
  return { people: fallback.store.collection('people'), [Symbol.dispose]: () => fallback.stop() };
}

it('answers from the whole: lists, counts and nothing found, with masked fields empty', async () => {
  using bench = await answering(1_000);
  expect(await bench.people.countDocuments({ mood: 'ODD' })).toBe(1);
  expect(await bench.people.findOne({ _id: 'nobody' })).toBeNull();
  expect(await bench.people.findOne({ _id: 'p3' })).toMatchObject({ name: null, mood: 'SAD', home: { street: null } });
  await expect(bench.people.findOne({ email: 'person.3@corp-mail.io' })).rejects.toMatchObject({
    code: 'FALLBACK_UNSUPPORTED',
  });
});

it('answers from a part what is there by id, and nothing else', async () => {
  using bench = await answering(20);
  await expect(bench.people.countDocuments({})).rejects.toMatchObject({ code: 'FALLBACK_COVERAGE_UNKNOWN' });
  await expect(bench.people.findOne({ _id: 'nobody' })).rejects.toMatchObject({ code: 'FALLBACK_COVERAGE_UNKNOWN' });
});

it('shows fakes where the schema says so', async () => {
  using bench = await answering(1_000, { masked: 'SHOW' });
  const person = await bench.people.findOne({ _id: 'p3' });
  expect(person?.email).toMatch(/@example\.(com|net|org)$/);
});
