import { expect, it } from 'vitest';
import { SqliteChangeLog } from '../../src/changelog/sqlite-change-log.ts';
import { HoldfastError } from '../../src/errors.ts';
import { Fallback } from '../../src/fallback/fallback.ts';
import { Journal } from '../../src/fallback/journal.ts';
import { claimsOf } from '../../src/fallback/journal-view.ts';
import { JournalWrites } from '../../src/fallback/journal-writes.ts';
import { Replay, type ReplayOptions } from '../../src/fallback/replay.ts';
import { collectionRules } from '../../src/gateway/fallback.ts';
import type { Document } from '../../src/model/document.ts';
import type { Entity } from '../../src/model/entity.ts';
import { loadModel } from '../../src/model/load.ts';
import { ConflictPolicies } from '../../src/service/conflict-policies.ts';
import { Conflicts } from '../../src/service/conflicts.ts';
import { JournalReplay } from '../../src/service/journal-replay.ts';
import { PrimaryService } from '../../src/service/primary.ts';
import { Database } from '../../src/sqlite/database.ts';
import { SqliteStore } from '../../src/store/sqlite-store.ts';
import type { Collection, Store } from '../../src/store/store.ts';
import { eventually } from '../support/eventually.ts';
import { reading, writing } from './harness.ts';

const MODEL = loadModel([
  {
    file: 'schema.graphql',
    text: `
      type Thing @entity @fallback(writes: JOURNAL) { id: ID! @id  name: String @unique  n: Int }
      type Merged @entity @fallback(writes: JOURNAL) @conflict(policy: MERGE) { id: ID! @id  name: String  n: Int }
      type Plain @entity { id: ID! @id  name: String }`,
  },
]);
const RULES = new Map(MODEL.entities.map((entity) => [entity.collection, collectionRules(entity)]));
const ENTITIES = new Map(MODEL.entities.map((entity) => [entity.collection, entity]));

const entity = (name: string) => MODEL.entities.find((each) => each.name === name) as Entity;
const [THING, MERGED, PLAIN] = [entity('Thing'), entity('Merged'), entity('Plain')];

interface BenchOptions extends Partial<ReplayOptions> {
  /** Whether the copy has every document. Default true. */
  readonly complete?: () => boolean;
}

/**
 * A primary whose database can be kept away. The copy is the database itself, which is all the same as long as nobody writes there: what is
 * written past the primary goes to `foreign`.
 */
async function setUp(options: BenchOptions = {}) {
  const database = Database.open({ directory: ':memory:' });
  const log = await SqliteChangeLog.open(database);
  const collections = MODEL.entities.map(({ collection, indexes }) => ({ name: collection, indexes }));
  const store = await SqliteStore.open({ database, outbox: log, collections });
  const conflicts = await Conflicts.open(database);
  const policies = new ConflictPolicies({ conflicts, history: log, decide: new Map() });
  const uniquePaths = (collection: string) => RULES.get(collection)?.uniquePaths ?? [];
  const journal = await Journal.open({
    directory: ':memory:',
    claimsOf: (collection, document) => claimsOf(collection, document, uniquePaths(collection)),
  });
  const { complete = () => true } = options;
  const made = new JournalReplay({ store: () => store, entities: ENTITIES, policies, conflicts });
  const replay = new Replay({
    ...{ journal, write: (entry, base) => made.write(entry, base) },
    admits: (collection) => fallback.admits(collection),
    epoch: () => log.head().epoch,
    hasCollection: (collection) => ENTITIES.has(collection),
    ...options,
  });
  const writes = new JournalWrites({
    ...{
      journal,
      uniquePaths,
      sdlHash: MODEL.sdlHash,
      takes: (collection) => RULES.get(collection)?.writes === 'JOURNAL',
    },
    live: {
      whole: (collection) => (complete() ? store.collection(collection) : undefined),
      rows: (collection, ids) => store.rows(collection, ids),
      entryOfKey: (key) => log.entryOfKey(key),
      position: () => log.head(),
    },
  });
  const fallback: Fallback = new Fallback({
    tiers: [
      {
        ...{ source: 'LIVE', store, stalenessMs: () => 10, position: () => log.head() },
        coverage: () => (complete() ? 'WHOLE' : 'NONE'),
      },
    ],
    rules: (collection) => RULES.get(collection) as NonNullable<ReturnType<typeof RULES.get>>,
    ...{ writes, recover: (scope) => replay.recover(scope) },
  });
  let intercept = (collection: Collection): Collection => collection;
  const watched: Store = {
    capabilities: store.capabilities,
    collection: (name) => intercept(store.collection(name)),
    close: async () => {},
  };
  fallback.attach({ store: watched, ping: async () => {} });
  const service = new PrimaryService({ store: fallback.store, fallback, log, policies });
  return {
    ...{ service, fallback, journal, replay, conflicts, log, foreign: store as Store },
    /** Puts something between the primary and the collections of its database. */
    between(change: (collection: Collection) => Collection) {
      intercept = change;
    },
    away: () => fallback.force({}, 'OPEN'),
    /** Lets the database be there again, and waits until nothing waits. */
    async back() {
      fallback.force({}, 'CLOSED');
      replay.wake();
      await eventually('nothing waits', () => journal.waiting.size === 0);
    },
    all: (name: Entity, principal = 'anonymous') => service.find(name, {}, {}, reading({ principal })),
    async [Symbol.asyncDispose]() {
      fallback.stop();
      await replay[Symbol.asyncDispose]();
      await journal.close();
      await database.close();
    },
  };
}

