import { expect, test } from 'vitest';
import { Herald } from '../../replica/herald.ts';
import { Progress } from '../../replica/progress.ts';
import { SqliteChangeLog } from '../../src/changelog/sqlite-change-log.ts';
import { PrimarySource } from '../../src/replication/source.ts';
import { Database } from '../../src/sqlite/database.ts';
import { SqliteStore } from '../../src/store/sqlite-store.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { COLLECTIONS, contents, Follower, impatientClock, Primary, SCHEMA, Wire } from './support.ts';

const NAMES = COLLECTIONS.map(({ name }) => name);
const UNIQUE = [
  { name: 'teachers', indexes: [{ name: 'name', paths: ['name'], unique: true }] },
  { name: 'schools', indexes: [] },
];

async function pair(directory: string, count: number) {
  const primary = await Primary.open(directory);
  await primary.insert(0, count);
  const wire = new Wire(() => primary.source);
  const follower = await Follower.open(directory, [wire.address], { clock: impatientClock });
  await follower.replica.ready;
  await follower.caughtUp(primary);
  return { primary, wire, follower };
}

const promote = ({ replica, store, log }: Follower, force = false) =>
  replica.promote({
    ...{ force, primaries: ['ws://primary'] },
    prepare: (transaction) => store.takeOver(transaction, log.keyedSeenBy(transaction, 0)),
  });

/** The replica's file, opened as a primary's. */
async function takenOver({ database, log }: Follower) {
  const store = await SqliteStore.open({ database, outbox: log, collections: UNIQUE, clock: () => 0 });
  const source = new PrimarySource({ log, rows: store, schema: SCHEMA, collections: NAMES });
  return { store, source };
}

test('begins an epoch, ends the following, and knows writes by their keys', async () => {
  await using directory = await temporaryDirectory();
  const { primary, follower } = await pair(directory.path, 3);
  const idempotency = { key: 'ab'.repeat(16), digest: 'cd'.repeat(16) };
  const removal = { key: 'ef'.repeat(16), digest: 'cd'.repeat(16) };
  const teachers = primary.store.collection('teachers');
  const first = await teachers.updateOne({ _id: 1 }, { $set: { name: 'x' } }, { idempotency });
  await primary.write(2, { text: 'last' });
  const removed = await teachers.deleteOne({ _id: 2 }, { idempotency: removal });
  await follower.caughtUp(primary);
  expect(await promote(follower)).toEqual({ position: { epoch: 2, sequence: 7 }, epoch: 2, lostChanges: 0 });
  expect(follower.replica.status().state).toBe('STOPPED');
  await expect(promote(follower)).rejects.toMatchObject({ code: 'NOT_READY' });
  const { store } = await takenOver(follower);
  const own = store.collection('teachers');
  const again = await own.updateOne({ _id: 1 }, { $set: { name: 'y' } }, { idempotency });
  expect(again).toEqual({ ...first, repeated: true });
  expect(await own.deleteOne({ _id: 2 }, { idempotency: removal })).toEqual({ ...removed, repeated: true });
  // The clock of this node is far behind: versions go on above all that were given.
  const next = await own.updateOne({ _id: 0 }, { $set: { name: 'z' } });
  expect(next.version).toBeGreaterThan(removed.version as number);
  expect(next.position).toEqual({ epoch: 2, sequence: 8 });
  await primary.write(9);
  expect(follower.log.head().sequence).toBe(8);
  await follower.close();
  await primary.close();
});

