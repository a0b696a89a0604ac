import type { LogEntry } from '../model/change.ts';
import type { RedisConnection } from '../pubsub/redis-connection.ts';
import { type Batch, decodeBatch, encodeBatch } from './redis-batch.ts';

/** A batch that is refused makes the stream suspect, at most this often. */
const SUSPICION_MS = 1_000;
/** Changes over which the size of one is averaged. */
const AVERAGED_CHANGES = 1_000;

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
    this.#average(batch.changes.length + batch.images.length, entries.length);
    const { epoch, sequence } = entries.at(-1) as LogEntry;
    const oldest = Math.max(0, sequence - Math.ceil(maxBytes / this.#changeBytes));
    this.#epoch = Math.max(this.#epoch, epoch);
    try {
      await connection.run(
        ...(['xadd', this.#key, 'MINID', '~', `${epoch}-${oldest}`] as const),
        ...[batch.id, 'changes', batch.changes, 'images', batch.images],
      );
    } catch (error) {
      if (!isRefusedId(error)) throw error;
      this.#suspect();
    }
  }

  /** Up to `count` batches that end after `after`, oldest first. Rejects when Redis does not give them. */
  async range(after: number, count: number): Promise<readonly Batch[]> {
    if (this.#epoch === 0) await this.#top();
    return this.#ask('xrange', `(${this.#epoch}-${after}`, '+', count);
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
    const [batch] = await this.#ask('xrevrange', '+', '-', 1);
    return batch && (decodeBatch(batch)?.at(-1) ?? 'damaged');
  }

  async #ask(command: string, from: string, to: string, count: number): Promise<readonly Batch[]> {
    const reply = await this.#options.connection.run(command, this.#key, from, to, 'COUNT', count);
    const batches = (reply as readonly StreamEntry[]).map(([id, fields]) => batchOf(id, fields));
    for (const { id } of batches) this.#epoch = Math.max(this.#epoch, Number.parseInt(id, 10));
    return batches;
  }

  #average(bytes: number, changes: number): void {
    const weight = this.#changeBytes === 0 ? 1 : changes / (changes + AVERAGED_CHANGES);
    this.#changeBytes += (bytes / changes - this.#changeBytes) * weight;
  }

  #suspect(): void {
    const now = this.#options.connection.clock.now();
    if (now - this.#suspectedAt < SUSPICION_MS) return;
    this.#suspectedAt = now;
    this.#trusted = false;
  }
}

/** An entry as XRANGE answers: its id, then fields and values in turn. */
type StreamEntry = readonly [id: string, fields: readonly string[]];

/** An entry that is not of ours becomes a batch that cannot be decoded. */
function batchOf(id: string, [changesField, changes = '', imagesField, images = '']: readonly string[]): Batch {
  const ours = changesField === 'changes' && imagesField === 'images';
  return { id, changes: ours ? changes : '', images };
}

/** Redis says so of an id that is not beyond the top of the stream. */
function isRefusedId(error: unknown): boolean {
  return error instanceof Error && error.message.includes('equal or smaller than the target stream top item');
}
