import { Readable } from 'node:stream';
import { HoldfastError } from '../../errors.ts';
import { quoteMysql } from '../../sql/identifiers.ts';
import { type MysqlSession, mysqlErrorName } from '../../sql/mysql-session.ts';
import { assertSuffix } from '../plan/suffix.ts';
import type { MariadbCatalog, MariadbColumn, MariadbKey, MariadbTable } from './mariadb-catalog.ts';
import { fromTable, manifestColumn, selectedValue } from './mariadb-chunks.ts';
import { loadRows } from './mariadb-load.ts';

/** A suffix and the table that it selects from. */
export interface MariadbSelection {
  readonly table: MariadbTable;
  readonly suffix: string;
}

/** What follows `FROM table t` to read only the selected rows, by table id; a table that is not listed is complete. */
export type MariadbSubset = ReadonlyMap<number, string>;

/** @throws VALIDATION_FAILED for a table that does not exist, a suffix of another form */
export function resolveMariadbSuffixes(
  { tables }: MariadbCatalog,
  database: string,
  suffixes: Readonly<Record<string, string>>,
): MariadbSelection[] {
  return Object.entries(suffixes).map(([name, suffix]) => {
    assertSuffix(name, suffix);
    // The server runs what stands in such a comment.
    if (/\/\*M?!/.test(suffix)) {
      throw new HoldfastError(
        'VALIDATION_FAILED',
        `The suffix of ${name} may not hold a comment that is run: ${suffix}`,
      );
    }
    const table = tables.find((one) => one.name === name || `${database}.${one.name}` === name);
    if (table !== undefined) return { table, suffix };
    throw new HoldfastError('VALIDATION_FAILED', `There is no table named ${name} in the source.`);
  });
}

/** Condition that holds for a row `t` when the suffix selects it, however often it does. */
function conditionOf(suffix: string): string {
  return `EXISTS (SELECT 1 FROM (SELECT 1) AS _holdfast ${suffix}\n)`;
}

/**
 * Lets the server prepare each suffix, alone and in the form in which it is used: it refuses a second statement, and a parenthesis that
 * closes ours.
 * @throws VALIDATION_FAILED
 */
export async function prepareMariadbSuffixes(
  session: MysqlSession,
  selections: readonly MariadbSelection[],
): Promise<void> {
  for (const { table, suffix } of selections) {
    try {
      await session.prepare(`SELECT t.* FROM ${fromTable(table)} ${suffix}`);
      await session.prepare(`SELECT 1 FROM ${fromTable(table)} WHERE ${conditionOf(suffix)}`);
    } catch (error) {
      throw suffixError(table, suffix, error);
    }
  }
}

function suffixError({ name }: MariadbTable, suffix: string, error: unknown): unknown {
  if (!mysqlErrorName(error).startsWith('ER_')) return error;
  const message = `The suffix of ${name} was refused: ${(error as Error).message}: ${suffix}`;
  return new HoldfastError('VALIDATION_FAILED', message, { cause: error, details: { table: name } });
}

/**
 * The rows that the suffixes select, with every other table complete.
 * @throws VALIDATION_FAILED when a key of a kept row refers to one that is left out
 */
export async function selectSubset(
  session: MysqlSession,
  { tables, keys }: MariadbCatalog,
  selections: readonly MariadbSelection[],
  database: string,
): Promise<MariadbSubset> {
  const subset = new Map(selections.map(({ table, suffix }) => [table.id, `WHERE ${conditionOf(suffix)}`]));
  const byName = new Map(tables.map((table) => [table.name, table]));
  for (const key of keys) {
    const [child, parent] = [byName.get(key.child), byName.get(key.parent)];
    if (child === undefined || parent === undefined || key.parentSchema !== database || !subset.has(parent.id))
      continue;
    const refers = key.childColumns.map((column) => `t.${quoteMysql(column)} IS NOT NULL`).join(' AND ');
    const equal = equals(key, 't', 'p');
    const kept = `SELECT t.* FROM ${fromTable(parent)} ${subset.get(parent.id)}`;
    // Only rows whose parent exists count: one that the source itself lacks was not left out here.
    const exists = `EXISTS (SELECT 1 FROM ${quoteMysql(parent.name)} p WHERE ${equal})`;
    const [found] = await run(selections, () =>
      session.query(
        `SELECT 1 AS dangles FROM ${fromTable(child)} ${subset.get(child.id) ?? 'WHERE 1'} AND ${refers} AND ${exists}
         AND NOT EXISTS (SELECT 1 FROM (${kept}) p WHERE ${equal}) LIMIT 1`,
      ),
    );
    if (found === undefined) continue;
    throw new HoldfastError(
      'VALIDATION_FAILED',
      `Rows of ${child.name} refer by ${key.name} to rows of ${parent.name} that its suffix leaves out: select them too, or add --closure.`,
      { details: { table: child.name, key: key.name } },
    );
  }
  return subset;
}

