import type { LogCache } from '../changelog/log-cache.ts';
import type { MongoChangeLog } from '../changelog/mongo-change-log.ts';
import { RedisLogCache } from '../changelog/redis-log-cache.ts';
import type { Config } from '../config.ts';
import type { RedisConnection } from '../pubsub/redis-connection.ts';
import { RedisDoorbell } from '../pubsub/redis-doorbell.ts';

/** Hands what is appended here to Redis, and lets Redis wake us when others appended. */
export function fanOut(config: Config, redis: RedisConnection, log: MongoChangeLog, late: LateCache): AsyncDisposable {
  const { logId } = log;
  const doorbell = new RedisDoorbell({ connection: redis, logId });
  const cache = new RedisLogCache({
    ...{ connection: redis, logId, maxBytes: config.changeLog.redisBytes },
    holds: (entry) => log.holds(entry),
  });
  late.cache = cache;
  const ends = [
    log.onEntries(({ entries, own }) => {
      const last = entries.at(-1);
      if (!own || last === undefined) return;
      cache.offer(entries);
      doorbell.ring(last);
    }),
    doorbell.onRing(({ sequence }) => log.poke(sequence)),
  ];
  return {
    [Symbol.asyncDispose]: async () => {
      for (const end of ends) end();
      late.cache = undefined;
      await Promise.all([doorbell.close(), cache.close()]);
    },
  };
}

/** A cache that is known only after the log whose it is. */
export class LateCache implements LogCache {
  cache: LogCache | undefined;

  offer(...entries: Parameters<LogCache['offer']>): void {
    this.cache?.offer(...entries);
  }

  async read(...range: Parameters<LogCache['read']>): ReturnType<LogCache['read']> {
    return this.cache?.read(...range);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
