import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ReplicaOptions } from '../../replica/replica.ts';
import { HoldfastError } from '../../src/errors.ts';
import type { Position } from '../../src/model/position.ts';
import type { CollectionDigest, Frame, Hello } from '../../src/protocol/sync-source.ts';
import { PrimarySource } from '../../src/replication/source.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { contents, Follower, impatientClock, Primary, SCHEMA, Wire } from './support.ts';

/** A primary with `count` teachers, a wire to it, and a replica that caught up. */
async function pair(directory: string, count: number, options: Partial<ReplicaOptions> = {}) {
  const primary = await Primary.open(directory);
  if (count > 0) await primary.insert(0, count);
  const wire = new Wire(() => primary.source);
  const follower = await Follower.open(directory, [wire.address], options);
  await follower.replica.ready;
  await follower.caughtUp(primary);
  return { primary, wire, follower };
}

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

test('a replica whose source was never there waits, is not ready, and stops at once', async () => {
  await using directory = await temporaryDirectory();
  const follower = await Follower.open(directory.path, [{ name: 'nowhere', connect: () => new Promise(() => {}) }]);
  expect(follower.replica.isReady()).toBe(false);
  expect(follower.replica.status()).toMatchObject({ state: 'CONNECTING', proven: false, asOf: null });
  await expect(follower.replica.verify()).rejects.toMatchObject({ code: 'PRIMARY_UNREACHABLE' });
  await follower.close();
});

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

test('a document altered behind the back of the replica is noticed by its next change, and only it is fetched', async () => {
  await using directory = await temporaryDirectory();
  const { primary, follower } = await pair(directory.path, 2_000);
  const row = follower.store.rows('teachers', ['700'])[0]!;
  await follower.database.transaction((transaction) =>
    follower.store.put(transaction, 'teachers', { ...row, text: row.text.replace('teacher', 'cheater') }, 0, true),
  );
  const other = follower.store.rows('teachers', ['800'])[0]!;
  await follower.database.transaction((transaction) =>
    follower.store.put(transaction, 'teachers', { ...other, text: '{"_id":800}' }, 0, true),
  );
  await primary.write(700, { touched: true });
  await eventually('repaired', () => follower.replica.status().loaded.repaired > 0);
  await follower.caughtUp(primary);
  expect(contents(follower.store)).toEqual(contents(primary.store));
  expect(follower.replica.status().loaded.repaired).toBe(1);
  await follower.close();
  await primary.close();
});

/** A document lost, one altered and one invented, each with the store's own bookkeeping. */
async function damage({ database, store }: Follower): Promise<void> {
  await database.transaction((transaction) => {
    const version = (id: string): number => store.rowState('teachers', id)?.version ?? 0;
    store.remove(transaction, 'teachers', '10', version('10') + 1_000_000, 0, true);
    store.put(transaction, 'teachers', { id: '20', version: version('20'), text: '{"_id":20}' }, 0, true);
    store.put(transaction, 'teachers', { id: '"ghost"', version: 5, text: '{"_id":"ghost"}' }, 0, true);
  });
}

test('a checkpoint whose digests differ is repaired document by document', async () => {
  await using directory = await temporaryDirectory();
  const { primary, wire, follower } = await pair(directory.path, 2_000);
  await damage(follower);
  wire.alter = async (call, answer) => {
    if (call !== 'frame') return answer;
    const frame = answer as Frame;
    const { digests } = await primary.source.digests({ epoch: frame.epoch, sequence: frame.to });
    return { ...frame, digests };
  };
  await eventually('repaired', () => follower.replica.status().loaded.repaired === 3);
  await follower.caughtUp(primary);
  expect(contents(follower.store)).toEqual(contents(primary.store));
  // The document that was wrongly deleted here with a high version takes changes again.
  await primary.write(10, { back: true });
  await follower.caughtUp(primary);
  expect(contents(follower.store)).toEqual(contents(primary.store));
  await follower.close();
  await primary.close();
});

