import { join } from 'node:path';
import { expect, test } from 'vitest';
import { HoldfastError } from '../../src/errors.ts';
import type { Frame } from '../../src/protocol/sync-source.ts';
import { PrimarySource } from '../../src/replication/source.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import type { Clock } from '../../src/util/clock.ts';
import { eventually } from '../support/eventually.ts';
import { settle } from '../support/manual-clock.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { contents, Follower, impatientClock, Primary, pair, SCHEMA, Wire } from './support.ts';

/** An impatient clock, and the most that each pause of the replica might have been: of connections, while nothing else pauses. */
function pausingClock(): { readonly clock: Clock; readonly pauses: number[] } {
  const pauses: number[] = [];
  const after: Clock['after'] = (ms, task) => {
    // Drawn as half of it.
    pauses.push(ms * 2);
    return impatientClock.after(ms, task);
  };
  return { clock: { ...impatientClock, after }, pauses };
}

test('copies a source that is written to meanwhile, proves it, and follows', async () => {
  await using directory = await temporaryDirectory();
  const primary = await Primary.open(directory.path);
  await primary.insert(0, 2_500);
  await primary.insert(0, 30, 'schools');
  const wire = new Wire(() => primary.source);
  const follower = await Follower.open(directory.path, [wire.address]);
  for (let n = 0; n < 100; n++) {
    await primary.write(n * 7, { round: n });
    if (n % 10 === 0) await primary.delete(n * 7 + 1);
  }
  await follower.replica.ready;
  await follower.caughtUp(primary);
  expect(contents(follower.store)).toEqual(contents(primary.store));
  expect(follower.replica.status()).toMatchObject({
    state: 'LIVE',
    proven: true,
    task: null,
    message: null,
    lagChanges: 0,
  });
  await primary.write(99_999);
  await follower.caughtUp(primary);
  expect(contents(follower.store)).toEqual(contents(primary.store));
  expect(await follower.replica.verify({ deep: true })).toMatchObject({ equal: true, differences: [] });
  await follower.close();
  await primary.close();
});

test('an empty source is copied and proven too', async () => {
  await using directory = await temporaryDirectory();
  const { primary, follower } = await pair(directory.path, 0);
  await primary.write(1);
  await follower.caughtUp(primary);
  expect(contents(follower.store)).toEqual(contents(primary.store));
  await follower.close();
  await primary.close();
});

test('goes on from its cursor after it was cut off and after a restart, without another bootstrap', async () => {
  await using directory = await temporaryDirectory();
  const { primary, wire, follower } = await pair(directory.path, 100);
  const pages = wire.calls.snapshot;
  wire.cut();
  await primary.write(500);
  await follower.caughtUp(primary);
  await follower.close();
  await primary.write(501);
  const again = await Follower.open(directory.path, [wire.address]);
  expect(again.replica.isReady()).toBe(true);
  await again.caughtUp(primary);
  expect(contents(again.store)).toEqual(contents(primary.store));
  expect(wire.calls.snapshot).toBe(pages);
  await again.close();
  await primary.close();
});