let fields = 0;
const context = (principal = 'anonymous', more = {}) => writing(`field${fields++}`, { principal, ...more });

it('keeps a write, shows it to its writer alone, and brings it to the database once that is there', async () => {
  await using bench = await setUp();
  bench.away();
  const written = context('ada');
  const created = await bench.service.create(THING, { _id: 't', name: 'Ada', n: 1 }, written);
  expect(created).toEqual({
    ...{
      document: { _id: 't', name: 'Ada', n: 1 },
      outcome: 'JOURNALED',
      version: null,
      position: null,
      journalId: '1',
    },
  });
  expect(written.provenance).toMatchObject({ source: 'MIXED', degraded: true, position: null });
  expect(written.provenance?.fields).toMatchObject([{ entity: 'Thing', source: 'JOURNAL' }]);

  const own = reading({ principal: 'ada' });
  expect(await bench.service.find(THING, {}, {}, own)).toEqual([created.document]);
  expect(own.provenance).toMatchObject({ source: 'MIXED', degraded: true });
  expect(own.provenance?.fields?.map(({ source }) => source)).toContain('JOURNAL');
  expect(await bench.service.count(THING, {}, reading({ principal: 'ada' }))).toBe(1);
  const other = reading({ principal: 'bob' });
  expect(await bench.service.find(THING, {}, {}, other)).toEqual([]);
  expect(other.provenance?.source).toBe('LIVE');
  expect(await bench.foreign.collection('things').countDocuments({})).toBe(0);

  await bench.back();
  const later = reading({ principal: 'bob' });
  expect(await bench.service.find(THING, {}, {}, later)).toEqual([created.document]);
  expect(later.provenance?.source).toBe('DATABASE');
  expect(bench.journal.entry(1)).toMatchObject({ state: 'REPLAYED', version: expect.any(Number) });
});

it('refuses writes of entities that do not say so, and of nobody', async () => {
  await using bench = await setUp();
  bench.away();
  const refused = { code: 'DATABASE_UNAVAILABLE', details: { retryAfterMs: 1_000 } };
  await expect(bench.service.create(PLAIN, { name: 'x' }, context())).rejects.toMatchObject(refused);
  await expect(bench.fallback.store.collection('things').insertOne({ _id: 'x' })).rejects.toMatchObject(refused);
  expect(bench.journal.counts().waiting).toBe(0);
});

