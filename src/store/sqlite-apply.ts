import { documentHash, type Hash } from '../model/change.ts';
import { type DocumentText, decodeDocument } from '../model/document.ts';
import { Buckets } from '../protocol/digest.ts';
import type { Transaction } from '../sqlite/database.ts';
import { keyOfText } from './key.ts';
import { Applied, type RowToPut } from './row-store.ts';
import { bury, deleteRow, insertRow, replaceRow, tombstoneVersion, unbury, valueKeysOf } from './sqlite-mutation.ts';
import type { StoredRow, Table } from './sqlite-table.ts';

/** See `RowWriter.put`. */
export function put(
  transaction: Transaction,
  table: Table,
  row: RowToPut,
  sequence: number,
  force: boolean,
  expected: Hash | null | undefined,
): Applied {
  const { id, version, text } = row;
  const key = keyOfText(id);
  const hash = row.hash ?? documentHash(table.name, id, version, text);
  const image = { id, key, version, hash, sequence, text };
  // Where nothing is expected nothing is looked for first: nearly always there is nothing.
  const isNew = expected === null && !table.buried && insertRow(transaction, table, image, keysOf(table, text));
  if (isNew) return Applied.WRITTEN;
  const stored = table.rowOf(transaction, key);
  const buried = stored === undefined ? tombstoneVersion(transaction, table, key) : undefined;
  const known = stored?.version ?? buried;
  if (!force && known !== undefined && known >= version) return known === version ? Applied.SAME : Applied.OLDER;
  const after = keysOf(table, text);
  if (stored === undefined) insertRow(transaction, table, image, after);
  else replaceRow(transaction, table, stored, image, keysOf(table, stored.text), after);
  if (buried !== undefined) unbury(transaction, table, key);
  return written(stored, expected);
}

/** See `RowWriter.remove`. */
export function remove(
  transaction: Transaction,
  table: Table,
  id: DocumentText,
  version: number,
  sequence: number,
  force: boolean,
  expected: Hash | null | undefined,
): Applied {
  const key = keyOfText(id);
  const stored = table.rowOf(transaction, key);
  const known = stored?.version ?? tombstoneVersion(transaction, table, key);
  if (!force && known !== undefined && known >= version) return known === version ? Applied.SAME : Applied.OLDER;
  if (stored !== undefined) deleteRow(transaction, table, stored, key, keysOf(table, stored.text));
  bury(transaction, table, key, version, sequence);
  return written(stored, expected);
}

/** See `RowWriter.recount`. */
export function recount(transaction: Transaction, table: Table, bucket: number): void {
  const truth = new Buckets();
  for (const { row, id, version, hash, text } of table.rowsOfBucket(transaction, bucket)) {
    const actual = documentHash(table.name, id, version, text);
    if (actual !== hash) transaction.prepare(table.sql.rehash).run(actual, row);
    truth.add(bucket, actual);
  }
  table.storedBuckets.set(transaction, bucket, truth.bytesOf(bucket));
}

function written(stored: StoredRow | undefined, expected: Hash | null | undefined): Applied {
  return expected === undefined || (stored?.hash ?? null) === expected ? Applied.WRITTEN : Applied.DIVERGED;
}

/** What the indexes hold of a stored text; nothing is decoded where there are no indexes. */
function keysOf(table: Table, text: DocumentText): readonly (readonly Uint8Array[])[] {
  return table.indexes.length === 0 ? [] : valueKeysOf(table, decodeDocument(text));
}
