import type { LogEntry } from '../model/change.ts';
import type { RedisConnection } from '../pubsub/redis-connection.ts';
import type { ReadLimits } from './change-log.ts';
import type { LogCache } from './log-cache.ts';
import { RedisLogReader } from './redis-log-reader.ts';
import { RedisLogWriter } from './redis-log-writer.ts';
import { RedisStream } from './redis-stream.ts';

const MIB = 1024 * 1024;

export interface RedisLogCacheOptions {
  /** Stays the caller's: closing the cache leaves it open. */
  readonly connection: RedisConnection;
  /** Identity of the log. */
  readonly logId: string;
  /**
   * Whether the log of record holds exactly this entry: the same chain at its sequence, asked of the database itself. Asked for the
   * newest entry in Redis on every new connection, and now and then when Redis is ahead of what is offered. A stream whose newest
   * entry the log does not hold is removed. May reject: then Redis is not used until it can be asked again.
   */
  readonly holds: (entry: LogEntry) => Promise<boolean>;
  /** Memory the stream may take in Redis, approximately. Default 64 MiB. */
  readonly maxBytes?: number;
  /** Memory for changes that Redis has not taken yet. Default 8 MiB. */
  readonly pendingBytes?: number;
  /** How long a read may take, in ms. Default 50. */
  readonly readTimeoutMs?: number;
}

/**
 * The newest part of a change log in a Redis stream (Redis 6.2 or later). One entry of the stream holds a batch of changes under
 * the id `<epoch>-<sequence>` of its last one. Redis refuses what is not beyond its top, so every primary offers what it
 * appended and none waits for another: what comes too late is missing, and a reader sees the gap and reads the database.
 *
 * What is read continues `after` without a gap, and is what some primary offered. A reader verifies the chain, and that the log
 * holds the last change: Redis may remember what the database was before it was restored.
 */
export class RedisLogCache implements LogCache {
  readonly #stream: RedisStream;
  readonly #writer: RedisLogWriter;
  readonly #reader: RedisLogReader;
  #closed = false;

  constructor(options: RedisLogCacheOptions) {
    const { connection, logId, holds, maxBytes = 64 * MIB, pendingBytes = 8 * MIB, readTimeoutMs = 50 } = options;
    this.#stream = new RedisStream({ connection, logId, holds, maxBytes });
    this.#writer = new RedisLogWriter({ connection, stream: this.#stream, maxBytes: pendingBytes });
    this.#reader = new RedisLogReader({ connection, stream: this.#stream, timeoutMs: readTimeoutMs });
  }

  offer(entries: readonly LogEntry[]): void {
    if (!this.#closed) this.#writer.offer(entries);
  }

  async read(after: number, limits: ReadLimits): Promise<readonly LogEntry[] | undefined> {
    return this.#closed ? undefined : this.#reader.read(after, limits);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#writer.close();
    this.#reader.close();
    this.#stream.close();
  }
}
