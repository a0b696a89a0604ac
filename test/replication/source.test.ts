import { afterEach, describe, expect, test } from 'vitest';
import { documentHash, GENESIS_CHAIN } from '../../src/model/change.ts';
import { decodeCursor, encodeCursor } from '../../src/protocol/cursor.ts';
import { Buckets, bucketOf } from '../../src/protocol/digest.ts';
import { Carried, decodeBody, type FrameEntry } from '../../src/protocol/frame.ts';
import type { Frame } from '../../src/protocol/sync-source.ts';
import { PrimarySource, type PrimarySourceOptions, type SourceStage } from '../../src/replication/source.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';
import { MemoryNode } from '../support/memory-node.ts';
import { seededRandom } from '../support/random.ts';

const ALL = { collections: null };
const COLLECTIONS = ['teachers', 'schools'];
const LIMITS = { maxBatch: 500, maxBytes: 512 * 1024 };
const code = (name: string) => expect.objectContaining({ code: name });

const UNREADABLE = '?';
const withoutDigests = (): SourceStage => 'SETTLING';

let cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const done of cleanUp) done();
  cleanUp = [];
});

function setUp(options: Partial<PrimarySourceOptions> = {}, collections = COLLECTIONS) {
  const clock = new ManualClock();
  const node = new MemoryNode([...collections, 'secrets']);
  const source = new PrimarySource({
    log: node.log,
    rows: node,
    schema: { sdl: 'type Teacher @entity { id: ID! @id }', sdlHash: 'ab'.repeat(16) },
    collections,
    clock,
    ...options,
  });
  cleanUp.push(() => source.stop());
  const start = encodeCursor({ logId: node.log.logId, epoch: 1, sequence: 0, chain: GENESIS_CHAIN });
  return { clock, node, log: node.log, source, start };
}

function cursorAt({ log }: MemoryNode): string {
  const { epoch, sequence, chain } = log.head();
  return encodeCursor({ logId: log.logId, epoch, sequence, chain });
}

function write(node: MemoryNode, count: number, name = 'teacher'): void {
  const ids = Array.from({ length: count }, (_, i) => `${name}-${i}`);
  node.write('teachers', Object.fromEntries(ids.map((id) => [id, `{"_id":"${id}","at":${node.log.head().sequence}}`])));
}

/** A follower that checks what it gets and keeps its place, as SPEC.md says. */
class Follower {
  readonly entries: FrameEntry[] = [];
  readonly frames: Frame[] = [];
  readonly abort = new AbortController();
  readonly iterator: AsyncGenerator<Frame, void>;
  sequence: number;

  constructor(source: PrimarySource, cursor: string, shape = ALL as { collections: string[] | null }, limits = LIMITS) {
    this.sequence = cursor === UNREADABLE ? 0 : decodeCursor(cursor).sequence;
    this.iterator = source.changes(cursor, shape, limits, this.abort.signal) as AsyncGenerator<Frame, void>;
    cleanUp.push(() => this.abort.abort());
  }

  async next(): Promise<Frame> {
    const result = await this.iterator.next();
    if (result.done) throw new Error('the subscription ended');
    const frame = result.value;
    expect(frame.from).toBeLessThanOrEqual(this.sequence + 1);
    expect(frame.to).toBeLessThanOrEqual(frame.head);
    // A frame either brings something new or is empty at our place.
    expect(frame.to).toBeGreaterThanOrEqual(frame.body === '' ? this.sequence : this.sequence + 1);
    for (const entry of decodeBody(frame)) {
      if (entry.sequence <= this.sequence) continue;
      expect(entry.sequence).toBe(this.sequence + 1);
      this.entries.push(entry);
      this.sequence = entry.sequence;
    }
    this.frames.push(frame);
    return frame;
  }

  async nextTo(sequence: number): Promise<void> {
    while (this.sequence < sequence) await this.next();
  }
}

