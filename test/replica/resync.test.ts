import { expect, test } from 'vitest';
import { HoldfastError } from '../../src/errors.ts';
import type { Hello } from '../../src/protocol/sync-source.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { contents, Follower, pair } from './support.ts';

test('fetches only what differs when its cursor is too old, and serves meanwhile', async () => {
  await using directory = await temporaryDirectory();
  const { primary, wire, follower } = await pair(directory.path, 3_000);
  await follower.close();
  for (let n = 0; n < 40; n++) await primary.write(n * 50, { changed: true });
  for (let n = 0; n < 10; n++) await primary.delete(n * 50 + 1);
  await primary.insert(5_000, 20);
  await primary.log.trim(primary.log.head().sequence);
  wire.calls = {};
  const states = new Set<string>();
  let servedMeanwhile = 0;
  const again = await Follower.open(directory.path, [wire.address]);
  wire.before = () => {
    states.add(again.replica.status().state);
    if (again.replica.isReady()) servedMeanwhile = again.store.buckets('teachers').count;
  };
  await again.caughtUp(primary);
  expect(contents(again.store)).toEqual(contents(primary.store));
  expect([...states]).toContain('RESYNCING');
  expect(servedMeanwhile).toBeGreaterThan(2_900);
  expect(wire.calls.snapshot).toBeUndefined();
  expect(again.replica.status().loaded).toEqual({ rows: 0, repaired: 70 });
  await again.close();
  await primary.close();
});

test('pages a collection again when most of it differs, and removes what is extra', async () => {
  await using directory = await temporaryDirectory();
  const { primary, wire, follower } = await pair(directory.path, 6_000);
  await follower.close();
  for (let from = 0; from < 6_000; from += 500) {
    await primary.store
      .collection('teachers')
      .updateMany({ _id: { $gte: from, $lt: from + 500 } }, { $set: { all: true } });
  }
  for (let n = 0; n < 50; n++) await primary.delete(n * 100);
  await primary.log.trim(primary.log.head().sequence);
  const again = await Follower.open(directory.path, [wire.address]);
  await again.caughtUp(primary);
  expect(contents(again.store)).toEqual(contents(primary.store));
  expect(again.replica.status().loaded).toEqual({ rows: 5_950, repaired: 50 });
  await again.close();
  await primary.close();
});

test('resyncs in a row come slower and slower', async () => {
  await using directory = await temporaryDirectory();
  const { primary, wire, follower } = await pair(directory.path, 10);
  await follower.close();
  const clock = new ManualClock();
  const again = await Follower.open(directory.path, [wire.address], { clock });
  wire.alter = (call, answer) => (call === 'hello' ? { ...(answer as Hello), status: 'RESYNC' } : answer);
  wire.before = (call) => {
    if (call === 'changes') throw new HoldfastError('CURSOR_EXPIRED', 'trimmed again');
  };
  wire.calls = {};
  const resyncsIn = async (ms: number): Promise<number> => {
    const before = wire.calls.chain ?? 0;
    for (let step = 0; step < ms; step += 100) await clock.advance(100);
    return (wire.calls.chain ?? 0) - before;
  };
  wire.cut();
  const first = await resyncsIn(60_000);
  await resyncsIn(60_000);
  const third = await resyncsIn(60_000);
  expect(first).toBeGreaterThan(2);
  expect(third).toBeLessThan(first);
  expect(third).toBeLessThanOrEqual(2);
  await again.close();
  await primary.close();
});

test('has no position while it resyncs, however far its log is, and hands no documents on', async () => {
  await using directory = await temporaryDirectory();
  const { primary, wire, follower } = await pair(directory.path, 5);
  wire.down = true;
  wire.cut();
  await primary.write(3, { touched: true });
  const { epoch, sequence } = primary.log.head();
  const gate = Promise.withResolvers<void>();
  wire.before = (call) => (call === 'buckets' ? gate.promise : undefined);
  wire.down = false;
  follower.replica.resync();
  await eventually('the log begins anew', () => follower.log.head().sequence === sequence);
  const never = new AbortController().signal;
  expect(follower.replica.has({ epoch, sequence })).toBe(false);
  expect(follower.replica.has({ epoch, sequence: 1 })).toBe(false);
  expect(await follower.replica.waitFor({ epoch, sequence }, 5, never)).toBe(false);
  expect(follower.replica.isEqual()).toBe(false);
  const waiting = follower.replica.waitFor({ epoch, sequence }, 60_000, never);
  gate.resolve();
  expect(await waiting).toBe(true);
  expect(follower.replica.isEqual()).toBe(true);
  expect(contents(follower.store)).toEqual(contents(primary.store));
  await follower.close();
  await primary.close();
});
