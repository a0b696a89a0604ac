import { HoldfastError } from '../../errors.ts';
import { qualifiedPostgres, quotePostgres } from '../../sql/identifiers.ts';
import { type PostgresSession, sqlState } from '../../sql/postgres-session.ts';
import { assertSuffix } from '../plan/suffix.ts';
import { TidSet } from '../plan/tid-set.ts';
import type { CatalogKey, CatalogTable, HeldTable, PostgresCatalog, PostgresHolders } from './postgres-catalog.ts';
import { suffixCondition } from './postgres-copy.ts';

/** Rows whose parents are asked for at once. */
const FOLLOWED_AT_ONCE = 10_000;

/** A suffix and a table with rows that it selects from: the partitions, for a partitioned table. */
interface Selection {
  readonly table: HeldTable;
  readonly suffix: string;
}

/**
 * The tables that suffixes select from.
 * @throws VALIDATION_FAILED for a table that does not exist, a name that means two, a suffix of another form
 */
export function resolveSuffixes(catalog: PostgresHolders, suffixes: Readonly<Record<string, string>>): Selection[] {
  const selections = new Map<number, Selection>();
  for (const [name, suffix] of Object.entries(suffixes)) {
    assertSuffix(name, suffix);
    const named = catalog.tables.filter((table) => table.name === name || `${table.schema}.${table.name}` === name);
    const problem = named.length === 0 ? 'no table' : named.length > 1 ? 'more than one table' : '';
    if (problem !== '') {
      throw new HoldfastError(
        'VALIDATION_FAILED',
        `There is ${problem} named ${name} in the source; name it as schema.table.`,
      );
    }
    const [table] = named;
    const leaves =
      table!.kind === 'r' ? [table!] : catalog.tables.filter(({ root, kind }) => root === table!.root && kind === 'r');
    for (const leaf of leaves) selections.set(leaf.oid, { table: leaf, suffix });
  }
  return [...selections.values()];
}

/**
 * Lets the server prepare each suffix, alone and in the form in which it is used, by the extended protocol: it refuses a second
 * statement, and a parenthesis that closes ours.
 * @param session one that takes part in no snapshot: a mistake ends its transaction
 * @throws VALIDATION_FAILED
 */
export async function prepareSuffixes(session: PostgresSession, selections: readonly Selection[]): Promise<void> {
  await session.query(`SELECT set_config('search_path', $1, false)`, [session.defaultSearchPath]);
  for (const { table, suffix } of selections) {
    const from = `FROM ONLY ${qualifiedPostgres(table)} t`;
    try {
      await session.query(`EXPLAIN SELECT t.* ${from} ${suffix}`, []);
      await session.query(`EXPLAIN SELECT t.ctid ${from} WHERE ${suffixCondition(suffix)}`, []);
    } catch (error) {
      throw suffixError(table, suffix, error);
    }
  }
}

function suffixError({ name }: HeldTable, suffix: string, error: unknown): unknown {
  if (sqlState(error) === '') return error;
  return new HoldfastError(
    'VALIDATION_FAILED',
    `The suffix of ${name} was refused: ${(error as Error).message}: ${suffix}`,
    {
      cause: error,
      details: { table: name },
    },
  );
}

/** The selected rows by table oid; a table that is not listed is complete. */
export type Subset = ReadonlyMap<number, TidSet>;

/**
 * Finds the rows of a subset in a snapshot.
 *
 * Without `closure` the selected ones; every key of a kept row must find its row.
 * With `closure` also, to a fixpoint, each row that a kept row's key refers to: worklists of places of rows, so that self
 * references and cycles of any shape need nothing special, and nothing is written to the source.
 * @throws VALIDATION_FAILED for a suffix that fails, and for a dangling key by its name
 */
export async function findSubset(
  session: PostgresSession,
  catalog: PostgresCatalog,
  selections: readonly Selection[],
  closure: boolean,
): Promise<Subset> {
  const finder = new SubsetFinder(session, catalog);
  const listed = closure ? catalog.tables.filter(({ kind }) => kind === 'r') : selections.map(({ table }) => table);
  const bytes = await pageBytes(session);
  for (const { oid } of listed) finder.list(oid, bytes, closure);
  await finder.select(selections);
  if (closure) await finder.follow();
  else await finder.assertNoneDangles();
  return finder.sets;
}

async function pageBytes(session: PostgresSession): Promise<number> {
  const [row] = await session.query(`SELECT current_setting('block_size') AS bytes`);
  return Number(row?.bytes);
}

class SubsetFinder {
  readonly sets = new Map<number, TidSet>();
  readonly #session: PostgresSession;
  readonly #tables: ReadonlyMap<number, CatalogTable>;
  readonly #keys: readonly CatalogKey[];
  /** Kept rows whose keys were not followed yet, by table. */
  readonly #pending = new Map<number, TidSet>();

  constructor(session: PostgresSession, catalog: PostgresCatalog) {
    this.#session = session;
    this.#tables = new Map(catalog.tables.map((table) => [table.oid, table]));
    this.#keys = catalog.keys;
  }

