import { HoldfastError } from '../errors.ts';
import type { Hash, LogEntry } from '../model/change.ts';
import type { DocumentText } from '../model/document.ts';
import type { Position } from '../model/position.ts';
import type { Buckets } from '../protocol/digest.ts';
import type { Row, RowHead } from '../protocol/sync-source.ts';
import type { Database, Transaction } from '../sqlite/database.ts';
import { readMeta, writeMeta } from '../sqlite/meta.ts';
import { HybridClock } from './hybrid-clock.ts';
import { forgetKeys, pruneKeys, remember, UNKNOWN_DIGEST } from './idempotency.ts';
import { keyOfText } from './key.ts';
import type { Outbox } from './outbox.ts';
import type { Applied, RowReader, RowToPut, RowWriter } from './row-store.ts';
import { readInSlices } from './slices.ts';
import { put, recount, remove } from './sqlite-apply.ts';
import { SqliteCollection } from './sqlite-collection.ts';
import { pruneTombstones } from './sqlite-mutation.ts';
import { pageOf, rowsById, rowsOfBucket, scrubOf } from './sqlite-rows.ts';
import { prepareTables } from './sqlite-schema.ts';
import type { Table } from './sqlite-table.ts';
import { SqliteWriter } from './sqlite-writer.ts';
import type { Collection, CollectionSpec, Store, StoreCapabilities } from './store.ts';
import { requireUniqueIndexes } from './unique-check.ts';

/** How long idempotency keys are kept, in ms: eight days, so that seven are promised whatever the clock. */
const KEY_RETENTION_MS = 8 * 24 * 60 * 60 * 1000;
/** Rows removed per transaction when pruning. */
const PRUNE_SLICE = 1_000;
/** Key in the meta table: no version up to this one is ever given again. */
const CLOCK_KEY = 'store.clock';

export interface SqliteStoreOptions {
  /** Stays its opener's: closing the store does not close it. */
  readonly database: Database;
  /** The log of the same database. */
  readonly outbox: Outbox;
  readonly collections: readonly CollectionSpec[];
  /** The time in ms since 1970. Default `Date.now`. */
  readonly clock?: (() => number) | undefined;
}

/** A write of the log that was made under an idempotency key. */
export type KeyedWrite = Pick<LogEntry, 'sequence' | 'epoch' | 'operation' | 'collection' | 'id' | 'version' | 'at'> & {
  readonly key: string;
};

/** The embedded store: documents, indexes and buckets in the file of the change log. The tables and invariants are in SPEC.md. */
export class SqliteStore implements Store, RowReader, RowWriter {
  readonly capabilities: StoreCapabilities;
  readonly #database: Database;
  readonly #outbox: Outbox;
  readonly #clock: HybridClock;
  readonly #tables: ReadonlyMap<string, Table>;
  readonly #collections: ReadonlyMap<string, SqliteCollection>;