it('makes several writes of one document in their order, each on the one before', async () => {
  await using bench = await setUp();
  await bench.service.create(THING, { _id: 't', name: 'a', n: 1 }, context());
  bench.away();
  await bench.service.update(THING, 't', { $set: { name: 'b' } }, undefined, context());
  await bench.service.update(THING, 't', { $inc: { n: 5 } }, undefined, context());
  await bench.service.delete(THING, 't', undefined, context());
  expect(await bench.all(THING)).toEqual([]);
  await bench.service.create(THING, { _id: 't', name: 'c', n: 9 }, context());
  const { document } = await bench.service.update(THING, 't', { $inc: { n: 1 } }, undefined, context());
  expect(document).toEqual({ _id: 't', name: 'c', n: 10 });
  await expect(bench.service.create(THING, { _id: 't' }, context())).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  const head = bench.log.head().sequence;
  await bench.back();
  expect(await bench.all(THING)).toEqual([{ _id: 't', name: 'c', n: 10 }]);
  const entries = await Promise.all([1, 2, 3, 4, 5].map((each) => bench.log.entry(head + each)));
  expect(entries.map((entry) => entry?.operation)).toEqual(['UPDATED', 'UPDATED', 'DELETED', 'CREATED', 'UPDATED']);
});

it('gives the same answer to the same key, before and after the replay, and refuses it with other arguments', async () => {
  await using bench = await setUp();
  bench.away();
  const sent = (argumentsDigest = 'a'.repeat(32)) =>
    writing('create', { principal: 'ada', idempotencyKey: 'k', argumentsDigest });
  const first = await bench.service.create(THING, { name: 'Ada' }, sent());
  expect(await bench.service.create(THING, { name: 'Ada' }, sent())).toEqual(first);
  await expect(bench.service.create(THING, { name: 'x' }, sent('b'.repeat(32)))).rejects.toMatchObject({
    code: 'VALIDATION_FAILED',
  });
  expect(bench.journal.counts().waiting).toBe(1);
  await bench.back();
  expect(await bench.service.create(THING, { name: 'Ada' }, sent())).toEqual(first);
  expect(await bench.all(THING)).toHaveLength(1);
});

it('tells a retry nothing before the first attempt is on disk', async () => {
  await using bench = await setUp();
  bench.away();
  const sent = () => bench.service.create(THING, { name: 'Ada' }, writing('create', { idempotencyKey: 'k' }));
  const [first, again] = await Promise.all([sent(), sent()]);
  expect(again).toEqual(first);
  expect(bench.journal.counts().waiting).toBe(1);
  // The file refuses the entry: nobody was told that it is kept.
  const taken = { idempotencyKey: 'other' };
  const { journal } = bench;
  const append = journal.append.bind(journal);
  journal.append = (drafts, call) => {
    const broken = drafts.map((draft) => ({ ...draft, after: 99 }));
    return append(broken, call);
  };
  const create = () => bench.service.create(THING, { name: 'Bo' }, writing('create', taken));
  const outcomes = await Promise.allSettled([create(), create()]);
  expect(outcomes.map((each) => each.status === 'rejected' && each.reason.code)).toEqual([
    'JOURNAL_FULL',
    'JOURNAL_FULL',
  ]);
  journal.append = append;
  expect((await create()).outcome).toBe('JOURNALED');
});

it('says of a write that an operator gave up that it was given up', async () => {
  await using bench = await setUp();
  bench.away();
  const sent = () => writing('create', { idempotencyKey: 'k' });
  await bench.service.create(THING, { name: 'Ada' }, sent());
  await bench.journal.discard(1);
  await expect(bench.service.create(THING, { name: 'Ada' }, sent())).rejects.toMatchObject({ code: 'CONFLICT' });
  await bench.back();
  expect(await bench.all(THING)).toEqual([]);
});

it('answers with what the database did, when the copy has heard of it', async () => {
  await using bench = await setUp();
  const sent = () => writing('create', { idempotencyKey: 'k' });
  const first = await bench.service.create(THING, { name: 'Ada' }, sent());
  bench.away();
  const again = await bench.service.create(THING, { name: 'Ada' }, sent());
  expect(again).toEqual({ ...first, outcome: 'COMMITTED' });
  expect(bench.journal.counts().waiting).toBe(0);
});

