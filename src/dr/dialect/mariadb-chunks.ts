import { quoteMysql } from '../../sql/identifiers.ts';
import type { MysqlSession } from '../../sql/mysql-session.ts';
import type { ManifestColumn } from '../archive/manifest.ts';
import type { SourceChunk } from './backup-source.ts';
import type { MariadbColumn, MariadbTable } from './mariadb-catalog.ts';

/** The archive holds the value as a DOUBLE: as text of its own a FLOAT is rounded. */
export const AS_DOUBLE = 'double';
/** The archive holds the number of the member: with a member that is empty, the text does not tell it from no member. */
export const AS_INDEX = 'index';

/** Bounds in a key that is no number are found by reading all of it while the workers wait: worth it for a table of this many chunks. */
const WALKED_CHUNKS = 4;

/** What the archive says about a column. */
export function manifestColumn({ name, type, base, generated }: MariadbColumn): ManifestColumn {
  const hasEmptyMember = base === 'enum' && /[(,]''[,)]/.test(type);
  const transform = base === 'float' ? AS_DOUBLE : hasEmptyMember ? AS_INDEX : null;
  return { name, type, generated, transform, masked: null };
}

/** The value of a column of rows `alias` in the form in which it can be loaded again. */
export function selectedValue(column: MariadbColumn, alias = 't'): string {
  const name = `${alias}.${quoteMysql(column.name)}`;
  const { transform } = manifestColumn(column);
  if (transform === AS_DOUBLE) return `CAST(${name} AS DOUBLE)`;
  return transform === AS_INDEX ? `CAST(${name} AS UNSIGNED)` : name;
}

/** `SELECT` of the stored columns of rows `t`, each in the form in which it can be loaded again. */
export function selectRows(table: MariadbTable, rest: string): string {
  const values = table.columns.filter(({ generated }) => !generated).map((column) => selectedValue(column));
  return `SELECT ${values.length === 0 ? 'NULL' : values.join(', ')} FROM ${fromTable(table)} ${rest}`.trimEnd();
}

/** The table as `t`, its history included. */
export function fromTable({ name, versioned }: MariadbTable): string {
  return `${quoteMysql(name)} ${versioned ? 'FOR SYSTEM_TIME ALL AS ' : ''}t`;
}

