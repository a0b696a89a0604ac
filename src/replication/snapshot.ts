import { HoldfastError } from '../errors.ts';
import type { DocumentText } from '../model/document.ts';
import type { Row } from '../protocol/sync-source.ts';
import type { RowPage, RowReader } from '../store/row-store.ts';

/** Most rows, or ids, of one answer. */
export const MAX_ROWS = 1_000;
/** Most bytes of document text in a page; a single larger document still goes alone. */
const MAX_PAGE_BYTES = 4 * 1024 * 1024;
/** Most bytes of document text in an answer to `rows`; a follower accepts 32 MiB and a document may have 16. */
const MAX_ROWS_BYTES = 16 * 1024 * 1024;
/** Rows read before their size is looked at again. */
const SLICE = 16;

/** A page in id order; limits past ours are lowered to them. */
export function pageOf(rows: RowReader, collection: string, after: string | null, limit: number): RowPage {
  const most = Math.min(Math.max(Math.floor(limit), 1), MAX_ROWS);
  return rows.page(collection, after, most, MAX_PAGE_BYTES);
}

/**
 * The rows of `ids`, those that exist.
 * @throws PAYLOAD_TOO_LARGE when they have more than 16 MiB together: ask for fewer. Never for one id.
 * @throws VALIDATION_FAILED for more than 1,000 ids.
 */
export function rowsOf(rows: RowReader, collection: string, ids: readonly DocumentText[]): readonly Row[] {
  requireFew(ids.length, 'ids');
  const found: Row[] = [];
  let bytes = 0;
  for (let start = 0; start < ids.length; start += SLICE) {
    for (const row of rows.rows(collection, ids.slice(start, start + SLICE))) {
      bytes += Buffer.byteLength(row.text);
      found.push(row);
    }
    if (bytes > MAX_ROWS_BYTES && ids.length > 1) {
      throw new HoldfastError(
        'PAYLOAD_TOO_LARGE',
        `the ${ids.length} documents of "${collection}" have more than ${MAX_ROWS_BYTES} bytes; ask for fewer at a time`,
      );
    }
  }
  return found;
}

/** @throws VALIDATION_FAILED when `count` is more than one answer holds. */
export function requireFew(count: number, what: string): void {
  if (count <= MAX_ROWS) return;
  throw new HoldfastError('VALIDATION_FAILED', `${count} ${what} were asked for; at most ${MAX_ROWS} at a time`);
}
