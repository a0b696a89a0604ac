import { documentHash } from '../model/change.ts';
import type { DocumentText } from '../model/document.ts';
import type { Position } from '../model/position.ts';
import { Buckets, bucketOf } from '../protocol/digest.ts';
import type { Row, RowHead } from '../protocol/sync-source.ts';
import { keyOfText } from './key.ts';
import type { Outbox } from './outbox.ts';
import type { Reader } from './slices.ts';
import type { StoredRow, Table } from './sqlite-table.ts';

/** See `RowReader.page`. The token is the key of the last row. */
export function pageOf(
  reader: Reader,
  table: Table,
  after: string | null,
  limit: number,
  maxBytes: number,
): { readonly rows: Row[]; readonly next: string | null } {
  const rows: Row[] = [];
  let last: Uint8Array = Buffer.from(after ?? '', 'base64url');
  let bytes = 0;
  const found = reader.prepare(table.sql.page).iterate(last) as Iterable<unknown> as Iterable<
    StoredRow & { key: Uint8Array }
  >;
  for (const { key, id, version, text } of found) {
    bytes += text.length;
    const full = rows.length >= limit || bytes > maxBytes;
    if (full && rows.length > 0) return { rows, next: Buffer.from(last).toString('base64url') };
    rows.push({ id, version, text });
    last = key;
  }
  return { rows, next: null };
}

/** See `RowReader.rows`. */
export function rowsById(reader: Reader, table: Table, ids: readonly DocumentText[]): Row[] {
  return ids.flatMap((text) => {
    const stored = table.rowOf(reader, keyOfText(text));
    return stored === undefined ? [] : [{ id: stored.id, version: stored.version, text: stored.text }];
  });
}

/** See `RowReader.bucketRows`. */
export function rowsOfBucket(reader: Reader, table: Table, bucket: number): RowHead[] {
  return reader.prepare(table.sql.bucket).all(bucket) as unknown as RowHead[];
}

/** See `RowReader.scrub`: a reading. */
export function* scrubOf(
  reader: Reader,
  table: Table,
  outbox: Pick<Outbox, 'positionSeenBy'>,
): Generator<number, { readonly position: Position; readonly buckets: Buckets }, void> {
  const position = outbox.positionSeenBy(reader);
  const buckets = new Buckets();
  for (const row of reader.prepare(table.sql.all).iterate() as Iterable<unknown> as Iterable<Row>) {
    buckets.add(bucketOf(row.id), documentHash(table.name, row.id, row.version, row.text));
    yield row.text.length;
  }
  return { position, buckets };
}
