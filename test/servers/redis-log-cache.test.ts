import { beforeEach, expect, it } from 'vitest';
import type { RedisLogCacheOptions } from '../../src/changelog/redis-log-cache.ts';
import { GENESIS_CHAIN, type LogEntry } from '../../src/model/change.ts';
import { chained, change } from '../support/entries.ts';
import { eventually } from '../support/eventually.ts';
import { history, MANY, openCache, openConnection, redisClient, STREAM } from '../support/redis.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startRedis } from '../support/servers/redis.ts';
import { shared } from '../support/servers/shared.ts';

describeWith('redis', 'the copy of the change log in Redis', () => {
  const server = shared(startRedis);
  beforeEach(async () => {
    using redis = redisClient(server().url);
    await redis.flushall();
  });

  /** A cache as a primary has it, with its connection. */
  async function open(options: Partial<RedisLogCacheOptions> = {}) {
    const opened = await openConnection(server().url);
    const cache = openCache(opened.connection, options);
    const close = async () => {
      await cache.close();
      await opened[Symbol.asyncDispose]();
    };
    return { cache, opened, [Symbol.asyncDispose]: close };
  }

  /** A cache whose log can be replaced by another history, as by a restored backup. */
  async function openOver(held: { log: readonly LogEntry[] }) {
    return open({ holds: async ({ sequence, chain }) => held.log[sequence - 1]?.chain === chain });
  }

  /** Waits until the stream ends in this entry. */
  async function taken(entry: LogEntry | undefined): Promise<void> {
    using redis = redisClient(server().url);
    await eventually(`change ${entry?.sequence} in Redis`, async () => {
      const [top] = await redis.xrevrange(STREAM, '+', '-', 'COUNT', 1);
      return top?.[0] === `${entry?.epoch}-${entry?.sequence}`;
    });
  }

  it('gives back what was offered, from any place on, to every process', async () => {
    await using writer = await open();
    await using reader = await open();
    const entries = history(1_200);
    for (let at = 0; at < entries.length; at += 100) writer.cache.offer(entries.slice(at, at + 100));
    await taken(entries.at(-1));
    for (const after of [0, 1, 99, 100, 555, 1_199]) {
      expect(await reader.cache.read(after, MANY)).toEqual(entries.slice(after));
    }
    expect(await reader.opened.metric('holdfast_redis_reads_total', 'hit')).toBe(6);
  });

  it('keeps every kind of change as it is', async () => {
    await using primary = await open();
    const { cache } = primary;
    const entries = chained([
      change({ image: '{"text":"Zoë \\"日本語\\" \\u0000 🎉"}', key: 'ab'.repeat(16) }),
      change({
        operation: 'UPDATED',
        before: 'cd'.repeat(16),
        version: 2 ** 53 - 1,
        image: null,
        collection: 'Ünï "x"',
      }),
      change({ operation: 'DELETED', id: '{"$oid":"0"}' }),
    ]);
    cache.offer(entries);
    await taken(entries.at(-1));
    expect(await cache.read(0, MANY)).toEqual(entries);
  });

  it('ends a read at its limits, after one change at least', async () => {
    await using primary = await open();
    const { cache } = primary;
    const entries = history(300, 1_000);
    for (const entry of entries) cache.offer([entry]);
    await taken(entries.at(-1));
    expect(await cache.read(10, { maxChanges: 7, maxBytes: 1e9 })).toEqual(entries.slice(10, 17));
    expect(await cache.read(10, { maxChanges: 150, maxBytes: 1e9 })).toEqual(entries.slice(10, 160));
    expect(await cache.read(10, { maxChanges: 1e9, maxBytes: 5_500 })).toHaveLength(5);
    expect(await cache.read(10, { maxChanges: 1e9, maxBytes: 1 })).toEqual([entries[10]]);
  });

  it('has nothing at the head, beyond it, and before its oldest change', async () => {
    await using primary = await open();
    const { cache } = primary;
    const entries = history(20);
    expect(await cache.read(0, MANY)).toBeUndefined();
    cache.offer(entries.slice(10));
    await taken(entries.at(-1));
    expect(await cache.read(20, MANY)).toBeUndefined();
    expect(await cache.read(25, MANY)).toBeUndefined();
    expect(await cache.read(9, MANY)).toBeUndefined();
    expect(await cache.read(10, MANY)).toEqual(entries.slice(10));
  });

  it.each([
    {
      name: 'joins what several primaries offer, whatever overlaps and in whatever order it comes',
      offers: [['a 0-40'], ['b 20-60'], ['a 40-60', 'a 60-80', 'b 50-100']],
      found: [
        { after: 0, to: 100 },
        { after: 30, to: 100 },
      ],
      missing: [],
    },
    {
      // The other primary was faster: what comes late is refused.
      name: 'shows what is missing as a gap, and goes on behind it',
      offers: [['a 0-10'], ['b 20-30'], ['a 10-20', 'a 30-40']],
      found: [
        { after: 0, to: 10 },
        { after: 20, to: 40 },
      ],
      missing: [10],
    },
  ])('$name', async ({ offers, found, missing }) => {
    await using a = await open();
    await using b = await open();
    const entries = history(100);
    let end = 0;
    for (const atOnce of offers) {
      for (const offer of atOnce) {
        const [who, from, to] = offer.split(/[ -]/);
        (who === 'a' ? a : b).cache.offer(entries.slice(Number(from), Number(to)));
        end = Number(to);
      }
      await taken(entries[end - 1]);
    }
    for (const { cache } of [a, b]) {
      for (const { after, to } of found) expect(await cache.read(after, MANY)).toEqual(entries.slice(after, to));
      for (const after of missing) expect(await cache.read(after, MANY)).toBeUndefined();
    }
    expect(a.opened.lines).toEqual([]);
  });

  it('follows the log into a new epoch, and refuses what comes late from the old one', async () => {
    await using old = await open();
    await using promoted = await open();
    const before = history(10);
    const begin = change({ operation: 'EPOCH', collection: '', id: '', version: 0, image: null });
    const after = chained(
      [begin, change(), change({ version: 2 }), change({ version: 3 })],
      11,
      before.at(-1)?.chain,
      2,
    );
    old.cache.offer(before);
    await taken(before.at(-1));
    promoted.cache.offer(after.slice(0, 3));
    await taken(after[2]);
    // A primary that was suspended wakes, and has more of the old epoch.
    old.cache.offer(history(10, 100, before.at(-1)));
    old.cache.offer(after.slice(3));
    await taken(after.at(-1));
    await using reader = await open();
    expect(await eventually('the new epoch', () => reader.cache.read(10, MANY))).toEqual(after);
    expect(await reader.cache.read(12, MANY)).toEqual(after.slice(2));
    expect(await promoted.cache.read(14, MANY)).toBeUndefined();
  });

  it('is trimmed to its size, oldest first', async () => {
    await using primary = await open({ maxBytes: 200_000 });
    const { cache } = primary;
    const entries = history(3_000, 700);
    for (let at = 0; at < entries.length; at += 20) cache.offer(entries.slice(at, at + 20));
    await taken(entries.at(-1));
    using redis = redisClient(server().url);
    const bytes = (await redis.memory('USAGE', STREAM, 'SAMPLES', 0)) ?? 0;
    expect(bytes).toBeGreaterThan(150_000);
    expect(bytes).toBeLessThan(500_000);
    expect(await cache.read(0, MANY)).toBeUndefined();
    expect(await cache.read(2_900, MANY)).toEqual(entries.slice(2_900));
  });

  it('leaves very large changes to the database', async () => {
    await using primary = await open();
    const { cache } = primary;
    const small = history(1);
    const large = history(1, 2 * 1024 * 1024, small.at(-1));
    const next = history(1, 100, large.at(-1));
    cache.offer([...small, ...large, ...next]);
    await taken(next.at(-1));
    expect(await cache.read(0, MANY)).toEqual(small);
    expect(await cache.read(1, MANY)).toBeUndefined();
    expect(await cache.read(2, MANY)).toEqual(next);
  });

  it('removes a stream that ends in a change the log does not hold', async () => {
    const lost = history(50);
    {
      await using primary = await open();
      primary.cache.offer(lost);
      await taken(lost.at(-1));
    }
    // The database was restored from a backup made at change 30, and went on from there.
    const kept = lost.slice(0, 30);
    const log = [...kept, ...history(10, 50, kept.at(-1))];
    await using primary = await openOver({ log });
    const { cache, opened } = primary;
    expect(await cache.read(30, MANY)).toBeUndefined();
    expect(opened.told()).toEqual(['Redis held changes that the database does not']);
    cache.offer(log.slice(30));
    await taken(log.at(-1));
    expect(await cache.read(30, MANY)).toEqual(log.slice(30));
  });

  it('notices by what Redis refuses that the database was restored under it', async () => {
    const held = { log: history(50) };
    await using primary = await openOver(held);
    const { cache, opened } = primary;
    cache.offer(held.log);
    await taken(held.log.at(-1));
    held.log = [...held.log.slice(0, 30), ...history(10, 50, held.log[29])];
    cache.offer(held.log.slice(30));
    await eventually('the old history is gone', async () => {
      await cache.read(0, MANY);
      return opened.lines.length === 1;
    });
    const next = history(1, 50, held.log.at(-1));
    held.log = [...held.log, ...next];
    cache.offer(next);
    await taken(next.at(-1));
    expect(await cache.read(40, MANY)).toEqual(next);
    expect(await cache.read(30, MANY)).toBeUndefined();
  });

  it('does without Redis while the log cannot be asked', async () => {
    let answers = false;
    await using primary = await open({
      holds: async () => {
        if (!answers) throw new Error('the database is away');
        return true;
      },
    });
    const { cache, opened } = primary;
    const entries = history(20);
    await using other = await open();
    other.cache.offer(entries.slice(0, 10));
    await taken(entries[9]);
    cache.offer(entries.slice(10));
    expect(await cache.read(0, MANY)).toBeUndefined();
    answers = true;
    await taken(entries.at(-1));
    expect(await cache.read(0, MANY)).toEqual(entries);
    expect(opened.lines).toEqual([]);
  });

  it('takes nothing that it did not write itself', async () => {
    await using primary = await open();
    const { cache } = primary;
    const entries = history(10);
    cache.offer(entries.slice(0, 5));
    await taken(entries[4]);
    using redis = redisClient(server().url);
    await redis.xadd(STREAM, '1-6', 'changes', '[[6]]');
    await redis.xadd(STREAM, '1-7', 'other', 'field');
    await redis.xadd(STREAM, '1-8', 'changes', 'no JSON');
    cache.offer(entries.slice(8));
    await taken(entries.at(-1));
    expect(await cache.read(0, MANY)).toEqual(entries.slice(0, 5));
    expect(await cache.read(5, MANY)).toBeUndefined();
    expect(await cache.read(8, MANY)).toEqual(entries.slice(8));
    // Under such an id nothing of ours would ever be taken again.
    await redis.xadd(STREAM, '*', 'whose', 'unknown');
    await using again = await open();
    again.cache.offer(history(3, 10));
    await eventually('a stream of ours', () => again.cache.read(0, MANY));
    expect(again.opened.told()).toEqual(['Redis held changes that the database does not']);
  });

  it('offers and reads nothing more once it is closed', async () => {
    await using primary = await open();
    const { cache } = primary;
    const entries = history(5);
    cache.offer(entries);
    await taken(entries.at(-1));
    await cache.close();
    cache.offer(history(5, 10, entries.at(-1)));
    expect(await cache.read(0, MANY)).toBeUndefined();
    using redis = redisClient(server().url);
    expect((await redis.xrevrange(STREAM, '+', '-', 'COUNT', 1))[0]?.[0]).toBe('1-5');
    expect(entries[0]?.chain).not.toBe(GENESIS_CHAIN);
  });
});
