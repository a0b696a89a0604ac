import type { LogEntry } from '../model/change.ts';
import type { RedisConnection } from '../pubsub/redis-connection.ts';
import { type Batch, decodeBatch, encodeBatch } from './redis-batch.ts';

/** A batch that is refused makes the stream suspect, at most this often. */
const SUSPICION_MS = 1_000;
/** Changes over which the size of one is averaged. */
const AVERAGED_CHANGES = 1_000;
const FIELD = 'changes';

export interface RedisStreamOptions {
  readonly connection: RedisConnection;
  readonly logId: string;
  /** Whether the log of record holds exactly this entry. */
  readonly holds: (entry: LogEntry) => Promise<boolean>;
  /** Memory the stream may take, approximately. */
  readonly maxBytes: number;
}

/**
 * The stream of one log, `holdfast:{<logId>}:log` (in braces: its slot in a Cluster). Before it is used on a new connection its
 * newest change is looked up in the log: Redis may have been restored from an old file, or the database from an old backup.
 */
export class RedisStream {
  readonly #options: RedisStreamOptions;
  readonly #key: string;
  readonly #endReady: () => void;
  /** Counts connections: what was examined on one says nothing on the next. */
  #connections = 0;
  #trusted = false;
  #examining: Promise<boolean> | undefined;
  #suspectedAt = Number.NEGATIVE_INFINITY;
  /** Highest epoch seen; 0 when none was. */
  #epoch = 0;
  /** Bytes of one change in the stream, on average; 0 when none was written. */
  #changeBytes = 0;

  constructor(options: RedisStreamOptions) {
    this.#options = options;
    this.#key = `holdfast:{${options.logId}}:log`;
    this.#endReady = options.connection.onReady(() => {
      this.#connections += 1;
      this.#trusted = false;
    });
  }

  /** Whether it was examined on this connection and may be used. */
  get trusted(): boolean {
    return this.#trusted;
  }

  /**
   * Looks its newest change up in the log, and removes a stream that holds what the log does not. False when that cannot be known
   * now, because the log does not answer. Rejects when Redis does.
   */
  examine(): Promise<boolean> {
    this.#examining ??= this.#examine().finally(() => {
      this.#examining = undefined;
    });
    return this.#examining;
  }

  /**
   * Adds dense entries of one epoch, and trims what is too old. What Redis has already (another primary was faster) is left out.
   * Rejects when Redis does not take it.
   */
  async add(entries: readonly LogEntry[]): Promise<void> {
    const { connection, maxBytes } = this.#options;
    const batch = encodeBatch(entries);
    this.#average(batch.text.length / entries.length, entries.length);
    const { epoch, sequence } = entries.at(-1) as LogEntry;
    const oldest = Math.max(0, sequence - Math.ceil(maxBytes / this.#changeBytes));
    this.#epoch = Math.max(this.#epoch, epoch);
    try {
      await connection.run('xadd', this.#key, 'MINID', '~', `${epoch}-${oldest}`, batch.id, FIELD, batch.text);
    } catch (error) {
      if (!isRefusedId(error)) throw error;
      this.#suspect();
    }
  }

  /** Up to `count` batches that end after `after`, oldest first. Rejects when Redis does not give them. */
  async range(after: number, count: number): Promise<readonly (readonly LogEntry[])[]> {
    if (this.#epoch === 0) await this.#top();
    const found = await this.#ask('xrange', `(${this.#epoch}-${after}`, '+', count);
    const batches: (readonly LogEntry[])[] = [];
    for (const batch of found) {
      const entries = batch && decodeBatch(batch);
      // Readers take what comes before it; the rest is as if it were not there.
      if (entries === undefined) break;
      this.#epoch = Math.max(this.#epoch, entries[0]?.epoch ?? 0);
      batches.push(entries);
    }
    return batches;
  }

  close(): void {
    this.#endReady();
  }

  async #examine(): Promise<boolean> {
    const { connection } = this.#options;
    const connections = this.#connections;
    const top = await this.#top();
    const held = top === undefined || (await this.#isHeld(top));
    if (held === undefined) return false;
    if (!held) {
      connection.logger.warn(
        { stream: this.#key },
        'Redis held changes that the database does not: its copy of the change log is made anew',
      );
      await connection.run('del', this.#key);
      this.#epoch = 0;
    }
    this.#trusted = connections === this.#connections;
    return this.#trusted;
  }

  /** Whether the log holds the newest change of the stream; undefined when the log does not answer. */
  async #isHeld(top: LogEntry | 'damaged'): Promise<boolean | undefined> {
    if (top === 'damaged') return false;
    try {
      return await this.#options.holds(top);
    } catch {
      return undefined;
    }
  }

  /** The newest change, if there is one. */
  async #top(): Promise<LogEntry | 'damaged' | undefined> {
    const found = await this.#ask('xrevrange', '+', '-', 1);
    if (found.length === 0) return undefined;
    const newest = found[0] && decodeBatch(found[0])?.at(-1);
    if (newest === undefined) return 'damaged';
    this.#epoch = Math.max(this.#epoch, newest.epoch);
    return newest;
  }

  /** The entries of a part of the stream; undefined in place of one that is not of ours. */
  async #ask(command: string, from: string, to: string, count: number): Promise<readonly (Batch | undefined)[]> {
    const reply = await this.#options.connection.run(command, this.#key, from, to, 'COUNT', count);
    return (reply as readonly (readonly [string, readonly string[]])[]).map(([id, [field, text]]) =>
      field === FIELD && text !== undefined ? { id, text } : undefined,
    );
  }

  #average(bytes: number, changes: number): void {
    const weight = this.#changeBytes === 0 ? 1 : changes / (changes + AVERAGED_CHANGES);
    this.#changeBytes += (bytes - this.#changeBytes) * weight;
  }

  #suspect(): void {
    const now = this.#options.connection.clock.now();
    if (now - this.#suspectedAt < SUSPICION_MS) return;
    this.#suspectedAt = now;
    this.#trusted = false;
  }
}

/** Redis says so of an id that is not beyond the top of the stream. */
function isRefusedId(error: unknown): boolean {
  return error instanceof Error && error.message.includes('equal or smaller than the target stream top item');
}
