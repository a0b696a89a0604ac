import { expect, it } from 'vitest';
import type { Document } from '../../src/model/document.ts';
import { eventually } from '../support/eventually.ts';
import { reading } from './harness.ts';
import { context, MERGED, setUp, THING } from './journal-bench.ts';

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
  // Nobody decides over what came after it was listed.
  expect(listed.map(({ current, currentVersion }) => (current === null) === (currentVersion === null))).not.toContain(
    false,
  );
  await things.updateOne({ _id: 'moved' }, { $set: { n: 10 } });
  await things.insertOne({ _id: 'gone', n: 11 });
  for (const conflict of listed.filter(({ document }) => document === '"moved"')) {
    await expect(bench.service.settle(conflict, { _id: 'moved', n: 2 })).rejects.toMatchObject({ code: 'CONFLICT' });
  }
  for (const conflict of listed.filter(({ document }) => document === '"gone"')) {
    const deciding = bench.service.settle(conflict, { _id: 'gone', n: 2 });
    await expect(deciding).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  }
  // An operator may try again once the reason is gone.
  await things.deleteOne({ _id: 'first' });
  await bench.journal.approve(6);
  bench.replay.wake();
  await eventually('it is made', () => bench.journal.entry(6).state === 'REPLAYED');
  expect(await things.findOne({ _id: 'same' })).toEqual({ _id: 'same', name: 'taken' });
});

it.each([true, false])(
  'knows whether somebody came between, also of a write whose answer was lost: %s',
  async (isBetween) => {
    await using bench = await setUp();
    const { version } = await bench.service.create(THING, { _id: 'a', name: 'a', n: 1 }, context());
    bench.away();
    await bench.service.update(THING, 'a', { $inc: { n: 1 } }, undefined, context());
    const things = bench.foreign.collection('things');
    if (isBetween) await things.updateOne({ _id: 'a' }, { $set: { name: 'b' } });
    const entry = bench.journal.entry(1);
    const base = { version, moved: false };
    const first = await bench.make(entry, base);
    expect(first.moved).toBe(isBetween);
    expect(await bench.make(entry, base)).toEqual(first);
    expect(await things.findOne({ _id: 'a' })).toMatchObject({ n: 2 });
  },
);

it('takes a write that changed nothing for one on its base, also when its answer was lost', async () => {
  await using bench = await setUp();
  const { version } = await bench.service.create(THING, { _id: 'a', name: 'a', n: 1 }, context());
  bench.away();
  await bench.service.update(THING, 'a', { $max: { n: 0 } }, undefined, context());
  const entry = bench.journal.entry(1);
  const base = { version, moved: false };
  expect(await bench.make(entry, base)).toMatchObject({ version, moved: false });
  expect(await bench.make(entry, base)).toMatchObject({ version, moved: false });
});

it('writes nothing of a document while an entry of it is given up', async () => {
  await using bench = await setUp();
  bench.away();
  await bench.service.create(THING, { _id: 'a', name: 'a' }, context());
  await bench.service.create(THING, { _id: 'b', name: 'b' }, context());
  const given = Promise.withResolvers<void>();
  const [head] = bench.journal.waiting.heads();
  const place = head?.place as string;
  const kept = bench.replay.keepOff(place, async () => {
    await given.promise;
    return bench.journal.discard(1);
  });
  await expect(bench.replay.keepOff(place, async () => {})).rejects.toMatchObject({ code: 'CONFLICT' });
  const back = bench.back();
  await eventually('the other one is written', () => bench.journal.entry(2).state === 'REPLAYED');
  expect(bench.journal.entry(1).state).toBe('WAITING');
  given.resolve();
  expect(await kept).toMatchObject({ state: 'DISCARDED' });
  await back;
  expect(await bench.foreign.collection('things').countDocuments({})).toBe(1);
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