/**
 * The selected rows and, to a fixpoint, each row that a kept row's key refers to; nothing else. The keys of kept rows are collected in
 * temporary tables of the session, by rounds: self references and cycles of any shape need nothing special. Only this session can
 * read the subset. Keys are read, held in memory and then loaded: INSERT … SELECT would leave the snapshot, see what was committed
 * since, and lock every row that it reads until the backup ends.
 * @throws VALIDATION_FAILED for a suffix that fails, DR_UNSUPPORTED_OBJECT for a table without a key whose rows are referred to
 */
export async function closeSubset(
  session: MysqlSession,
  catalog: MariadbCatalog,
  selections: readonly MariadbSelection[],
  database: string,
): Promise<MariadbSubset> {
  const closure = new Closure(session, catalog, database);
  await closure.begin(selections);
  await closure.follow();
  return closure.subset();
}

const ROUND = '_holdfast_round';
/** Keys on their way into the list of kept ones; some servers cannot read that twice in one statement, as a self reference would. */
const FOUND = '_holdfast_found';

class Closure {
  readonly #session: MysqlSession;
  readonly #tables: ReadonlyMap<string, MariadbTable>;
  readonly #keys: readonly MariadbKey[];
  readonly #suffixes = new Map<number, string>();
  /** Tables that have a temporary one for the keys of kept rows. */
  readonly #listed = new Set<number>();

  constructor(session: MysqlSession, { tables, keys }: MariadbCatalog, database: string) {
    this.#session = session;
    this.#tables = new Map(tables.map((table) => [table.name, table]));
    this.#keys = keys.filter(({ parent, parentSchema }) => parentSchema === database && this.#tables.has(parent));
  }

