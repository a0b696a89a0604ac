import { qualifiedPostgres } from '../../sql/identifiers.ts';
import type { PostgresSession } from '../../sql/postgres-session.ts';
import type { ManifestColumn, RowFormat } from '../archive/manifest.ts';
import { isBinaryStable } from '../plan/binary-types.ts';
import { pageRanges } from '../plan/page-ranges.ts';
import type { TidSet } from '../plan/tid-set.ts';
import type { SourceChunk, SourceOptions, SourceTable } from './backup-source.ts';
import type { CatalogTable } from './postgres-catalog.ts';
import { type CopyRows, copyRows } from './postgres-copy.ts';

/** First version that scans a range of pages without reading the others. */
const TID_RANGE_SCAN = 140_000;
/** Tables smaller than this are kept as text: there is little to win. */
const SAMPLED_BYTES = 1 << 20;
/** A sample is this part of a table's pages, within these limits. */
const SAMPLED_PART = 64;
const [LEAST_SAMPLED, MOST_SAMPLED] = [4, 64];
/** What a binary COPY has before and behind its rows. */
const BINARY_FRAME_BYTES = 21;
/** Rows that one chunk of selected rows holds. */
const SELECTED_AT_ONCE = 50_000;
/** A guess, for the estimate of bytes alone. */
const ROWS_OF_A_PAGE = 60;

/** The tables that hold the rows kept as a table's own; each with the columns in that table's order. */
export function holders(table: CatalogTable, tables: readonly CatalogTable[]): readonly CatalogTable[] {
  if (!table.scattered) return tables.some(({ oid, scattered }) => scattered && oid === table.root) ? [] : [table];
  const parts = tables.filter(({ root, kind }) => root === table.oid && kind === 'r');
  return parts.map((part) => ({ ...part, columns: table.columns }));
}

/** Its columns, as the manifest lists them. */
export function columnsOf(table: CatalogTable): ManifestColumn[] {
  return table.columns.map(({ name, type, generated }) => ({ name, type, generated, transform: null, masked: null }));
}

/** Binary where it was asked for or is not larger; both only where every type has the same binary form in every version. */
export async function chooseFormat(
  session: PostgresSession,
  table: CatalogTable,
  asked: SourceOptions['format'],
): Promise<Exclude<RowFormat, 'packets'>> {
  if (asked === 'text' || table.kind === 'p') return 'text';
  const kept = table.columns.filter(({ generated }) => !generated);
  if (kept.length === 0 || !isBinaryStable(kept.map(({ base }) => base))) return 'text';
  if (asked === 'binary') return 'binary';
  if (table.bytes < SAMPLED_BYTES || session.version < TID_RANGE_SCAN) return 'text';
  const pages = sampledPages(table);
  const size = async (format: 'text' | 'binary'): Promise<number> => {
    let bytes = 0;
    await session.copyOut(copyRows(table, { pages }, format), (rows) => {
      bytes += rows.length;
    });
    return bytes;
  };
  return (await size('binary')) - BINARY_FRAME_BYTES <= (await size('text')) ? 'binary' : 'text';
}

/** From the middle: at the start of a table numbers that count up are shorter as text than those of most rows. */
function sampledPages({ pages }: CatalogTable): { readonly from: number; readonly to: number } {
  const count = Math.min(MOST_SAMPLED, Math.max(LEAST_SAMPLED, Math.round(pages / SAMPLED_PART)));
  const from = Math.max(0, Math.floor((pages - count) / 2));
  return { from, to: from + count };
}

interface ChunkOptions {
  readonly format: 'text' | 'binary';
  /** Bytes of a chunk. */
  readonly target: number;
  readonly version: number;
  /** The selected rows; undefined for all. */
  readonly rows: TidSet | undefined;
}

/** What is read of a table, cut so that several workers share it; nothing of a partitioned one, whose partitions have the rows. */
export function planChunks(table: CatalogTable, { format, target, version, rows }: ChunkOptions): SourceChunk[] {
  if (table.kind === 'p') return [];
  const chunk = (range: string | null, bytes: number, copied: CopyRows): SourceChunk => ({
    of: `table ${qualifiedPostgres(table)}`,
    range,
    bytes,
    select: () => copyRows(table, copied, format),
  });
  if (rows !== undefined) return planSelected(table, format, rows);
  if (table.condition !== null) {
    const condition = table.condition.replace(/^\s*WHERE\s/i, '');
    return [chunk(table.condition || null, table.bytes, condition === '' ? {} : { condition })];
  }
  const ranges = pageRanges(table, version < TID_RANGE_SCAN ? Number.POSITIVE_INFINITY : target);
  if (ranges.length === 1) return [chunk(null, table.bytes, {})];
  return ranges.map((pages) => chunk(`ctid [${pages.from},${pages.to ?? ''})`, pages.bytes, { pages }));
}

/** Selected rows by their places, a fixed number in each chunk. */
function planSelected(table: CatalogTable, format: 'text' | 'binary', rows: TidSet): SourceChunk[] {
  const count = Math.ceil(rows.size / SELECTED_AT_ONCE);
  const bytes = Math.round(
    (table.bytes * Math.min(1, rows.size / (table.pages * ROWS_OF_A_PAGE))) / Math.max(1, count),
  );
  return Array.from({ length: count }, (_, index) => ({
    of: `table ${qualifiedPostgres(table)}`,
    range: `selected rows [${index * SELECTED_AT_ONCE},${Math.min(rows.size, (index + 1) * SELECTED_AT_ONCE)})`,
    bytes,
    select: () => {
      const places = rows.slice(index * SELECTED_AT_ONCE, SELECTED_AT_ONCE);
      return copyRows(table, { condition: `t.ctid = ANY ('${places}'::tid[])` }, format);
    },
  }));
}

/** The bytes of the large objects, as the rows that the server keeps of them. */
export async function largeObjectRows(session: PostgresSession, id: number): Promise<SourceTable> {
  const [row] = await session.query(`SELECT pg_table_size('pg_catalog.pg_largeobject')::text AS bytes`);
  const column = (name: string, type: string): ManifestColumn => ({
    name,
    type,
    generated: false,
    transform: null,
    masked: null,
  });
  return {
    id,
    schema: 'pg_catalog',
    name: 'pg_largeobject',
    columns: [column('loid', 'oid'), column('pageno', 'integer'), column('data', 'bytea')],
    format: 'text',
    suffix: null,
    engine: null,
    chunks: [
      {
        of: 'large objects',
        range: null,
        bytes: Number(row?.bytes ?? 0),
        select: () => 'COPY (SELECT loid, pageno, data FROM pg_catalog.pg_largeobject) TO STDOUT (FORMAT text)',
      },
    ],
  };
}
