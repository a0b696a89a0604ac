import { describe, expect, test } from 'vitest';
import { GENESIS_CHAIN } from '../../src/model/change.ts';
import { decodeCursor, encodeCursor } from '../../src/protocol/cursor.ts';
import { ALL, code, cursorAt, Follower, LIMITS, setUp, UNREADABLE, write } from './support.ts';

describe('a subscription that is refused or ends', () => {
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
