import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { HoldfastError } from '../../src/errors.ts';
import type { Frame, Hello } from '../../src/protocol/sync-source.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { contents, Follower, impatientClock, Primary, pair, Wire } from './support.ts';

/** The primary's directory as it is now; the restored primary is opened over it. */
function backupOf(primary: Primary, directory: string): string {
  const copy = join(directory, 'restored');
  primary.database.reader.exec('SELECT 1');
  mkdirSync(copy);
  cpSync(join(directory, 'primary'), join(copy, 'primary'), {
    recursive: true,
    filter: (path) => !path.endsWith('lock'),
  });
  return copy;
}

test('freezes at the exact change where a restored primary went another way; a forced resync follows it', async () => {
  await using directory = await temporaryDirectory();
  const { primary, follower } = await pair(directory.path, 200);
  const copy = backupOf(primary, directory.path);
  const common = primary.log.head().sequence;
  for (let n = 0; n < 30; n++) await primary.write(n, { lost: true });
  await primary.write(900, { lost: true });
  await primary.delete(150);
  await follower.caughtUp(primary);
  await follower.close();
  await primary.close();

  const restored = await Primary.open(copy);
  for (let n = 20; n < 60; n++) await restored.write(n, { other: true });
  const wire = new Wire(() => restored.source);
  const again = await Follower.open(directory.path, [wire.address]);
  await eventually('FORKED', () => again.replica.status().state === 'FORKED');
  await eventually('a message', () => again.replica.status().message);
  expect(again.replica.status().message).toContain(`at change ${common + 1};`);
  expect(again.replica.isReady()).toBe(true);
  expect(contents(again.store)['teachers 900']).toContain('lost');
  expect(() => again.replica.resync()).toThrow(expect.objectContaining({ code: 'FORK' }));

  // Also when the process starts again, and when the source can no longer tell a fork from an old cursor.
  await again.close();
  for (let n = 0; n < 400; n++) await restored.write(n, { more: n });
  await restored.log.trim(restored.log.head().sequence);
  const third = await Follower.open(directory.path, [wire.address]);
  await eventually('FORKED', () => third.replica.status().state === 'FORKED');
  third.replica.resync({ force: true });
  await third.caughtUp(restored);
  expect(contents(third.store)).toEqual(contents(restored.store));
  expect(third.replica.status()).toMatchObject({ state: 'LIVE', message: null });
  await third.close();
  await restored.close();
});

test('an order to give up a fork is carried out although the first try breaks', async () => {
  await using directory = await temporaryDirectory();
  const { primary, follower } = await pair(directory.path, 20);
  const copy = backupOf(primary, directory.path);
  await primary.write(5, { lost: true });
  await follower.caughtUp(primary);
  await follower.close();
  await primary.close();
  const restored = await Primary.open(copy);
  await restored.write(6, { other: true });
  const wire = new Wire(() => restored.source);
  const again = await Follower.open(directory.path, [wire.address]);
  await eventually('a message', () => again.replica.status().state === 'FORKED' && again.replica.status().message);
  let breaks = 2;
  wire.before = (call) => {
    if (call === 'chain' && breaks-- > 0) throw new HoldfastError('PRIMARY_UNREACHABLE', 'cut');
  };
  again.replica.resync({ force: true });
  await again.caughtUp(restored);
  expect(breaks).toBeLessThan(0);
  expect(contents(again.store)).toEqual(contents(restored.store));
  await again.close();
  await restored.close();
});

test('a primary restored to an older state without new writes is a fork after its last change', async () => {
  await using directory = await temporaryDirectory();
  const { primary, follower } = await pair(directory.path, 20);
  const copy = backupOf(primary, directory.path);
  const head = primary.log.head().sequence;
  await primary.write(5, { changed: true });
  await follower.caughtUp(primary);
  await follower.close();
  await primary.close();
  const restored = await Primary.open(copy);
  const again = await Follower.open(directory.path, [new Wire(() => restored.source).address]);
  await eventually('a message', () => again.replica.status().state === 'FORKED' && again.replica.status().message);
  expect(again.replica.status().message).toContain(`at change ${head + 1};`);
  await again.close();
  await restored.close();
});

test('a source of an older epoch is refused, and the next address is followed', async () => {
  await using directory = await temporaryDirectory();
  const { primary, wire, follower } = await pair(directory.path, 20);
  wire.alter = (call, answer) => (call === 'hello' ? { ...(answer as Hello), status: 'FENCED' } : answer);
  wire.cut();
  await eventually('FENCED', () => follower.replica.status().state === 'FENCED');
  expect(follower.replica.isReady()).toBe(true);
  expect(() => follower.replica.resync()).toThrow(expect.objectContaining({ code: 'FENCED' }));
  await follower.close();
  const other = new Wire(() => primary.source);
  const again = await Follower.open(directory.path, [wire.address, other.address], {
    clock: impatientClock,
  });
  await primary.write(50);
  await again.caughtUp(primary);
  await again.close();
  await primary.close();
});

test('a frame whose chain goes another way is a fork, and nothing of it is applied', async () => {
  await using directory = await temporaryDirectory();
  const { primary, wire, follower } = await pair(directory.path, 50);
  const before = contents(follower.store);
  wire.alter = (call, answer) => {
    if (call !== 'frame') return answer;
    const frame = answer as Frame;
    const chain = 'f'.repeat(32);
    return frame.body === '' ? frame : { ...frame, body: '', from: frame.to + 1, previous: chain, chain };
  };
  await primary.write(1, { n: 1 });
  await eventually('not live', () => follower.replica.status().state !== 'LIVE');
  expect(contents(follower.store)).toEqual(before);
  await follower.close();
  await primary.close();
});