test('serves what it has while the source is away, with one line in the log for it', async () => {
  await using directory = await temporaryDirectory();
  const lines: { readonly level: number; readonly msg: string; readonly code?: string }[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const primary = await Primary.open(directory.path);
  await primary.insert(0, 10);
  const wire = new Wire(() => primary.source);
  const follower = await Follower.open(directory.path, [wire.address], {
    logger: createLogger({ pretty: false, destination }),
  });
  await follower.caughtUp(primary);
  wire.down = true;
  wire.cut();
  const before = wire.connects;
  await eventually('three tries', () => wire.connects >= before + 3);
  expect(follower.replica.isReady()).toBe(true);
  expect(follower.replica.status()).toMatchObject({
    state: 'CONNECTING',
    message: expect.stringContaining('PRIMARY_UNREACHABLE'),
  });
  expect(lines.filter(({ code }) => code === 'PRIMARY_UNREACHABLE')).toHaveLength(1);
  wire.down = false;
  await primary.write(11);
  await follower.caughtUp(primary);
  expect(lines.filter(({ msg }) => msg === 'following the source again')).toHaveLength(1);
  await follower.close();
  await primary.close();
});

/** What is given resolves when a frame came that was not waited for before, and was dealt with. */
function frames(wire: Wire): () => Promise<void> {
  let frame = Promise.withResolvers<void>();
  wire.alter = (call, answer) => {
    if (call === 'frame') frame.resolve();
    return answer;
  };
  return async () => {
    await frame.promise;
    frame = Promise.withResolvers();
    await settle();
  };
}

test('backs off, with one line in the log for it, while frames come and the calls of its task are refused', async () => {
  await using directory = await temporaryDirectory();
  const lines: { readonly level: number; readonly msg: string; readonly code?: string }[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const { clock, pauses } = pausingClock();
  const primary = await Primary.open(directory.path);
  await primary.insert(0, 10);
  const wire = new Wire(() => primary.source);
  const framed = frames(wire);
  let refuses = true;
  wire.before = async (call) => {
    if (call !== 'snapshot' || !refuses) return;
    await framed();
    throw new HoldfastError('NOT_READY', 'not proven equal at the moment');
  };
  const logger = createLogger({ pretty: false, destination });
  const follower = await Follower.open(directory.path, [wire.address], { clock, logger });
  await eventually('eight tries', () => wire.connects >= 8);
  expect(pauses.slice(0, 7)).toEqual([200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
  expect(lines.filter(({ code }) => code === 'NOT_READY')).toHaveLength(1);
  expect(lines.filter(({ msg }) => msg === 'copying the source')).toHaveLength(1);
  expect(lines.filter(({ msg }) => msg === 'following the source again')).toHaveLength(0);
  expect(follower.replica.status().message).toContain('NOT_READY');

  refuses = false;
  await follower.caughtUp(primary);
  await eventually('it is told', () => lines.some(({ msg }) => msg === 'following the source again'));
  expect(follower.replica.status().message).toBeNull();
  pauses.length = 0;
  wire.cut();
  await eventually('it pauses', () => pauses.length > 0);
  expect(pauses[0]).toBe(200);
  await follower.close();
  await primary.close();
});

test('an incident is over when the task has ended, though no frame comes after that', async () => {
  await using directory = await temporaryDirectory();
  const lines: { readonly code?: string }[] = [];
  const logger = createLogger({ pretty: false, destination: { write: (line) => void lines.push(JSON.parse(line)) } });
  const { clock } = pausingClock();
  const primary = await Primary.open(directory.path);
  const wire = new Wire(() => primary.source);
  const framed = frames(wire);
  let refuses = true;
  wire.before = async (call) => {
    if (call === 'hello' && refuses) throw new HoldfastError('UNAUTHENTICATED', 'unknown token');
    if (call === 'snapshot') await framed();
  };
  const follower = await Follower.open(directory.path, [wire.address], { clock, logger });
  const told = (times: number): Promise<unknown> =>
    eventually('it is told', () => lines.filter(({ code }) => code === 'UNAUTHENTICATED').length === times);
  await told(1);
  refuses = false;
  await follower.caughtUp(primary);
  refuses = true;
  wire.cut();
  await told(2);
  await follower.close();
  await primary.close();
});

test('begins its pauses anew when the task moves on', async () => {
  await using directory = await temporaryDirectory();
  const { clock, pauses } = pausingClock();
  const primary = await Primary.open(directory.path);
  await primary.insert(0, 100);
  const wire = new Wire(() => primary.source);
  wire.pageRows = 10;
  const opened = Promise.withResolvers<Follower>();
  let served = { connection: 0, rows: 0 };
  wire.before = async (call, [collection]) => {
    if (call !== 'snapshot' || collection !== 'teachers') return;
    const { replica, log } = await opened.promise;
    const { rows } = replica.status().loaded;
    if (wire.connects !== served.connection) {
      served = { connection: wire.connects, rows };
      return;
    }
    // Each connection brings a page, and a frame after it.
    await eventually('the page is in', () => replica.status().loaded.rows > served.rows);
    await primary.write(served.connection);
    await eventually('it is applied', () => log.head().sequence === primary.log.head().sequence);
    await settle();
    throw new HoldfastError('NOT_READY', 'not proven equal at the moment');
  };
  const follower = await Follower.open(directory.path, [wire.address], { clock });
  opened.resolve(follower);
  await eventually('some tries', () => wire.connects >= 5);
  expect(new Set(pauses)).toEqual(new Set([200]));
  wire.before = () => undefined;
  await follower.caughtUp(primary);
  await follower.close();
  await primary.close();
});

test('a replica whose source was never there waits, is not ready, and stops at once', async () => {
  await using directory = await temporaryDirectory();
  const follower = await Follower.open(directory.path, [{ name: 'nowhere', connect: () => new Promise(() => {}) }]);
  expect(follower.replica.isReady()).toBe(false);
  expect(follower.replica.status()).toMatchObject({ state: 'CONNECTING', proven: false, asOf: null });
  await expect(follower.replica.verify()).rejects.toMatchObject({ code: 'PRIMARY_UNREACHABLE' });
  await follower.close();
});

test('frames that were lost, repeated or damaged on the way change nothing in the end', async () => {
  await using directory = await temporaryDirectory();
  const { primary, wire, follower } = await pair(directory.path, 50, { clock: impatientClock });
  let n = 0;
  let last: Frame | undefined;
  wire.frameChanges = 5;
  wire.alter = (call, answer) => {
    if (call !== 'frame') return answer;
    const frame = answer as Frame;
    if (frame.body === '') return frame;
    n += 1;
    const before = last;
    last = frame;
    if (n % 7 === 1) return null;
    if (n % 7 === 2) return before ?? frame;
    if (n % 7 === 3) return { ...frame, body: `${frame.body.slice(0, 40)}A${frame.body.slice(41)}` };
    if (n % 7 === 4) return { ...frame, checksum: frame.checksum ^ 1 };
    if (n % 7 === 5) return { ...frame, body: frame.body.slice(0, frame.body.length / 2) };
    return frame;
  };
  for (let id = 0; id < 120; id++) await primary.write(id % 60, { id });
  // Of seven frames one vanishes, which is noticed at the next beat, a second later, and two get through.
  await follower.caughtUp(primary, 40_000);
  expect(n).toBeGreaterThan(20);
  expect(contents(follower.store)).toEqual(contents(primary.store));
  expect(follower.replica.status().state).toBe('LIVE');
  await follower.close();
  await primary.close();
}, 60_000);

test('the age of the data goes on over a restart', async () => {
  await using directory = await temporaryDirectory();
  const { primary, follower } = await pair(directory.path, 3);
  await follower.close();
  let now = Date.now() + 3_600_000;
  const away = [{ name: 'away', connect: () => Promise.reject(new HoldfastError('PRIMARY_UNREACHABLE', 'no')) }];
  const again = await Follower.open(directory.path, away, { wall: () => now });
  const { stalenessMs, asOf } = again.replica.status();
  expect(stalenessMs).toBeGreaterThan(3_590_000);
  now += 5;
  expect(Date.parse(asOf ?? '')).toBeLessThan(now - 3_590_000);
  await again.close();
  await primary.close();
});

test('large documents come by reference, also when they are replaced or deleted meanwhile', async () => {
  await using directory = await temporaryDirectory();
  const { primary, wire, follower } = await pair(directory.path, 5);
  const large = (n: number): string => `${n}`.padEnd(300_000, 'y');
  let held = Promise.withResolvers<void>();
  wire.before = (call) => (call === 'rows' ? held.promise : undefined);
  await primary.write(1, { text: large(1) });
  await primary.write(2, { text: large(2) });
  await eventually('asked for the row', () => wire.calls.rows === 1);
  // The row is newer, then gone, by the time it is read.
  await primary.write(1, { text: large(3) });
  await primary.delete(2);
  await primary.write(3, { after: true });
  held.resolve();
  await follower.caughtUp(primary);
  expect(contents(follower.store)).toEqual(contents(primary.store));
  held = Promise.withResolvers();
  held.resolve();
  expect(follower.replica.status().loaded.repaired).toBe(0);
  await follower.close();
  await primary.close();
});

test('a replica may be followed like its primary', async () => {
  await using directory = await temporaryDirectory();
  const { primary, follower } = await pair(directory.path, 1_200);
  const { log, store: rows } = follower;
  const source = new PrimarySource({ log, rows, schema: SCHEMA, collections: ['teachers', 'schools'] });
  const middle = new Wire(() => source);
  const child = await Follower.open(join(directory.path, 'child'), [middle.address]);
  await child.replica.ready;
  for (let n = 0; n < 100; n++) await primary.write(n * 3, { n });
  await primary.delete(7);
  await child.caughtUp(primary);
  expect(contents(child.store)).toEqual(contents(primary.store));
  // And the other way round: with the same cursor it goes on at the primary.
  await child.close();
  const moved = await Follower.open(join(directory.path, 'child'), [new Wire(() => primary.source).address]);
  await primary.write(5, { changed: true });
  await moved.caughtUp(primary);
  expect(moved.replica.status().loaded).toEqual({ rows: 0, repaired: 0 });
  await moved.close();
  source.stop();
  await follower.close();
  await primary.close();
});

test('waits for a position, no longer than it is told, and ends with the signal', async () => {
  await using directory = await temporaryDirectory();
  const { primary, follower } = await pair(directory.path, 1);
  const { epoch, sequence } = follower.replica.position();
  const never = new AbortController();
  expect(await follower.replica.waitFor({ epoch, sequence }, 0, never.signal)).toBe(true);
  expect(await follower.replica.waitFor({ epoch, sequence: sequence + 1 }, 5, never.signal)).toBe(false);
  const waiting = follower.replica.waitFor({ epoch, sequence: sequence + 1 }, 60_000, never.signal);
  await primary.write(2);
  expect(await waiting).toBe(true);
  const other = follower.replica.waitFor({ epoch, sequence: sequence + 9 }, 60_000, never.signal);
  never.abort(new Error('gone'));
  await expect(other).rejects.toThrow('gone');
  await follower.close();
  await primary.close();
});
