import { afterEach, expect, test } from 'vitest';
import { GENESIS_CHAIN } from '../../src/model/change.ts';
import { formatPosition } from '../../src/model/position.ts';
import { DigestAt } from '../../src/replication/digest-at.ts';
import { Feed } from '../../src/replication/feed.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';
import { MemoryNode } from '../support/memory-node.ts';
import { seededRandom } from '../support/random.ts';

const COLLECTIONS = ['teachers', 'schools'];

let feeds: Feed[] = [];
afterEach(() => {
  for (const feed of feeds) feed.stop();
  feeds = [];
});

function setUp(maxUnfolded?: number) {
  const clock = new ManualClock();
  const node = new MemoryNode([...COLLECTIONS, 'secrets']);
  const feed = new Feed(node.log, clock);
  feeds.push(feed);
  const options = { log: node.log, rows: node, feed, clock, collections: COLLECTIONS };
  const digestAt = new DigestAt(maxUnfolded === undefined ? options : { ...options, maxUnfolded });
  return { clock, node, log: node.log, digestAt };
}

function now(node: MemoryNode) {
  return COLLECTIONS.map((collection) => ({ collection, ...node.buckets(collection).digest() }));
}

test('digests and buckets of every position are those that were true then (seeds 1 to 5)', async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const random = seededRandom(seed);
    const { node, log, digestAt } = setUp();
    const history = [];
    for (let i = 0; i < 60; i++) {
      const { epoch, sequence } = log.head();
      const teachers = node.buckets('teachers').clone();
      history.push({ at: { epoch, sequence }, digests: now(node), teachers });
      const collection = ['teachers', 'schools', 'secrets'][Math.floor(random() * 3)] as string;
      if (random() < 0.05) node.promote();
      else node.write(collection, { [`d${Math.floor(random() * 9)}`]: random() < 0.3 ? null : `{"n":${i}}` });
    }
    for (const { at, digests, teachers } of history) {
      const label = `seed ${seed} at ${formatPosition(at)}`;
      expect(await digestAt.digests(at), label).toEqual({ position: at, digests });
      expect((await digestAt.buckets('teachers', at)).buckets.differing(teachers), label).toEqual([]);
    }
  }
});

test('the count changes only where a document comes or goes', async () => {
  const { node, digestAt } = setUp();
  node.write('teachers', { a: '{"n":1}' });
  node.write('teachers', { a: '{"n":2}' });
  node.write('teachers', { a: null });
  const counts = [];
  for (const sequence of [0, 1, 2, 3]) {
    counts.push((await digestAt.digests({ epoch: 1, sequence })).digests[0]?.count);
  }
  expect(counts).toEqual([0, 1, 1, 0]);
});

test('without a position it is the head, also when the log advances meanwhile', async () => {
  const { node, log, digestAt } = setUp();
  node.write('teachers', { a: '{"n":1}' });
  const expected = now(node);
  const answer = digestAt.digests(null);
  node.write('teachers', { b: '{"n":1}' });
  expect(await answer).toEqual({ position: { epoch: 1, sequence: 1 }, digests: expected });
  expect(log.head().sequence).toBe(2);
});

test('the answer is a copy: changing it changes nothing', async () => {
  const { node, digestAt } = setUp();
  const { buckets } = await digestAt.buckets('teachers', null);
  buckets.add(1, 'f'.repeat(32));
  expect(node.buckets('teachers').count).toBe(0);
});

test('writes that come while it unfolds do not disturb it, and other work goes on', async () => {
  const clock = new ManualClock();
  const node = new MemoryNode(COLLECTIONS);
  const feed = new Feed(node.log, clock);
  feeds.push(feed);
  // A clock by which every look at it is a millisecond later: a pause is due after a few reads.
  let looks = 0;
  let pauses = 0;
  const restless = {
    ...systemLike(clock),
    now: () => looks++ * 3,
    soon: (task: () => void) => {
      pauses += 1;
      node.write('teachers', { [`x${pauses}`]: '{"later":true}' });
      setImmediate(task);
    },
  };
  const digestAt = new DigestAt({ log: node.log, rows: node, feed, clock: restless, collections: COLLECTIONS });
  node.write('teachers', { a: '{"n":0}' });
  const expected = now(node);
  for (let i = 0; i < 20; i++) {
    node.write('schools', Object.fromEntries(Array.from({ length: 100 }, (_, id) => [`s${id}`, `{"n":${i}}`])));
  }
  const { digests } = await digestAt.digests({ epoch: 1, sequence: 1 });
  expect(digests).toEqual(expected);
  expect(pauses).toBeGreaterThan(2);
});

