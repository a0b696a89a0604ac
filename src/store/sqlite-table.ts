import type { Document, DocumentText } from '../model/document.ts';
import type { Buckets } from '../protocol/digest.ts';
import { indexKeys } from './bounds.ts';
import type { Reader } from './slices.ts';
import type { IndexSpec } from './store.ts';
import { Rank } from './value.ts';

/** Marks an index, for good, as having documents with several entries. */
export const MARK_MULTIKEY = 'UPDATE indexes SET multikey = 1 WHERE number = ?';

/** Columns of a row of a collection; see SPEC.md section 1. */
export interface StoredRow {
  readonly row: number;
  readonly id: DocumentText;
  readonly bucket: number;
  readonly version: number;
  readonly hash: string;
  readonly sequence: number;
  readonly text: DocumentText;
}

/** Statements over a range of keys, whose first two parameters are its bounds (low inclusive, high exclusive). */
export interface RangeSql {
  /** Entries, counted up to the third parameter. */
  readonly count: string;
  /** Key of the entry so many (third parameter) after the first. */
  readonly next: string;
  /** Rows and texts in the order of the keys. */
  readonly ascending: string;
  readonly descending: string;
  /** The same up to a number (third parameter) of rows. */
  readonly first: string;
  readonly last: string;
}

// `LIMIT +?` and not `LIMIT ?`: SQLite plans for the value of a bare parameter, and so compiles the statement anew at each run.
function rangeSql(table: string, ascending: string): RangeSql {
  return {
    count: `SELECT count(*) AS n FROM (SELECT 1 FROM ${table} WHERE key >= ? AND key < ? LIMIT +?)`,
    next: `SELECT key FROM ${table} WHERE key >= ? AND key < ? ORDER BY key LIMIT 1 OFFSET ?`,
    ascending,
    descending: `${ascending} DESC`,
    first: `${ascending} LIMIT +?`,
    last: `${ascending} DESC LIMIT +?`,
  };
}

/** An index of a collection: a table of `key → row`, whose key is the keys of the paths' values followed by that of the id. */
export class IndexTable implements IndexSpec {
  readonly name: string;
  readonly paths: readonly string[];
  readonly unique: boolean;
  readonly number: number;
  readonly table: string;
  readonly insertSql: string;
  readonly deleteSql: string;
  /** Whether an entry other than `row`'s begins with the first parameter and is below the second. */
  readonly probeSql: string;
  readonly rangeSql: RangeSql;
  /** Whether some document has, or had, more than one entry: the index then neither sorts nor answers alone. */
  multikey: boolean;

  constructor(number: number, collection: number, spec: IndexSpec, multikey: boolean) {
    this.number = number;
    this.name = spec.name;
    this.paths = spec.paths;
    this.unique = spec.unique;
    this.multikey = multikey;
    this.table = `i_${number}`;
    // REPLACE: the entry may be left over from a row that was altered or removed behind the store's back.
    this.insertSql = `INSERT OR REPLACE INTO ${this.table} (key, row) VALUES (?, ?)`;
    this.deleteSql = `DELETE FROM ${this.table} WHERE key = ?`;
    this.probeSql = `SELECT row FROM ${this.table} WHERE key >= ? AND key < ? AND row <> ? LIMIT 1`;
    // CROSS JOIN keeps SQLite from turning the loops around: https://sqlite.org/optoverview.html#crossjoin
    this.rangeSql = rangeSql(
      this.table,
      `SELECT d.row, d.text FROM ${this.table} AS i CROSS JOIN d_${collection} AS d ON d.row = i.row WHERE i.key >= ? AND i.key < ? ORDER BY i.key`,
    );
  }

  /** What the index holds of a document, without the id at the end: distinct, at least one. */
  valueKeys(document: Document): readonly Uint8Array[] {
    const [first, ...others] = this.paths;
    let keys: readonly Uint8Array[] = indexKeys(document, first as string);
    for (const path of others) {
      const next = indexKeys(document, path);
      keys = keys.flatMap((key) => next.map((part) => concatenated(key, part)));
    }
    return keys;
  }
}

