import { ObjectId } from 'bson';
import { expect, it } from 'vitest';
import type { EntityChange } from '../../src/service/data-service.ts';
import { Fence } from '../../src/service/fence.ts';
import { PrimaryService } from '../../src/service/primary.ts';
import { primaryHarness, reading, writing } from './harness.ts';

const EVERY = ['CREATED', 'UPDATED', 'DELETED'] as const;

async function take(changes: AsyncIterable<EntityChange>, count: number): Promise<EntityChange[]> {
  const taken: EntityChange[] = [];
  for await (const change of changes) if (taken.push(change) === count) break;
  return taken;
}

it('draws ids in the order of time, and derives them from an idempotency key', async () => {
  await using harness = await primaryHarness();
  const { service } = harness;
  const thing = harness.entity('Thing');
  const first = await service.create(thing, { n: 1 }, writing('createThing'));
  const second = await service.create(thing, { n: 2 }, writing('createThing'));
  expect(first.document?._id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(String(second.document?._id).slice(0, 13) >= String(first.document?._id).slice(0, 13)).toBe(true);
  const keyed = await service.create(thing, { n: 3 }, writing('createThing', { idempotencyKey: 'k' }));
  const elsewhere = await service.create(thing, { n: 3 }, writing('another', { idempotencyKey: 'k' }));
  const otherwise = await service.create(
    thing,
    { n: 3 },
    writing('createThing', { idempotencyKey: 'k', principal: 'someone' }),
  );
  expect(new Set([keyed, elsewhere, otherwise].map(({ document }) => document?._id)).size).toBe(3);
  const token = await service.create(harness.entity('Token'), {}, writing('createToken', { idempotencyKey: 'k' }));
  expect(token.document?._id).toBeInstanceOf(ObjectId);
  await expect(service.create(harness.entity('Step'), {}, writing('createStep'))).rejects.toMatchObject({
    code: 'VALIDATION_FAILED',
  });
});

it('answers a repeated key with the first outcome, and refuses it with other arguments', async () => {
  await using harness = await primaryHarness();
  const { service, log } = harness;
  const thing = harness.entity('Thing');
  const context = (): ReturnType<typeof writing> => writing('createThing', { idempotencyKey: 'once' });
  const first = await service.create(thing, { name: 'a', n: 1 }, context());
  await service.update(thing, first.document?._id, { $inc: { n: 5 } }, undefined, writing('updateThing'));
  const again = await service.create(thing, { name: 'a', n: 1 }, context());
  expect(again).toEqual(first);
  expect(log.head().sequence).toBe(2);
  const changed = writing('createThing', { idempotencyKey: 'once', argumentsDigest: 'b'.repeat(32) });
  await expect(service.create(thing, { name: 'b' }, changed)).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });

  const increment = (): ReturnType<typeof service.update> =>
    service.update(
      thing,
      first.document?._id,
      { $inc: { n: 1 } },
      undefined,
      writing('updateThing', { idempotencyKey: 'inc' }),
    );
  const both = [await increment(), await increment()];
  expect(both.map(({ document }) => document?.n)).toEqual([7, 7]);
  const remove = (): ReturnType<typeof service.delete> =>
    service.delete(thing, first.document?._id, undefined, writing('deleteThing', { idempotencyKey: 'del' }));
  expect((await remove()).version).toBe((await remove()).version);
});

it('refuses a sum that its field cannot hold, and keeps the document', async () => {
  await using harness = await primaryHarness();
  const { service, log } = harness;
  const thing = harness.entity('Thing');
  const { document } = await service.create(thing, { n: 2 ** 31 - 1 }, writing('createThing'));
  const add = (n: number) => service.update(thing, document?._id, { $inc: { n } }, undefined, writing('updateThing'));
  await expect(add(1)).rejects.toMatchObject({
    code: 'VALIDATION_FAILED',
    message: 'Thing.n would become 2147483648, which is no Int',
    details: { fields: ['n'] },
  });
  expect(log.head().sequence).toBe(1);
  expect((await add(-1)).document).toMatchObject({ n: 2 ** 31 - 2 });
});

it('repeats a bulk create without doubling any document', async () => {
  await using harness = await primaryHarness();
  const { service, store } = harness;
  const thing = harness.entity('Thing');
  const create = (): ReturnType<typeof service.createMany> =>
    service.createMany(
      thing,
      [{ name: 'a' }, { name: 'b' }, { name: 'a' }],
      writing('createThings', { idempotencyKey: 'bulk' }),
    );
  const first = await create();
  expect(first).toMatchObject({ written: 2, refused: [{ index: 2, code: 'ALREADY_EXISTS' }] });
  expect(await create()).toMatchObject({ written: 2, refused: [{ index: 2, code: 'ALREADY_EXISTS' }] });
  expect(await store.collection('things').countDocuments({})).toBe(2);
});

