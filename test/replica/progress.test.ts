import { expect, test } from 'vitest';
import { LOAD_START, NEW_FACTS, Progress } from '../../replica/progress.ts';
import { Database } from '../../src/sqlite/database.ts';
import { createMeta, writeMeta } from '../../src/sqlite/meta.ts';
import { temporaryDirectory } from '../support/temporary.ts';

test('starts with nothing and finds everything again after the file was closed', async () => {
  await using directory = await temporaryDirectory();
  const database = Database.open({ directory: directory.path });
  const progress = await Progress.open(database);
  expect([progress.facts, progress.load, progress.schema, progress.asOf]).toEqual([NEW_FACTS, LOAD_START, null, null]);
  await database.transaction((transaction) => {
    progress.saveFacts(transaction, { joined: true, task: 'BOOTSTRAP' });
    progress.settle(transaction, { epoch: 1, sequence: 12 });
    progress.saveLoad(transaction, { collection: 'teachers', next: 'abc', paged: false });
    progress.saveSchema(transaction, { sdl: 'type A', sdlHash: 'h' });
    progress.saveAsOf(transaction, 99);
  });
  await database.close();

  const again = Database.open({ directory: directory.path });
  const found = await Progress.open(again);
  const settled = { epoch: 1, sequence: 12 };
  expect(found.facts).toEqual({ joined: true, proven: false, task: 'BOOTSTRAP', forked: false, settled });
  expect(found.load).toEqual({ collection: 'teachers', next: 'abc', paged: false });
  expect(found.schema).toEqual({ sdl: 'type A', sdlHash: 'h' });
  expect(found.asOf).toBe(99);
  await again.close();
});

test('settled only moves forward; a later epoch is later', async () => {
  const database = Database.open({ directory: ':memory:' });
  const progress = await Progress.open(database);
  const settle = (epoch: number, sequence: number) =>
    database.transaction((transaction) => progress.settle(transaction, { epoch, sequence }));
  await settle(1, 12);
  await settle(1, 5);
  expect(progress.facts.settled).toEqual({ epoch: 1, sequence: 12 });
  await settle(2, 10);
  expect(progress.facts.settled).toEqual({ epoch: 2, sequence: 10 });
});

test('what an older file says is settled is of no epoch', async () => {
  const database = Database.open({ directory: ':memory:' });
  await database.transaction((transaction) => {
    createMeta(transaction);
    writeMeta(transaction, 'replica.facts', JSON.stringify({ ...NEW_FACTS, joined: true, settled: 12 }));
  });
  const { facts } = await Progress.open(database);
  expect(facts).toEqual({ ...NEW_FACTS, joined: true, settled: { epoch: 0, sequence: 12 } });
});

test('what a transaction changed in memory is taken back with it', async () => {
  const database = Database.open({ directory: ':memory:' });
  const progress = await Progress.open(database);
  const failed = database.transaction((transaction) => {
    progress.saveFacts(transaction, { proven: true });
    progress.settle(transaction, { epoch: 1, sequence: 12 });
    throw new Error('no');
  });
  await expect(failed).rejects.toThrow('no');
  expect(progress.facts).toEqual(NEW_FACTS);
});
