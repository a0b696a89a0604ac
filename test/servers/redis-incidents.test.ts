import { copyFile, mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { LogEntry } from '../../src/model/change.ts';
import { RedisDoorbell } from '../../src/pubsub/redis-doorbell.ts';
import { LOG_ID } from '../support/entries.ts';
import { eventually } from '../support/eventually.ts';
import { history, MANY, openCache, openConnection, redisClient, STREAM } from '../support/redis.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { serverPort } from '../support/servers/port.ts';
import { type RedisServer, startRedis } from '../support/servers/redis.ts';

/** What an incident looks like in the log: its begin and its end, whatever failed in between. */
const INCIDENT = ['Redis is unavailable', 'Redis is back'];

/** A primary's log of record, its copy in Redis and its doorbell, and a reader beside it that checks whatever it is given. */
async function primary(url: string, options: Parameters<typeof openCache>[1] = {}) {
  const opened = await openConnection(url);
  const log: LogEntry[] = [];
  const cache = openCache(opened.connection, {
    holds: async ({ sequence, chain }) => log[sequence - 1]?.chain === chain,
    ...options,
  });
  const doorbell = new RedisDoorbell({ connection: opened.connection, logId: LOG_ID });
  const rung: number[] = [];
  doorbell.onRing(({ sequence }) => rung.push(sequence));
  return {
    ...opened,
    log,
    cache,
    rung,
    /** Appends, offers and rings, as a primary does for each group. */
    append(count: number, bytes?: number): void {
      const entries = history(count, bytes, log.at(-1));
      log.push(...entries);
      cache.offer(entries);
      doorbell.ring({ epoch: 1, sequence: log.length });
    },
    /** Reads after a place; whatever comes must be what the log holds there. */
    async read(after: number): Promise<number | undefined> {
      const entries = await cache.read(after, MANY);
      if (entries !== undefined) expect(entries).toEqual(log.slice(after, after + entries.length));
      return entries?.length;
    },
    /** Waits until the newest change is in Redis and can be read. */
    async caughtUp(): Promise<void> {
      await eventually('the newest change', () => this.read(log.length - 1));
    },
    /** Waits until rings are heard. */
    async hears(): Promise<void> {
      await eventually('a ring', () => {
        doorbell.ring({ epoch: 1, sequence: log.length });
        return rung.at(-1) === log.length;
      });
    },
    async incidentOver(): Promise<void> {
      await eventually('the end of the incident', () => opened.lines.length >= 2);
    },
    async [Symbol.asyncDispose]() {
      await doorbell.close();
      await cache.close();
      await opened.connection.close();
    },
  };
}

describeWith('redis', 'an incident with Redis', () => {
  it('of a server that is down at the start is over when it comes', async () => {
    await using server = await startRedis();
    await server.stop();
    await using node = await primary(server.url);
    for (let round = 0; round < 50; round++) {
      node.append(10);
      expect(await node.read(0)).toBeUndefined();
    }
    expect(node.told()).toEqual(['Redis is unavailable']);
    expect(node.lines[0]?.cause).toMatch(/ECONNREFUSED/);
    expect(await node.metric('holdfast_redis_unavailable')).toBe(1);
    await server.restart();
    await node.caughtUp();
    expect(await node.read(0)).toBe(500);
    await node.hears();
    await node.incidentOver();
    expect(node.told()).toEqual(INCIDENT);
    expect(node.lines[1]).toMatchObject({ droppedChanges: 0 });
    expect(await node.metric('holdfast_redis_unavailable')).toBe(0);
    expect(await node.metric('holdfast_redis_incidents_total')).toBe(1);
  });

  it('of a server that is killed and comes back loses nothing that is not shown as a gap', async () => {
    await using server = await startRedis();
    await using node = await primary(server.url);
    node.append(100);
    await node.caughtUp();
    const ended = server.kill();
    for (let round = 0; round < 100; round++) {
      node.append(10);
      await node.read(50);
    }
    await ended;
    node.append(10);
    await eventually('nothing to be read', async () => (await node.read(0)) === undefined);
    await server.restart();
    await node.caughtUp();
    for (let after = 0; after < node.log.length; after += 10) await node.read(after);
    expect(await node.read(0)).toBe(node.log.length);
    await node.hears();
    await node.incidentOver();
    expect(node.told()).toEqual(INCIDENT);
  });

  it('of a server that falls silent neither blocks nor grows', async () => {
    await using server = await startRedis();
    await using node = await primary(server.url, { pendingBytes: 1024 * 1024, readTimeoutMs: 50 });
    node.append(100);
    await node.caughtUp();
    await server.suspend();
    for (let round = 0; round < 200; round++) {
      node.append(50, 400);
      expect(await node.read(0)).toBeUndefined();
      await new Promise((resolve) => setImmediate(resolve));
    }
    // Only the first waits for an answer: while that is overdue nobody else does.
    expect(await node.metric('holdfast_redis_reads_total', 'late')).toBe(1);
    await eventually('the silence is noticed', () => node.lines.length === 1);
    expect(await node.metric('holdfast_redis_dropped_changes_total')).toBeGreaterThan(5_000);
    await server.resume();
    await node.caughtUp();
    for (let after = 0; after < node.log.length; after += 97) await node.read(after);
    await node.hears();
    await node.incidentOver();
    expect(node.told()).toEqual(INCIDENT);
  });

  it('of a server that was flushed is none: the copy is made anew from then on', async () => {
    await using server = await startRedis();
    await using node = await primary(server.url);
    node.append(100);
    await node.caughtUp();
    using redis = redisClient(server.url);
    await redis.flushall();
    expect(await node.read(0)).toBeUndefined();
    node.append(10);
    await node.caughtUp();
    expect(await node.read(0)).toBeUndefined();
    expect(await node.read(99)).toBeUndefined();
    expect(await node.read(100)).toBe(10);
    expect(node.lines).toEqual([]);
  });

  it('of a server that was restored from an old file shows what is missing as a gap', async () => {
    await using server = await startRedis({ args: ['--appendonly', 'no', '--dbfilename', 'old.rdb'] });
    await using node = await primary(server.url);
    using redis = redisClient(server.url);
    node.append(100);
    await node.caughtUp();
    await redis.save();
    await copyFile(join(server.directory, 'old.rdb'), join(server.directory, 'kept.rdb'));
    node.append(100);
    await node.caughtUp();
    await server.kill();
    await copyFile(join(server.directory, 'kept.rdb'), join(server.directory, 'old.rdb'));
    await server.restart();
    await eventually('the old file is read', async () => (await node.read(0)) === 100);
    expect(await node.read(100)).toBeUndefined();
    node.append(10);
    await node.caughtUp();
    expect(await node.read(0)).toBe(100);
    expect(await node.read(100)).toBeUndefined();
    expect(await node.read(200)).toBe(10);
    await node.incidentOver();
    expect(node.told()).toEqual(INCIDENT);
  });

  it('of a server whose memory is full ends when there is room', async () => {
    await using server = await startRedis({ args: ['--maxmemory-policy', 'noeviction'] });
    await using node = await primary(server.url);
    using redis = redisClient(server.url);
    node.append(100);
    await node.caughtUp();
    await redis.config('SET', 'maxmemory', '1');
    for (let round = 0; round < 50; round++) node.append(10);
    await eventually('the incident', () => node.lines.length === 1);
    expect(node.lines[0]).toMatchObject({ trouble: 'write' });
    expect(node.lines[0]?.cause).toMatch(/^OOM/);
    // What it holds can be read all the while.
    expect(await node.read(0)).toBe(100);
    await redis.config('SET', 'maxmemory', '0');
    await node.caughtUp();
    expect(await node.read(0)).toBe(600);
    await node.incidentOver();
    expect(node.told()).toEqual(INCIDENT);
  });

  it('of a server that evicts the copy is none', async () => {
    await using server = await startRedis({ args: ['--maxmemory-policy', 'allkeys-lru'] });
    await using node = await primary(server.url);
    using redis = redisClient(server.url);
    node.append(500, 2_000);
    await node.caughtUp();
    await redis.config('SET', 'maxmemory', '1');
    await redis.set('other', 'x').catch(() => {});
    await redis.config('SET', 'maxmemory', '0');
    expect(await redis.exists(STREAM)).toBe(0);
    node.append(10);
    await node.caughtUp();
    expect(await node.read(0)).toBeUndefined();
    expect(await node.read(500)).toBe(10);
  });

  it('of a server that cannot write to its disk ends when it can', async () => {
    await using server = await startRedis({ args: ['--appendonly', 'no', '--save', '3600 1'] });
    await using node = await primary(server.url);
    using redis = redisClient(server.url);
    node.append(10);
    await node.caughtUp();
    // A file cannot take the place of a directory.
    const blocked = join(server.directory, 'dump.rdb');
    await mkdir(blocked);
    await redis.bgsave();
    await eventually('a failed save', async () => /rdb_last_bgsave_status:err/.test(await redis.info('persistence')));
    node.append(10);
    await eventually('the incident', () => node.lines.length === 1);
    expect(node.lines[0]?.cause).toMatch(/^MISCONF/);
    expect(await node.read(0)).toBe(10);
    await rmdir(blocked);
    await redis.bgsave();
    await node.caughtUp();
    await node.incidentOver();
    expect(node.told()).toEqual(INCIDENT);
    expect(await node.read(0)).toBe(20);
  });

  it('of a server that became a replica ends when it is a primary again', async () => {
    await using server = await startRedis();
    await using node = await primary(server.url);
    using redis = redisClient(server.url);
    node.append(10);
    await node.caughtUp();
    await redis.replicaof('127.0.0.1', await serverPort());
    node.append(10);
    await eventually('the incident', () => node.lines.length === 1);
    expect(node.lines[0]?.cause).toMatch(/^READONLY/);
    for (let round = 0; round < 20; round++) node.append(10);
    await redis.replicaof('NO', 'ONE');
    await node.caughtUp();
    await node.incidentOver();
    expect(node.told()).toEqual(INCIDENT);
    expect(await node.read(0)).toBe(220);
  });

  it('of a key that holds something else names it, and ends when that is removed', async () => {
    await using server = await startRedis();
    using redis = redisClient(server.url);
    await redis.set(STREAM, 'not a stream');
    await using node = await primary(server.url);
    expect(await node.read(0)).toBeUndefined();
    for (let round = 0; round < 20; round++) {
      node.append(10);
      expect(await node.read(0)).toBeUndefined();
    }
    await eventually('the incident', () => node.lines.length === 1);
    expect(node.lines[0]?.cause).toMatch(/^WRONGTYPE/);
    await redis.del(STREAM);
    await node.caughtUp();
    await node.incidentOver();
    expect(node.told()).toEqual(INCIDENT);
    expect(await node.read(0)).toBe(200);
  });

  it('of a server that loads its file is the same as that of its death', async () => {
    await using server = await startRedis({ args: ['--enable-debug-command', 'yes'] });
    await using node = await primary(server.url);
    using redis = redisClient(server.url);
    node.append(500);
    await node.caughtUp();
    // Each key takes 1 ms to load, and a server that loads answers LOADING.
    const filler = redis.pipeline();
    for (let key = 0; key < 1_500; key++) filler.set(`key:${key}`, 'x');
    await filler.exec();
    await redis.config('SET', 'key-load-delay', '1000');
    await redis.config('SET', 'loading-process-events-interval-bytes', '1024');
    const reload = redis.call('debug', 'reload').catch(() => {});
    for (let round = 0; round < 100; round++) {
      node.append(5);
      await node.read(0);
    }
    await reload;
    await node.caughtUp();
    expect(await node.read(0)).toBe(node.log.length);
    await eventually('all is well', () => node.lines.length !== 1);
    expect([[], INCIDENT]).toContainEqual(node.told());
  });

  it('with a server that comes and goes is one', async () => {
    await using server = await startRedis();
    await using node = await primary(server.url);
    using redis = redisClient(server.url);
    node.append(10);
    await node.caughtUp();
    for (let round = 0; round < 15; round++) {
      await redis.call('client', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      node.append(10);
      await node.read(0);
    }
    await node.caughtUp();
    await node.hears();
    await node.incidentOver();
    expect(node.told()).toEqual(INCIDENT);
    expect(await node.read(0)).toBe(160);
  });

  it('leaves nothing behind of a cache that was closed in it', async () => {
    await using server = await startRedis();
    await using node = await primary(server.url);
    await server.suspend();
    node.append(10);
    await node.cache.close();
    await server.kill();
    await server.restart();
    await node.hears();
    await node.incidentOver();
    using redis = redisClient(server.url);
    expect(await redis.exists(STREAM)).toBe(0);
  });

  it('is none when the connection is closed on purpose', async () => {
    await using server: RedisServer = await startRedis();
    const node = await primary(server.url);
    node.append(10);
    await node[Symbol.asyncDispose]();
    expect(node.lines).toEqual([]);
  });
});