test('a comparison names what is missing, extra and different, and has it repaired', async () => {
  await using directory = await temporaryDirectory();
  const { primary, follower } = await pair(directory.path, 2_000);
  await damage(follower);
  const verdict = await follower.replica.verify();
  expect(verdict).toMatchObject({
    equal: false,
    collections: [
      { collection: 'teachers', equal: false, count: 2_000, sourceCount: 2_000 },
      { collection: 'schools', equal: true, count: 0, sourceCount: 0 },
    ],
  });
  expect([...verdict.differences].sort((a, b) => (a.id < b.id ? -1 : 1))).toEqual([
    { collection: 'teachers', id: '"ghost"', kind: 'EXTRA' },
    { collection: 'teachers', id: '10', kind: 'MISSING' },
    { collection: 'teachers', id: '20', kind: 'DIFFERENT' },
  ]);
  await eventually('repaired', () => follower.replica.status().loaded.repaired === 3);
  await follower.caughtUp(primary);
  expect(await follower.replica.verify({ deep: true })).toMatchObject({ equal: true, differences: [] });
  await follower.close();
  await primary.close();
});

test('rows altered behind the back of the store are found by a deep comparison only, and repaired', async () => {
  await using directory = await temporaryDirectory();
  const { primary, follower } = await pair(directory.path, 2_000);
  const table = String(
    follower.database.reader.prepare("SELECT 'd_' || number AS name FROM collections WHERE name = 'teachers'").get()
      ?.name,
  );
  await follower.database.transaction((transaction) => {
    transaction.exec(`UPDATE ${table} SET text = replace(text, 'teacher', 'cheater') WHERE id = '30'`);
    transaction.exec(`DELETE FROM ${table} WHERE id = '40'`);
  });
  expect(await follower.replica.verify()).toMatchObject({ equal: true });
  const verdict = await follower.replica.verify({ deep: true });
  expect([...verdict.differences].sort((a, b) => (a.id < b.id ? -1 : 1))).toEqual([
    { collection: 'teachers', id: '30', kind: 'DIFFERENT' },
    { collection: 'teachers', id: '40', kind: 'MISSING' },
  ]);
  await eventually('repaired', () => follower.replica.status().loaded.repaired === 2);
  await follower.caughtUp(primary);
  expect(contents(follower.store)).toEqual(contents(primary.store));
  expect(await follower.replica.verify({ deep: true })).toMatchObject({ equal: true });
  expect(await follower.store.collection('teachers').find({ name: 'teacher 30' }).toArray()).toHaveLength(1);
  expect(await follower.store.collection('teachers').find({ name: 'teacher 40' }).toArray()).toHaveLength(1);
  await follower.close();
  await primary.close();
});

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

test('a replica that was given an SDL does not follow a source with another one', async () => {
  await using directory = await temporaryDirectory();
  const primary = await Primary.open(directory.path);
  const wire = new Wire(() => primary.source);
  const schema = { sdl: 'type Other @entity { id: ID! @id }', sdlHash: 'b'.repeat(32) };
  const follower = await Follower.open(directory.path, [wire.address], { schema });
  await eventually('MISMATCHED', () => follower.replica.status().state === 'MISMATCHED');
  expect(follower.replica.isReady()).toBe(false);
  expect(follower.log.head().sequence).toBe(0);
  await follower.close();
  const same = await Follower.open(directory.path, [wire.address], { schema: SCHEMA });
  await same.replica.ready;
  await same.close();
  await primary.close();
});