it('writes many: documents that break a rule are refused, the others wait', async () => {
  await using bench = await setUp();
  await bench.service.create(THING, { _id: 'there', name: 'Ada', n: 0 }, context());
  bench.away();
  const inputs = [{ _id: 'there' }, { _id: 'x', name: 'Ada' }, { _id: 'y', name: 'Y', n: 1 }, { _id: 'z', name: 'Y' }];
  const many = await bench.service.createMany(THING, inputs, context());
  expect(many).toMatchObject({ outcome: 'JOURNALED', position: null, written: 1 });
  expect(many.refused.map(({ index, code }) => [index, code])).toEqual([
    [0, 'ALREADY_EXISTS'],
    [1, 'ALREADY_EXISTS'],
    [3, 'ALREADY_EXISTS'],
  ]);
  const sent = () => writing('updateThings', { idempotencyKey: 'all' });
  const updated = await bench.service.updateMany(THING, { n: { $gte: 0 } }, { $inc: { n: 10 } }, sent());
  expect(updated).toMatchObject({ matched: 2, written: 2, outcome: 'JOURNALED' });
  expect(updated.documents.map(({ n }) => n)).toEqual([10, 11]);
  // What comes later is not part of it, however often it is sent.
  await bench.service.create(THING, { _id: 'w', n: 100 }, context());
  expect(await bench.service.updateMany(THING, { n: { $gte: 0 } }, { $inc: { n: 10 } }, sent())).toEqual(updated);
  await bench.service.deleteMany(THING, { n: 11 }, context());
  await bench.back();
  expect(await bench.service.updateMany(THING, { n: { $gte: 0 } }, { $inc: { n: 10 } }, sent())).toEqual(updated);
  expect(await bench.all(THING)).toEqual([
    { _id: 'there', name: 'Ada', n: 10 },
    { _id: 'w', n: 100 },
  ]);
});

it('updates or creates by a unique value', async () => {
  await using bench = await setUp();
  bench.away();
  const upsert = () =>
    bench.service.upsert(THING, { name: 'Ada' }, { _id: 'a', name: 'Ada', n: 1 }, { $inc: { n: 1 } }, context());
  expect((await upsert()).document).toEqual({ _id: 'a', name: 'Ada', n: 1 });
  expect((await upsert()).document).toEqual({ _id: 'a', name: 'Ada', n: 2 });
  await bench.back();
  expect(await bench.all(THING)).toEqual([{ _id: 'a', name: 'Ada', n: 2 }]);
});

it('refuses what it cannot know without the whole collection, and takes new documents', async () => {
  await using bench = await setUp({ complete: () => false });
  await bench.service.create(THING, { _id: 'there', name: 'Ada' }, context());
  bench.away();
  const refused = { code: 'DATABASE_UNAVAILABLE' };
  await expect(bench.service.update(THING, 'there', { $inc: { n: 1 } }, undefined, context())).rejects.toMatchObject(
    refused,
  );
  await expect(bench.service.deleteMany(THING, {}, context())).rejects.toMatchObject(refused);
  await bench.service.create(THING, { _id: 'new' }, context());
  await bench.service.update(THING, 'new', { $set: { n: 1 } }, undefined, context());
  await bench.back();
  expect(await bench.foreign.collection('things').findOne({ _id: 'new' })).toEqual({ _id: 'new', n: 1 });
});

it('checks versions that the client names', async () => {
  await using bench = await setUp();
  const { version } = await bench.service.create(THING, { _id: 't', n: 1 }, context());
  bench.away();
  const update = (ifVersion: number) => bench.service.update(THING, 't', { $inc: { n: 1 } }, ifVersion, context());
  await expect(update((version ?? 0) - 1)).rejects.toMatchObject({ code: 'CONFLICT' });
  // The copy may not have it yet.
  await expect(update((version ?? 0) + 1)).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
  await update(version ?? 0);
  await expect(update(version ?? 0)).rejects.toMatchObject({ code: 'CONFLICT' });
  // Even what could be made on any version waits for this one.
  await bench.foreign.collection('things').updateOne({ _id: 't' }, { $set: { name: 'other' } });
  await bench.back();
  expect(bench.journal.entry(1)).toMatchObject({ state: 'CONFLICT', reason: { code: 'CONFLICT' } });
});

