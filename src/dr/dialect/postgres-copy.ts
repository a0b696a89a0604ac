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

/** The SELECT of the columns that a backup keeps, of the table's own rows: not of tables that inherit from it. */
export function selectRows(table: CatalogTable, rows: CopyRows): string {
  const columns = table.columns.filter(({ generated }) => !generated).map(({ name }) => `t.${quotePostgres(name)}`);
  const conditions: string[] = [];
  if (rows.pages !== undefined) conditions.push(`t.ctid >= '(${rows.pages.from},0)'::tid`);
  if (rows.pages?.to != null) conditions.push(`t.ctid < '(${rows.pages.to},0)'::tid`);
  // The line feed ends a comment that a suffix may end with.
  if (rows.condition !== undefined) conditions.push(`(${rows.condition}\n)`);
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  return `SELECT ${columns.join(', ')} FROM ONLY ${qualifiedPostgres(table)} t${where}`;
}

/** The COPY … TO STDOUT of rows of a table. */
export function copyRows(table: CatalogTable, rows: CopyRows, format: 'text' | 'binary'): string {
  return `COPY (${selectRows(table, rows)}) TO STDOUT (FORMAT ${format})`;
}

/** Whether a row is selected by a suffix: once, however often a join finds it. */
export function suffixCondition(suffix: string): string {
  return `EXISTS (SELECT 1 FROM (SELECT 1) AS _ ${suffix}\n)`;
}