/** One collection as the open store knows it: its tables, its indexes, the SQL for them, and its buckets in memory. */
export class Table {
  readonly name: string;
  readonly number: number;
  readonly indexes: readonly IndexTable[];
  readonly buckets: Buckets;
  /** Whether a document was ever deleted: while none was, nobody needs to look for tombstones. */
  buried: boolean;
  readonly table: string;
  readonly insertSql: string;
  readonly updateSql: string;
  readonly renameSql: string;
  readonly deleteSql: string;
  readonly byKeySql: string;
  readonly byRowSql: string;
  readonly textByKeySql: string;
  /** As {@link RangeSql.ascending}, for one key. */
  readonly pointSql: string;
  readonly pageSql: string;
  readonly bucketSql: string;
  readonly bucketRowsSql: string;
  readonly rehashSql: string;
  readonly allSql: string;
  /** As {@link RangeSql.ascending}, in the order in which the rows lie. */
  readonly anyOrderSql: string;
  readonly maxVersionSql: string;
  /** Over the keys of the ids. */
  readonly rangeSql: RangeSql;

  constructor(number: number, name: string, indexes: readonly IndexTable[], buckets: Buckets, buried: boolean) {
    this.number = number;
    this.name = name;
    this.indexes = indexes;
    this.buckets = buckets;
    this.buried = buried;
    this.table = `d_${number}`;
    const columns = 'row, id, bucket, version, hash, sequence, text';
    this.insertSql = `INSERT INTO ${this.table} (key, id, bucket, version, hash, sequence, text) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING`;
    this.updateSql = `UPDATE ${this.table} SET version = ?, hash = ?, sequence = ?, text = ? WHERE row = ?`;
    this.renameSql = `UPDATE ${this.table} SET id = ?, bucket = ? WHERE row = ?`;
    this.deleteSql = `DELETE FROM ${this.table} WHERE row = ?`;
    this.byKeySql = `SELECT ${columns} FROM ${this.table} WHERE key = ?`;
    this.byRowSql = `SELECT ${columns} FROM ${this.table} WHERE row = ?`;
    this.textByKeySql = `SELECT text FROM ${this.table} WHERE key = ?`;
    this.pointSql = `SELECT row, text FROM ${this.table} WHERE key = ?`;
    this.pageSql = `SELECT key, id, version, text FROM ${this.table} WHERE key > ? ORDER BY key`;
    this.bucketSql = `SELECT id, version, hash FROM ${this.table} WHERE bucket = ?`;
    this.bucketRowsSql = `SELECT ${columns} FROM ${this.table} WHERE bucket = ?`;
    this.rehashSql = `UPDATE ${this.table} SET hash = ? WHERE row = ?`;
    this.allSql = `SELECT id, version, text FROM ${this.table} ORDER BY row`;
    this.maxVersionSql = `SELECT max(version) AS version FROM ${this.table}`;
    this.rangeSql = rangeSql(this.table, `SELECT row, text FROM ${this.table} WHERE key >= ? AND key < ? ORDER BY key`);
    // The unary plus keeps SQLite from the index on the key.
    this.anyOrderSql = `SELECT row, text FROM ${this.table} WHERE +key >= ? AND +key < ? ORDER BY row`;
  }

  /** The rows of a bucket, as the reader sees them. */
  rowsOfBucket(reader: Reader, bucket: number): readonly StoredRow[] {
    return reader.prepare(this.bucketRowsSql).all(bucket) as unknown as StoredRow[];
  }

  /** The row of an id, as `reader` sees it. */
  rowOf(reader: Reader, key: Uint8Array): StoredRow | undefined {
    return reader.prepare(this.byKeySql).get(key) as StoredRow | undefined;
  }
}

/**
 * The first value key of a unique index that another row holds already; undefined when there is none, or the index is not
 * unique. Absent and null values and empty arrays are exempt; of a compound index, when all its values are.
 */
export function duplicateOf(
  reader: Reader,
  index: IndexTable,
  keys: readonly Uint8Array[],
  row: number,
): Uint8Array | undefined {
  if (!index.unique) return undefined;
  const probe = reader.prepare(index.probeSql);
  return keys.find((key) => !isExempt(index, key) && probe.get(key, above(key), row) !== undefined);
}

/** Whether a value key of a unique index may be held by many: nothing but one-byte keys of "no value", one per path. */
export function isExempt(index: IndexTable, key: Uint8Array): boolean {
  return key.length === index.paths.length && key.every((byte) => byte === Rank.NULL || byte === Rank.EMPTY);
}

/** One key after the other. Keys are self-delimiting, so the result orders like the pair. */
export function concatenated(first: Uint8Array, second: Uint8Array): Uint8Array {
  const key = Buffer.allocUnsafe(first.length + second.length);
  key.set(first);
  key.set(second, first.length);
  return key;
}

/** The least bytes above every key that begins with `prefix`: no key goes on with 255. */
export function above(prefix: Uint8Array): Uint8Array {
  return concatenated(prefix, END);
}

const END = Uint8Array.of(0xff);
