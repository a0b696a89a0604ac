import { describe, expect, test } from 'vitest';
import { Followers } from '../../src/replication/followers.ts';
import {
  DEFAULT_RETENTION,
  floorOf,
  Retention,
  type RetentionFacts,
  type RetentionPolicy,
} from '../../src/replication/retention.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { MemoryNode } from '../support/memory-node.ts';
import { seededRandom } from '../support/random.ts';

const policy: RetentionPolicy = {
  maxAgeMs: 1_000,
  maxChanges: 100,
  maxBytes: 100_000,
  followerMs: 5_000,
  followerFactor: 3,
};
/** 1,000 changes of 100 bytes, none old, nobody follows. */
const facts: RetentionFacts = { floor: 1, head: 1_000, firstYoung: 1, bytesPerChange: 100, lowestApplied: null };

describe('floorOf', () => {
  test.each<[string, Partial<RetentionFacts>, number]>([
    ['keeps maxChanges', {}, 901],
    ['keeps everything when there is less', { head: 80 }, 1],
    ['keeps maxBytes', { bytesPerChange: 2_000 }, 951],
    ['lets go what is old', { firstYoung: 990 }, 990],
    ['never takes the head', { firstYoung: 1_001 }, 1_000],
    ['never takes the head for its size', { bytesPerChange: 1e9 }, 1_000],
    ['never goes back', { floor: 950 }, 950],
    ['keeps what a follower does not hold yet', { lowestApplied: 850 }, 851],
    ['a follower at the head holds nothing back', { lowestApplied: 1_000 }, 901],
    ['a follower keeps what is old too', { firstYoung: 1_001, lowestApplied: 850 }, 851],
    ['a follower keeps no more than followerFactor times the limit', { lowestApplied: 10 }, 701],
    ['… by bytes as well', { lowestApplied: 10, bytesPerChange: 2_000 }, 851],
    ['an empty log stays', { floor: 1, head: 0, firstYoung: 1 }, 1],
    ['a log of one entry stays', { floor: 7, head: 7, firstYoung: 8 }, 7],
    ['changes without size are counted', { bytesPerChange: 0 }, 901],
  ])('%s', (_, difference, floor) => {
    expect(floorOf(policy, { ...facts, ...difference })).toBe(floor);
  });

  test('for any facts it stays between floor and head, and a follower never makes it higher (seed 2)', () => {
    const random = seededRandom(2);
    const upTo = (most: number): number => Math.floor(random() * most);
    for (let round = 0; round < 5_000; round++) {
      const floor = 1 + upTo(1_000);
      const head = floor + upTo(1_000);
      const some = { floor, head, firstYoung: floor + upTo(1_000), bytesPerChange: upTo(5_000), lowestApplied: null };
      const alone = floorOf(policy, some);
      const followed = floorOf(policy, { ...some, lowestApplied: upTo(head + 1) });
      expect(alone).toBeGreaterThanOrEqual(floor);
      expect(alone).toBeLessThanOrEqual(head);
      expect(followed).toBeGreaterThanOrEqual(floor);
      expect(followed).toBeLessThanOrEqual(alone);
    }
  });
});

describe('Retention', () => {
  function setUp(limits: Partial<RetentionPolicy> = {}) {
    const clock = new ManualClock();
    const node = new MemoryNode(['teachers']);
    const followers = new Followers({ clock, head: () => node.log.head().sequence });
    const pruned: number[] = [];
    const errors: unknown[] = [];
    const failure: { error?: unknown } = {};
    // Entries of MemoryNode are written at 1001, 1002, …
    const wall = { ms: 1_000 };
    const retention = new Retention({
      log: node.log,
      followers,
      policy: { ...DEFAULT_RETENTION, ...limits },
      clock,
      wallMs: () => wall.ms,
      prune: async (floor) => {
        if (failure.error !== undefined) throw failure.error;
        pruned.push(floor);
      },
      onError: (error) => errors.push(error),
    });
    const write = (count: number): void => {
      for (let i = 0; i < count; i++) node.write('teachers', { ada: `{"n":${i}}` });
    };
    return { clock, log: node.log, followers, retention, pruned, errors, failure, wall, write };
  }

  test('trims on its timer, then prunes', async () => {
    const { clock, log, retention, pruned, write } = setUp({ maxChanges: 10 });
    write(100);
    await clock.advance(60_000);
    expect(log.floor()).toBe(91);
    expect(pruned).toEqual([91]);
    await retention.stop();
  });

  test('trims nothing that may not go, and prunes after the start and every hour', async () => {
    const { clock, log, retention, pruned, write } = setUp();
    write(100);
    expect(await retention.sweep()).toBe(0);
    expect(await retention.sweep()).toBe(0);
    expect([log.floor(), pruned]).toEqual([1, [1]]);
    await clock.advance(3_600_000);
    expect(pruned).toEqual([1, 1]);
    await retention.stop();
  });

  test('finds the first change that is young enough', async () => {
    const { log, retention, wall, write } = setUp({ maxAgeMs: 500 });
    write(100);
    wall.ms = 1_001 + 500 + 30;
    expect(await retention.sweep()).toBe(30);
    expect(log.floor()).toBe(31);
    await retention.stop();
  });

  test('keeps about maxBytes', async () => {
    const { log, retention, write } = setUp({ maxBytes: 31_000 });
    write(500);
    await retention.sweep();
    expect(500 - log.floor()).toBeGreaterThan(80);
    expect(500 - log.floor()).toBeLessThan(110);
    await retention.stop();
  });

  test('waits for a follower, up to the cap and as long as it is heard of', async () => {
    const { clock, log, followers, retention, write } = setUp({ maxChanges: 10, followerMs: 120_000 });
    write(100);
    followers.acknowledge({ replica: 'r1', applied: 70, epoch: 1, state: 'CATCHING_UP', url: null });
    await retention.sweep();
    expect(log.floor()).toBe(71);
    write(100);
    await retention.sweep();
    expect(log.floor()).toBe(161);
    await clock.advance(180_000);
    expect(log.floor()).toBe(191);
    await retention.stop();
  });

  test('a sweep that fails is told, and the next one goes on', async () => {
    const { clock, log, retention, pruned, errors, failure, write } = setUp({ maxChanges: 10 });
    write(100);
    failure.error = new Error('disk full');
    await clock.advance(60_000);
    expect(errors).toEqual([failure.error]);
    expect(log.floor()).toBe(91);
    failure.error = undefined;
    await clock.advance(60_000);
    expect(pruned).toEqual([91]);
    await retention.stop();
  });

  test('stopping ends the timer', async () => {
    const { clock, log, retention, write } = setUp({ maxChanges: 10 });
    await retention.stop();
    write(100);
    await clock.advance(600_000);
    expect(log.floor()).toBe(1);
    expect(clock.timers).toBe(0);
  });
});
