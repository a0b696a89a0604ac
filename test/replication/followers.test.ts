import { describe, expect, test } from 'vitest';
import { Followers } from '../../src/replication/followers.ts';
import { HeadMarks } from '../../src/replication/head-marks.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { seededRandom } from '../support/random.ts';

function setUp() {
  const clock = new ManualClock();
  const log = { head: 0 };
  const followers = new Followers({ clock, head: () => log.head, forgetAfterMs: 10_000 });
  const advanceHead = (to: number): void => {
    log.head = to;
    followers.headAdvanced();
  };
  const acknowledge = (replica: string, applied: number): void =>
    followers.acknowledge({ replica, applied, epoch: 1, state: 'LIVE', url: 'http://127.0.0.1:4010/graphql' });
  return { clock, followers, advanceHead, acknowledge };
}

describe('Followers', () => {
  test('a follower at the head has no lag', async () => {
    const { clock, followers, advanceHead, acknowledge } = setUp();
    advanceHead(7);
    acknowledge('r1', 7);
    await clock.advance(500);
    expect(followers.list()).toEqual([
      {
        replica: 'r1',
        state: 'LIVE',
        url: 'http://127.0.0.1:4010/graphql',
        epoch: 1,
        applied: 7,
        lagChanges: 0,
        lagMs: 0,
        seenMs: 500,
      },
    ]);
  });

  test('lagMs runs from the moment its position stopped being the head', async () => {
    const { clock, followers, advanceHead, acknowledge } = setUp();
    advanceHead(7);
    acknowledge('r1', 7);
    await clock.advance(1_000);
    advanceHead(8);
    await clock.advance(30);
    advanceHead(9);
    await clock.advance(20);
    expect(followers.list()[0]).toMatchObject({ lagChanges: 2, lagMs: 50 });
    acknowledge('r1', 8);
    expect(followers.list()[0]).toMatchObject({ lagChanges: 1, lagMs: 20 });
    acknowledge('r1', 9);
    expect(followers.list()[0]).toMatchObject({ lagChanges: 0, lagMs: 0 });
  });

  test('the last word counts, and names are sorted', () => {
    const { followers, advanceHead, acknowledge } = setUp();
    advanceHead(9);
    acknowledge('b', 1);
    acknowledge('a', 2);
    acknowledge('b', 5);
    expect(followers.list().map(({ replica, applied }) => [replica, applied])).toEqual([
      ['a', 2],
      ['b', 5],
    ]);
  });

  test('a silent follower is forgotten', async () => {
    const { clock, followers, acknowledge } = setUp();
    acknowledge('old', 0);
    await clock.advance(6_000);
    acknowledge('new', 0);
    await clock.advance(5_000);
    expect(followers.list().map(({ replica }) => replica)).toEqual(['new']);
  });

  test('the oldest word is forgotten first, whoever came first', async () => {
    const { clock, followers, acknowledge } = setUp();
    acknowledge('faithful', 0);
    acknowledge('gone', 0);
    await clock.advance(6_000);
    acknowledge('faithful', 0);
    await clock.advance(5_000);
    expect(followers.list().map(({ replica }) => replica)).toEqual(['faithful']);
  });

  test('names without end do not fill the memory', () => {
    const { followers, acknowledge } = setUp();
    for (let i = 0; i < 10_500; i++) acknowledge(`r${i}`, 0);
    expect(followers.list()).toHaveLength(10_000);
    expect(followers.list().some(({ replica }) => replica === 'r0')).toBe(false);
  });

  test('the lowest position held is that of those heard of lately', async () => {
    const { clock, followers, advanceHead, acknowledge } = setUp();
    expect(followers.lowestApplied(1_000)).toBeNull();
    advanceHead(100);
    acknowledge('slow', 10);
    await clock.advance(2_000);
    acknowledge('fast', 90);
    expect(followers.lowestApplied(5_000)).toBe(10);
    expect(followers.lowestApplied(1_000)).toBe(90);
  });
});

describe('HeadMarks', () => {
  test('knows when each sequence was passed', () => {
    const marks = new HeadMarks(10, 0);
    marks.add(12, 5);
    marks.add(20, 9);
    expect([9, 10, 11, 12, 19].map((sequence) => marks.passedAt(sequence))).toEqual([0, 5, 5, 9, 9]);
  });

  test('an advance that is told twice counts once', () => {
    const marks = new HeadMarks(0, 0);
    marks.add(1, 5);
    marks.add(1, 7);
    expect(marks.passedAt(0)).toBe(5);
  });

  test('a head that goes back begins anew', () => {
    const marks = new HeadMarks(100, 0);
    marks.add(50, 5);
    marks.add(51, 8);
    expect(marks.passedAt(50)).toBe(8);
  });

  test('stays small, is exact about what is recent, and never says a time too late (seed 9)', () => {
    const random = seededRandom(9);
    const marks = new HeadMarks(0, 0);
    const passed = new Map<number, number>();
    let sequence = 0;
    for (let at = 1; at <= 50_000; at++) {
      const next = sequence + 1 + Math.floor(random() * 3);
      for (let s = sequence; s < next; s++) passed.set(s, at);
      sequence = next;
      marks.add(sequence, at);
    }
    for (let s = 0; s < sequence; s += 101) expect(marks.passedAt(s)).toBeLessThanOrEqual(passed.get(s) as number);
    for (let s = sequence - 500; s < sequence; s++) expect(marks.passedAt(s)).toBe(passed.get(s));
  });
});
