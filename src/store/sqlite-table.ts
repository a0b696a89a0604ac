import type { Document, DocumentText } from '../model/document.ts';
import type { Buckets } from '../protocol/digest.ts';
import { indexKeys } from './bounds.ts';
import type { Reader } from './slices.ts';
import type { StoredBuckets } from './sqlite-buckets.ts';
import type { IndexSpec } from './store.ts';
import { type EntrySql, entrySql, NO_ENTRIES, NO_ROWS, type RowSql, rowSql } from './table-sql.ts';
import { Rank } from './value.ts';

/** Marks an index, for good, as having documents with several entries. */
export const MARK_MULTIKEY = 'UPDATE indexes SET multikey = 1 WHERE number = ?';

/** Columns of a row of a collection; see SPEC.md. */
export interface StoredRow {
  readonly row: number;
  readonly id: DocumentText;
  readonly bucket: number;
  readonly version: number;
  readonly hash: string;
  readonly sequence: number;
  readonly text: DocumentText;
}

/** An index of a collection: a table of `key → row`, whose key is the keys of the paths' values followed by that of the id. */
export class IndexTable implements IndexSpec {
  readonly name: string;
  readonly paths: readonly string[];
  readonly unique: boolean;
  /** Whether some document has, or had, more than one entry: the index then neither sorts nor answers alone. */
  multikey = false;
  #number = 0;
  #sql = NO_ENTRIES;

  constructor({ name, paths, unique }: IndexSpec) {
    this.name = name;
    this.paths = paths;
    this.unique = unique;
  }

  /** Names its table; 0 while there is none. */
  get number(): number {
    return this.#number;
  }

  get sql(): EntrySql {
    return this.#sql;
  }

  /** Its table is there from now on, for that of `table`. */
  place(number: number, { rowTable }: Table, multikey: boolean): void {
    this.#number = number;
    this.#sql = entrySql(`i_${number}`, rowTable);
    this.multikey = multikey;
  }

  /** Its table is gone, as it was before. */
  displace(): void {
    this.#number = 0;
    this.#sql = NO_ENTRIES;
    this.multikey = false;
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
  readonly storedBuckets: StoredBuckets;
  /** Whether a document was ever deleted: while none was, nobody needs to look for tombstones. */
  buried: boolean;
  #sql = NO_ROWS;

  constructor(
    number: number,
    name: string,
    indexes: readonly IndexTable[],
    storedBuckets: StoredBuckets,
    buried: boolean,
  ) {
    this.number = number;
    this.name = name;
    this.indexes = indexes;
    this.storedBuckets = storedBuckets;
    this.buried = buried;
  }

  /** The live object: clone it before you change it. */
  get buckets(): Buckets {
    return this.storedBuckets.buckets;
  }

  /** Name of the table of its documents, which is there or will be. */
  get rowTable(): string {
    return `d_${this.number}`;
  }

  /** Whether its tables are there: they are made with the first document. */
  get isPlaced(): boolean {
    return this.#sql !== NO_ROWS;
  }

  get sql(): RowSql {
    return this.#sql;
  }

  /** Its tables are there from now on. */
  place(): void {
    this.#sql = rowSql(this.rowTable);
  }

  /** Its tables are gone, as they were before. */
  displace(): void {
    this.#sql = NO_ROWS;
    for (const index of this.indexes) index.displace();
  }

  /** The rows of a bucket, as the reader sees them. */
  rowsOfBucket(reader: Reader, bucket: number): readonly StoredRow[] {
    return reader.prepare(this.#sql.bucketRows).all(bucket) as unknown as StoredRow[];
  }

  /** The row of an id, as `reader` sees it. */
  rowOf(reader: Reader, key: Uint8Array): StoredRow | undefined {
    return reader.prepare(this.#sql.byKey).get(key) as StoredRow | undefined;
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
  const probe = reader.prepare(index.sql.probe);
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