/** Chunks of all rows of a table, of about `target` bytes each. */
export async function planMariadbChunks(
  session: MysqlSession,
  table: MariadbTable,
  target: number,
): Promise<SourceChunk[]> {
  const count = Math.round(table.bytes / target);
  const key = table.columns.filter(({ name }) => table.key?.includes(name));
  const [first] = key;
  const isInteger = key.length === 1 && /^(tiny|small|medium|big)?int$/.test(first?.base ?? '');
  const least = isInteger ? 2 : WALKED_CHUNKS;
  if (count < least || first === undefined || table.versioned) return [chunkOf(table, null, table.bytes, '')];
  const bounds = isInteger
    ? await integerBounds(session, table, first.name, count)
    : await walkedBounds(session, table, Math.max(1, Math.ceil(table.rows / count)));
  const bytes = Math.round(table.bytes / (bounds.length + 1));
  const names = (table.key ?? []).join(', ');
  return Array.from({ length: bounds.length + 1 }, (_, index) => {
    const [from, to] = [bounds[index - 1], bounds[index]];
    const conditions = [...(from === undefined ? [] : [from.after]), ...(to === undefined ? [] : [to.before])];
    const range = conditions.length === 0 ? null : `${names} [${from?.text ?? ''},${to?.text ?? ''})`;
    return chunkOf(table, range, bytes, conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`);
  });
}

export function chunkOf(table: MariadbTable, range: string | null, bytes: number, rest: string): SourceChunk {
  return { of: `table ${table.name}`, range, bytes, select: () => selectRows(table, rest) };
}

/** Where one chunk ends and the next begins. */
interface Bound {
  /** Condition that holds for the rows of the next chunk and of all after it, and for the others. */
  readonly after: string;
  readonly before: string;
  /** For people. */
  readonly text: string;
}

/** Bounds that part the numbers between the smallest and the largest evenly. */
async function integerBounds(session: MysqlSession, table: MariadbTable, key: string, count: number): Promise<Bound[]> {
  const name = `t.${quoteMysql(key)}`;
  const [row] = await session.query(
    `SELECT CAST(MIN(${name}) AS CHAR) AS low, CAST(MAX(${name}) AS CHAR) AS high FROM ${fromTable(table)}`,
  );
  if (row?.low == null || row.high == null) return [];
  const [low, high] = [BigInt(row.low), BigInt(row.high)];
  const step = (high - low) / BigInt(count) + 1n;
  const bounds: Bound[] = [];
  for (let at = low + step; at <= high; at += step) {
    bounds.push({ after: `${name} >= ${at}`, before: `${name} < ${at}`, text: `${at}` });
  }
  return bounds;
}

/** Bounds at every `rows`-th row in the order of the key, as the server compares its values. */
async function walkedBounds(session: MysqlSession, table: MariadbTable, rows: number): Promise<Bound[]> {
  const key = (table.key ?? []).map((name) => table.columns.find((column) => column.name === name)!);
  const literals = key.map(literalOf);
  if (literals.includes(null)) return [];
  const names = key.map(({ name }) => `t.${quoteMysql(name)}`);
  const values = names.map((name, i) => `HEX(CAST(${name} AS BINARY)) AS v${i}`).join(', ');
  const bounds: Bound[] = [];
  for (;;) {
    const last = bounds.at(-1);
    const [row] = await session.query(
      `SELECT ${values} FROM ${fromTable(table)} ${last === undefined ? '' : `WHERE ${last.after}`}
       ORDER BY ${names.join(', ')} LIMIT ${rows}, 1`,
    );
    if (row === undefined) return bounds;
    const found = literals.map((literal, i) => literal!(row[`v${i}`] ?? ''));
    const text = Object.values(row).map(readable).join(', ');
    bounds.push({ after: sideOf(names, found, '>', '>='), before: sideOf(names, found, '<', '<'), text });
  }
}

/** `(a, b) >= (x, y)` in a form for which servers use the index: `a >= x AND (a > x OR b >= y)`; the same for `<`. */
function sideOf(names: readonly string[], values: readonly string[], beyond: '>' | '<', last: '>=' | '<'): string {
  const [name, ...moreNames] = names;
  const [value, ...moreValues] = values;
  if (moreNames.length === 0) return `${name} ${last} ${value}`;
  const rest = sideOf(moreNames, moreValues, beyond, last);
  return `(${name} ${beyond}= ${value} AND (${name} ${beyond} ${value} OR ${rest}))`;
}

const PLAIN = /^((tiny|small|medium|big)?int|decimal|date|datetime|timestamp|time|year|uuid|inet4|inet6)$/;

/** How a value of a column is written in SQL, given its bytes in hexadecimal; null for types that compare in ways of their own. */
function literalOf({ base, charset, collation }: MariadbColumn): ((hex: string) => string) | null {
  if (PLAIN.test(base)) {
    const isNumber = /int$|^decimal$|^year$/.test(base);
    return (hex) => {
      const text = Buffer.from(hex, 'hex').toString('latin1');
      return isNumber ? text : `'${text}'`;
    };
  }
  if (/^(var)?binary$/.test(base)) return (hex) => `X'${hex}'`;
  if (/^(var)?char$/.test(base) && charset !== null) return (hex) => `_${charset} X'${hex}' COLLATE ${collation}`;
  return null;
}

function readable(hex: string | null): string {
  const text = Buffer.from(hex ?? '', 'hex')
    .toString('utf8')
    .slice(0, 40);
  return /^[\x20-\x7e]*$/.test(text) ? text : `X'${(hex ?? '').slice(0, 40)}'`;
}