describe('hello', () => {
  test('OK for a new follower, with the cursor of the head', async () => {
    const { node, source } = setUp();
    write(node, 3);
    const hello = await source.hello(null, ALL);
    expect(hello).toMatchObject({ status: 'OK', epoch: 1, head: 3, floor: 1, sdlHash: 'ab'.repeat(16) });
    expect(hello.cursor).toBe(cursorAt(node));
  });

  test('FORK for another log', async () => {
    const { source, start } = setUp();
    const other = encodeCursor({ ...decodeCursor(start), logId: 'ff'.repeat(16) });
    expect((await source.hello(other, ALL)).status).toBe('FORK');
  });

  test('FENCED for a higher epoch, which is passed on when it comes with where it began', async () => {
    const epochs: number[] = [];
    const { source, start } = setUp({ onHigherEpoch: (epoch) => epochs.push(epoch) });
    const later = encodeCursor({ ...decodeCursor(start), epoch: 2, sequence: 9 });
    expect((await source.hello(later, ALL)).status).toBe('FENCED');
    expect(epochs).toEqual([]);
    const known = [
      { epoch: 1, firstSequence: 1 },
      { epoch: 2, firstSequence: 8 },
    ];
    expect((await source.hello(later, ALL, known)).status).toBe('FENCED');
    expect(epochs).toEqual([2]);
  });

  test('FENCED says where the next epoch began, when the follower knows; then to everybody, as an error', async () => {
    const heard: unknown[] = [];
    let fencedBy: number | null = null;
    const { source, start } = setUp({ onHigherEpoch: (...told) => heard.push(told), fencedBy: () => fencedBy });
    const later = encodeCursor({ ...decodeCursor(start), epoch: 3, sequence: 9 });
    const epochs = [1, 6, 8].map((firstSequence, index) => ({ epoch: index + 1, firstSequence }));
    expect((await source.hello(later, ALL, epochs)).status).toBe('FENCED');
    expect(heard).toEqual([[3, 6]]);
    fencedBy = 3;
    expect((await source.hello(later, ALL, epochs)).status).toBe('FENCED');
    await expect(source.hello(start, ALL)).rejects.toEqual(code('FENCED'));
    await expect(source.changes(start, ALL, LIMITS, new AbortController().signal).next()).rejects.toEqual(
      code('FENCED'),
    );
  });

  test('FORK for a sequence past the head', async () => {
    const { node, source, start } = setUp();
    write(node, 3);
    const ahead = encodeCursor({ ...decodeCursor(start), sequence: 4 });
    expect((await source.hello(ahead, ALL)).status).toBe('FORK');
  });

  test('NOT_READY for a sequence that exists and has not come to this copy yet', async () => {
    const { node, source, start } = setUp({ knownHead: () => 5 });
    write(node, 3);
    const at = (sequence: number) => encodeCursor({ ...decodeCursor(start), sequence });
    await expect(source.hello(at(5), ALL)).rejects.toEqual(code('NOT_READY'));
    expect((await source.hello(at(6), ALL)).status).toBe('FORK');
    const ack = { replica: 'r', epoch: 1, state: 'LIVE', url: null };
    await expect(source.ack({ ...ack, applied: 5 })).rejects.toEqual(code('NOT_READY'));
    await expect(source.ack({ ...ack, applied: 6 })).rejects.toEqual(code('FORK'));
  });

  test('FORK for a sequence that belongs to another epoch', async () => {
    const { node, source } = setUp();
    write(node, 3);
    const old = cursorAt(node);
    node.promote();
    write(node, 1);
    expect((await source.hello(old, ALL)).status).toBe('OK');
    expect((await source.hello(cursorAt(node), ALL)).status).toBe('OK');
    const late = encodeCursor({ ...decodeCursor(cursorAt(node)), epoch: 1 });
    expect((await source.hello(late, ALL)).status).toBe('FORK');
    const early = encodeCursor({ ...decodeCursor(old), epoch: 2 });
    expect((await source.hello(early, ALL)).status).toBe('FORK');
  });

  test('RESYNC for a sequence before the entry before the floor, OK for that entry itself', async () => {
    const { node, log, source } = setUp();
    const cursors = [cursorAt(node)];
    for (let i = 0; i < 5; i++) {
      write(node, 1);
      cursors.push(cursorAt(node));
    }
    await log.trim(4);
    const statuses = await Promise.all(cursors.map(async (cursor) => (await source.hello(cursor, ALL)).status));
    expect(statuses).toEqual(['RESYNC', 'RESYNC', 'RESYNC', 'OK', 'OK', 'OK']);
  });

  test('FORK for another chain at the same sequence, wherever it is', async () => {
    const { node, log, source, start } = setUp();
    write(node, 5);
    await log.trim(3);
    for (const sequence of [2, 3, 5]) {
      const wrong = encodeCursor({ ...decodeCursor(start), sequence, chain: 'e'.repeat(16) });
      expect((await source.hello(wrong, ALL)).status).toBe('FORK');
    }
  });

  test('SCHEMA_MISMATCH for a collection that is not handed on, before everything else', async () => {
    const { source } = setUp();
    expect((await source.hello(null, { collections: ['teachers', 'secrets'] })).status).toBe('SCHEMA_MISMATCH');
    expect((await source.hello(null, { collections: ['teachers'] })).status).toBe('OK');
  });

  test('an unreadable cursor is refused', async () => {
    const { source } = setUp();
    await expect(source.hello('nonsense', ALL)).rejects.toEqual(code('VALIDATION_FAILED'));
  });

  test('a log that was emptied knows the place it goes on from', async () => {
    const { node, log, source } = setUp();
    write(node, 5);
    const { sequence, chain } = log.head();
    log.reset(sequence, chain);
    expect((await source.hello(cursorAt(node), ALL)).status).toBe('OK');
  });
});

