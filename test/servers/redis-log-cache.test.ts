import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { GENESIS_CHAIN, type LogEntry } from '../../src/model/change.ts';
import { chained, change } from '../support/entries.ts';
import { eventually } from '../support/eventually.ts';
import { history, MANY, openCache, openConnection, redisClient, STREAM } from '../support/redis.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { type RedisServer, startRedis } from '../support/servers/redis.ts';

describeWith('redis', 'the copy of the change log in Redis', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server[Symbol.asyncDispose]());
  beforeEach(async () => {
    using redis = redisClient(server.url);
    await redis.flushall();
  });

  /** Waits until the stream ends in this entry. */
  async function taken(entry: LogEntry | undefined): Promise<void> {
    using redis = redisClient(server.url);
    await eventually(`change ${entry?.sequence} in Redis`, async () => {
      const [top] = await redis.xrevrange(STREAM, '+', '-', 'COUNT', 1);
      return top?.[0] === `${entry?.epoch}-${entry?.sequence}`;
    });
  }

  it('gives back what was offered, from any place on, to every process', async () => {
    await using offering = await openConnection(server.url);
    await using reading = await openConnection(server.url);
    await using writer = openCache(offering.connection);
    await using reader = openCache(reading.connection);
    const entries = history(1_200);
    for (let at = 0; at < entries.length; at += 100) writer.offer(entries.slice(at, at + 100));
    await taken(entries.at(-1));
    for (const after of [0, 1, 99, 100, 555, 1_199]) {
      expect(await reader.read(after, MANY)).toEqual(entries.slice(after));
    }
    expect(await reading.metric('holdfast_redis_reads_total', 'hit')).toBe(6);
  });

  it('keeps every kind of change as it is', async () => {
    await using opened = await openConnection(server.url);
    await using cache = openCache(opened.connection);
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
    await using opened = await openConnection(server.url);
    await using cache = openCache(opened.connection);
    const entries = history(300, 1_000);
    for (const entry of entries) cache.offer([entry]);
    await taken(entries.at(-1));
    expect(await cache.read(10, { maxChanges: 7, maxBytes: 1e9 })).toEqual(entries.slice(10, 17));
    expect(await cache.read(10, { maxChanges: 150, maxBytes: 1e9 })).toEqual(entries.slice(10, 160));
    expect(await cache.read(10, { maxChanges: 1e9, maxBytes: 5_500 })).toHaveLength(5);
    expect(await cache.read(10, { maxChanges: 1e9, maxBytes: 1 })).toEqual([entries[10]]);
  });

  it('has nothing at the head, beyond it, and before its oldest change', async () => {
    await using opened = await openConnection(server.url);
    await using cache = openCache(opened.connection);
    const entries = history(20);
    expect(await cache.read(0, MANY)).toBeUndefined();
    cache.offer(entries.slice(10));
    await taken(entries.at(-1));
    expect(await cache.read(20, MANY)).toBeUndefined();
    expect(await cache.read(25, MANY)).toBeUndefined();
    expect(await cache.read(9, MANY)).toBeUndefined();
    expect(await cache.read(10, MANY)).toEqual(entries.slice(10));
  });

  it('joins what several primaries offer, whatever overlaps and in whatever order it comes', async () => {
    await using first = await openConnection(server.url);
    await using second = await openConnection(server.url);
    await using a = openCache(first.connection);
    await using b = openCache(second.connection);
    const entries = history(100);
    a.offer(entries.slice(0, 40));
    await taken(entries[39]);
    b.offer(entries.slice(20, 60));
    await taken(entries[59]);
    a.offer(entries.slice(40, 60));
    a.offer(entries.slice(60, 80));
    b.offer(entries.slice(50, 100));
    await taken(entries[99]);
    expect(await a.read(0, MANY)).toEqual(entries);
    expect(await b.read(30, MANY)).toEqual(entries.slice(30));
    expect(first.lines).toEqual([]);
  });

  it('shows what is missing as a gap, and goes on behind it', async () => {
    await using first = await openConnection(server.url);
    await using second = await openConnection(server.url);
    await using a = openCache(first.connection);
    await using b = openCache(second.connection);
    const entries = history(40);
    a.offer(entries.slice(0, 10));
    await taken(entries[9]);
    // The other primary was faster: what comes late is refused.
    b.offer(entries.slice(20, 30));
    await taken(entries[29]);
    a.offer(entries.slice(10, 20));
    a.offer(entries.slice(30, 40));
    await taken(entries[39]);
    expect(await a.read(0, MANY)).toEqual(entries.slice(0, 10));
    expect(await a.read(10, MANY)).toBeUndefined();
    expect(await a.read(20, MANY)).toEqual(entries.slice(20));
  });

  it('follows the log into a new epoch, and refuses what comes late from the old one', async () => {
    await using first = await openConnection(server.url);
    await using second = await openConnection(server.url);
    await using third = await openConnection(server.url);
    await using old = openCache(first.connection);
    await using promoted = openCache(second.connection);
    const before = history(10);
    const begin = change({ operation: 'EPOCH', collection: '', id: '', version: 0, image: null });
    const after = chained(
      [begin, change(), change({ version: 2 }), change({ version: 3 })],
      11,
      before.at(-1)?.chain,
      2,
    );
    old.offer(before);
    await taken(before.at(-1));
    promoted.offer(after.slice(0, 3));
    await taken(after[2]);
    // A primary that was suspended wakes, and has more of the old epoch.
    old.offer(history(10, 100, before.at(-1)));
    old.offer(after.slice(3));
    await taken(after.at(-1));
    await using reader = openCache(third.connection);
    expect(await eventually('the new epoch', () => reader.read(10, MANY))).toEqual(after);
    expect(await reader.read(12, MANY)).toEqual(after.slice(2));
    expect(await promoted.read(14, MANY)).toBeUndefined();
  });

  it('is trimmed to its size, oldest first', async () => {
    await using opened = await openConnection(server.url);
    await using cache = openCache(opened.connection, { maxBytes: 200_000 });
    const entries = history(3_000, 700);
    for (let at = 0; at < entries.length; at += 20) cache.offer(entries.slice(at, at + 20));
    await taken(entries.at(-1));
    using redis = redisClient(server.url);
    const bytes = (await redis.memory('USAGE', STREAM, 'SAMPLES', 0)) ?? 0;
    expect(bytes).toBeGreaterThan(150_000);
    expect(bytes).toBeLessThan(500_000);
    expect(await cache.read(0, MANY)).toBeUndefined();
    expect(await cache.read(2_900, MANY)).toEqual(entries.slice(2_900));
  });

  it('leaves very large changes to the database', async () => {
    await using opened = await openConnection(server.url);
    await using cache = openCache(opened.connection);
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
      await using opened = await openConnection(server.url);
      await using cache = openCache(opened.connection);
      cache.offer(lost);
      await taken(lost.at(-1));
    }
    // The database was restored from a backup made at change 30, and went on from there.
    const kept = lost.slice(0, 30);
    const log = [...kept, ...history(10, 50, kept.at(-1))];
    await using opened = await openConnection(server.url);
    await using cache = openCache(opened.connection, {
      holds: async ({ sequence, chain }) => log[sequence - 1]?.chain === chain,
    });
    expect(await cache.read(30, MANY)).toBeUndefined();
    expect(opened.told()).toEqual(['Redis held changes that the database does not']);
    cache.offer(log.slice(30));
    await taken(log.at(-1));
    expect(await cache.read(30, MANY)).toEqual(log.slice(30));
  });

  it('notices by what Redis refuses that the database was restored under it', async () => {
    await using opened = await openConnection(server.url);
    let log: readonly LogEntry[] = history(50);
    await using cache = openCache(opened.connection, {
      holds: async ({ sequence, chain }) => log[sequence - 1]?.chain === chain,
    });
    cache.offer(log);
    await taken(log.at(-1));
    log = [...log.slice(0, 30), ...history(10, 50, log[29])];
    cache.offer(log.slice(30));
    await eventually('the old history is gone', async () => {
      await cache.read(0, MANY);
      return opened.lines.length === 1;
    });
    const next = history(1, 50, log.at(-1));
    log = [...log, ...next];
    cache.offer(next);
    await taken(next.at(-1));
    expect(await cache.read(40, MANY)).toEqual(next);
    expect(await cache.read(30, MANY)).toBeUndefined();
  });

  it('does without Redis while the log cannot be asked', async () => {
    await using opened = await openConnection(server.url);
    let answers = false;
    await using cache = openCache(opened.connection, {
      holds: async () => {
        if (!answers) throw new Error('the database is away');
        return true;
      },
    });
    const entries = history(20);
    await using other = await openConnection(server.url);
    await using first = openCache(other.connection);
    first.offer(entries.slice(0, 10));
    await taken(entries[9]);
    cache.offer(entries.slice(10));
    expect(await cache.read(0, MANY)).toBeUndefined();
    answers = true;
    await taken(entries.at(-1));
    expect(await cache.read(0, MANY)).toEqual(entries);
    expect(opened.lines).toEqual([]);
  });

  it('takes nothing that it did not write itself', async () => {
    await using opened = await openConnection(server.url);
    await using cache = openCache(opened.connection);
    const entries = history(10);
    cache.offer(entries.slice(0, 5));
    await taken(entries[4]);
    using redis = redisClient(server.url);
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
    await using again = await openConnection(server.url);
    await using fresh = openCache(again.connection);
    fresh.offer(history(3, 10));
    await eventually('a stream of ours', () => fresh.read(0, MANY));
    expect(again.told()).toEqual(['Redis held changes that the database does not']);
  });

  it('offers and reads nothing more once it is closed', async () => {
    await using opened = await openConnection(server.url);
    const cache = openCache(opened.connection);
    const entries = history(5);
    cache.offer(entries);
    await taken(entries.at(-1));
    await cache.close();
    cache.offer(history(5, 10, entries.at(-1)));
    expect(await cache.read(0, MANY)).toBeUndefined();
    using redis = redisClient(server.url);
    expect((await redis.xrevrange(STREAM, '+', '-', 'COUNT', 1))[0]?.[0]).toBe('1-5');
    expect(entries[0]?.chain).not.toBe(GENESIS_CHAIN);
  });
});