it('keeps conflicts for somebody to decide, with all that was made on them', async () => {
  await using bench = await setUp();
  for (const _id of ['moved', 'gone', 'free']) await bench.service.create(THING, { _id, name: _id, n: 1 }, context());
  bench.away();
  for (const id of ['moved', 'gone']) {
    await bench.service.update(THING, id, { $set: { n: 2 } }, undefined, context());
    await bench.service.update(THING, id, { $inc: { n: 1 } }, undefined, context());
  }
  await bench.service.update(THING, 'free', { $inc: { n: 1 } }, undefined, context());
  await bench.service.create(THING, { _id: 'same', name: 'taken' }, context());
  const things = bench.foreign.collection('things');
  await things.updateOne({ _id: 'moved' }, { $set: { n: 9 } });
  await things.deleteOne({ _id: 'gone' });
  await things.updateOne({ _id: 'free' }, { $set: { n: 5 } });
  await things.insertOne({ _id: 'first', name: 'taken' });
  await bench.back();
  expect(bench.journal.list({ limit: 10 }).map(({ state, reason }) => [state, reason?.code])).toEqual([
    ['CONFLICT', 'CONFLICT'],
    ['CONFLICT', 'CONFLICT'],
    ['CONFLICT', 'NOT_FOUND'],
    ['CONFLICT', 'CONFLICT'],
    ['REPLAYED', 'MOVED'],
    ['CONFLICT', 'ALREADY_EXISTS'],
  ]);
  const listed = bench.conflicts.list({ all: false, limit: 10, after: null });
  expect(
    listed.map(({ document, current, proposed }) => [document, current && JSON.parse(current).n, proposed]),
  ).toEqual(
    expect.arrayContaining([
      ['"moved"', 9, expect.stringContaining('"n":2')],
      ['"moved"', 9, expect.stringContaining('"n":3')],
      ['"gone"', null, expect.stringContaining('"n":2')],
      ['"same"', null, expect.stringContaining('taken')],
    ]),
  );
  const found = (await things.find({}).toArray()) as Document[];
  expect(found.map(({ _id, n }) => [_id, n])).toEqual([
    ['first', undefined],
    ['free', 6],
    ['moved', 9],
  ]);
  // An operator may try again once the reason is gone.
  await things.deleteOne({ _id: 'first' });
  await bench.journal.approve(6);
  bench.replay.wake();
  await eventually('it is made', () => bench.journal.entry(6).state === 'REPLAYED');
  expect(await things.findOne({ _id: 'same' })).toEqual({ _id: 'same', name: 'taken' });
});

it('settles late writes as their entity says', async () => {
  await using bench = await setUp();
  for (const _id of ['a', 'b']) await bench.service.create(MERGED, { _id, name: 'x', n: 1 }, context());
  bench.away();
  for (const id of ['a', 'b']) await bench.service.update(MERGED, id, { $set: { n: 2 } }, undefined, context());
  const merged = bench.foreign.collection(MERGED.collection);
  await merged.updateOne({ _id: 'a' }, { $set: { name: 'y' } });
  await merged.updateOne({ _id: 'b' }, { $set: { n: 7 } });
  await bench.back();
  expect(await merged.findOne({ _id: 'a' })).toEqual({ _id: 'a', name: 'y', n: 2 });
  expect(await merged.findOne({ _id: 'b' })).toEqual({ _id: 'b', name: 'x', n: 7 });
  expect(bench.journal.entry(2)).toMatchObject({ state: 'CONFLICT', reason: { conflict: expect.any(String) } });
});