test('is refused with the documents that are not unique, changes nothing, and the replica follows on', async () => {
  await using directory = await temporaryDirectory();
  const { primary, follower } = await pair(directory.path, 3);
  await primary.store
    .collection('teachers')
    .insertMany([{ _id: 10, name: 'teacher 1' }, { _id: 11, name: 'teacher 1' }, { _id: 12, name: null }, { _id: 13 }]);
  await follower.caughtUp(primary);
  const wire = new Wire(() => primary.source);
  const unique = await Follower.open(`${directory.path}/unique`, [wire.address], {
    prepare: async () => {
      const store = await SqliteStore.open({ database: unique.database, outbox: unique.log, collections: UNIQUE });
      unique.stores.push(store);
      return { store, collections: NAMES };
    },
  });
  await unique.replica.ready;
  await unique.caughtUp(primary);
  await expect(promote(unique)).rejects.toMatchObject({
    code: 'ALREADY_EXISTS',
    details: { violations: [{ collection: 'teachers', fields: ['name'], ids: ['1', '10', '11'] }] },
  });
  expect(unique.log.epochs()).toHaveLength(1);
  await primary.write(20);
  await unique.caughtUp(primary);
  await Promise.all([follower.close(), unique.close()]);
  await primary.close();
});

test('needs force while documents may be missing', async () => {
  await using directory = await temporaryDirectory();
  const primary = await Primary.open(directory.path);
  await primary.insert(0, 10);
  const wire = new Wire(() => primary.source);
  wire.before = (call) => (call === 'snapshot' ? new Promise(() => {}) : undefined);
  const follower = await Follower.open(directory.path, [wire.address]);
  await eventually('it copies', () => follower.replica.status().state === 'BOOTSTRAPPING');
  await expect(promote(follower)).rejects.toMatchObject({ code: 'NOT_READY' });
  expect(await promote(follower, true)).toMatchObject({ epoch: 2 });
  await follower.replica.ready;
  await follower.close();
  await primary.close();
});

test('others re-parent with their cursors; one that copied anew knows the older epochs too', async () => {
  await using directory = await temporaryDirectory();
  const { primary, wire, follower } = await pair(directory.path, 5);
  await promote(follower);
  const { source } = await takenOver(follower);
  const promoted = new Wire(() => source);
  const second = await Follower.open(`${directory.path}/second`, [promoted.address], { clock: impatientClock });
  await second.replica.ready;
  expect(second.log.epochs()).toEqual([
    { epoch: 1, firstSequence: 1 },
    { epoch: 2, firstSequence: 6 },
  ]);
  // It hands on: a child at an older epoch is in its history, and is told that it was trimmed.
  const onward = new PrimarySource({ log: second.log, rows: second.store, schema: SCHEMA, collections: NAMES });
  const old = (await primary.source.hello(null, { collections: null })).cursor;
  expect((await onward.hello(old, { collections: null })).status).toBe('RESYNC');
  await primary.write(6);
  const divergent = (await primary.source.hello(null, { collections: null })).cursor;
  expect((await onward.hello(divergent, { collections: null })).status).toBe('FORK');
  expect(wire.connects).toBeGreaterThan(0);
  await Promise.all([follower.close(), second.close()]);
  await primary.close();
});

test('a replica that paged in what the promoted one lost does not wait for it, and gives it up', async () => {
  await using directory = await temporaryDirectory();
  const { primary, wire, follower } = await pair(directory.path, 30);
  wire.down = true;
  wire.cut();
  let source = primary.source;
  const other = new Wire(() => source);
  const held = Promise.withResolvers<void>();
  other.before = async (call) => {
    if (call === 'frame') await held.promise;
    // Until then a new follower is at the head.
    if (call === 'snapshot') for (let id = 0; id < 10; id++) await primary.write(id, { lost: true });
  };
  const late = await Follower.open(`${directory.path}/late`, [other.address], { clock: impatientClock });
  await eventually('it is paged in', () => late.replica.status().loaded.rows === 30);
  expect(late.log.head().sequence).toBe(30);
  await promote(follower, true);
  const promoted = await takenOver(follower);
  source = promoted.source;
  other.before = () => undefined;
  other.cut();
  held.resolve();
  await late.replica.ready;
  expect(late.log.head()).toMatchObject({ epoch: 2, sequence: 31 });
  expect(contents(late.store)).toEqual(contents(promoted.store));
  for (const one of [follower, late, primary]) await one.close();
});

