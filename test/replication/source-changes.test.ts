import { describe, expect, test } from 'vitest';
import { decodeCursor, encodeCursor } from '../../src/protocol/cursor.ts';
import { Carried } from '../../src/protocol/frame.ts';
import { settle } from '../support/manual-clock.ts';
import { seededRandom } from '../support/random.ts';
import { ALL, cursorAt, Follower, setUp, withoutDigests, write } from './support.ts';

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
});