test('a position that comes within 200 ms is waited for', async () => {
  const { clock, node, digestAt } = setUp();
  const answer = digestAt.digests({ epoch: 1, sequence: 2 });
  node.write('teachers', { a: '{}' });
  await clock.advance(100);
  node.write('teachers', { b: '{}' });
  expect((await answer).position).toEqual({ epoch: 1, sequence: 2 });
  expect(clock.timers).toBe(1);
});

test('a position that does not come is CURSOR_EXPIRED after 200 ms', async () => {
  const { clock, node, digestAt } = setUp();
  node.write('teachers', { a: '{}' });
  let outcome: unknown;
  void digestAt.digests({ epoch: 1, sequence: 2 }).catch((error) => {
    outcome = error;
  });
  await clock.advance(199);
  expect(outcome).toBeUndefined();
  await clock.advance(1);
  expect(outcome).toMatchObject({ code: 'CURSOR_EXPIRED' });
});

test('a trimmed position is CURSOR_EXPIRED, the one before the floor is not', async () => {
  const { node, log, digestAt } = setUp();
  for (let i = 0; i < 10; i++) node.write('teachers', { a: `{"n":${i}}` });
  await log.trim(6);
  expect((await digestAt.digests({ epoch: 1, sequence: 5 })).position.sequence).toBe(5);
  await expect(digestAt.digests({ epoch: 1, sequence: 4 })).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' });
});

test('a position of another epoch is CURSOR_EXPIRED', async () => {
  const { node, digestAt } = setUp();
  node.write('teachers', { a: '{}' });
  node.promote();
  await expect(digestAt.digests({ epoch: 2, sequence: 1 })).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' });
  await expect(digestAt.digests({ epoch: 1, sequence: 2 })).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' });
});

test('a position too far back is CURSOR_EXPIRED', async () => {
  const { node, digestAt } = setUp(5);
  for (let i = 0; i < 10; i++) node.write('teachers', { a: `{"n":${i}}` });
  expect((await digestAt.digests({ epoch: 1, sequence: 5 })).position.sequence).toBe(5);
  await expect(digestAt.buckets('teachers', { epoch: 1, sequence: 4 })).rejects.toMatchObject({
    code: 'CURSOR_EXPIRED',
  });
});

test('a log that is replaced while it unfolds is CURSOR_EXPIRED', async () => {
  const { node, log, digestAt } = setUp();
  for (let i = 0; i < 1_000; i++) node.write('teachers', { a: `{"n":${i}}` });
  const answer = digestAt.digests({ epoch: 1, sequence: 1 });
  log.reset(2_000, 'e'.repeat(32));
  await expect(answer).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' });
  await settle();
});

test('changes of another history are never taken back', async () => {
  const clock = new ManualClock();
  const node = new MemoryNode(COLLECTIONS);
  const feed = new Feed(node.log, clock);
  feeds.push(feed);
  let replaced = false;
  const restless = {
    ...systemLike(clock),
    now: () => (replaced ? 0 : performance.now() * 1_000),
    soon: (task: () => void) => {
      if (!replaced) {
        replaced = true;
        node.log.reset(0, GENESIS_CHAIN);
        for (let i = 0; i < 1_000; i++) node.write('teachers', { b: `{"n":${i}}` });
      }
      setImmediate(task);
    },
  };
  const digestAt = new DigestAt({ log: node.log, rows: node, feed, clock: restless, collections: COLLECTIONS });
  for (let i = 0; i < 1_000; i++) node.write('teachers', { a: `{"n":${i}}` });
  await expect(digestAt.digests({ epoch: 1, sequence: 1 })).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' });
  expect(replaced).toBe(true);
});

function systemLike(clock: ManualClock) {
  return {
    after: (ms: number, task: () => void) => clock.after(ms, task),
    every: (ms: number, task: () => void) => clock.every(ms, task),
  };
}
