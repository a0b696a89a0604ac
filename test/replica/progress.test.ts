import { expect, test } from 'vitest';
import { LOAD_START, NEW_FACTS, Progress } from '../../replica/progress.ts';
import { Database } from '../../src/sqlite/database.ts';
import { temporaryDirectory } from '../support/temporary.ts';

test('starts with nothing and finds everything again after the file was closed', async () => {
  await using directory = await temporaryDirectory();
  const database = Database.open({ directory: directory.path });
  const progress = await Progress.open(database);
  expect([progress.facts, progress.load, progress.schema, progress.asOf]).toEqual([NEW_FACTS, LOAD_START, null, null]);
  await database.transaction((transaction) => {
    progress.saveFacts(transaction, { joined: true, task: 'BOOTSTRAP' });
    progress.settle(transaction, 12);
    progress.saveLoad(transaction, { collection: 'teachers', next: 'abc', paged: false });
    progress.saveSchema(transaction, { sdl: 'type A', sdlHash: 'h' });
    progress.saveAsOf(transaction, 99);
  });
  await database.close();

  const again = Database.open({ directory: directory.path });
  const found = await Progress.open(again);
  expect(found.facts).toEqual({ joined: true, proven: false, task: 'BOOTSTRAP', forked: false, settled: 12 });
  expect(found.load).toEqual({ collection: 'teachers', next: 'abc', paged: false });
  expect(found.schema).toEqual({ sdl: 'type A', sdlHash: 'h' });
  expect(found.asOf).toBe(99);
  await again.close();
});

test('settled only moves forward', async () => {
  const database = Database.open({ directory: ':memory:' });
  const progress = await Progress.open(database);
  await database.transaction((transaction) => progress.settle(transaction, 12));
  await database.transaction((transaction) => progress.settle(transaction, 5));
  expect(progress.facts.settled).toBe(12);
});

test('what a transaction changed in memory is taken back with it', async () => {
  const database = Database.open({ directory: ':memory:' });
  const progress = await Progress.open(database);
  const failed = database.transaction((transaction) => {
    progress.saveFacts(transaction, { proven: true });
    progress.settle(transaction, 12);
    throw new Error('no');
  });
  await expect(failed).rejects.toThrow('no');
  expect(progress.facts).toEqual(NEW_FACTS);
});
