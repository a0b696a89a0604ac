import type { LogEntry } from '../model/change.ts';
import type { RedisConnection } from '../pubsub/redis-connection.ts';
import { RedisRetry } from '../pubsub/redis-retry.ts';
import { batchLength } from './redis-batch.ts';
import type { RedisStream } from './redis-stream.ts';

/** Larger changes are left to the database. */
const LARGEST_CHANGE_BYTES = 1024 * 1024;
/** Bytes of a change besides its image, approximately. */
const CHANGE_OVERHEAD_BYTES = 350;

export interface RedisLogWriterOptions {
  readonly connection: RedisConnection;
  readonly stream: RedisStream;
  /** Memory for changes that Redis has not taken yet; when there are more, the oldest are dropped. */
  readonly maxBytes: number;
}

/** Brings changes into the stream, in order, for as long as Redis takes them; holds the newest while it does not. */
export class RedisLogWriter {
  readonly #options: RedisLogWriterOptions;
  readonly #retry: RedisRetry;
  readonly #endReady: () => void;
  /** Offered and not taken yet. */
  readonly #pending: LogEntry[] = [];
  #pendingBytes = 0;
  #running = false;

  constructor(options: RedisLogWriterOptions) {
    this.#options = options;
    this.#retry = new RedisRetry(options.connection);
    this.#endReady = options.connection.onReady(() => {
      this.#retry.cancel();
      void this.#run();
    });
  }

  /** Returns at once; when nothing is on its way, the changes are sent before it does. */
  offer(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      const bytes = bytesOf(entry);
      if (bytes > LARGEST_CHANGE_BYTES) continue;
      this.#pending.push(entry);
      this.#pendingBytes += bytes;
    }
    this.#dropOldest();
    void this.#run();
  }

  close(): void {
    this.#endReady();
    this.#retry.close();
    this.#pending.length = 0;
    this.#pendingBytes = 0;
  }

  /** Sends one batch at a time: what comes meanwhile makes up the next one. Never rejects. */
  async #run(): Promise<void> {
    const { connection, stream } = this.#options;
    if (this.#running) return;
    this.#running = true;
    while (this.#pending.length > 0 && connection.ready && !this.#retry.waiting) {
      try {
        if (stream.trusted || (await stream.examine())) await this.#send();
        else this.#retry.schedule(() => void this.#run());
      } catch (error) {
        // Without a connection that is the trouble, and its end is what to wait for.
        if (connection.ready) connection.incident.begin('write', error);
        this.#retry.schedule(() => void this.#run());
      }
    }
    this.#running = false;
  }

  async #send(): Promise<void> {
    const { connection, stream } = this.#options;
    const batch = this.#pending.splice(0, batchLength(this.#pending));
    const bytes = batch.reduce((sum, entry) => sum + bytesOf(entry), 0);
    this.#pendingBytes -= bytes;
    try {
      await stream.add(batch);
    } catch (error) {
      this.#pending.unshift(...batch);
      this.#pendingBytes += bytes;
      this.#dropOldest();
      throw error;
    }
    this.#retry.succeeded();
    connection.incident.end('write');
  }

  /** What readers want is the newest. */
  #dropOldest(): void {
    let count = 0;
    for (const entry of this.#pending) {
      if (this.#pendingBytes <= this.#options.maxBytes) break;
      this.#pendingBytes -= bytesOf(entry);
      count += 1;
    }
    if (count === 0) return;
    this.#pending.splice(0, count);
    this.#options.connection.incident.dropped(count);
  }
}

function bytesOf(entry: LogEntry): number {
  return (entry.image?.length ?? 0) + CHANGE_OVERHEAD_BYTES;
}
