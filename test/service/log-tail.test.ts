import { expect, it } from 'vitest';
import { chainHash } from '../../src/model/change.ts';
import { LogTail } from '../../src/service/log-tail.ts';
import { change } from '../support/entries.ts';
import { MemoryLog } from '../support/memory-node.ts';

/** Appends `count` changes of a document, each one version, with `characters` of text. */
function append(log: MemoryLog, count: number, name = 'Ada', characters = 0): void {
  const first = log.head().sequence;
  const image = (version: number): string => `{"_id":"ada","name":"${name}${version}${'x'.repeat(characters)}"}`;
  log.append(...Array.from({ length: count }, (_, i) => change({ version: first + i, image: image(first + i) })));
}

async function sequencesAfter(tail: LogTail, after: number): Promise<number[]> {
  return (await tail.read(after)).map(({ entry }) => entry.sequence);
}

it('reads what is new once for everybody at the end', async () => {
  const log = new MemoryLog();
  const tail = new LogTail(log);
  append(log, 3);
  await tail.read(0);
  append(log, 2);
  log.reads = 0;
  const all = await Promise.all([sequencesAfter(tail, 3), sequencesAfter(tail, 3), sequencesAfter(tail, 3)]);
  expect(all).toEqual([
    [4, 5],
    [4, 5],
    [4, 5],
  ]);
  expect(log.reads).toBe(1);
});

it('gives nothing of a history that was replaced', async () => {
  const log = new MemoryLog();
  const tail = new LogTail(log);
  append(log, 6, 'Old');
  await tail.read(4);
  const { chain } = log.head();
  log.reset(3, chainHash(chain, 1, 4, change()));
  append(log, 4, 'New');
  const read = await tail.read(4);
  expect(read.map(({ document }) => document?.name)).toEqual(['New4', 'New5', 'New6']);
});

it('goes on at the end when somebody far behind was served before', async () => {
  const log = new MemoryLog();
  const tail = new LogTail(log);
  append(log, 2_000);
  await tail.read(0);
  append(log, 1);
  await tail.read(2_000);
  append(log, 1);
  await tail.read(2_001);
  log.reads = 0;
  await tail.read(2_001);
  expect(log.reads).toBe(0);
});

it('holds a bounded amount of text', async () => {
  const log = new MemoryLog();
  const tail = new LogTail(log);
  append(log, 1);
  await tail.read(0);
  for (let i = 1; i <= 40; i++) {
    append(log, 1, 'Ada', 512 * 1024);
    await tail.read(i);
  }
  log.reads = 0;
  expect(await sequencesAfter(tail, 40)).toEqual([41]);
  expect(log.reads).toBe(0);
  await tail.read(2);
  expect(log.reads).toBe(1);
});
