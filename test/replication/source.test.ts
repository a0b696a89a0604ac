import { describe, expect, test } from 'vitest';
import { decodeCursor, encodeCursor } from '../../src/protocol/cursor.ts';
import { ALL, code, cursorAt, LIMITS, setUp, write } from './support.ts';

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