describe('changes', () => {
  test('brings everything after the cursor, then what is written, in order', async () => {
    const { node, source, start } = setUp();
    write(node, 20);
    const follower = new Follower(source, start);
    await follower.nextTo(20);
    const pending = follower.next();
    write(node, 3, 'later');
    await pending;
    expect(follower.entries.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 23 }, (_, i) => i + 1));
    expect(follower.entries.at(-1)).toMatchObject({ id: '"later-2"', carried: Carried.IMAGE });
  });

  test('a follower at the head gets an empty frame at once, then one on each beat', async () => {
    const { node, clock, source } = setUp();
    write(node, 3);
    const follower = new Follower(source, cursorAt(node));
    expect(await follower.next()).toMatchObject({ from: 4, to: 3, head: 3, floor: 1, body: '' });
    const beaten = follower.next();
    await clock.advance(999);
    expect(follower.frames).toHaveLength(1);
    await clock.advance(1);
    expect(await beaten).toMatchObject({ from: 4, to: 3 });
  });

  test('one timer serves all subscribers', async () => {
    const { node, clock, source } = setUp();
    const followers = Array.from({ length: 50 }, () => new Follower(source, cursorAt(node)));
    await Promise.all(followers.map((follower) => follower.next()));
    expect(source.subscribers).toBe(50);
    expect(clock.timers).toBe(1);
  });

  test('appends of one turn make one frame', async () => {
    const { node, source } = setUp();
    const follower = new Follower(source, cursorAt(node));
    await follower.next();
    const pending = follower.next();
    for (let i = 0; i < 5; i++) write(node, 2);
    expect(await pending).toMatchObject({ from: 1, to: 10 });
  });

  test('changes gather in the next frame while the subscriber is busy', async () => {
    const { node, source } = setUp();
    const follower = new Follower(source, cursorAt(node));
    await follower.next();
    for (let i = 0; i < 5; i++) {
      write(node, 2);
      await settle();
    }
    expect(await follower.next()).toMatchObject({ from: 1, to: 10 });
  });

  test('nothing is read before it is asked for', async () => {
    const { node, log, source, start } = setUp();
    write(node, 2_000);
    const follower = new Follower(source, start);
    await follower.next();
    const { reads } = log;
    await settle();
    expect(log.reads).toBe(reads);
  });

  test('subscribers in step share the bytes and the reading', async () => {
    const { node, log, source, start } = setUp({ stage: withoutDigests });
    write(node, 1_700);
    const followers = Array.from({ length: 5 }, () => new Follower(source, start));
    await Promise.all(followers.map((follower) => follower.nextTo(1_700)));
    expect(log.reads).toBe(4);
    for (const { frames } of followers) {
      for (const [index, frame] of frames.entries()) expect(frame).toBe(followers[0]?.frames[index]);
    }
  });

  test('a subscriber inside a block that others read gets the shared frame', async () => {
    const { node, log, source, start } = setUp({ stage: withoutDigests });
    write(node, 700);
    const inside = encodeCursor({ ...decodeCursor(start), sequence: 3, chain: (await log.entry(3))?.chain as string });
    const first = new Follower(source, start);
    await first.next();
    const second = new Follower(source, inside);
    expect((await second.next()).body).toBe(first.frames[0]?.body);
    expect(log.reads).toBe(1);
    expect(second.entries[0]?.sequence).toBe(4);
  });

  test('subscribers at many places make few different frames of the same head', async () => {
    const { node, log, source } = setUp();
    const cursors = [];
    for (let i = 0; i < 200; i++) {
      write(node, 1);
      cursors.push(cursorAt(node));
    }
    const followers = cursors.slice(0, -1).map((cursor) => new Follower(source, cursor));
    await Promise.all(followers.map((follower) => follower.nextTo(200)));
    expect(log.reads).toBeLessThan(20);
    const sent = followers.flatMap(({ frames }) => frames).reduce((sum, { from, to }) => sum + to - from + 1, 0);
    const needed = followers.reduce((sum, { entries }) => sum + entries.length, 0);
    expect(sent / needed).toBeLessThan(2);
  });

  test('frames cut by size are read once each, also for one who begins among them', async () => {
    const { node, log, source, start } = setUp({ stage: withoutDigests });
    const cursors = [start];
    for (let i = 0; i < 40; i++) {
      node.write('teachers', { [`t${i}`]: JSON.stringify('x'.repeat(100_000)) });
      cursors.push(cursorAt(node));
    }
    const followers = [0, 0, 17, 30].map((place) => new Follower(source, cursors[place] as string));
    for (const follower of followers) await follower.nextTo(40);
    const frames = new Set(followers.flatMap((follower) => follower.frames.map(({ body }) => body)));
    expect(followers[0]?.frames).toHaveLength(8);
    // One more read for each of the two who had to find their boundary.
    expect(log.reads).toBeLessThanOrEqual(frames.size + 2);
  });

  test('a frame holds at most maxBatch changes', async () => {
    const { node, source, start } = setUp();
    write(node, 1_200);
    const small = new Follower(source, start, ALL, { maxBatch: 7, maxBytes: 1 });
    const large = new Follower(source, start, ALL, { maxBatch: 100_000, maxBytes: 2 ** 40 });
    await Promise.all([small.nextTo(1_200), large.nextTo(1_200)]);
    expect(Math.max(...small.frames.map(({ from, to }) => to - from + 1))).toBe(7);
    expect(large.frames.map(({ to }) => to)).toEqual([500, 1_000, 1_200]);
  });

  test('any cut and any boundary give a dense stream that says what the log says (seeds 1 to 4)', async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const random = seededRandom(seed);
      const { node, log, source } = setUp({ cacheBytes: random() < 0.5 ? 0 : 100_000 });
      const places = [cursorAt(node)];
      const grow = (): void => {
        const count = 1 + Math.floor(random() * 40);
        const large = random() < 0.1;
        const text = 'x'.repeat(large ? 100_000 + Math.floor(random() * 300_000) : Math.floor(random() * 100));
        const ids = Array.from({ length: large ? 3 : count }, () => `t${Math.floor(random() * 50)}`);
        node.write('teachers', Object.fromEntries(ids.map((id) => [id, random() < 0.2 ? null : `{"x":"${text}"}`])));
        if (random() < 0.05) node.promote();
        places.push(cursorAt(node));
      };
      for (let i = 0; i < 30; i++) grow();
      const followers = Array.from({ length: 12 }, () => {
        const maxBatch = 1 + Math.floor(random() * 500);
        const cursor = places[Math.floor(random() * places.length)] as string;
        return new Follower(source, cursor, ALL, { maxBatch, maxBytes: Math.floor(random() * 600_000) });
      });
      for (let step = 0; step < 200; step++) {
        if (random() < 0.15) grow();
        const follower = followers[Math.floor(random() * followers.length)] as Follower;
        if (follower.sequence < log.head().sequence) await follower.next();
      }
      const end = log.head().sequence;
      for (const follower of followers) {
        await follower.nextTo(end);
        expect(follower.entries.at(-1)?.chain ?? log.head().chain, `seed ${seed}`).toBe(log.head().chain);
      }
    }
  });

  test('documents outside the shape and of collections that do not replicate keep only their place', async () => {
    const { node, source, start } = setUp();
    node.write('teachers', { a: '{"n":1}' });
    node.write('schools', { b: '{"n":2}' });
    node.write('secrets', { c: '{"n":3}' });
    const all = new Follower(source, start);
    const some = new Follower(source, start, { collections: ['schools'] });
    await Promise.all([all.nextTo(3), some.nextTo(3)]);
    expect(all.entries.map(({ image }) => image)).toEqual(['{"n":1}', '{"n":2}', null]);
    expect(some.entries.map(({ image }) => image)).toEqual([null, '{"n":2}', null]);
    expect(some.entries.map(({ chain }) => chain)).toEqual(all.entries.map(({ chain }) => chain));
  });

  test('an epoch begins a frame of its own', async () => {
    const { node, source, start } = setUp();
    write(node, 3);
    node.promote();
    write(node, 3);
    const follower = new Follower(source, start);
    await follower.nextTo(7);
    expect(follower.frames.map(({ epoch, from, to }) => [epoch, from, to])).toEqual([
      [1, 1, 3],
      [2, 4, 7],
    ]);
  });

  test.each<[string, string, (cursor: string) => string]>([
    ['FORK', 'another log', (cursor) => encodeCursor({ ...decodeCursor(cursor), logId: 'ff'.repeat(16) })],
    ['FENCED', 'a later epoch', (cursor) => encodeCursor({ ...decodeCursor(cursor), epoch: 7 })],
    ['CURSOR_EXPIRED', 'a trimmed place', (cursor) => cursor],
    ['VALIDATION_FAILED', 'an unreadable cursor', () => UNREADABLE],
  ])('%s for %s', async (expected, _, cursorOf) => {
    const { node, log, source, start } = setUp();
    write(node, 10);
    await log.trim(5);
    await expect(new Follower(source, cursorOf(start)).next()).rejects.toEqual(code(expected));
    expect(source.subscribers).toBe(0);
  });

  test('SCHEMA_MISMATCH for a collection that is not handed on', async () => {
    const { source, start } = setUp();
    const follower = new Follower(source, start, { collections: ['secrets'] });
    await expect(follower.next()).rejects.toEqual(code('SCHEMA_MISMATCH'));
  });

  test('CURSOR_EXPIRED when the log is trimmed under a subscriber', async () => {
    const { node, log, source, start } = setUp();
    write(node, 1_000);
    const follower = new Follower(source, start);
    await follower.next();
    await log.trim(800);
    await expect(follower.next()).rejects.toMatchObject({ code: 'CURSOR_EXPIRED', details: { oldest: 800 } });
  });

  test('FORK when the log becomes another history under a subscriber, also at the same place', async () => {
    const { node, log, source } = setUp();
    write(node, 5);
    const follower = new Follower(source, cursorAt(node));
    await follower.next();
    const pending = follower.next();
    log.reset(5, 'd'.repeat(32));
    await expect(pending).rejects.toEqual(code('FORK'));
  });

  test('the empty frame names the log as it is now', async () => {
    const { log, source, start } = setUp();
    await new Follower(source, start).next();
    log.reset(0, GENESIS_CHAIN, 'ee'.repeat(16));
    const other = encodeCursor({ ...decodeCursor(start), logId: 'ee'.repeat(16) });
    expect((await new Follower(source, other).next()).cursor).toBe(other);
  });

  test('frames of the old history are not sent to followers of the new one', async () => {
    const { node, log, source, start } = setUp();
    write(node, 500);
    await new Follower(source, start).next();
    log.reset(0, GENESIS_CHAIN);
    write(node, 500, 'other');
    const follower = new Follower(source, start);
    await follower.next();
    expect(follower.entries[0]?.id).toBe('"other-0"');
  });

  test('an emptied log that goes on at the same place goes on for its subscribers', async () => {
    const { node, log, source } = setUp();
    write(node, 5);
    const follower = new Follower(source, cursorAt(node));
    await follower.next();
    const { sequence, chain } = log.head();
    log.reset(sequence, chain);
    write(node, 2);
    await follower.nextTo(7);
  });

  test('a log that is wrong about its own chain is not sent', async () => {
    const { node, log, source, start } = setUp();
    write(node, 5);
    log.spoil(1, { version: 77 });
    await expect(new Follower(source, start).next()).rejects.toEqual(code('CURSOR_EXPIRED'));
  });

  test('SLOW_CONSUMER, with the cursor to go on from, for a frame left for 30 s while there is news', async () => {
    const { node, clock, source, start } = setUp();
    write(node, 5);
    const follower = new Follower(source, start);
    const frame = await follower.next();
    write(node, 1);
    await clock.advance(30_001);
    await expect(follower.next()).rejects.toMatchObject({ code: 'SLOW_CONSUMER', details: { cursor: frame.cursor } });
    expect(source.subscribers).toBe(0);
    const again = new Follower(source, frame.cursor);
    await again.nextTo(6);
  });

  test('a subscriber that is slow while there is no news goes on', async () => {
    const { node, clock, source, start } = setUp();
    write(node, 5);
    const follower = new Follower(source, start);
    await follower.next();
    await clock.advance(60_000);
    expect(await follower.next()).toMatchObject({ from: 6, to: 5 });
  });

  test('a signal ends a waiting subscription at once', async () => {
    const { node, source } = setUp();
    const follower = new Follower(source, cursorAt(node));
    await follower.next();
    const pending = follower.iterator.next();
    follower.abort.abort();
    expect(await pending).toEqual({ done: true, value: undefined });
    expect(source.subscribers).toBe(0);
  });

  test('stopping the source ends every subscription and the timer', async () => {
    const { node, clock, source } = setUp();
    const followers = Array.from({ length: 3 }, () => new Follower(source, cursorAt(node)));
    await Promise.all(followers.map((follower) => follower.next()));
    const pending = followers.map((follower) => follower.iterator.next());
    source.stop();
    expect(await Promise.all(pending)).toEqual(Array(3).fill({ done: true, value: undefined }));
    expect(clock.timers).toBe(0);
  });

  test('a stopped source answers nothing more: what it knows grows old', async () => {
    const { source, start } = setUp();
    source.stop();
    for (const call of [source.hello(start, ALL), source.digests(null), source.chain([1])]) {
      await expect(call).rejects.toEqual(code('NOT_READY'));
    }
  });

  test('leaving the loop gives the place up', async () => {
    const { source, start } = setUp();
    for await (const _ of source.changes(start, ALL, LIMITS, new AbortController().signal)) break;
    expect(source.subscribers).toBe(0);
  });
});