test('adopts the SDL of the source, keeps it over a restart, and compares everything when it changed', async () => {
  await using directory = await temporaryDirectory();
  const { primary, wire, follower } = await pair(directory.path, 10);
  expect(follower.replica.status().sdlHash).toBe(SCHEMA.sdlHash);
  expect(follower.stores).toHaveLength(1);
  await follower.close();
  const states: string[] = [];
  wire.alter = (call, answer) =>
    call === 'hello' ? { ...(answer as Hello), sdl: 'new', sdlHash: 'c'.repeat(32) } : answer;
  const again = await Follower.open(directory.path, [wire.address]);
  expect(again.stores).toHaveLength(1);
  wire.before = () => void states.push(again.replica.status().state);
  await again.caughtUp(primary);
  expect(again.stores).toHaveLength(2);
  expect(states).toContain('REPAIRING');
  expect(again.replica.status().sdlHash).toBe('c'.repeat(32));
  await again.close();
  await primary.close();
});

test('writes into the store that was prepared last, also when the connection ended meanwhile', async () => {
  await using directory = await temporaryDirectory();
  const { primary, wire, follower } = await pair(directory.path, 10);
  await follower.close();
  wire.alter = (call, answer) => (call === 'hello' ? { ...(answer as Hello), sdlHash: 'd'.repeat(32) } : answer);
  const again: Follower = await Follower.open(directory.path, [wire.address], {
    admit: ({ sdlHash }) => {
      if (sdlHash === SCHEMA.sdlHash) return;
      // The next hello is that of a source with the SDL of before.
      wire.alter = (_call, answer) => answer;
      again.replica.resync();
    },
  });
  await eventually('the other SDL was prepared', () => again.stores.length >= 2);
  await primary.write(99);
  await again.caughtUp(primary);
  expect(again.replica.status().sdlHash).toBe(SCHEMA.sdlHash);
  expect(again.store.buckets('teachers').digest()).toEqual(primary.store.buckets('teachers').digest());
  await again.close();
  await primary.close();
});

test('an SDL this version cannot read leaves the old data served, and is tried again', async () => {
  await using directory = await temporaryDirectory();
  const { primary, wire, follower } = await pair(directory.path, 10);
  await follower.close();
  wire.alter = (call, answer) => (call === 'hello' ? { ...(answer as Hello), sdlHash: 'd'.repeat(32) } : answer);
  let refused = 0;
  const again = await Follower.open(directory.path, [wire.address], {
    admit: ({ sdlHash }) => {
      if (sdlHash === SCHEMA.sdlHash) return;
      refused += 1;
      throw new HoldfastError('SCHEMA_INVALID', 'line 1: no');
    },
  });
  await eventually('two tries', () => refused >= 2);
  expect(again.replica.isReady()).toBe(true);
  expect(again.replica.status()).toMatchObject({ message: 'SCHEMA_INVALID: line 1: no', sdlHash: SCHEMA.sdlHash });
  wire.alter = (_call, answer) => answer;
  await primary.write(99);
  await again.caughtUp(primary);
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

test('a difference that comes back raises the alarm, while the data is served', async () => {
  await using directory = await temporaryDirectory();
  const { primary, wire, follower } = await pair(directory.path, 5);
  await follower.close();
  const lines: { readonly level: number; readonly msg: string }[] = [];
  const again = await Follower.open(directory.path, [wire.address], {
    clock: impatientClock,
    logger: createLogger({ pretty: false, destination: { write: (line) => void lines.push(JSON.parse(line)) } }),
  });
  await again.caughtUp(primary);
  const lie = (digests: readonly CollectionDigest[]) =>
    digests.map((digest) => ({ ...digest, count: digest.count + 1 }));
  wire.alter = (call, answer) => {
    if (call === 'digests') {
      const { position, digests } = answer as { position: Position; digests: readonly CollectionDigest[] };
      return { position, digests: lie(digests) };
    }
    return call === 'frame' ? { ...(answer as Frame), digests: [] } : answer;
  };
  await primary.write(3);
  await eventually('the alarm', () => lines.some(({ msg }) => msg.includes('still differs')));
  expect(again.replica.isReady()).toBe(true);
  expect(again.replica.status()).toMatchObject({ state: 'REPAIRING', message: expect.stringContaining('teachers') });
  wire.alter = (_call, answer) => answer;
  await again.caughtUp(primary);
  await again.close();
  await primary.close();
});
