import { HoldfastError } from '../../errors.ts';
import { quoteMysql } from '../../sql/identifiers.ts';
import type { MysqlSession } from '../../sql/mysql-session.ts';
import type { ManifestTable } from '../archive/manifest.ts';
import { AS_INDEX } from './mariadb-chunks.ts';
import { linesOf, PacketsToLines } from './mariadb-transcode.ts';

/** "Data truncated for column": told also of a member of an ENUM that is none, which is stored as it was. */
const TRUNCATED = '1265';
/** Bytes of one INSERT, where LOAD DATA is switched off; a larger row is one by itself. */
const INSERT_BYTES = 512 << 10;

type TableToLoad = Pick<ManifestTable, 'name' | 'columns'>;

export interface RowsToLoad {
  /** Rows of the stored columns as a server sent them, in the form that `manifestColumn` says. */
  readonly packets: AsyncIterable<Buffer>;
  /** How many they are. */
  readonly rows: number;
  /** Where they come from; for messages. */
  readonly of: string;
  readonly onBytes?: (bytes: number) => void;
}

/**
 * Loads rows into a table. The server is given each value's own bytes, without a character set, so that none is converted. LOAD DATA
 * LOCAL leaves rows out and bends values instead of failing: nothing may be kept when this throws.
 * @throws DR_CHECKSUM_MISMATCH when not every row went in as it is; errors of the server
 */
