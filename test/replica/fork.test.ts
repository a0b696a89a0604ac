import { expect, test } from 'vitest';
import { locateFork } from '../../replica/fork.ts';
import { chainAt } from '../../src/changelog/chain-at.ts';
import type { ChangeLog } from '../../src/changelog/change-log.ts';
import type { SyncSource } from '../../src/protocol/sync-source.ts';
import { change } from '../support/entries.ts';
import { MemoryLog } from '../support/memory-node.ts';

/** A log of `common` shared changes, then `more` of its own. */
function logOf(common: number, more: number, mark: string): MemoryLog {
  const log = new MemoryLog();
  for (let n = 1; n <= common + more; n++) log.append(change({ id: `${n}`, key: n > common ? mark.repeat(32) : null }));
  return log;
}

function located(ours: ChangeLog, theirs: MemoryLog) {
  let asked = 0;
  const source = {
    chain: async (sequences: readonly number[]) => {
      asked += 1;
      expect(sequences.every((sequence) => sequence >= 1)).toBe(true);
      return Promise.all(sequences.map((sequence) => chainAt(theirs, sequence)));
    },
  } as Partial<SyncSource> as SyncSource;
  const hello = { logId: theirs.logId, head: theirs.head().sequence, floor: theirs.floor(), epochs: theirs.epochs() };
  return locateFork(ours, source, hello).then((fork) => ({ ...fork, asked }));
}

test.each([
  [0, 5, 5],
  [1, 1, 1],
  [7, 3, 30],
  [100, 40, 1],
  [500, 500, 500],
  [64, 1, 0],
])('after %i common changes, %i of ours and %i of theirs', async (common, ours, theirs) => {
  const { sequence, kept, asked } = await located(logOf(common, ours, 'a'), logOf(common, theirs, 'b'));
  expect([sequence, kept]).toEqual([common + 1, true]);
  expect(asked).toBeLessThanOrEqual(12);
});

test('another database has no common change', async () => {
  const theirs = logOf(3, 3, 'b');
  theirs.logId = 'ff'.repeat(16);
  expect(await located(logOf(3, 3, 'a'), theirs)).toMatchObject({ sequence: null });
});

test('a fork before what is kept here is said to be at or before the floor', async () => {
  const ours = logOf(10, 30, 'a');
  await ours.trim(21);
  expect(await located(ours, logOf(10, 30, 'b'))).toMatchObject({ sequence: 20, kept: false });
});

test('a source that is shorter than what is kept here parts after its head at the latest', async () => {
  const ours = logOf(10, 30, 'a');
  await ours.trim(21);
  expect(await located(ours, logOf(10, 2, 'b'))).toMatchObject({ sequence: 13, kept: false });
});

test('what the source has trimmed is taken for ours alone, unless the epochs tell where the histories part', async () => {
  const ours = logOf(10, 5, 'a');
  const theirs = logOf(10, 30, 'b');
  await theirs.trim(30);
  expect(await located(ours, theirs)).toMatchObject({ sequence: 16, from: 1 });
  const promoted = logOf(10, 0, 'b');
  promoted.append(change({ operation: 'EPOCH', collection: '', id: '', after: null, image: null, key: null }));
  for (let n = 0; n < 30; n++) promoted.append(change({ id: `p${n}`, key: null }));
  await promoted.trim(30);
  expect(await located(ours, promoted)).toMatchObject({ sequence: 11, kept: true, from: 11 });
});
