import type { Hash } from '../model/change.ts';
import type { Document, DocumentText } from '../model/document.ts';
import { bucketOf } from '../protocol/digest.ts';
import type { Transaction } from '../sqlite/database.ts';
import { makeTables } from './sqlite-schema.ts';
import { concatenated, type IndexTable, MARK_MULTIKEY, type StoredRow, type Table } from './sqlite-table.ts';

const TOMBSTONE = 'SELECT version FROM tombstones WHERE collection = ? AND key = ?';
const BURY = 'INSERT OR REPLACE INTO tombstones (collection, key, version, sequence) VALUES (?, ?, ?, ?)';
const UNBURY = 'DELETE FROM tombstones WHERE collection = ? AND key = ?';

const PRUNE = `DELETE FROM tombstones WHERE (collection, key) IN
  (SELECT collection, key FROM tombstones WHERE sequence < ? ORDER BY sequence LIMIT +?) RETURNING version`;

/** One version of a document, ready to be stored. */
export interface RowImage {
  readonly id: DocumentText;
  readonly key: Uint8Array;
  readonly version: number;
  readonly hash: Hash;
  readonly sequence: number;
  readonly text: DocumentText;
}

/** What every index of the table holds of a document, aligned with the table's indexes. */
export function valueKeysOf(table: Table, document: Document): readonly (readonly Uint8Array[])[] {
  return table.indexes.map((index) => index.valueKeys(document));
}

/** Stores a document that is not there; false, and nothing done, when its id is. */
export function insertRow(
  transaction: Transaction,
  table: Table,
  image: RowImage,
  valueKeys: readonly (readonly Uint8Array[])[],
): boolean {
  const { id, key, version, hash, sequence, text } = image;
  const bucket = bucketOf(id);
  if (!table.isPlaced) makeTables(transaction, table);
  const inserted = transaction.prepare(table.sql.insert).run(key, id, bucket, version, hash, sequence, text);
  if (inserted.changes === 0) return false;
  const row = Number(inserted.lastInsertRowid);
  for (const [place, index] of table.indexes.entries()) {
    addEntries(transaction, index, valueKeys[place] as readonly Uint8Array[], key, row);
  }
  table.storedBuckets.change(transaction, bucket, null, hash);
  return true;
}

/** Stores a new version of `stored`; only index entries that differ are written. */
export function replaceRow(
  transaction: Transaction,
  table: Table,
  stored: StoredRow,
  image: RowImage,
  before: readonly (readonly Uint8Array[])[],
  after: readonly (readonly Uint8Array[])[],
): void {
  const { id, key, version, hash, sequence, text } = image;
  transaction.prepare(table.sql.update).run(version, hash, sequence, text, stored.row);
  for (const [place, index] of table.indexes.entries()) {
    const old = before[place] as readonly Uint8Array[];
    const next = after[place] as readonly Uint8Array[];
    removeEntries(transaction, index, without(old, next), key);
    addEntries(transaction, index, without(next, old), key, stored.row);
    if (next.length > 1) markMultikey(transaction, index);
  }
  if (id === stored.id) {
    table.storedBuckets.change(transaction, stored.bucket, stored.hash, hash);
  } else {
    // The same id written as another type of number: it has another text, so another bucket.
    const bucket = bucketOf(id);
    transaction.prepare(table.sql.rename).run(id, bucket, stored.row);
    table.storedBuckets.change(transaction, stored.bucket, stored.hash, null);
    table.storedBuckets.change(transaction, bucket, null, hash);
  }
}

/** Deletes a document. */
export function deleteRow(
  transaction: Transaction,
  table: Table,
  stored: StoredRow,
  key: Uint8Array,
  before: readonly (readonly Uint8Array[])[],
): void {
  transaction.prepare(table.sql.delete).run(stored.row);
  for (const [place, index] of table.indexes.entries()) {
    removeEntries(transaction, index, before[place] as readonly Uint8Array[], key);
  }
  table.storedBuckets.change(transaction, stored.bucket, stored.hash, null);
}

/** The version of the deletion of the document with this key, while it is remembered. */
export function tombstoneVersion(
  transaction: Pick<Transaction, 'prepare'>,
  table: Table,
  key: Uint8Array,
): number | undefined {
  if (!table.buried) return undefined;
  return transaction.prepare(TOMBSTONE).get(table.number, key)?.version as number | undefined;
}

/** Remembers a deletion. */
export function bury(transaction: Transaction, table: Table, key: Uint8Array, version: number, sequence: number): void {
  table.buried = true;
  transaction.prepare(BURY).run(table.number, key, version, sequence);
}

/** Forgets a deletion: the document is back, with a higher version. */
export function unbury(transaction: Transaction, table: Table, key: Uint8Array): void {
  transaction.prepare(UNBURY).run(table.number, key);
}

/** Forgets at most `most` deletions whose entry came before `logFloor`; `highestVersion` is 0 when there was none. */
export function pruneTombstones(
  transaction: Transaction,
  logFloor: number,
  most: number,
): { readonly removed: number; readonly highestVersion: number } {
  const rows = transaction.prepare(PRUNE).all(logFloor, most) as unknown as { readonly version: number }[];
  return { removed: rows.length, highestVersion: rows.reduce((highest, { version }) => Math.max(highest, version), 0) };
}

function addEntries(
  transaction: Transaction,
  index: IndexTable,
  valueKeys: readonly Uint8Array[],
  id: Uint8Array,
  row: number,
): void {
  const insert = transaction.prepare(index.sql.insert);
  for (const key of valueKeys) {
    const entry = concatenated(key, id);
    try {
      // Nobody reads the counts that `run` would make an object of.
      insert.get(entry, row);
    } catch (error) {
      if (!isTaken(error)) throw error;
      // Left over from a row that was altered or removed behind the store's back.
      transaction.prepare(index.sql.replace).run(entry, row);
    }
  }
  if (valueKeys.length > 1) markMultikey(transaction, index);
}

/** SQLITE_CONSTRAINT_PRIMARYKEY (1555): https://sqlite.org/rescode.html#constraint_primarykey */
function isTaken(error: unknown): boolean {
  return (error as { errcode?: number }).errcode === 1555;
}

function removeEntries(
  transaction: Transaction,
  index: IndexTable,
  valueKeys: readonly Uint8Array[],
  id: Uint8Array,
): void {
  for (const key of valueKeys) transaction.prepare(index.sql.delete).run(concatenated(key, id));
}

function markMultikey(transaction: Transaction, index: IndexTable): void {
  if (index.multikey) return;
  index.multikey = true;
  transaction.onRollback(() => {
    index.multikey = false;
  });
  transaction.prepare(MARK_MULTIKEY).run(index.number);
}

/** The keys of `keys` that are not in `others`. */
function without(keys: readonly Uint8Array[], others: readonly Uint8Array[]): readonly Uint8Array[] {
  const [only] = keys;
  const [other] = others;
  // Nearly always one key against one, and equal.
  if (keys.length === 1 && others.length === 1) return Buffer.compare(only!, other!) === 0 ? [] : keys;
  const texts = new Set(others.map((key) => Buffer.from(key).toString('latin1')));
  return keys.filter((key) => !texts.has(Buffer.from(key).toString('latin1')));
}
