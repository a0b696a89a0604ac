import { qualifiedPostgres } from '../../sql/identifiers.ts';
import type { PostgresSession } from '../../sql/postgres-session.ts';
import type { ManifestColumn } from '../archive/manifest.ts';
import { pageRanges } from '../plan/page-ranges.ts';
import type { TidSet } from '../plan/tid-set.ts';
import type { SourceChunk, SourceTable } from './backup-source.ts';
import type { CatalogTable } from './postgres-catalog.ts';
import { type CopyRows, copyRows } from './postgres-copy.ts';
import { TID_RANGE_SCAN } from './postgres-format.ts';

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
