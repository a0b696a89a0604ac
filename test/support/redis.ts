import { Redis } from 'ioredis';
import { RedisLogCache, type RedisLogCacheOptions } from '../../src/changelog/redis-log-cache.ts';
import type { LogEntry } from '../../src/model/change.ts';
import { RedisConnection, type RedisConnectionOptions } from '../../src/pubsub/redis-connection.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { createRegistry, metricsOf } from '../../src/telemetry/metrics.ts';
import { chained, change, LOG_ID } from './entries.ts';

/** A log line about Redis, as JSON. */
export interface RedisLine {
  readonly msg: string;
  readonly cause?: string;
  readonly trouble?: string;
  readonly unavailableMs?: number;
  readonly droppedChanges?: number;
}

/** A connection as a primary has it, with what it logs and counts. */
export async function openConnection(url: string, options: Partial<RedisConnectionOptions> = {}) {
  const lines: RedisLine[] = [];
  const logger = createLogger({ pretty: false, destination: { write: (line) => void lines.push(JSON.parse(line)) } });
  const registry = createRegistry();
  const connection = await RedisConnection.open({ url, logger, metrics: metricsOf(registry), ...options });
  return {
    connection,
    lines,
    /** The messages of the lines, in order. */
    told: () => lines.map(({ msg }) => msg.split(':')[0]),
    /** The value of a metric; of one with labels, the one with this value. */
    async metric(name: string, label?: string): Promise<number> {
      const { values } = (await registry.getSingleMetric(name)?.get()) ?? { values: [] };
      return values.find(({ labels }) => label === undefined || Object.values(labels).includes(label))?.value ?? 0;
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

/** A cache on a connection; every history is held unless `holds` says otherwise, and a busy machine is waited for. */
export function openCache(connection: RedisConnection, options: Partial<RedisLogCacheOptions> = {}) {
  const cache = new RedisLogCache({
    connection,
    logId: LOG_ID,
    holds: async () => true,
    readTimeoutMs: 5_000,
    ...options,
  });
  return Object.assign(cache, { [Symbol.asyncDispose]: () => cache.close() });
}

/** A client beside ours, to look at Redis and to do things to it. */
export function redisClient(url: string) {
  const client = new Redis(url, { retryStrategy: () => 20, lazyConnect: true });
  client.on('error', () => {});
  return Object.assign(client, { [Symbol.dispose]: () => client.disconnect() });
}

/** The stream of the log of these tests. */
export const STREAM = `holdfast:{${LOG_ID}}:log`;

/** A history of `count` changes, each with an image of about `bytes`. */
export function history(count: number, bytes = 100, start?: LogEntry): readonly LogEntry[] {
  const from = (start?.sequence ?? 0) + 1;
  const changes = Array.from({ length: count }, (_, index) =>
    change({ id: `"${from + index}"`, image: JSON.stringify({ _id: `${from + index}`, text: 'x'.repeat(bytes) }) }),
  );
  return chained(changes, from, start?.chain);
}

export const MANY = { maxChanges: 1_000_000, maxBytes: 1024 * 1024 * 1024 };
