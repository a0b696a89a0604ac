import { HoldfastError } from '../errors.ts';
import { type DocumentText, decodeDocument } from '../model/document.ts';
import { Buckets } from '../protocol/digest.ts';
import type { Transaction } from '../sqlite/database.ts';
import { createMeta, readMeta, writeMeta } from '../sqlite/meta.ts';
import { valuesAt } from './path.ts';
import { concatenated, duplicateOf, IndexTable, MARK_MULTIKEY, Table } from './sqlite-table.ts';
import type { CollectionSpec, IndexSpec } from './store.ts';

/** Format of the tables; a file with another one is not opened. */
const FORMAT = 1;
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
  CREATE TABLE IF NOT EXISTS buckets (bucket INTEGER PRIMARY KEY, state BLOB NOT NULL) STRICT;
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
  ) STRICT`;

function collectionSchema(number: number): string {
  return `
  CREATE TABLE d_${number} (
    row INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    id TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    version INTEGER NOT NULL,
    hash TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    text TEXT NOT NULL
  ) STRICT;
  CREATE INDEX d_${number}_bucket ON d_${number} (bucket)`;
}

/**
 * Brings the tables to what `collections` asks for: new collections and indexes are made (an index from the documents that
 * are there), indexes that are asked for no longer are dropped. A collection that is asked for no longer keeps its data.
 * @throws ALREADY_EXISTS when a unique index is new and documents have equal values (`collection`, `index`, `fields`, `values`);
 * CONFIG_INVALID when the file was written by another format.
 */
export function prepareTables(transaction: Transaction, collections: readonly CollectionSpec[]): Table[] {
  createMeta(transaction);
  const format = readMeta(transaction, FORMAT_KEY) ?? FORMAT;
  if (format !== FORMAT) {
    throw new HoldfastError(
      'CONFIG_INVALID',
      `the data was written in store format ${format}; this version reads format ${FORMAT} only`,
    );
  }
  transaction.exec(SCHEMA);
  writeMeta(transaction, FORMAT_KEY, FORMAT);
  return collections.map((spec) => prepareTable(transaction, spec));
}

function prepareTable(transaction: Transaction, spec: CollectionSpec): Table {
  let number = transaction.prepare('SELECT number FROM collections WHERE name = ?').get(spec.name)?.number as
    | number
    | undefined;
  if (number === undefined) {
    number = Number(transaction.prepare('INSERT INTO collections (name) VALUES (?)').run(spec.name).lastInsertRowid);
    transaction.exec(collectionSchema(number));
  }
  const indexes = prepareIndexes(transaction, number, spec);
  const tombstone = transaction.prepare('SELECT 1 FROM tombstones WHERE collection = ? LIMIT 1').get(number);
  return new Table(number, spec.name, indexes, loadBuckets(transaction, number), tombstone !== undefined);
}

interface IndexRow {
  readonly number: number;
  readonly name: string;
  readonly paths: string;
  readonly is_unique: number;
  readonly multikey: number;
}

function prepareIndexes(transaction: Transaction, collection: number, spec: CollectionSpec): IndexTable[] {
  const stored = transaction
    .prepare('SELECT number, name, paths, is_unique, multikey FROM indexes WHERE collection = ?')
    .all(collection) as unknown as IndexRow[];
  const kept = stored.filter((row) => spec.indexes.some((index) => isSame(row, index)));
  for (const row of stored.filter((row) => !kept.includes(row))) {
    transaction.exec(`DROP TABLE i_${row.number}`);
    transaction.prepare('DELETE FROM indexes WHERE number = ?').run(row.number);
  }
  return spec.indexes.map((index) => {
    const row = kept.find(({ name }) => name === index.name);
    return row === undefined
      ? buildIndex(transaction, collection, spec.name, index)
      : new IndexTable(row.number, collection, index, row.multikey === 1);
  });
}

function isSame(row: IndexRow, index: IndexSpec): boolean {
  return row.name === index.name && row.paths === JSON.stringify(index.paths) && row.is_unique === Number(index.unique);
}

function buildIndex(transaction: Transaction, collection: number, name: string, spec: IndexSpec): IndexTable {
  const inserted = transaction
    .prepare('INSERT INTO indexes (collection, name, paths, is_unique, multikey) VALUES (?, ?, ?, ?, 0)')
    .run(collection, spec.name, JSON.stringify(spec.paths), Number(spec.unique));
  const index = new IndexTable(Number(inserted.lastInsertRowid), collection, spec, false);
  transaction.exec(`CREATE TABLE ${index.table} (key BLOB PRIMARY KEY, row INTEGER NOT NULL) STRICT, WITHOUT ROWID`);
  const violations: unknown[][] = [];
  const insert = transaction.prepare(index.insertSql);
  const rows = transaction.prepare(`SELECT row, key, text FROM d_${collection} ORDER BY row`).iterate();
  for (const stored of rows as Iterable<unknown> as Iterable<{ row: number; key: Uint8Array; text: DocumentText }>) {
    const document = decodeDocument(stored.text);
    const keys = index.valueKeys(document);
    if (duplicateOf(transaction, index, keys, stored.row) !== undefined && violations.length < VIOLATIONS_LISTED) {
      violations.push(index.paths.flatMap((path) => valuesAt(document, path)));
    }
    for (const key of keys) insert.run(concatenated(key, stored.key), stored.row);
    if (keys.length > 1) index.multikey = true;
  }
  if (violations.length > 0) throw notUnique(name, spec, violations);
  if (index.multikey) transaction.prepare(MARK_MULTIKEY).run(index.number);
  return index;
}

function notUnique(collection: string, spec: IndexSpec, values: readonly unknown[][]): HoldfastError {
  const listed = values.map((value) => JSON.stringify(value.length === 1 ? value[0] : value)).join(', ');
  return new HoldfastError(
    'ALREADY_EXISTS',
    `${spec.paths.join(', ')} of "${collection}" cannot become unique: several documents have the value ${listed}`,
    { details: { collection, index: spec.name, fields: spec.paths, values } },
  );
}

function loadBuckets(transaction: Transaction, collection: number): Buckets {
  const buckets = new Buckets();
  const first = collection * Buckets.SIZE;
  const rows = transaction
    .prepare('SELECT bucket, state FROM buckets WHERE bucket >= ? AND bucket < ?')
    .all(first, first + Buckets.SIZE) as unknown as { bucket: number; state: Uint8Array }[];
  for (const { bucket, state } of rows) buckets.load(bucket - first, state);
  return buckets;
}