  /** Keeps only chosen rows of a table; with `follow` also those that their keys refer to. */
  list(oid: number, bytesOfPage: number, follow: boolean): void {
    this.sets.set(oid, new TidSet(bytesOfPage));
    if (follow && this.#keysOf(this.#tables.get(oid)!).length > 0) this.#pending.set(oid, new TidSet(bytesOfPage));
  }

  /** Takes the rows that the suffixes select; names in them mean what they mean to the user elsewhere. */
  async select(selections: readonly Selection[]): Promise<void> {
    const path = (value: string): Promise<unknown> =>
      this.#session.query(`SELECT set_config('search_path', $1, true)`, [value]);
    await path(this.#session.defaultSearchPath);
    for (const { table, suffix } of selections) {
      const rows = `SELECT ${table.oid}, t.ctid FROM ONLY ${qualifiedPostgres(table)} t WHERE ${suffixCondition(suffix)}`;
      try {
        await this.#places(rows, (oid, tid) => this.#keep(oid, tid));
      } catch (error) {
        throw suffixError(table, suffix, error);
      }
    }
    await path('');
  }

  async follow(): Promise<void> {
    for (;;) {
      const next = [...this.#pending].find(([, rows]) => rows.size > 0);
      if (next === undefined) return;
      const [oid, rows] = next;
      const table = this.#tables.get(oid)!;
      const tids = rows.take(FOLLOWED_AT_ONCE);
      for (const key of this.#keysOf(table)) {
        await this.#places(this.#parents(table, key, tids), (parent, tid) => this.#keep(parent, tid));
      }
    }
  }

  async assertNoneDangles(): Promise<void> {
    for (const table of this.#tables.values()) {
      if (table.kind === 'p') continue;
      for (const key of this.#keysOf(table)) {
        if (!key.validated || !this.#isSelected(key.parent)) continue;
        const check = (oid: number, tid: string): void => {
          if (this.sets.get(oid)?.has(tid) === false) throw this.#dangles(table, key);
        };
        const rows = this.sets.get(table.oid);
        if (rows === undefined) await this.#places(this.#parents(table, key, null), check);
        for (let from = 0; from < (rows?.size ?? 0); from += FOLLOWED_AT_ONCE) {
          await this.#places(this.#parents(table, key, rows!.slice(from, FOLLOWED_AT_ONCE)), check);
        }
      }
    }
  }

  /** Whether the rows of a table, or of a partition of it, are selected. */
  #isSelected(parent: number): boolean {
    return [...this.sets.keys()].some(
      (oid) => oid === parent || this.#tables.get(oid)?.root === this.#tables.get(parent)?.root,
    );
  }

  #dangles(table: CatalogTable, key: CatalogKey): HoldfastError {
    const parent = this.#tables.get(key.parent);
    return new HoldfastError(
      'VALIDATION_FAILED',
      `Rows of ${table.schema}.${table.name} refer by ${key.name} to rows of ${parent?.schema}.${parent?.name} that its suffix leaves out: select them too, or add --closure.`,
      { details: { table: table.name, key: key.name } },
    );
  }

  #keep(oid: number, tid: string): void {
    if (this.sets.get(oid)?.add(tid)) this.#pending.get(oid)?.add(tid);
  }

  /** Keys of a table and of the partitioned tables it is a part of. */
  #keysOf(table: CatalogTable): readonly CatalogKey[] {
    return this.#keys.filter(({ child }) => child === table.oid || table.ancestors.includes(child));
  }

  /** Places of the rows that a key of rows of a table refers to, by table: all rows when `tids` is null. */
  #parents(table: CatalogTable, key: CatalogKey, tids: string | null): string {
    const parent = this.#tables.get(key.parent)!;
    const only = parent.kind === 'p' ? '' : 'ONLY ';
    const equal = key.childColumns.map(
      (column, i) => `p.${quotePostgres(key.parentColumns[i]!)} ${key.operators[i]} c.${quotePostgres(column)}`,
    );
    const on = equal.join(' AND ');
    const [from, to] = [`ONLY ${qualifiedPostgres(table)} c`, `${only}${qualifiedPostgres(parent)} p`];
    const place = 'p.tableoid::int8, p.ctid';
    if (tids === null) return `SELECT ${place} FROM ${to} WHERE EXISTS (SELECT 1 FROM ${from} WHERE ${on})`;
    return `SELECT DISTINCT ${place} FROM ${from} JOIN ${to} ON ${on} WHERE c.ctid = ANY ('${tids}'::tid[])`;
  }

  /** Runs a query of table oids and places, and hands them on as they come. */
  async #places(query: string, onPlace: (oid: number, tid: string) => void): Promise<void> {
    let rest = '';
    await this.#session.copyOut(`COPY (${query}) TO STDOUT`, (rows) => {
      const lines = (rest + rows.toString('latin1')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const tab = line.indexOf('\t');
        onPlace(Number(line.slice(0, tab)), line.slice(tab + 1));
      }
    });
  }
}