test('a replica that was proven gives up rows that were ahead in a history that ended', async () => {
  await using directory = await temporaryDirectory();
  const { primary, follower } = await pair(directory.path, 30);
  const other = await Follower.open(`${directory.path}/other`, [new Wire(() => primary.source).address]);
  await other.replica.ready;
  await other.replica.stop();
  const progress = await Progress.open(other.database);
  // As after a row that came by reference.
  await other.database.transaction((transaction) => {
    const version = other.store.rowState('teachers', '5')?.version as number;
    other.store.put(transaction, 'teachers', { id: '5', version: version + 1, text: '{"_id":5,"lost":true}' }, 0);
    progress.settle(transaction, { epoch: 1, sequence: 40 });
  });
  await other.close();
  await promote(follower);
  const { source, store } = await takenOver(follower);
  const again = await Follower.open(`${directory.path}/other`, [new Wire(() => source).address]);
  await eventually('it is equal', () => again.replica.isEqual());
  expect(again.log.head()).toMatchObject({ epoch: 2, sequence: 31 });
  expect(contents(again.store)).toEqual(contents(store));
  for (const one of [follower, again, primary]) await one.close();
});

test('a former primary hears of the new epoch and where it began, as soon as it can be reached', async () => {
  await using directory = await temporaryDirectory();
  const { primary, follower } = await pair(directory.path, 5);
  await promote(follower);
  const heard: [number, number | null][] = [];
  let fencedBy: number | null = null;
  const former = new PrimarySource({
    ...{ log: primary.log, rows: primary.store, schema: SCHEMA, collections: NAMES },
    onHigherEpoch: (epoch, from) => {
      heard.push([epoch, from]);
      fencedBy = epoch;
    },
    fencedBy: () => fencedBy,
  });
  const wire = new Wire(() => former);
  wire.down = true;
  const logger = createLogger({ level: 'silent' });
  const herald = new Herald({ log: follower.log, sources: [wire.address], logger, clock: impatientClock });
  const told = herald.run();
  await eventually('it tries', () => wire.connects > 2);
  wire.down = false;
  await told;
  expect(heard).toEqual([[2, 6]]);
  // It is nobody's source any more.
  await expect(former.hello(null, { collections: null })).rejects.toMatchObject({ code: 'FENCED' });
  await herald.stop();
  await follower.close();
  await primary.close();
});

test('the directory of a primary follows from its own head; what only it has is kept before it is given up', async () => {
  await using directory = await temporaryDirectory();
  const { primary, follower } = await pair(directory.path, 5);
  await promote(follower);
  const { store, source } = await takenOver(follower);
  await primary.insert(100, 3);
  await store.collection('teachers').insertOne({ _id: 50, name: 'fifty' });
  await primary.close();
  const wire = new Wire(() => source);
  const kept: number[] = [];
  const database = Database.open({ directory: `${directory.path}/primary` });
  const log = await SqliteChangeLog.open(database);
  const former = await Follower.open(`${directory.path}/unused`, [wire.address], {
    ...{ database, log, clock: impatientClock, schema: SCHEMA },
    prepare: async () => ({
      store: await SqliteStore.open({ database, outbox: log, collections: COLLECTIONS }),
      collections: NAMES,
    }),
    keepDivergent: async (from) => {
      expect(log.head()).toMatchObject({ epoch: 1, sequence: 8 });
      kept.push(from);
      return 'file';
    },
  });
  const message = 'its changes from there on are in file';
  await eventually('the fork is located', () => former.replica.status().message?.includes(message) === true);
  expect(() => former.replica.resync()).toThrow(expect.objectContaining({ code: 'FORK' }));
  await expect(former.replica.promote({ force: false, primaries: [], prepare: () => {} })).rejects.toMatchObject({
    code: 'FORK',
  });
  former.replica.resync({ force: true });
  await eventually('it is equal', () => former.replica.status().state === 'LIVE');
  expect(kept).toEqual([6, 6]);
  expect(log.head()).toEqual(follower.log.head());
  await former.close();
  await database.close();
  await follower.close();
});
