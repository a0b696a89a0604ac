import { expect, it } from 'vitest';
import { HoldfastError } from '../../src/errors.ts';
import { reading, writing } from './harness.ts';
import { context, PLAIN, setUp, THING } from './journal-bench.ts';

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

it('says of a request that one of its writes waits, whatever became of the next one', async () => {
  await using bench = await setUp();
  bench.away();
  const first = context('ada');
  await bench.service.create(THING, { _id: 't', name: 'Ada', n: 1 }, first);
  await bench.back();
  const second = { ...context('ada'), provenance: first.provenance };
  await bench.service.create(PLAIN, { _id: 'p', name: 'x' }, second);
  expect(second.provenance).toMatchObject({ source: 'MIXED', degraded: true, position: null });
  expect(second.provenance?.fields?.map(({ source }) => source).sort()).toEqual(['DATABASE', 'JOURNAL']);
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
