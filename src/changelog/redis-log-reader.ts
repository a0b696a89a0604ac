import type { LogEntry } from '../model/change.ts';
import type { RedisConnection } from '../pubsub/redis-connection.ts';
import { RedisRetry } from '../pubsub/redis-retry.ts';
import type { ReadLimits } from './change-log.ts';
import { decodeBatch } from './redis-batch.ts';
import type { RedisStream } from './redis-stream.ts';

/** Batches asked for at first: a reader near the head needs no more. */
const FIRST_BATCHES = 2;
const MOST_BATCHES = 256;

export interface RedisLogReaderOptions {
  readonly connection: RedisConnection;
  readonly stream: RedisStream;
  /** How long a read may take. */
  readonly timeoutMs: number;
}

/** Reads changes from the stream, within a time or not at all: while an answer is overdue, nobody waits for the next. */
export class RedisLogReader {
  readonly #options: RedisLogReaderOptions;
  /** After errors. */
  readonly #retry: RedisRetry;
  /** After answers that came late: a Redis that is always slow is not waited for each time. */
  readonly #rest: RedisRetry;
  /** Reads whose time was over before their answer came. */
  #overdue = 0;

  constructor(options: RedisLogReaderOptions) {
    this.#options = options;
    this.#retry = new RedisRetry(options.connection);
    this.#rest = new RedisRetry(options.connection);
  }

  /** As {@link LogCache.read}. Never rejects. */
  async read(after: number, limits: ReadLimits): Promise<readonly LogEntry[] | undefined> {
    const { connection, timeoutMs } = this.#options;
    const reads = connection.metrics?.holdfast_redis_reads_total;
    if (!connection.ready || this.#overdue > 0 || this.#retry.waiting || this.#rest.waiting) {
      reads?.inc({ outcome: 'miss' });
      return undefined;
    }
    const time = { over: false };
    const search = this.#search(after, limits, time);
    const timer = Promise.withResolvers<'late'>();
    const endTimer = connection.clock.after(timeoutMs, () => timer.resolve('late'));
    const found = await Promise.race([search, timer.promise]);
    endTimer();
    if (found !== 'late') {
      this.#rest.succeeded();
      reads?.inc({ outcome: found === undefined ? 'miss' : 'hit' });
      return found;
    }
    reads?.inc({ outcome: 'late' });
    time.over = true;
    this.#rest.schedule(() => {});
    this.#overdue += 1;
    void search.then(() => {
      this.#overdue -= 1;
    });
    return undefined;
  }

  close(): void {
    this.#retry.close();
    this.#rest.close();
  }

  async #search(
    after: number,
    limits: ReadLimits,
    time: { readonly over: boolean },
  ): Promise<readonly LogEntry[] | undefined> {
    const { connection, stream } = this.#options;
    try {
      if (!stream.trusted && !(await stream.examine())) return undefined;
      const entries = await this.#collect(after, limits, time);
      return entries.length === 0 ? undefined : entries;
    } catch (error) {
      if (connection.ready) this.#fail(error);
      return undefined;
    }
  }

  async #collect(after: number, limits: ReadLimits, time: { readonly over: boolean }): Promise<readonly LogEntry[]> {
    const entries: LogEntry[] = [];
    let bytes = 0;
    let count = FIRST_BATCHES;
    while (!time.over && entries.length < Math.max(1, limits.maxChanges)) {
      const batches = await this.#options.stream.range(entries.at(-1)?.sequence ?? after, count);
      for (const batch of batches) {
        const decoded = decodeBatch(batch);
        // What comes before it is as good as ever; the rest is as if it were not there.
        if (decoded === undefined) return entries;
        for (const entry of decoded) {
          const previous = entries.at(-1);
          const last = previous?.sequence ?? after;
          // Batches of several primaries may overlap.
          if (entry.sequence <= last) continue;
          if (entry.sequence !== last + 1 || !followsEpoch(previous, entry)) return entries;
          bytes += entry.image?.length ?? 0;
          if (entries.length > 0 && (bytes > limits.maxBytes || entries.length >= limits.maxChanges)) return entries;
          entries.push(entry);
        }
      }
      if (batches.length < count || entries.length === 0) break;
      // As many as will do when the next ones are like these.
      const wanted = Math.min(
        (limits.maxChanges - entries.length) / (entries.length / count),
        (limits.maxBytes - bytes) / (bytes / count),
      );
      count = Math.max(1, Math.min(MOST_BATCHES, Math.ceil(wanted) || 1));
    }
    return entries;
  }

  /** Redis refuses to be read: nobody else asks until one try succeeded. */
  #fail(error: unknown): void {
    this.#options.connection.incident.begin('read', error);
    this.#retry.schedule(() => void this.#probe());
  }

  async #probe(): Promise<void> {
    const { connection, stream } = this.#options;
    try {
      await stream.range(0, 1);
      this.#retry.succeeded();
      connection.incident.end('read');
    } catch (error) {
      this.#fail(error);
    }
  }
}

/** An epoch begins with an entry of its own. */
function followsEpoch(previous: LogEntry | undefined, entry: LogEntry): boolean {
  return previous === undefined || entry.epoch === previous.epoch || entry.operation === 'EPOCH';
}
