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

/** What is asked of the entries of an index. */
export interface EntrySql {
  /** Name of the table. */
  readonly table: string;
  readonly insert: string;
  readonly replace: string;
  readonly delete: string;
  /** Whether an entry other than `row`'s begins with the first parameter and is below the second. */
  readonly probe: string;
  readonly range: RangeSql;
}

/** What is asked of the rows of a collection. */
export interface RowSql {
  /** Name of the table. */
  readonly table: string;
  readonly insert: string;
  readonly update: string;
  readonly rename: string;
  readonly delete: string;
  readonly byKey: string;
  readonly byRow: string;
  readonly textByKey: string;
  /** As {@link RangeSql.ascending}, for one key. */
  readonly point: string;
  readonly page: string;
  readonly bucket: string;
  readonly bucketRows: string;
  readonly rehash: string;
  readonly all: string;
  /** As {@link RangeSql.ascending}, in the order in which the rows lie. */
  readonly anyOrder: string;
  readonly maxVersion: string;
  /** Over the keys of the ids. */
  readonly range: RangeSql;
}

/** The SQL over the table `table` of an index, whose documents are in the table `rows`. */
export function entrySql(table: string, rows: string): EntrySql {
  return {
    table,
    insert: `INSERT INTO ${table} (key, row) VALUES (?, ?)`,
    replace: `REPLACE INTO ${table} (key, row) VALUES (?, ?)`,
    delete: `DELETE FROM ${table} WHERE key = ?`,
    probe: `SELECT row FROM ${table} WHERE key >= ? AND key < ? AND row <> ? LIMIT 1`,
    // CROSS JOIN keeps SQLite from turning the loops around: https://sqlite.org/optoverview.html#crossjoin
    range: rangeSql(
      table,
      `SELECT d.row, d.text FROM ${table} AS i CROSS JOIN ${rows} AS d ON d.row = i.row WHERE i.key >= ? AND i.key < ? ORDER BY i.key`,
    ),
  };
}

/** A segment has 2 to the power of so many row numbers. */
const SEGMENT_BITS = 12;

/**
 * The index by bucket, in segments of 4,096 row numbers: new documents have their entries side by side, on a few pages, and a bucket is
 * one look-up in each segment. Over the whole table each new document would change a page of its own.
 */
export function bucketIndexSql(table: string): string {
  return `CREATE INDEX ${table}_bucket ON ${table} (row >> ${SEGMENT_BITS}, bucket)`;
}

/** Goes from each segment that has rows to the next one that has. */
function ofBucket(columns: string, table: string): string {
  const segmentFrom = (row: string) => `(SELECT min(row) FROM ${table} WHERE row >= ${row}) >> ${SEGMENT_BITS}`;
  return `WITH RECURSIVE segments (segment) AS (
      SELECT ${segmentFrom('0')}
      UNION ALL SELECT ${segmentFrom(`(segment + 1) << ${SEGMENT_BITS}`)} FROM segments WHERE segment IS NOT NULL
    )
    SELECT ${columns} FROM segments CROSS JOIN ${table}
    WHERE row >> ${SEGMENT_BITS} = segment AND bucket = ?`;
}

/** The SQL over the table `table` of the documents of a collection. */
export function rowSql(table: string): RowSql {
  const columns = 'row, id, bucket, version, hash, sequence, text';
  return {
    table,
    insert: `INSERT INTO ${table} (key, id, bucket, version, hash, sequence, text) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING`,
    update: `UPDATE ${table} SET version = ?, hash = ?, sequence = ?, text = ? WHERE row = ?`,
    rename: `UPDATE ${table} SET id = ?, bucket = ? WHERE row = ?`,
    delete: `DELETE FROM ${table} WHERE row = ?`,
    byKey: `SELECT ${columns} FROM ${table} WHERE key = ?`,
    byRow: `SELECT ${columns} FROM ${table} WHERE row = ?`,
    textByKey: `SELECT text FROM ${table} WHERE key = ?`,
    point: `SELECT row, text FROM ${table} WHERE key = ?`,
    page: `SELECT key, id, version, text FROM ${table} WHERE key > ? ORDER BY key`,
    bucket: ofBucket('id, version, hash', table),
    bucketRows: ofBucket(columns, table),
    rehash: `UPDATE ${table} SET hash = ? WHERE row = ?`,
    all: `SELECT id, version, text FROM ${table} ORDER BY row`,
    // The unary plus keeps SQLite from the index on the key.
    anyOrder: `SELECT row, text FROM ${table} WHERE +key >= ? AND +key < ? ORDER BY row`,
    maxVersion: `SELECT max(version) AS version FROM ${table}`,
    range: rangeSql(table, `SELECT row, text FROM ${table} WHERE key >= ? AND key < ? ORDER BY key`),
  };
}

/** Over a view without rows, in the place of the tables that are not there yet; it cannot be written. */
export const NO_ROWS = rowSql('no_rows');
/** As {@link NO_ROWS}, of an index. */
export const NO_ENTRIES = entrySql('no_entries', NO_ROWS.table);