  async begin(selections: readonly MariadbSelection[]): Promise<void> {
    const parents = new Set(this.#keys.map(({ parent }) => parent));
    const chosen = new Set(selections.map(({ table }) => table.id));
    for (const table of this.#tables.values()) {
      if (!parents.has(table.name) && !chosen.has(table.id)) continue;
      if (table.key === null && parents.has(table.name)) {
        throw new HoldfastError(
          'DR_UNSUPPORTED_OBJECT',
          `Table ${table.name} has no primary key: the rows that others refer to cannot be told apart for a closure.`,
          { details: { table: table.name } },
        );
      }
      if (table.key !== null) await this.#list(table);
    }
    for (const { table, suffix } of selections) {
      const condition = conditionOf(suffix);
      if (this.#listed.has(table.id)) {
        const rows = `SELECT ${keyValues(table, 't')} FROM ${fromTable(table)} WHERE ${condition}`;
        await run(selections, () => this.#keep(table, rows, 0));
      } else this.#suffixes.set(table.id, `WHERE ${condition}`);
    }
  }

  /** Follows the keys of the rows kept in one round, until a round keeps nothing new. */
  async follow(): Promise<void> {
    for (let round = 0; ; round++) {
      let found = 0;
      for (const key of this.#keys) {
        const [child, parent] = [this.#tables.get(key.child)!, this.#tables.get(key.parent)!];
        const rows = this.#rowsOf(child, round);
        if (rows === null) continue;
        const refers = `SELECT DISTINCT ${keyValues(parent, 'p')} FROM ${rows} JOIN ${quoteMysql(parent.name)} p ON ${equals(key, 't', 'p')}`;
        found += await this.#keep(parent, refers, round + 1);
      }
      if (found === 0) return;
    }
  }

  subset(): MariadbSubset {
    return new Map(
      [...this.#tables.values()].map((table) => {
        if (!this.#listed.has(table.id)) return [table.id, this.#suffixes.get(table.id) ?? 'WHERE FALSE'];
        return [table.id, this.#join(table)];
      }),
    );
  }

  /** Rows `t` that were kept in a round; null for a table that cannot have any. */
  #rowsOf(table: MariadbTable, round: number): string | null {
    if (this.#listed.has(table.id)) return `${fromTable(table)} ${this.#join(table)} AND k.${ROUND} = ${round}`;
    const condition = this.#suffixes.get(table.id);
    return condition === undefined || round > 0 ? null : `(SELECT t.* FROM ${fromTable(table)} ${condition}) t`;
  }

  #join(table: MariadbTable): string {
    const on = (table.key ?? []).map((name) => `k.${quoteMysql(name)} = t.${quoteMysql(name)}`).join(' AND ');
    return `JOIN ${kept(table)} k ON ${on}`;
  }

  async #list(table: MariadbTable): Promise<void> {
    const primary = `PRIMARY KEY (${keyNames(table)}), KEY (${ROUND})`;
    await this.#session.run(
      `CREATE TEMPORARY TABLE ${kept(table)} (${ROUND} int NOT NULL, ${primary}) ${noRows(table)}`,
    );
    this.#listed.add(table.id);
  }

  /** Keeps the rows whose keys `select` finds; returns how many were not kept before. */
  async #keep(table: MariadbTable, select: string, round: number): Promise<number> {
    const packets: Buffer[] = [];
    // The bytes are the connection's own.
    const rows = await this.#session.readRows(select, (bytes) => void packets.push(Buffer.from(bytes)));
    if (rows === 0) return 0;
    await this.#session.run(
      `CREATE TEMPORARY TABLE ${FOUND} (_holdfast_n bigint AUTO_INCREMENT PRIMARY KEY) ${noRows(table)}`,
    );
    const columns = keyOf(table).map((column) => ({ ...manifestColumn(column), generated: false }));
    const of = `the keys of ${table.name}`;
    await loadRows(this.#session, { name: FOUND, columns }, { packets: Readable.from(packets), rows, of });
    const { affectedRows } = await this.#session.run(
      `INSERT IGNORE INTO ${kept(table)} SELECT ${round}, ${keyNames(table)} FROM ${FOUND}`,
    );
    await this.#session.run(`DROP TEMPORARY TABLE ${FOUND}`);
    return affectedRows;
  }
}

/** The columns of a table's key, in its order. */
function keyOf({ key, columns }: MariadbTable): MariadbColumn[] {
  return (key ?? []).map((name) => columns.find((column) => column.name === name)!);
}

/** The values of the key of rows `alias`, to be loaded again: text in bytes of its own character set. */
function keyValues(table: MariadbTable, alias: string): string {
  return keyOf(table)
    .map((column) => {
      const value = selectedValue(column, alias);
      return column.charset === null || value.startsWith('CAST(') ? value : `CAST(${value} AS BINARY)`;
    })
    .join(', ');
}

function keyNames({ key }: MariadbTable): string {
  return (key ?? []).map(quoteMysql).join(', ');
}

/** What gives a new table the columns of the key besides its own. */
function noRows(table: MariadbTable): string {
  return `SELECT ${keyNames(table)} FROM ${quoteMysql(table.name)} LIMIT 0`;
}

function kept({ id }: MariadbTable): string {
  return `_holdfast_kept_${id}`;
}

function equals({ childColumns, parentColumns }: MariadbKey, child: string, parent: string): string {
  return childColumns
    .map((column, i) => `${parent}.${quoteMysql(parentColumns[i] ?? '')} = ${child}.${quoteMysql(column)}`)
    .join(' AND ');
}

/** A suffix may fail only when it is run: a division by zero, a subquery of two rows. */
async function run<T>(selections: readonly MariadbSelection[], step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    const [first] = selections;
    throw first === undefined
      ? error
      : suffixError(first.table, selections.map(({ suffix }) => suffix).join('; '), error);
  }
}