describe('checkpoints', () => {
  test('the first frame near the head carries digests of its exact end, and again every 10 s', async () => {
    const { node, clock, source } = setUp();
    write(node, 5);
    const follower = new Follower(source, cursorAt(node));
    expect((await follower.next()).digests).toEqual((await source.digests(null)).digests);
    const carried = [];
    for (let beat = 1; beat <= 30; beat++) {
      const pending = follower.next();
      await clock.advance(1_000);
      if ((await pending).digests !== null) carried.push(beat);
    }
    expect(carried).toEqual([10, 20, 30]);
  });

  test('after 10,000 changes one is due', async () => {
    const { node, source, start } = setUp();
    const follower = new Follower(source, start);
    await follower.next();
    for (let i = 0; i < 25; i++) {
      write(node, 1_000);
      await follower.nextTo((i + 1) * 1_000);
    }
    const ends = follower.frames.filter(({ digests }) => digests !== null).map(({ to }) => to);
    expect(ends.length).toBe(3);
    expect(ends[1]).toBeGreaterThan(9_000);
    expect(ends[2]).toBeGreaterThan(19_000);
  });

  test('digests are those at the end of the frame, not of the head', async () => {
    const { node, source, start } = setUp();
    write(node, 3);
    const { digests } = await source.digests(null);
    node.promote();
    write(node, 2);
    node.write('teachers', { 'teacher-1': null });
    const follower = new Follower(source, start);
    const frame = await follower.next();
    expect(frame.to).toBe(3);
    expect(frame.digests).toEqual(digests);
  });

  test('only the collections of the shape are in it', async () => {
    const { source, start } = setUp();
    const follower = new Follower(source, start, { collections: ['schools'] });
    expect((await follower.next()).digests).toEqual([{ collection: 'schools', count: 0, sum: '0'.repeat(32) }]);
  });

  test('subscribers in step share it', async () => {
    const { node, source } = setUp();
    write(node, 5);
    const [one, two] = [new Follower(source, cursorAt(node)), new Follower(source, cursorAt(node))];
    await Promise.all([one.next(), two.next()]);
    expect(one.frames[0]).toBe(two.frames[0]);
  });

  test('frames far behind the head carry none', async () => {
    const { node, source, start } = setUp();
    for (let i = 0; i < 12; i++) write(node, 1_000);
    const follower = new Follower(source, start);
    await follower.nextTo(12_000);
    const first = follower.frames.find(({ digests }) => digests !== null);
    expect(first?.to).toBe(2_000);
  });

  test('a checkpoint tells the documents as they are in its round, also when they were repaired without a change', async () => {
    let stage: SourceStage = 'EQUAL';
    const { node, clock, source } = setUp({ stage: () => stage });
    write(node, 5);
    const wrong = new Follower(source, cursorAt(node));
    await wrong.next();
    node.buckets('teachers').add(1, 'f'.repeat(32));
    const digests = COLLECTIONS.map((collection) => ({ collection, ...node.buckets(collection).digest() }));

    const late = new Follower(source, cursorAt(node));
    stage = 'SETTLING';
    expect((await late.next()).digests).toBeNull();
    stage = 'EQUAL';
    const beaten = late.next();
    await clock.advance(1_000);
    expect((await beaten).digests).toEqual(digests);

    node.buckets('teachers').subtract(1, 'f'.repeat(32));
    await clock.advance(9_000);
    expect((await new Follower(source, cursorAt(node)).next()).digests).toEqual(wrong.frames[0]?.digests);
  });

  test('a log that became another history has checkpoints of its own', async () => {
    const { node, log, source } = setUp();
    write(node, 5);
    const before = await new Follower(source, cursorAt(node)).next();
    log.reset(5, 'd'.repeat(32));
    node.buckets('teachers').add(1, 'f'.repeat(32));
    const after = await new Follower(source, cursorAt(node)).next();
    expect(after.digests).not.toEqual(before.digests);
  });

  test('a replica that is not proven equal sends changes without digests', async () => {
    let stage: SourceStage = 'SETTLING';
    const { node, clock, source, start } = setUp({ stage: () => stage });
    write(node, 5);
    const follower = new Follower(source, start);
    expect(await follower.next()).toMatchObject({ to: 5, digests: null });
    stage = 'EQUAL';
    const pending = follower.next();
    await clock.advance(1_000);
    expect((await pending).digests).not.toBeNull();
  });
});