export async function loadRows(
  session: MysqlSession,
  table: TableToLoad,
  { packets, rows, of, onBytes = () => {} }: RowsToLoad,
): Promise<void> {
  const stored = table.columns.filter(({ generated }) => !generated);
  const enums = stored.flatMap(({ name, type, transform }, place) => {
    if (!/^enum\(/i.test(type)) return [];
    return [{ name, place, byIndex: transform === AS_INDEX }];
  });
  const watched = enums.filter(({ byIndex }) => !byIndex);
  const lines = new PacketsToLines(
    Math.max(1, stored.length),
    watched.map(({ place }) => place),
  );
  const text = linesOf(packets, lines, onBytes);
  const loaded = (await canLoadLocal(session))
    ? await loadLocal(session, await loadStatement(session, table), text)
    : await insertRows(session, table, text);
  if (lines.rows !== rows || loaded.rows !== rows) {
    const got = `${lines.rows} rows in the file, ${loaded.rows} taken by the server`;
    throw new HoldfastError('DR_CHECKSUM_MISMATCH', `${of} has to give ${rows} rows: ${got}.`);
  }
  if (loaded.warnings.length === 0) return;
  const isExpected = ({ code, message }: Warning): boolean =>
    code === TRUNCATED && enums.some(({ name }) => message.startsWith(`Data truncated for column '${name}' `));
  const unexpected = loaded.warnings.find((warning) => !isExpected(warning));
  const told = loaded.warnings.filter(({ message }) =>
    watched.some(({ name }) => message.includes(`'${name}'`)),
  ).length;
  if (unexpected === undefined && told <= lines.watchedEmpty) return;
  const { code, message } = unexpected ?? (loaded.warnings[0] as Warning);
  throw new HoldfastError('DR_CHECKSUM_MISMATCH', `${of} was not taken as it is: ${message} (${code}).`);
}

interface Warning {
  readonly code: string;
  readonly message: string;
}

interface Loaded {
  readonly rows: number;
  readonly warnings: readonly Warning[];
}

/** What was found out for a session, once. */
const takesFiles = new WeakMap<MysqlSession, boolean>();

async function canLoadLocal(session: MysqlSession): Promise<boolean> {
  const known = takesFiles.get(session);
  if (known !== undefined) return known;
  const [row] = await session.query('SELECT @@local_infile AS allowed');
  takesFiles.set(session, row?.allowed === '1');
  return row?.allowed === '1';
}

async function loadLocal(session: MysqlSession, statement: string, rows: AsyncIterable<Buffer>): Promise<Loaded> {
  const { info } = await session.loadLocal(statement, rows);
  const [, records, deleted, skipped, warned] =
    /^Records: (\d+)\s+Deleted: (\d+)\s+Skipped: (\d+)\s+Warnings: (\d+)/.exec(info) ?? [];
  const warnings = Number(warned) > 0 ? await readWarnings(session) : [];
  return { rows: Number(records) - Number(deleted) - Number(skipped), warnings };
}

async function readWarnings(session: MysqlSession): Promise<Warning[]> {
  const rows = await session.query('SHOW WARNINGS');
  return rows.map(({ Code, Message }) => ({ code: Code ?? '', message: Message ?? '' }));
}

async function loadStatement(session: MysqlSession, table: TableToLoad): Promise<string> {
  const stored = table.columns.filter(({ generated }) => !generated);
  const name = quoteMysql(table.name);
  const needSet = stored.filter((column) => expressionOf(column, '') !== null).map((column) => column.name);
  // In a statement with SET, a counted column given directly takes the next number for a 0.
  if (needSet.length > 0) needSet.push(...(await countedColumns(session, table.name)));
  const columns = stored.map((column, at) => (needSet.includes(column.name) ? `@v${at}` : quoteMysql(column.name)));
  const settings = stored.flatMap((column, at) =>
    needSet.includes(column.name)
      ? [`${quoteMysql(column.name)} = ${expressionOf(column, `@v${at}`) ?? `@v${at}`}`]
      : [],
  );
  const list = columns.length === 0 ? '@nothing' : columns.join(', ');
  const set = settings.length === 0 ? '' : ` SET ${settings.join(', ')}`;
  return `LOAD DATA LOCAL INFILE 'rows' INTO TABLE ${name} CHARACTER SET binary (${list})${set}`;
}

/** How the value of a column is made of its bytes; null where the bytes will do. */
function expressionOf(
  { type, transform }: Pick<ManifestTable['columns'][number], 'type' | 'transform'>,
  bytes: string,
): string | null {
  if (transform === AS_INDEX) return `${bytes} + 0`;
  // These read bytes without a character set as their own binary form, or not at all.
  if (/^(uuid|inet4|inet6)$/i.test(type)) return `CONVERT(${bytes} USING latin1)`;
  return /^json$/i.test(type) ? `CONVERT(${bytes} USING utf8mb4)` : null;
}

async function countedColumns(session: MysqlSession, table: string): Promise<string[]> {
  const rows = await session.query(
    `SELECT column_name AS name FROM information_schema.columns
     WHERE table_schema = DATABASE() AND table_name = ? AND extra LIKE '%auto_increment%'`,
    [table],
  );
  return rows.map(({ name }) => name ?? '');
}

/** The same by INSERT, many rows at once, for servers that do not take files from clients. */
async function insertRows(session: MysqlSession, table: TableToLoad, rows: AsyncIterable<Buffer>): Promise<Loaded> {
  const stored = table.columns.filter(({ generated }) => !generated);
  const names = stored.map(({ name }) => quoteMysql(name)).join(', ');
  const begin = Buffer.from(`INSERT INTO ${quoteMysql(table.name)} (${names}) VALUES `);
  const warnings: Warning[] = [];
  let taken = 0;
  let values: Buffer[] = [];
  let bytes = 0;
  const send = async (): Promise<void> => {
    if (values.length === 0) return;
    const rows = values.flatMap((row, i) => (i === 0 ? [row] : [COMMA, row]));
    const outcome = await session.runBytes(Buffer.concat([begin, ...rows]));
    taken += outcome.affectedRows;
    if (outcome.warnings > 0) warnings.push(...(await readWarnings(session)));
    [values, bytes] = [[], 0];
  };
  for await (const line of wholeLines(rows)) {
    const row = valuesOf(line, stored);
    if (bytes + row.length > INSERT_BYTES) await send();
    values.push(row);
    bytes += row.length;
  }
  await send();
  return { rows: taken, warnings };
}

const COMMA = Buffer.from(',');
const TAB = 0x09;
const NULL_VALUE = '\\N';

async function* wholeLines(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  let begun: Buffer[] = [];
  for await (const piece of pieces) {
    let from = 0;
    for (let at = piece.indexOf('\n'); at >= 0; at = piece.indexOf('\n', from)) {
      yield Buffer.concat([...begun, piece.subarray(from, at)]);
      begun = [];
      from = at + 1;
    }
    // Copied: the piece's bytes change when the next one is asked for.
    if (from < piece.length) begun.push(Buffer.from(piece.subarray(from)));
  }
}

/** A line as a row of VALUES: what is escaped in a line is escaped the same way in a string, but for the quote. */
function valuesOf(line: Buffer, columns: ManifestTable['columns']): Buffer {
  if (columns.length === 0) return Buffer.from('()');
  const text = line.toString('latin1');
  const cells = text.split(String.fromCharCode(TAB)).map((cell, at) => {
    if (cell === NULL_VALUE) return 'NULL';
    const bytes = `_binary'${cell.replaceAll("'", "''")}'`;
    const column = columns[at];
    return (column === undefined ? null : expressionOf(column, bytes)) ?? bytes;
  });
  return Buffer.from(`(${cells.join(',')})`, 'latin1');
}
