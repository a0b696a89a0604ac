import { describe, expect, it } from 'vitest';
import type { CollectionRules, Question } from '../../src/fallback/question.ts';
import { ReadRequest, type ReadWishes } from '../../src/fallback/read-request.ts';
import { type Coverage, type Tier, type TierSource, Tiers } from '../../src/fallback/tiers.ts';
import type { Document } from '../../src/model/document.ts';
import type { Position } from '../../src/model/position.ts';
import type { Filter, FindOptions, Store } from '../../src/store/store.ts';
import { openSqliteStore } from '../support/sqlite-store.ts';

const RULES: CollectionRules = {
  entity: 'Person',
  uniquePaths: ['email'],
  requiredPaths: ['name'],
  lists: 'REFUSE',
  masked: 'NULL',
};

const PEOPLE = [
  { _id: 'a', name: 'Ada', email: 'ada@example.test', city: 'London', n: 1 },
  { _id: 'b', name: 'Bo', email: 'bo@example.test', city: 'Malmö', n: 2 },
];

interface TierFacts {
  readonly source?: TierSource;
  readonly coverage?: Coverage;
  readonly position?: Position | null;
  readonly stalenessMs?: number;
  readonly masked?: readonly string[];
  readonly reached?: Tier['reached'];
}

async function setUp() {
  const fixture = await openSqliteStore([{ name: 'people', indexes: [] }]);
  await fixture.store.collection('people').insertMany(PEOPLE);
  const tier = (facts: TierFacts = {}, store: Store = fixture.store): Tier => ({
    source: facts.source ?? 'LIVE',
    store,
    coverage: () => facts.coverage ?? 'WHOLE',
    stalenessMs: () => facts.stalenessMs ?? 50,
    position: () => (facts.position === undefined ? { epoch: 1, sequence: 2 } : facts.position),
    maskedPaths: () => facts.masked ?? [],
    ...(facts.reached && { reached: facts.reached }),
  });
  const ask = async <T>(tiers: readonly Tier[], question: Question<T>, wishes: ReadWishes = {}, rules = {}) => {
    const request = new ReadRequest({ ...wishes, budgetMs: 400, now: () => 0 });
    const found = await new Tiers(tiers, () => ({ ...RULES, ...rules })).answer(question, request);
    return found && { answer: found.answer, source: found.tier.source };
  };
  return { tier, ask, [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose]() };
}

function find(filter: Filter, options: FindOptions = {}): Question<Document[]> {
  return {
    ...{ collection: 'people', filter, sort: options.sort, skip: options.skip ?? 0, count: false },
    ask: (collection, signal) => collection.find(filter, { ...options, signal }).toArray(),
    groups: (documents) => [documents],
    map: (documents, change) => documents.map(change),
  };
}

function grouped(path: string, keys: readonly unknown[]): Question<Document[][]> {
  return {
    ...{ collection: 'people', filter: {}, skip: 0, count: false, grouped: { path, keys } },
    ask: (collection) => collection.findGrouped(path, keys, {}),
    groups: (groups) => groups,
    map: (groups, change) => groups.map((documents) => documents.map(change)),
  };
}

const COUNT: Question<number> = {
  ...{ collection: 'people', filter: {}, skip: 0, count: true },
  ask: (collection) => collection.countDocuments({}),
  groups: () => [],
  map: (count) => count,
};

