import { readFile } from 'node:fs/promises';
import { expect, it, onTestFinished } from 'vitest';
import { SqliteChangeLog } from '../../src/changelog/sqlite-change-log.ts';
import { Conflicts } from '../../src/service/conflicts.ts';
import { exportDivergent } from '../../src/service/divergence.ts';
import { Fence } from '../../src/service/fence.ts';
import { openSqliteStore } from '../support/sqlite-store.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const SPECS = [{ name: 'things', indexes: [] }];

async function open() {
  const fixture = await openSqliteStore(SPECS);
  onTestFinished(() => fixture[Symbol.asyncDispose]());
  return fixture;
}

it('refuses writes for good, also those under way, and after a restart', async () => {
  const fixture = await open();
  const fence = await Fence.open({ ...fixture, now: () => 7 });
  expect(() => fence.requireOpen()).not.toThrow();
  const things = fixture.store.collection('things');
  await things.insertOne({ _id: 1 });
  const before = things.insertOne({ _id: 2 });
  const raised = fence.raise(2, 2);
  expect(() => fence.requireOpen()).toThrow(expect.objectContaining({ code: 'FENCED', details: { epoch: 2 } }));
  const after = things.insertOne({ _id: 3 });
  await Promise.all([before, raised]);
  await expect(after).rejects.toMatchObject({ code: 'FENCED' });
  await fixture.reopen(SPECS);
  const again = await Fence.open(fixture);
  expect(again.state).toEqual({ epoch: 2, at: 7, from: 2 });
  await expect(fixture.store.collection('things').insertOne({ _id: 4 })).rejects.toMatchObject({ code: 'FENCED' });
  expect(await fixture.store.collection('things').countDocuments({})).toBe(2);
});

it('tells everybody who waits when the last write under way has ended', async () => {
  const fixture = await open();
  const fence = await Fence.open(fixture);
  await fence.idle();
  const [first, second] = [fence.begin(), fence.begin()];
  let told = 0;
  const waiting = [1, 2].map(() => fence.idle().then(() => told++));
  first[Symbol.dispose]();
  await new Promise((resolve) => setImmediate(resolve));
  expect(told).toBe(0);
  second[Symbol.dispose]();
  await Promise.all(waiting);
  expect(told).toBe(2);
});

it('learns of a higher epoch, and only once', async () => {
  const fixture = await open();
  const fence = await Fence.open({ ...fixture, now: () => 7 });
  expect(await fence.raise(3, 12)).toBe(true);
  expect(await fence.raise(3, 12)).toBe(false);
  expect(await fence.raise(2, 10)).toBe(false);
  expect(fence.state).toEqual({ epoch: 3, at: 7, from: 12 });
  expect(await fence.raise(4, 14)).toBe(true);
  expect(fence.state).toEqual({ epoch: 4, at: 7, from: 12 });
});

it('ends with an epoch of its own, above the one it was fenced by', async () => {
  const fixture = await open();
  const fence = await Fence.open(fixture);
  await fence.raise(4, 1);
  await fixture.database.transaction((transaction) => fixture.log.beginEpoch(transaction, 0));
  expect(fixture.log.epochs()).toEqual([
    { epoch: 1, firstSequence: 1 },
    { epoch: 5, firstSequence: 1 },
  ]);
  expect((await Fence.open(fixture)).state).toBeUndefined();
  await fixture.store.collection('things').insertOne({ _id: 1 });
  expect((await SqliteChangeLog.open(fixture.database)).head()).toMatchObject({ epoch: 5, sequence: 2 });
});

it('keeps divergent changes in a file and lists the last state of each document, once', async () => {
  const { database, log, store } = await open();
  await using directory = await temporaryDirectory();
  const things = store.collection('things');
  for (const _id of [1, 2, 3]) await things.insertOne({ _id, text: 'a' });
  await things.updateOne({ _id: 2 }, { $set: { text: 'b' } });
  await things.deleteOne({ _id: 1 });
  const conflicts = await Conflicts.open(database);
  const options = { log, database, conflicts, directory: directory.path };
  const file = await exportDivergent(options, 3);
  expect(file).toBe(`${directory.path}/divergent-${log.logId}-3.jsonl`);
  const lines = async () =>
    (await readFile(file as string, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  const wanted = [
    { sequence: 3, operation: 'CREATED', id: 3, document: { _id: 3, text: 'a' } },
    { sequence: 4, operation: 'UPDATED', id: 2, document: { _id: 2, text: 'b' } },
    { sequence: 5, operation: 'DELETED', id: 1, document: null },
  ];
  expect(await lines()).toMatchObject(wanted);
  expect(await exportDivergent(options, 3)).toBe(file);
  expect(await lines()).toMatchObject(wanted);
  expect(conflicts.list({ all: false, limit: 10, after: null })).toMatchObject([
    { kind: 'DIVERGED', document: '3', proposed: '{"_id":3,"text":"a"}' },
    { document: '2', proposed: '{"_id":2,"text":"b"}' },
    { document: '1', proposed: null },
  ]);
  expect(await exportDivergent(options, 6)).toBeNull();
});