describe('state', () => {
  test('pages hold at most the limit and name the position they include', async () => {
    const { node, source } = setUp();
    write(node, 25);
    const seen: string[] = [];
    for (let after: string | null = null; ; ) {
      const page = await source.snapshot('teachers', after, 10);
      expect(page.position).toEqual({ epoch: 1, sequence: 25 });
      expect(page.rows.length).toBeLessThanOrEqual(10);
      seen.push(...page.rows.map(({ id }) => id));
      after = page.next;
      if (after === null) break;
    }
    expect(new Set(seen).size).toBe(25);
  });

  test('a page is lowered to 1,000 rows and 4 MiB; a larger row goes alone', async () => {
    const { node, source } = setUp();
    write(node, 1_500);
    expect((await source.snapshot('teachers', null, 1e9)).rows).toHaveLength(1_000);
    const megabyte = JSON.stringify('x'.repeat(1024 * 1024 - 2));
    node.write('schools', { a: megabyte, b: megabyte, c: megabyte, d: megabyte, e: megabyte });
    expect((await source.snapshot('schools', null, 1_000)).rows).toHaveLength(4);
    node.write('schools', { a: JSON.stringify('x'.repeat(5_000_000)) });
    expect((await source.snapshot('schools', null, 1_000)).rows).toHaveLength(1);
  });

  test('rows gives those that exist', async () => {
    const { node, source } = setUp();
    write(node, 3);
    const rows = await source.rows('teachers', ['"teacher-1"', '"nobody"', '"teacher-2"']);
    expect(rows.map(({ id }) => id)).toEqual(['"teacher-1"', '"teacher-2"']);
  });

  test('rows that are too large together are refused, one is not', async () => {
    const { node, source } = setUp();
    const text = JSON.stringify('x'.repeat(9 * 1024 * 1024));
    node.write('teachers', { a: text, b: text });
    await expect(source.rows('teachers', ['"a"', '"b"'])).rejects.toEqual(code('PAYLOAD_TOO_LARGE'));
    expect(await source.rows('teachers', ['"a"'])).toHaveLength(1);
  });

  test('bucketRows gives id, version and hash of one bucket', async () => {
    const { node, source } = setUp();
    node.write('teachers', { ada: '{"n":1}' });
    const { rows, position } = await source.bucketRows('teachers', bucketOf('"ada"'));
    const [row] = await source.rows('teachers', ['"ada"']);
    const version = row?.version as number;
    expect(rows).toEqual([{ id: '"ada"', version, hash: documentHash('teachers', '"ada"', version, '{"n":1}') }]);
    expect(position).toEqual({ epoch: 1, sequence: 1 });
  });

  test('chain gives the hashes that are kept, the one before the floor included', async () => {
    const { node, log, source } = setUp();
    write(node, 6);
    const entry = async (sequence: number) => (await log.entry(sequence))?.chain;
    const [third, fourth, sixth] = [await entry(3), await entry(4), await entry(6)];
    expect(await source.chain([0])).toEqual([GENESIS_CHAIN]);
    await log.trim(4);
    expect(await source.chain([0, 2, 3, 4, 6, 7])).toEqual([null, null, third, fourth, sixth, null]);
  });

  test('at most 1,000 ids or sequences at a time', async () => {
    const { source } = setUp();
    await expect(source.rows('teachers', Array(1_001).fill('"a"'))).rejects.toEqual(code('VALIDATION_FAILED'));
    await expect(source.chain(Array(1_001).fill(1))).rejects.toEqual(code('VALIDATION_FAILED'));
  });

  test('buckets at the head are those of the store; at a place of the past, those of then', async () => {
    const { node, source } = setUp();
    write(node, 10);
    const then = node.buckets('teachers').clone();
    const at = { epoch: 1, sequence: 10 };
    write(node, 5);
    node.write('teachers', { 'teacher-7': null, new: '{}' });
    const past = await source.buckets('teachers', at);
    expect(past.position).toEqual(at);
    expect(Buckets.fromBase64(past.buckets).differing(then)).toEqual([]);
    const now = await source.buckets('teachers', null);
    expect(Buckets.fromBase64(now.buckets).differing(node.buckets('teachers'))).toEqual([]);
  });

  test('a collection that is not handed on is NOT_FOUND', async () => {
    const { source } = setUp();
    const refused = code('NOT_FOUND');
    await expect(source.snapshot('secrets', null, 10)).rejects.toEqual(refused);
    await expect(source.rows('secrets', ['"a"'])).rejects.toEqual(refused);
    await expect(source.buckets('secrets', null)).rejects.toEqual(refused);
    await expect(source.bucketRows('secrets', 1)).rejects.toEqual(refused);
  });

  test('a replica that settles hands on its log, not its documents; an empty one nothing', async () => {
    let stage: SourceStage = 'SETTLING';
    const { source, start } = setUp({ stage: () => stage });
    const refused = code('NOT_READY');
    await expect(source.snapshot('teachers', null, 10)).rejects.toEqual(refused);
    await expect(source.rows('teachers', [])).rejects.toEqual(refused);
    await expect(source.digests(null)).rejects.toEqual(refused);
    expect((await source.hello(start, ALL)).status).toBe('OK');
    expect(await source.chain([0])).toEqual([GENESIS_CHAIN]);
    stage = 'EMPTY';
    await expect(source.hello(null, ALL)).rejects.toEqual(refused);
    await expect(new Follower(source, start).next()).rejects.toEqual(refused);
  });
});

describe('acknowledgements', () => {
  const ack = { replica: 'r1', applied: 2, epoch: 1, state: 'LIVE', url: null };

  test('tell who follows and how far', async () => {
    const { node, clock, source } = setUp();
    write(node, 2);
    await source.ack(ack);
    await clock.advance(100);
    write(node, 3);
    await clock.advance(250);
    expect(source.followers.list()).toEqual([{ ...ack, lagChanges: 3, lagMs: 250, seenMs: 350 }]);
  });

  test('of a higher epoch are FENCED, and fence nobody: a number proves nothing', async () => {
    const epochs: number[] = [];
    const { source } = setUp({ onHigherEpoch: (epoch) => epochs.push(epoch) });
    await expect(source.ack({ ...ack, epoch: 3 })).rejects.toEqual(code('FENCED'));
    expect(epochs).toEqual([]);
  });

  test('of more than there is are a FORK', async () => {
    const { source } = setUp();
    await expect(source.ack(ack)).rejects.toEqual(code('FORK'));
    expect(source.followers.list()).toEqual([]);
  });
});