describe('Tiers', () => {
  it('answers everything from a whole copy, null and counts too', async () => {
    await using bench = await setUp();
    const { ask, tier } = bench;
    expect(await ask([tier()], find({ n: { $gt: 1 } }))).toEqual({ answer: [PEOPLE[1]], source: 'LIVE' });
    expect(await ask([tier()], find({ _id: 'nobody' }))).toEqual({ answer: [], source: 'LIVE' });
    expect(await ask([tier()], COUNT)).toEqual({ answer: 2, source: 'LIVE' });
  });

  it('passes over a tier that has nothing of the collection, and has no answer when none has', async () => {
    await using bench = await setUp();
    const { ask, tier } = bench;
    const none = tier({ coverage: 'NONE' });
    expect(await ask([none, tier({ source: 'DATASET' })], COUNT)).toMatchObject({ source: 'DATASET' });
    expect(await ask([none], COUNT)).toBeUndefined();
  });

  it('answers from a part what is found by id or unique value', async () => {
    await using bench = await setUp();
    const { ask, tier } = bench;
    const part = [tier({ source: 'SNAPSHOT', coverage: 'PART' })];
    for (const filter of [{ _id: 'a' }, { _id: { $eq: 'a' } }, { email: 'ada@example.test' }]) {
      expect(await ask(part, find(filter, { limit: 1 }))).toEqual({ answer: [PEOPLE[0]], source: 'SNAPSHOT' });
    }
    expect(await ask(part, grouped('_id', ['b', 'a']))).toMatchObject({ answer: [[PEOPLE[1]], [PEOPLE[0]]] });
  });

  it.each<[string, Question<unknown>]>([
    ['a document that is not there', find({ _id: 'nobody' })],
    ['a list', find({})],
    ['a list of one', find({ city: 'London' }, { limit: 1 })],
    ['a document by id and something else', find({ _id: 'a', n: 1 })],
    ['a document by several ids', find({ _id: { $in: ['a'] } })],
    ['documents without a unique value', find({ email: null })],
    ['a document passed over', find({ _id: 'a' }, { skip: 1 })],
    ['a count', COUNT],
    ['documents of which one is not there', grouped('_id', ['a', 'nobody'])],
    ['documents by a value that many may have', grouped('city', ['London'])],
  ])('refuses to answer from a part: %s', async (_what, question) => {
    await using bench = await setUp();
    const { ask, tier } = bench;
    const part = [tier({ source: 'DATASET', coverage: 'PART' })];
    await expect(ask(part, question)).rejects.toMatchObject({ code: 'FALLBACK_COVERAGE_UNKNOWN' });
  });

  it('answers lists and counts from a part where the entity says so', async () => {
    await using bench = await setUp();
    const { ask, tier } = bench;
    const part = [tier({ source: 'DATASET', coverage: 'PART' })];
    expect(await ask(part, COUNT, {}, { lists: 'SAMPLE' })).toMatchObject({ answer: 2 });
    expect(await ask(part, find({ _id: 'nobody' }), {}, { lists: 'SAMPLE' })).toMatchObject({ answer: [] });
  });

  it('asks the next tier when one refuses, and tells the first refusal when all do', async () => {
    await using bench = await setUp();
    const { ask, tier } = bench;
    const part = tier({ source: 'SNAPSHOT', coverage: 'PART' });
    expect(await ask([part, tier({ source: 'DATASET' })], COUNT)).toMatchObject({ source: 'DATASET' });
    const old = tier({ stalenessMs: 5_000 });
    await expect(ask([old, part], COUNT, { maxStalenessMs: 1_000 })).rejects.toMatchObject({ code: 'STALE_READ' });
  });

  it('refuses what is older than wanted', async () => {
    await using bench = await setUp();
    const { ask, tier } = bench;
    const tiers = [tier({ stalenessMs: 1_001 })];
    expect(await ask(tiers, COUNT, { maxStalenessMs: 1_001 })).toMatchObject({ answer: 2 });
    await expect(ask(tiers, COUNT, { maxStalenessMs: 1_000 })).rejects.toMatchObject({
      code: 'STALE_READ',
      details: { position: '1.2', lagMs: 1_001 },
    });
  });

  it('waits for a position that is on its way, and refuses one that does not come', async () => {
    await using bench = await setUp();
    const { ask, tier } = bench;
    const wanted = { minPosition: { epoch: 1, sequence: 3 } };
    const waits: unknown[] = [];
    const coming = tier({ reached: async (...wait) => waits.push(wait) > 0 });
    expect(await ask([coming], COUNT, wanted)).toMatchObject({ answer: 2 });
    expect(waits).toEqual([[3, 200]]);
    const gone = [tier({ reached: async () => false }), tier({ position: null, source: 'DATASET' })];
    await expect(ask(gone, COUNT, wanted)).rejects.toMatchObject({ code: 'STALE_READ', details: { position: '1.2' } });
    expect(await ask([tier()], COUNT, { minPosition: { epoch: 1, sequence: 2 } })).toMatchObject({ answer: 2 });
  });

  it('names the operator that a tier cannot answer', async () => {
    await using bench = await setUp();
    const { ask, tier } = bench;
    await expect(ask([tier()], find({ $text: { $search: 'x' } }))).rejects.toMatchObject({
      code: 'FALLBACK_UNSUPPORTED',
      details: { operator: '$text' },
    });
  });

  it('gives masked values as null, and where null cannot be, as an error in the place of the value', async () => {
    await using bench = await setUp();
    const { ask, tier } = bench;
    const tiers = [tier({ source: 'SNAPSHOT', masked: ['city', 'name'] })];
    const found = await ask(tiers, find({ _id: 'a' }));
    expect(found?.answer[0]).toMatchObject({
      city: null,
      name: { code: 'FALLBACK_MASKED', details: { fields: ['name'] } },
      n: 1,
    });
    expect((await ask(tiers, find({ _id: 'a' }), {}, { masked: 'SHOW' }))?.answer).toEqual([PEOPLE[0]]);
  });

  it.each<[string, Question<unknown>]>([
    ['a filter', find({ $or: [{ n: 1 }, { $and: [{ 'address.city': 'x' }] }] })],
    ['an order', find({}, { sort: { address: 1 } })],
    ['a relation', grouped('address.city', ['x'])],
  ])('refuses %s on a masked value', async (_what, question) => {
    await using bench = await setUp();
    const { ask, tier } = bench;
    await expect(ask([tier({ masked: ['address.city'] })], question)).rejects.toMatchObject({
      code: 'FALLBACK_UNSUPPORTED',
      details: { operator: 'address.city' },
    });
  });
});
