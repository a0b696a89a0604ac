import { randomBytes } from 'node:crypto';
import { HoldfastError } from '../errors.ts';
import {
  type Change,
  chainHash,
  GENESIS_CHAIN,
  type Hash,
  type LogEntry,
  type VerifiedEntry,
} from '../model/change.ts';
import type { Position } from '../model/position.ts';
import type { Database, Transaction } from '../sqlite/database.ts';
import { createMeta, readMeta, writeMeta } from '../sqlite/meta.ts';
import type { Outbox } from '../store/outbox.ts';
import type { KeyedWrite } from '../store/sqlite-store.ts';
import type { ChangeLog, EpochStart, LogHead, ReadLimits } from './change-log.ts';
import { cursorExpired } from './log-state.ts';
import { RecentEntries } from './recent-entries.ts';
import {
  FIRST_EPOCH,
  INSERT_EPOCH,
  LOG_ID,
  type LogOrigin,
  type Reader,
  readState,
  SEALED,
  type SqliteLogState,
  writeBase,
  writeOrigin,
} from './sqlite-log-state.ts';

/** Entries removed per transaction, so that nobody waits for a trim. */
const TRIM_SLICE = 1_000;

/** Columns named as the fields of LogEntry: a row is an entry. */
const COLUMNS = 'sequence, epoch, operation, collection, id, version, at, before, after, image, key, chain';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS log (
    sequence INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    operation TEXT NOT NULL,
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    before TEXT,
    after TEXT,
    image TEXT,
    key TEXT,
    chain TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS epochs (epoch INTEGER PRIMARY KEY, first_sequence INTEGER NOT NULL) STRICT`;

const INSERT = `INSERT INTO log (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const ENTRY = `SELECT ${COLUMNS} FROM log WHERE sequence = ?`;
const AFTER = `SELECT ${COLUMNS} FROM log WHERE sequence > ? ORDER BY sequence LIMIT +?`;
const IMAGE_BEFORE = `SELECT image FROM log
  WHERE sequence < ? AND collection = (SELECT collection FROM log WHERE sequence = ?) AND id = ? ORDER BY sequence DESC LIMIT 1`;
const NEXT_VERSION =
  "SELECT sequence, version FROM log WHERE sequence >= ? AND operation <> 'EPOCH' ORDER BY sequence LIMIT 1";
const OF_VERSION = `SELECT ${COLUMNS} FROM log WHERE sequence >= ? AND operation <> 'EPOCH' AND version >= ? ORDER BY sequence`;
const KEYED =
  'SELECT sequence, epoch, operation, collection, id, version, at, key FROM log WHERE key IS NOT NULL AND at >= ? ORDER BY sequence';
const OF_KEY = `SELECT ${COLUMNS} FROM log WHERE key = ? LIMIT 1`;

export interface SqliteChangeLogOptions {
  /** Identity of a database that has none yet, 32 hexadecimal digits. Default: drawn at random. */
  readonly logId?: string;
}

/** The change log in the file of the embedded store. Head, floor, epochs and the newest entries are held in memory. */
export class SqliteChangeLog implements ChangeLog, Outbox {
  readonly #database: Database;
  readonly #listeners = new Set<() => void>();
  /** What readers see. */
  #durable: SqliteLogState;
  /** What the running transaction sees; equal to the durable state between transactions. */
  #appended: SqliteLogState;
  /** The newest of the durable entries, as they were handed in: copied ones still have what their frame said besides. */
  readonly #recent = new RecentEntries();
  /** What the running transaction adds to them; `anew` when it empties the log first. */
  #added: { readonly anew: boolean; readonly entries: LogEntry[] } = { anew: false, entries: [] };
  /** The transaction whose end is already provided for. */
  #transaction: Transaction | undefined;

  private constructor(database: Database, state: SqliteLogState) {
    this.#database = database;
    this.#durable = state;
    this.#appended = state;
  }

  /** Opens the log of `database`; a new database gets an identity and epoch 1. */
  static async open(database: Database, options: SqliteChangeLogOptions = {}): Promise<SqliteChangeLog> {
    const state = await database.transaction((transaction) => {
      createMeta(transaction);
      transaction.exec(SCHEMA);
      if (readMeta(transaction, LOG_ID) === undefined) {
        const logId = options.logId ?? randomBytes(16).toString('hex');
        writeOrigin(transaction, { logId, epochs: [FIRST_EPOCH], sequence: 0, chain: GENESIS_CHAIN });
      }
      return readState(transaction);
    });
    return new SqliteChangeLog(database, state);
  }

  get logId(): string {
    return this.#durable.logId;
  }

  get generation(): number {
    return this.#durable.generation;
  }

  head(): LogHead {
    return this.#durable.head;
  }

  floor(): number {
    return this.#durable.base.sequence + 1;
  }

  floorChain(): Hash {
    return this.#durable.base.chain;
  }

  epochs(): readonly EpochStart[] {
    return this.#durable.epochs;
  }

  position(): Position {
    const { epoch, sequence } = this.#appended.head;
    return { epoch, sequence };
  }

  positionSeenBy(reader: Reader): Position {
    const { epoch, sequence } = readState(reader).head;
    return { epoch, sequence };
  }

  entrySeenBy(reader: Reader, sequence: number): LogEntry | undefined {
    return reader.prepare(ENTRY).get(sequence) as LogEntry | undefined;
  }

  imageBeforeSeenBy(reader: Reader, { sequence, id }: Pick<LogEntry, 'sequence' | 'id'>): Change['image'] {
    const row = reader.prepare(IMAGE_BEFORE).get(sequence, sequence, id);
    return (row?.image ?? null) as Change['image'];
  }

  /** The higher epoch that sealed this log; null while it takes changes. */
  sealedBy(): number | null {
    return this.#durable.sealedBy || null;
  }

  /** @throws FENCED once the log was sealed */
  append(transaction: Transaction, change: Change): LogEntry {
    const { head, sealedBy } = this.#appended;
    if (sealedBy > 0) {
      throw new HoldfastError('FENCED', `this node was fenced by epoch ${sealedBy}: send the write to its primary`);
    }
    return this.#append(transaction, change, head.epoch);
  }

  /** Ends this history here, for good: nothing is appended any more, for a primary of the higher `epoch` exists. */
  seal(transaction: Transaction, epoch: number): void {
    this.#follow(transaction);
    writeMeta(transaction, SEALED, epoch);
    this.#appended = { ...this.#appended, sealedBy: epoch };
  }

  /** Begins the next epoch, `at` ms since 1970: from its first entry on this log is that of the primary. Opens a sealed log. */
  beginEpoch(transaction: Transaction, at: number): LogEntry {
    const epoch = Math.max(this.#appended.head.epoch, this.#appended.sealedBy) + 1;
    const nothing = { collection: '', id: '', version: 0, before: null, after: null, image: null, key: null };
    const entry = this.#append(transaction, { operation: 'EPOCH', at, ...nothing }, epoch);
    this.#begun(transaction, entry);
    writeMeta(transaction, SEALED, 0);
    this.#appended = { ...this.#appended, sealedBy: 0 };
    return entry;
  }

  /**
   * Appends an entry made elsewhere, as it is; the hash of a verified one is not computed again. The first entry of an epoch
   * begins that epoch here too.
   * @throws INTERNAL_SERVER_ERROR when the entry is not the next one, or its chain does not follow from ours: the caller
   * verifies a frame before it applies it, so this is the last line of defence.
   */
  copy(transaction: Transaction, entry: LogEntry | VerifiedEntry): void {
    const { head } = this.#appended;
    const begins = entry.operation === 'EPOCH' ? entry.epoch > head.epoch : entry.epoch === head.epoch;
    if (entry.sequence !== head.sequence + 1 || !begins) {
      throw new HoldfastError(
        'INTERNAL_SERVER_ERROR',
        `entry ${entry.epoch}.${entry.sequence} cannot follow ${head.epoch}.${head.sequence} in the copied log`,
      );
    }
    if (!continues(head.chain, entry)) {
      throw new HoldfastError(
        'INTERNAL_SERVER_ERROR',
        `entry ${entry.epoch}.${entry.sequence} does not continue the chain of the copied log`,
      );
    }
    this.#insert(transaction, entry);
    if (entry.operation === 'EPOCH') this.#begun(transaction, entry);
  }

  /** Empties a follower's log and makes it continue another history: the next entry is `origin.sequence + 1`. */
  reset(transaction: Transaction, origin: LogOrigin): void {
    this.#follow(transaction);
    transaction.exec('DELETE FROM log; DELETE FROM epochs');
    writeOrigin(transaction, origin);
    writeMeta(transaction, SEALED, 0);
    this.#appended = { ...readState(transaction), generation: this.#appended.generation + 1 };
    const added = this.#added;
    this.#added = { anew: true, entries: [] };
    transaction.onRollback(() => {
      this.#added = added;
    });
  }

  async read(after: number, limits: ReadLimits): Promise<readonly LogEntry[]> {
    this.#requireKept(after);
    const recent = this.#recent.from(after + 1, limits);
    if (recent !== undefined) return recent;
    const entries: LogEntry[] = [];
    let bytes = 0;
    const rows = this.#database.reader.prepare(AFTER).iterate(after, Math.max(1, limits.maxChanges));
    for (const row of rows as Iterable<unknown> as Iterable<LogEntry>) {
      bytes += row.image?.length ?? 0;
      if (bytes > limits.maxBytes && entries.length > 0) break;
      entries.push(row);
    }
    return entries;
  }

  async entry(sequence: number): Promise<LogEntry | undefined> {
    if (sequence < this.floor()) return undefined;
    const [recent] = this.#recent.from(sequence, { maxChanges: 1, maxBytes: 0 }) ?? [];
    return recent ?? (this.#database.reader.prepare(ENTRY).get(sequence) as LogEntry | undefined);
  }

  /**
   * The entry of one version of a document; undefined when it was trimmed or never was. Versions do not decrease along the
   * log, which it is searched by; where they do, behind several primaries of one database, it may not be found.
   */
  async entryOfVersion(collection: string, id: string, version: number): Promise<LogEntry | undefined> {
    const { reader } = this.#database;
    let low = this.floor();
    let high = this.head().sequence + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const found = reader.prepare(NEXT_VERSION).get(middle) as { sequence: number; version: number } | undefined;
      if (found !== undefined && found.version < version) low = found.sequence + 1;
      else high = middle;
    }
    const entries = reader.prepare(OF_VERSION).iterate(low, version) as Iterable<unknown> as Iterable<LogEntry>;
    for (const entry of entries) {
      if (entry.version !== version) return undefined;
      if (entry.id === id && entry.collection === collection) return entry;
    }
    return undefined;
  }

  /** Every write that was made under an idempotency key since `since` (ms since 1970), in order, as `reader` sees them. */
  keyedSeenBy(reader: Reader, since: number): Iterable<KeyedWrite> {
    return reader.prepare(KEYED).iterate(since) as Iterable<unknown> as Iterable<KeyedWrite>;
  }

  /** Keeps an index by idempotency key from now on, which {@link entryOfKey} needs to be fast. */
  async indexKeys(): Promise<void> {
    await this.#database.transaction((transaction) =>
      transaction.exec('CREATE INDEX IF NOT EXISTS log_by_key ON log (key) WHERE key IS NOT NULL'),
    );
  }

  /** The entry made under an idempotency key; undefined when it was trimmed or never was. */
  entryOfKey(key: string): LogEntry | undefined {
    return this.#database.reader.prepare(OF_KEY).get(key) as LogEntry | undefined;
  }

  async trim(floor: number): Promise<number> {
    const before = this.floor();
    const { generation } = this;
    const target = Math.min(floor, this.head().sequence);
    while (this.generation === generation && this.floor() < target) {
      const slice = Math.min(target, this.floor() + TRIM_SLICE);
      await this.#database.transaction((transaction) => this.#trimSlice(transaction, slice));
    }
    return this.generation === generation ? this.floor() - before : 0;
  }

  onAdvance(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #append(transaction: Transaction, change: Change, epoch: number): LogEntry {
    const { head } = this.#appended;
    const sequence = head.sequence + 1;
    const entry: LogEntry = { ...change, epoch, sequence, chain: chainHash(head.chain, epoch, sequence, change) };
    this.#insert(transaction, entry);
    return entry;
  }

  #begun(transaction: Transaction, { epoch, sequence: firstSequence }: LogEntry): void {
    transaction.prepare(INSERT_EPOCH).run(epoch, firstSequence);
    this.#appended = { ...this.#appended, epochs: [...this.#appended.epochs, { epoch, firstSequence }] };
  }

  #insert(transaction: Transaction, entry: LogEntry): void {
    this.#follow(transaction);
    const { sequence, epoch, operation, collection, id, version, at, before, after, image, key, chain } = entry;
    // Nobody reads the counts that `run` would make an object of.
    transaction
      .prepare(INSERT)
      .get(sequence, epoch, operation, collection, id, version, at, before, after, image, key, chain);
    this.#added.entries.push(entry);
    this.#appended = { ...this.#appended, head: { epoch, sequence, chain, at } };
  }

  #trimSlice(transaction: Transaction, floor: number): void {
    // Another trim or a reset may have come first.
    if (floor <= this.#appended.base.sequence + 1 || floor > this.#appended.head.sequence) return;
    this.#follow(transaction);
    const last = transaction.prepare('SELECT chain FROM log WHERE sequence = ?').get(floor - 1);
    const base = { sequence: floor - 1, chain: last?.chain as Hash };
    transaction.prepare('DELETE FROM log WHERE sequence < ?').run(floor);
    writeBase(transaction, base);
    this.#appended = { ...this.#appended, base };
  }

  /** Sees to it, once per transaction, that memory follows its end. */
  #follow(transaction: Transaction): void {
    if (this.#transaction === transaction) return;
    this.#transaction = transaction;
    const before = this.#appended;
    const { entries } = this.#added;
    const { length } = entries;
    transaction.onRollback(() => {
      this.#appended = before;
      entries.length = length;
    });
    transaction.onCommit(() => this.#publish());
  }

  /** The whole group is durable now: its first work publishes for all, the others find nothing new. */
  #publish(): void {
    const advanced = this.#appended.head !== this.#durable.head;
    this.#durable = this.#appended;
    const { anew, entries } = this.#added;
    this.#added = { anew: false, entries: [] };
    if (anew) this.#recent.clear();
    this.#recent.add(entries);
    if (advanced) for (const listener of [...this.#listeners]) listener();
  }

  #requireKept(after: number): void {
    if (after < this.#durable.base.sequence) throw cursorExpired(after, this.floor(), this.#durable.epochs);
  }
}

/** Whether the chain of an entry follows from `chain`. */
function continues(chain: Hash, entry: LogEntry | VerifiedEntry): boolean {
  if ('previous' in entry) return entry.previous === chain;
  return chainHash(chain, entry.epoch, entry.sequence, entry) === entry.chain;
}