  private constructor(options: SqliteStoreOptions, tables: readonly Table[]) {
    const { database, outbox, clock = Date.now } = options;
    this.#database = database;
    this.#outbox = outbox;
    this.#clock = new HybridClock(clock, () => this.#highestVersion());
    this.#tables = new Map(tables.map((table) => [table.name, table]));
    const writer = new SqliteWriter(outbox, this.#clock);
    this.#collections = new Map(tables.map((table) => [table.name, new SqliteCollection({ database, writer, table })]));
    const version = database.reader.prepare('SELECT sqlite_version() AS version').get()?.version;
    this.capabilities = {
      ...{ transactionalLog: true, snapshotReads: true, uniqueLists: true, anyText: true },
      server: `SQLite ${version}`,
    };
  }

  /**
   * Opens the store in a database whose log is open; builds new indexes from the documents that are there, in one transaction.
   * @throws ALREADY_EXISTS when documents break a new unique index (`collection`, `index`, `fields`, `values`)
   */
  static async open(options: SqliteStoreOptions): Promise<SqliteStore> {
    const tables = await options.database.transaction((transaction) => prepareTables(transaction, options.collections));
    return new SqliteStore(options, tables);
  }

  collection(name: string): Collection {
    const collection = this.#collections.get(name);
    if (collection === undefined) throw unknownCollection(name);
    return collection;
  }

  /** Waits for the writes begun before. */
  async close(): Promise<void> {
    await this.#database.transaction(() => undefined);
  }

  collections(): readonly string[] {
    return [...this.#tables.keys()];
  }

  page(
    collection: string,
    after: string | null,
    limit: number,
    maxBytes: number,
  ): { readonly rows: Row[]; readonly next: string | null } {
    return pageOf(this.#database.reader, this.#table(collection), after, limit, maxBytes);
  }

  rows(collection: string, ids: readonly DocumentText[]): Row[] {
    return rowsById(this.#database.reader, this.#table(collection), ids);
  }

  bucketRows(collection: string, bucket: number): RowHead[] {
    return rowsOfBucket(this.#database.reader, this.#table(collection), bucket);
  }

  buckets(collection: string): Buckets {
    return this.#table(collection).buckets;
  }

  async scrub(collection: string): Promise<{ readonly position: Position; readonly buckets: Buckets }> {
    const table = this.#table(collection);
    return readInSlices(this.#database, (reader) => scrubOf(reader, table, this.#outbox));
  }

  put(
    transaction: Transaction,
    collection: string,
    row: RowToPut,
    sequence: number,
    force = false,
    expected?: Hash | null,
  ): Applied {
    return put(transaction, this.#table(collection), row, sequence, force, expected);
  }

  remove(
    transaction: Transaction,
    collection: string,
    id: DocumentText,
    version: number,
    sequence: number,
    force = false,
    expected?: Hash | null,
  ): Applied {
    return remove(transaction, this.#table(collection), id, version, sequence, force, expected);
  }

  recount(transaction: Transaction, collection: string, bucket: number): void {
    recount(transaction, this.#table(collection), bucket);
  }

  rowState(
    collection: string,
    id: DocumentText,
  ): { readonly sequence: number; readonly version: number; readonly hash: string } | undefined {
    const stored = this.#table(collection).rowOf(this.#database.reader, keyOfText(id));
    return stored && { sequence: stored.sequence, version: stored.version, hash: stored.hash };
  }

  /**
   * Forgets what is no longer needed, in slices: tombstones whose entry has left the log (`logFloor` is the sequence of the oldest
   * entry kept), idempotency keys older than eight days at `now` (ms since 1970).
   */
  async prune({ now, logFloor }: { readonly now: number; readonly logFloor: number }): Promise<void> {
    const slices = [
      (transaction: Transaction) => this.#pruneTombstones(transaction, logFloor),
      (transaction: Transaction) => pruneKeys(transaction, now - KEY_RETENTION_MS, PRUNE_SLICE),
    ];
    for (const slice of slices) while ((await this.#database.transaction(slice)) === PRUNE_SLICE);
  }

  /**
   * Makes a copy ready to be written to, within the transaction that begins its epoch: its unique indexes hold, writes that were made
   * under a key are known by it again from `writes` of the log, and every later version is above all there are. The store
   * must be opened anew before it is written to.
   * @throws ALREADY_EXISTS (`violations`) when unique indexes do not hold
   */
  takeOver(transaction: Transaction, writes: Iterable<KeyedWrite>): void {
    requireUniqueIndexes(transaction, this.#tables.values());
    forgetKeys(transaction);
    for (const write of writes) {
      const collection = this.#tables.get(write.collection)?.number;
      if (collection === undefined) continue;
      remember(transaction, { ...write, digest: UNKNOWN_DIGEST, operation_key: null, collection, document: null });
    }
    const highest = [
      ...[...this.#tables.values()].map((table) => transaction.prepare(table.sql.maxVersion).get()?.version),
      transaction.prepare('SELECT max(version) AS version FROM tombstones').get()?.version,
      readMeta(transaction, CLOCK_KEY),
    ];
    writeMeta(transaction, CLOCK_KEY, 1 + Math.max(...highest.map((version) => Number(version ?? 0))));
  }

  #pruneTombstones(transaction: Transaction, logFloor: number): number {
    const { removed, highestVersion } = pruneTombstones(transaction, logFloor, PRUNE_SLICE);
    // A document created again with this id must get a version above the deletion that is forgotten here.
    this.#clock.raise(highestVersion);
    const raised = Math.max(Number(readMeta(transaction, CLOCK_KEY) ?? 0), highestVersion + 1);
    writeMeta(transaction, CLOCK_KEY, raised);
    return removed;
  }

  /** Versions never decrease along the log, so its last one is the highest; without any, the documents are asked. */
  #highestVersion(): number {
    const { reader } = this.#database;
    const pruned = Number(readMeta(reader, CLOCK_KEY) ?? 0);
    for (let { sequence } = this.#outbox.positionSeenBy(reader); ; sequence--) {
      const entry = this.#outbox.entrySeenBy(reader, sequence);
      if (entry === undefined) break;
      if (entry.operation !== 'EPOCH') return Math.max(pruned, entry.version);
    }
    const versions = [...this.#tables.values()].map((table) => reader.prepare(table.sql.maxVersion).get()?.version);
    return Math.max(pruned, ...versions.map((version) => Number(version ?? 0)));
  }

  #table(collection: string): Table {
    const table = this.#tables.get(collection);
    if (table === undefined) throw unknownCollection(collection);
    return table;
  }
}

function unknownCollection(name: string): HoldfastError {
  return new HoldfastError('INTERNAL_SERVER_ERROR', `the store was opened without a collection "${name}"`);
}
