import { qualifiedPostgres, quotePostgres } from '../../sql/identifiers.ts';
import type { PageRange } from '../plan/page-ranges.ts';
import type { CatalogTable } from './postgres-catalog.ts';

/** Which rows of a table are copied; all of them without any of these. */
export interface CopyRows {
  /** Pages, by a scan of that range alone (PostgreSQL 14). */
  readonly pages?: Pick<PageRange, 'from' | 'to'>;
  /** A condition on the table, named `t`. */
  readonly condition?: string;
}

/**
 * The COPY … TO STDOUT of rows of a table: of its own, not of tables that inherit from it, and of the columns that a backup keeps. Without
 * a query in between the server needs a tenth less for it.
 */
export function copyRows(table: CatalogTable, rows: CopyRows, format: 'text' | 'binary'): string {
  const columns = table.columns.filter(({ generated }) => !generated).map(({ name }) => quotePostgres(name));
  const isWhole = rows.pages === undefined && rows.condition === undefined;
  // A list of no columns is no list.
  const copied =
    isWhole && columns.length > 0
      ? `${qualifiedPostgres(table)} (${columns.join(', ')})`
      : `(${selectRows(table, columns, rows)})`;
  return `COPY ${copied} TO STDOUT (FORMAT ${format})`;
}

function selectRows(table: CatalogTable, columns: readonly string[], rows: CopyRows): string {
  const conditions: string[] = [];
  if (rows.pages !== undefined) conditions.push(`t.ctid >= '(${rows.pages.from},0)'::tid`);
  if (rows.pages?.to != null) conditions.push(`t.ctid < '(${rows.pages.to},0)'::tid`);
  // The line feed ends a comment that a suffix may end with.
  if (rows.condition !== undefined) conditions.push(`(${rows.condition}\n)`);
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  const selected = columns.map((column) => `t.${column}`).join(', ');
  return `SELECT ${selected} FROM ONLY ${qualifiedPostgres(table)} t${where}`;
}

/** Whether a row is selected by a suffix: once, however often a join finds it. */
export function suffixCondition(suffix: string): string {
  return `EXISTS (SELECT 1 FROM (SELECT 1) AS _ ${suffix}\n)`;
}