it('upserts by a unique value, and names what stands in the way', async () => {
  await using harness = await primaryHarness();
  const { service } = harness;
  const thing = harness.entity('Thing');
  const upsert = (key?: string): ReturnType<typeof service.upsert> =>
    service.upsert(
      thing,
      { name: 'a' },
      { name: 'a', n: 1 },
      { $inc: { n: 10 } },
      writing('upsertThing', key === undefined ? {} : { idempotencyKey: key }),
    );
  expect((await upsert('first')).document).toMatchObject({ name: 'a', n: 1 });
  expect((await upsert('first')).document).toMatchObject({ name: 'a', n: 1 });
  expect((await upsert()).document).toMatchObject({ name: 'a', n: 11 });
  await expect(service.upsert(thing, { name: 'b' }, { name: 'a' }, {}, writing('upsertThing'))).rejects.toMatchObject({
    code: 'ALREADY_EXISTS',
  });
});

it('upserts no document that got another unique value meanwhile', async () => {
  await using harness = await primaryHarness();
  const { service } = harness;
  const thing = harness.entity('Thing');
  const { document } = await service.create(thing, { name: 'a', n: 1 }, writing('createThing'));
  const [renamed, upserted] = await Promise.all([
    service.update(thing, document?._id, { $set: { name: 'b' } }, undefined, writing('updateThing')),
    service.upsert(thing, { name: 'a' }, { name: 'a', n: 5 }, { $inc: { n: 10 } }, writing('upsertThing')),
  ]);
  expect(renamed.document).toMatchObject({ name: 'b', n: 1 });
  expect(upserted.document).toMatchObject({ name: 'a', n: 5 });
  const things = await service.find(thing, {}, { sort: { name: 1 } }, reading());
  expect(things.map(({ name, n }) => [name, n])).toEqual([
    ['a', 5],
    ['b', 1],
  ]);
});

