import { describe, expect, test } from 'vitest';
import type { SourceStage } from '../../src/replication/source.ts';
import { COLLECTIONS, cursorAt, Follower, setUp, write } from './support.ts';

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
