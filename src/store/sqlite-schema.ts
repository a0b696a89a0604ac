import { HoldfastError } from '../errors.ts';
import { type DocumentText, decodeDocument } from '../model/document.ts';
import type { Transaction } from '../sqlite/database.ts';
import { createMeta, readMeta, writeMeta } from '../sqlite/meta.ts';
import { valuesAt } from './path.ts';
import { BUCKET_SCHEMA, gatherBuckets, StoredBuckets } from './sqlite-buckets.ts';
import { concatenated, duplicateOf, IndexTable, MARK_MULTIKEY, Table } from './sqlite-table.ts';
import type { CollectionSpec, IndexSpec } from './store.ts';
import { bucketIndexSql, NO_ENTRIES, NO_ROWS } from './table-sql.ts';

/** Format of the tables; what those before it have otherwise is in SPEC.md. */
const FORMAT = 3;
const READABLE: readonly unknown[] = [1, 2, FORMAT];
const FORMAT_KEY = 'store.format';
/** Values listed when a unique index cannot be built. */
const VIOLATIONS_LISTED = 10;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS collections (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE IF NOT EXISTS indexes (
    number INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL,
    name TEXT NOT NULL,
    paths TEXT NOT NULL,
    is_unique INTEGER NOT NULL,
    multikey INTEGER NOT NULL,
    UNIQUE (collection, name)
  ) STRICT;
  ${BUCKET_SCHEMA};
  CREATE TABLE IF NOT EXISTS tombstones (
    collection INTEGER NOT NULL,
    key BLOB NOT NULL,
    version INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (collection, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS tombstones_sequence ON tombstones (sequence);
  CREATE TABLE IF NOT EXISTS idempotency (
    key TEXT NOT NULL UNIQUE,
    digest TEXT NOT NULL,
    operation_key TEXT,
    collection INTEGER NOT NULL,
    operation TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    at INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    document TEXT
  ) STRICT;
  CREATE INDEX IF NOT EXISTS idempotency_operation ON idempotency (operation_key) WHERE operation_key IS NOT NULL;
  CREATE INDEX IF NOT EXISTS idempotency_at ON idempotency (at);
  CREATE TABLE IF NOT EXISTS operations (
    key TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    matched INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    at INTEGER NOT NULL
  ) STRICT;
  CREATE VIEW IF NOT EXISTS ${NO_ROWS.table} (row, key, id, bucket, version, hash, sequence, text)
    AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE FALSE;
  CREATE VIEW IF NOT EXISTS ${NO_ENTRIES.table} (key, row) AS SELECT NULL, NULL WHERE FALSE`;

function rowSchema(table: string): string {
  return `
  CREATE TABLE ${table} (
    row INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    id TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    version INTEGER NOT NULL,
    hash TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    text TEXT NOT NULL
  ) STRICT;
  ${bucketIndexSql(table)}`;
}

/**
 * Brings the tables to what `collections` asks for: new indexes are made from the documents that are there, indexes that are asked
 * for no longer are dropped. A new collection gets a number only, see {@link makeTables}; one that is asked for no longer keeps its data.
 * @throws ALREADY_EXISTS when a unique index is new and documents have equal values (`collection`, `index`, `fields`, `values`);
 * CONFIG_INVALID when the file was written by another format.
 */
export function prepareTables(transaction: Transaction, collections: readonly CollectionSpec[]): Table[] {
  createMeta(transaction);
  const format = readMeta(transaction, FORMAT_KEY) ?? FORMAT;
  if (!READABLE.includes(format)) {
    throw new HoldfastError(
      'CONFIG_INVALID',
      `the data was written in store format ${format}; this version reads the formats ${READABLE.join(', ')}`,
    );
  }
  transaction.exec(SCHEMA);
  const made = transaction.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
  const names = new Set(made.map(({ name }) => name));
  if (format !== FORMAT) convert(transaction, names);
  writeMeta(transaction, FORMAT_KEY, FORMAT);
  return collections.map((spec) => prepareTable(transaction, spec, names));
}

/** Brings a file of format 1 or 2 to this one. */
function convert(transaction: Transaction, tables: ReadonlySet<unknown>): void {
  gatherBuckets(transaction);
  for (const name of tables) {
    if (!/^d_\d+$/.test(String(name))) continue;
    transaction.exec(`DROP INDEX ${name}_bucket; ${bucketIndexSql(String(name))}`);
  }
}

function prepareTable(transaction: Transaction, spec: CollectionSpec, made: ReadonlySet<unknown>): Table {
  const known = transaction.prepare('SELECT number FROM collections WHERE name = ?').get(spec.name);
  const number = Number(
    known?.number ?? transaction.prepare('INSERT INTO collections (name) VALUES (?)').run(spec.name).lastInsertRowid,
  );
  const tombstone = transaction.prepare('SELECT 1 FROM tombstones WHERE collection = ? LIMIT 1').get(number);
  const indexes = spec.indexes.map((index) => new IndexTable(index));
  const table = new Table(number, spec.name, indexes, new StoredBuckets(transaction, number), tombstone !== undefined);
  if (made.has(table.rowTable)) placeTables(transaction, table);
  return table;
}

/** Makes the tables of a collection that has none yet, in the transaction that stores its first document. */
export function makeTables(transaction: Transaction, table: Table): void {
  transaction.onRollback(() => table.displace());
  transaction.exec(rowSchema(table.rowTable));
  placeTables(transaction, table);
}

interface IndexRow {
  readonly number: number;
  readonly name: string;
  readonly paths: string;
  readonly is_unique: number;
  readonly multikey: number;
}

/** Brings the indexes of a table that is there to what is asked for. */
function placeTables(transaction: Transaction, table: Table): void {
  table.place();
  const stored = transaction
    .prepare('SELECT number, name, paths, is_unique, multikey FROM indexes WHERE collection = ?')
    .all(table.number) as unknown as IndexRow[];
  for (const row of stored.filter((row) => !table.indexes.some((index) => isSame(row, index)))) {
    transaction.exec(`DROP TABLE i_${row.number}`);
    transaction.prepare('DELETE FROM indexes WHERE number = ?').run(row.number);
  }
  for (const index of table.indexes) {
    const row = stored.find((row) => isSame(row, index));
    if (row === undefined) buildIndex(transaction, table, index);
    else index.place(row.number, table, row.multikey === 1);
  }
}

function isSame(row: IndexRow, index: IndexSpec): boolean {
  return row.name === index.name && row.paths === JSON.stringify(index.paths) && row.is_unique === Number(index.unique);
}

function buildIndex(transaction: Transaction, table: Table, index: IndexTable): void {
  const inserted = transaction
    .prepare('INSERT INTO indexes (collection, name, paths, is_unique, multikey) VALUES (?, ?, ?, ?, 0)')
    .run(table.number, index.name, JSON.stringify(index.paths), Number(index.unique));
  index.place(Number(inserted.lastInsertRowid), table, false);
  transaction.exec(
    `CREATE TABLE ${index.sql.table} (key BLOB PRIMARY KEY, row INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
  );
  const violations: unknown[][] = [];
  const insert = transaction.prepare(index.sql.insert);
  const rows = transaction.prepare(`SELECT row, key, text FROM ${table.rowTable} ORDER BY row`).iterate();
  for (const stored of rows as Iterable<unknown> as Iterable<{ row: number; key: Uint8Array; text: DocumentText }>) {
    const document = decodeDocument(stored.text);
    const keys = index.valueKeys(document);
    if (duplicateOf(transaction, index, keys, stored.row) !== undefined && violations.length < VIOLATIONS_LISTED) {
      violations.push(index.paths.flatMap((path) => valuesAt(document, path)));
    }
    for (const key of keys) insert.run(concatenated(key, stored.key), stored.row);
    if (keys.length > 1) index.multikey = true;
  }
  if (violations.length > 0) throw notUnique(table.name, index, violations);
  if (index.multikey) transaction.prepare(MARK_MULTIKEY).run(index.number);
}

function notUnique(collection: string, spec: IndexSpec, values: readonly unknown[][]): HoldfastError {
  const listed = values.map((value) => JSON.stringify(value.length === 1 ? value[0] : value)).join(', ');
  return new HoldfastError(
    'ALREADY_EXISTS',
    `${spec.paths.join(', ')} of "${collection}" cannot become unique: several documents have the value ${listed}`,
    { details: { collection, index: spec.name, fields: spec.paths, values } },
  );
}
