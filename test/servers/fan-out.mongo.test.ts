import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Config } from '../../src/config.ts';
import { fanOut, LateCache } from '../../src/gateway/fan-out.ts';
import type { LogEntry } from '../../src/model/change.ts';
import { changeOf } from '../contract/change-log.ts';
import { eventually } from '../support/eventually.ts';
import { keyed, type MongoLogs, mongoLogs } from '../support/mongo-log.ts';
import { openConnection, redisClient } from '../support/redis.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';
import { startRedis } from '../support/servers/redis.ts';

const EVERY_MS = 50;
const BATCH = 100;
const SECONDS = 6;
const WARM_UP = 3_000;
const TOTAL = (SECONDS * 1_000 * BATCH) / EVERY_MS;

/** A primary's log with its copy in Redis. */
async function openNode(parts: AsyncDisposableStack, logs: MongoLogs, url: string) {
  const { connection } = parts.use(await openConnection(url));
  const cache = new LateCache();
  const log = await logs.open({ cache, appendMs: 30_000 });
  parts.use(fanOut({ changeLog: { redisBytes: 64 * 1024 * 1024 } } as Config, connection, log, cache));
  return log;
}

describeWith('mongodb', 'the change log with Redis', () => {
  describeWith('redis', 'under 2,000 changes a second, or what the server takes', () => {
    it('loses nothing when Redis is flushed and killed, and is not a second behind afterwards', async ({
      annotate,
    }) => {
      await using parts = new AsyncDisposableStack();
      const redis = parts.use(await startRedis());
      const logs = parts.use(await mongoLogs(parts.use(await startMongo()).url));
      const [writer, follower] = [await openNode(parts, logs, redis.url), await openNode(parts, logs, redis.url)];
      await writer.append(Array.from({ length: WARM_UP }, (_, index) => keyed(changeOf(index + 1, 200))));
      /** When the writer had each entry in the log. */
      const logged: number[] = [];
      const received: LogEntry[] = [];
      const lags: number[] = [];
      writer.onEntries(({ entries }) => {
        for (const { sequence } of entries) logged[sequence] = performance.now();
      });
      follower.onEntries(({ entries }) => {
        const now = performance.now();
        for (const { sequence } of entries) lags.push(now - (logged[sequence] ?? now));
        received.push(...entries);
      });

      using client = redisClient(redis.url);
      const disturb = async (): Promise<void> => {
        await pause(1_000);
        await client.flushall();
        await pause(1_000);
        await redis.kill();
        await pause(1_000);
        await redis.restart();
        await pause(1_000);
        await client.flushall();
      };
      const disturbed = disturb();
      const begun = performance.now();
      const appends: Promise<unknown>[] = [];
      for (let first = 0; first < TOTAL; first += BATCH) {
        await pause(Math.max(0, begun + (first / BATCH) * EVERY_MS - performance.now()));
        const changes = Array.from({ length: BATCH }, (_, index) => changeOf(WARM_UP + first + index + 1, 200));
        appends.push(writer.append(changes.map(keyed)));
      }
      await Promise.all([disturbed, ...appends]);
      const rate = TOTAL / ((performance.now() - begun) / 1_000);
      await eventually('all arrived', () => received.at(-1)?.sequence === WARM_UP + TOTAL);
      const worst = Math.max(...lags);
      await annotate(`${Math.round(rate)} changes/s; at most ${Math.round(worst)} ms behind`);

      const first = received[0]?.sequence ?? 0;
      expect(received.map(({ sequence }) => sequence - first)).toEqual([...received.keys()]);
      expect(received.length).toBeGreaterThanOrEqual(TOTAL);
      expect(Math.max(...lags.slice(-BATCH))).toBeLessThan(1_000);
    });
  });
});