it('leaves to an operator what was written in another epoch, or too long ago', async () => {
  let [epoch, now] = [1, Date.now()];
  await using bench = await setUp({ epoch: () => epoch, now: () => now });
  bench.away();
  await bench.service.create(THING, { _id: 'a' }, context());
  epoch = 2;
  await bench.back();
  expect(bench.journal.entry(1)).toMatchObject({ state: 'HELD', reason: { code: 'EPOCH' } });
  epoch = 1;
  bench.away();
  await bench.service.create(THING, { _id: 'b' }, context());
  now += 7 * 24 * 3_600_000 + 1_000;
  await bench.back();
  expect(bench.journal.entry(2)).toMatchObject({ state: 'HELD', reason: { code: 'AGE' } });
  expect(await bench.all(THING)).toEqual([]);
  epoch = 2;
  for (const seq of [1, 2]) await bench.journal.approve(seq);
  await bench.back();
  expect(await bench.all(THING)).toHaveLength(2);
});

it('lets no write overtake those that wait, though the database is there', async () => {
  let open = false;
  await using bench = await setUp({ admits: () => open });
  bench.away();
  await bench.service.create(THING, { _id: 't', n: 1 }, context());
  bench.fallback.force({}, 'CLOSED');
  const { outcome } = await bench.service.update(THING, 't', { $inc: { n: 1 } }, undefined, context());
  expect(outcome).toBe('JOURNALED');
  expect((await bench.service.updateMany(THING, {}, { $inc: { n: 1 } }, context())).outcome).toBe('JOURNALED');
  expect((await bench.service.create(THING, { _id: 'other' }, context())).outcome).toBe('COMMITTED');
  expect(await bench.all(THING)).toHaveLength(2);
  expect((await bench.service.find(THING, { n: 3 }, {}, reading()))[0]?._id).toBe('t');
  open = true;
  bench.replay.wake();
  await bench.back();
  expect(await bench.foreign.collection('things').findOne({ _id: 't' })).toMatchObject({ n: 3 });
});

it('takes a write whose outcome is not known in under its key: it is made once, whether it was or not', async () => {
  await using bench = await setUp();
  await bench.service.create(THING, { _id: 't', n: 1 }, context());
  const real = bench.foreign.collection('things');
  for (const happened of [true, false]) {
    bench.between((collection) => ({
      ...collection,
      async updateOne(...args) {
        if (happened) await collection.updateOne(...args);
        bench.away();
        throw new HoldfastError('WRITE_OUTCOME_UNKNOWN', 'no answer');
      },
    }));
    const { outcome } = await bench.service.update(THING, 't', { $inc: { n: 1 } }, undefined, context());
    bench.between((collection) => collection);
    // The copy of this bench knows at once what happened.
    expect(outcome).toBe(happened ? 'COMMITTED' : 'JOURNALED');
    await bench.back();
  }
  expect(await real.findOne({ _id: 't' })).toMatchObject({ n: 3 });
});

it('keeps saying of a write that its outcome is not known, until the database tells', async () => {
  await using bench = await setUp();
  const real = bench.foreign.collection(PLAIN.collection);
  bench.between((collection) => ({
    ...collection,
    async insertOne(...args) {
      await collection.insertOne(...args);
      bench.away();
      throw new HoldfastError('WRITE_OUTCOME_UNKNOWN', 'no answer');
    },
  }));
  const first = context();
  const unknown = { code: 'WRITE_OUTCOME_UNKNOWN' };
  await expect(bench.service.create(PLAIN, { name: 'x' }, first)).rejects.toMatchObject(unknown);
  bench.between((collection) => collection);
  const again = () => writing(first.field, { idempotencyKey: first.madeKey });
  await expect(bench.service.create(PLAIN, { name: 'x' }, again())).rejects.toMatchObject(unknown);
  await bench.back();
  const { outcome, document } = await bench.service.create(PLAIN, { name: 'x' }, again());
  expect(outcome).toBe('COMMITTED');
  expect(await real.find({}).toArray()).toEqual([document]);
  // An id drawn for a key that was made here is one by time.
  expect(document?._id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
});