it('refuses what is not there, and what was changed meanwhile with the current document', async () => {
  await using harness = await primaryHarness();
  const { service } = harness;
  const thing = harness.entity('Thing');
  await expect(service.update(thing, 'nobody', { $set: { n: 1 } }, undefined, writing('u'))).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
  await expect(service.delete(thing, 'nobody', undefined, writing('d'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const { document, version } = await service.create(thing, { n: 1 }, writing('c'));
  const update = (): ReturnType<typeof service.update> =>
    service.update(thing, document?._id, { $inc: { n: 1 } }, version ?? 0, writing('u'));
  const updated = await update();
  await expect(update()).rejects.toMatchObject({
    code: 'CONFLICT',
    details: { currentVersion: updated.version, current: { n: 2 } },
  });
});

it('marks answers with the head known before the read, and waits for a wanted position', async () => {
  await using harness = await primaryHarness();
  const { service } = harness;
  const thing = harness.entity('Thing');
  const written = writing('c');
  await service.create(thing, { n: 1 }, written);
  expect(written.provenance).toMatchObject({ source: 'DATABASE', position: '1.1', stalenessMs: 0, degraded: false });
  const waiting = reading({ minPosition: { epoch: 1, sequence: 2 } });
  const [found] = await Promise.all([
    service.find(thing, {}, {}, waiting),
    service.create(thing, { n: 2 }, writing('c')),
  ]);
  expect(found).toHaveLength(2);
  expect(waiting.provenance?.position).toBe('1.2');
  const beyond = reading({ minPosition: { epoch: 1, sequence: 9 } });
  await expect(service.count(thing, {}, beyond)).rejects.toMatchObject({
    code: 'STALE_READ',
    details: { position: '1.2' },
  });
});

it('delivers changes in order from a position without gap, each version once', async () => {
  await using harness = await primaryHarness();
  const { service } = harness;
  const thing = harness.entity('Thing');
  const { document, position } = await service.create(thing, { n: 0 }, writing('c'));
  for (let i = 0; i < 700; i++) await service.update(thing, document?._id, { $inc: { n: 1 } }, undefined, writing('u'));
  await service.create(harness.entity('Token'), {}, writing('c'));
  await service.delete(thing, document?._id, undefined, writing('d'));
  const changes = service.changes(thing, { filter: {}, operations: EVERY, after: position ?? undefined }, reading());
  const seen = await take(changes, 701);
  expect(seen.slice(0, 700).map((change) => change.document?.n)).toEqual(Array.from({ length: 700 }, (_, i) => i + 1));
  expect(seen[700]).toMatchObject({ operation: 'DELETED', document: null, position: { epoch: 1, sequence: 703 } });
});

it('tests a filter on the image after, and always delivers deletions', async () => {
  await using harness = await primaryHarness();
  const { service } = harness;
  const thing = harness.entity('Thing');
  const changes = service.changes(thing, { filter: { n: { $gt: 5 } }, operations: EVERY }, reading());
  const seen = take(changes, 2);
  const small = await service.create(thing, { n: 1 }, writing('c'));
  await service.create(thing, { n: 9 }, writing('c'));
  await service.delete(thing, small.document?._id, undefined, writing('d'));
  expect((await seen).map(({ operation }) => operation)).toEqual(['CREATED', 'DELETED']);
});

it('gives every subscriber everything, also those that come while others wait', async () => {
  await using harness = await primaryHarness();
  const { service } = harness;
  const thing = harness.entity('Thing');
  const from = (sequence: number): Promise<EntityChange[]> =>
    take(
      service.changes(thing, { filter: {}, operations: EVERY, after: { epoch: 1, sequence } }, reading()),
      60 - sequence,
    );
  const early = [from(0), from(0)];
  for (let i = 0; i < 30; i++) await service.create(thing, { n: i }, writing('c'));
  const late = [from(0), from(10), from(30)];
  for (let i = 30; i < 60; i++) await service.create(thing, { n: i }, writing('c'));
  const all = await Promise.all([...early, ...late]);
  for (const changes of all)
    expect(changes.map(({ document }) => document?.n)).toEqual(
      Array.from({ length: changes.length }, (_, i) => 60 - changes.length + i),
    );
});

it('refuses positions that are trimmed, of another history, or in the future', async () => {
  await using harness = await primaryHarness();
  const { service, log } = harness;
  const thing = harness.entity('Thing');
  for (let i = 0; i < 5; i++) await service.create(thing, { n: i }, writing('c'));
  await log.trim(4);
  const after = async (epoch: number, sequence: number): Promise<unknown> =>
    take(service.changes(thing, { filter: {}, operations: EVERY, after: { epoch, sequence } }, reading()), 1);
  await expect(after(1, 2)).rejects.toMatchObject({ code: 'CURSOR_EXPIRED', details: { oldest: '1.3' } });
  await expect(after(2, 3)).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
  await expect(after(1, 6)).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
  expect(await after(1, 3)).toHaveLength(1);
});

it('tells subscribers when the log becomes another history, and the oldest position in its own epoch', async () => {
  await using harness = await primaryHarness();
  const { service, log, database } = harness;
  const thing = harness.entity('Thing');
  for (let i = 0; i < 5; i++) await service.create(thing, { n: i }, writing('c'));
  const from = (sequence: number) =>
    take(service.changes(thing, { filter: {}, operations: EVERY, after: { epoch: 1, sequence } }, reading()), 9);
  const behind = from(2);
  const atHead = from(5);
  const ended = Promise.allSettled([behind, atHead]);
  await new Promise((resolve) => setImmediate(resolve));
  const epochs = [
    { epoch: 1, firstSequence: 1 },
    { epoch: 2, firstSequence: 3 },
  ];
  const origin = { logId: log.logId, epochs, sequence: 3, chain: 'a'.repeat(32) };
  await database.transaction((transaction) => log.reset(transaction, origin));
  const expired = { status: 'rejected', reason: { code: 'CURSOR_EXPIRED', details: { oldest: '2.3' } } };
  expect(await ended).toMatchObject([expired, expired]);
  await expect(from(1)).rejects.toMatchObject({ code: 'CURSOR_EXPIRED', details: { oldest: '2.3' } });
});

it('ends with its request', async () => {
  await using harness = await primaryHarness();
  const { service } = harness;
  const ended = new AbortController();
  const changes = take(
    service.changes(harness.entity('Thing'), { filter: {}, operations: EVERY }, reading({ signal: ended.signal })),
    1,
  );
  ended.abort();
  expect(await changes).toEqual([]);
  await expect(service.find(harness.entity('Thing'), {}, {}, reading({ signal: ended.signal }))).rejects.toThrow();
});

it('refuses a position of a history that ended, and marks what a fenced primary answers with its age', async () => {
  await using harness = await primaryHarness();
  const { database, log, store } = harness;
  const thing = harness.entity('Thing');
  await harness.service.create(thing, { n: 1 }, writing('createThing'));
  await database.transaction((transaction) => log.beginEpoch(transaction, 0));
  const read = (epoch: number, sequence: number) =>
    harness.service.find(thing, {}, {}, reading({ minPosition: { epoch, sequence } }));
  expect(await Promise.all([read(1, 1), read(2, 2)])).toHaveLength(2);
  await expect(read(1, 2)).rejects.toMatchObject({ code: 'STALE_READ' });
  await expect(read(1, 9)).rejects.toMatchObject({ code: 'STALE_READ' });

  let now = 1_000;
  const fence = await Fence.open({ database, log, now: () => now });
  const service = new PrimaryService({ store, log, fence, now: () => now });
  await fence.raise(3, 2);
  now = 3_000;
  const context = reading({});
  expect(await service.find(thing, {}, {}, context)).toHaveLength(1);
  expect(context.provenance).toMatchObject({ degraded: true, stalenessMs: 2_000, asOf: '1970-01-01T00:00:01.000Z' });
  await expect(service.find(thing, {}, {}, reading({ maxStalenessMs: 1_000 }))).rejects.toMatchObject({
    code: 'STALE_READ',
  });
  await expect(service.create(thing, { n: 2 }, writing('createThing'))).rejects.toMatchObject({ code: 'FENCED' });
});
