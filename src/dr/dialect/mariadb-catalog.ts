import type { MysqlSession } from '../../sql/mysql-session.ts';
import type { ForeignKey } from '../graph/table-graph.ts';
import { assertSequencesHold } from './mariadb-sequences.ts';

/** Begins the names of the tables in which a restore keeps how far it is; they are in no backup. */
export const PROGRESS_PREFIX = '_holdfast_dr_';

export interface MariadbColumn {
  readonly name: string;
  /** As the server prints it, e.g. `varchar(20)`. */
  readonly type: string;
  /** Without length and attributes, lower case. */
  readonly base: string;
  /** Null for what is not text. */
  readonly charset: string | null;
  readonly collation: string | null;
  /** Computed from other columns. Ends of a system-versioned row are not: they are rows' own. */
  readonly generated: boolean;
}

export interface MariadbTable {
  /** Its place in the catalog, from 1; the same for the same tables. */
  readonly id: number;
  readonly name: string;
  readonly engine: string;
  /** Whether reads of it are part of a snapshot. */
  readonly transactional: boolean;
  readonly versioned: boolean;
  /** Estimates. */
  readonly rows: number;
  readonly bytes: number;
  readonly columns: readonly MariadbColumn[];
  /** Columns of the primary key, else of a unique key without NULL; null for a table without. */
  readonly key: readonly string[] | null;
}

export interface MariadbKey extends Omit<ForeignKey, 'child' | 'parent'> {
  readonly child: string;
  readonly parent: string;
  /** Database of the parent. */
  readonly parentSchema: string;
}

export interface MariadbCatalog {
  readonly tables: readonly MariadbTable[];
  readonly keys: readonly MariadbKey[];
  readonly sequences: readonly string[];
  readonly views: readonly string[];
}

const HERE = 'DATABASE()';

/** Names of the tables of the session's database, without those of a restore. */
export async function readTableNames(session: MysqlSession): Promise<string[]> {
  const rows = await session.query(
    `SELECT table_name AS name FROM information_schema.tables
     WHERE table_schema = ${HERE} AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY table_name`,
  );
  return rows.map(({ name }) => name ?? '').filter((name) => !name.startsWith(PROGRESS_PREFIX));
}

/** What the session's database holds, as far as its user sees it. @throws what {@link assertSequencesHold} throws */
export async function readMariadbCatalog(session: MysqlSession): Promise<MariadbCatalog> {
  await assertSequencesHold(session);
  const all = await session.query(
    `SELECT t.table_name AS name, t.table_type AS type, COALESCE(t.engine, '') AS engine, e.transactions AS transactions,
       CAST(COALESCE(t.table_rows, 0) AS CHAR) AS row_count, CAST(COALESCE(t.data_length, 0) AS CHAR) AS bytes
     FROM information_schema.tables t LEFT JOIN information_schema.engines e ON e.engine = t.engine
     WHERE t.table_schema = ${HERE} ORDER BY t.table_name`,
  );
  const listed = all.filter(({ name }) => !name?.startsWith(PROGRESS_PREFIX));
  const columns = Map.groupBy(await readColumns(session), ({ table }) => table);
  const keys = await readUniqueKeys(session);
  const ofType = (...types: string[]) => listed.filter(({ type }) => types.includes(type ?? ''));
  const tables = ofType('BASE TABLE', 'SYSTEM VERSIONED').map(
    (row, index): MariadbTable => ({
      id: index + 1,
      name: row.name ?? '',
      engine: row.engine ?? '',
      transactional: row.transactions === 'YES',
      versioned: row.type === 'SYSTEM VERSIONED',
      rows: Number(row.row_count),
      bytes: Number(row.bytes),
      columns: withRowEnds(columns.get(row.name ?? '') ?? [], row.type === 'SYSTEM VERSIONED'),
      key: keys.get(row.name ?? '') ?? null,
    }),
  );
  const names = (...types: string[]): string[] => ofType(...types).map(({ name }) => name ?? '');
  return { tables, keys: await readForeignKeys(session), sequences: names('SEQUENCE'), views: names('VIEW') };
}

interface ReadColumn extends MariadbColumn {
  readonly table: string;
  readonly isRowEnd: boolean;
}

async function readColumns(session: MysqlSession): Promise<ReadColumn[]> {
  const rows = await session.query(
    `SELECT table_name AS t, column_name AS name, column_type AS type, data_type AS base, character_set_name AS charset,
       collation_name AS collation, generation_expression AS expression, extra AS extra
     FROM information_schema.columns WHERE table_schema = ${HERE} ORDER BY table_name, ordinal_position`,
  );
  return rows.map(({ t, name, type, base, charset, collation, expression, extra }) => {
    const isRowEnd = /^ROW (START|END)$/i.test(expression ?? '');
    const generated = !isRowEnd && / GENERATED/i.test(` ${extra}`) && !/^DEFAULT_GENERATED/i.test(extra ?? '');
    return {
      ...{ table: t ?? '', name: name ?? '', type: type ?? '', base: (base ?? '').toLowerCase(), generated, isRowEnd },
      charset: charset ?? null,
      collation: collation ?? null,
    };
  });
}

/** The two columns that a system-versioned table has without naming them belong to its rows as well. */
function withRowEnds(columns: readonly ReadColumn[], versioned: boolean): MariadbColumn[] {
  const own = columns.map(({ table: _, isRowEnd: __, ...column }): MariadbColumn => column);
  if (!versioned || columns.some(({ isRowEnd }) => isRowEnd)) return own;
  const end = (name: string): MariadbColumn => {
    return { name, type: 'timestamp(6)', base: 'timestamp', charset: null, collation: null, generated: false };
  };
  return [...own, end('row_start'), end('row_end')];
}

/** The best key of each table that has one: the primary key, else the first unique one without NULL or prefixes. */
async function readUniqueKeys(session: MysqlSession): Promise<ReadonlyMap<string, readonly string[]>> {
  const rows = await session.query(
    `SELECT table_name AS t, index_name AS name, column_name AS c, nullable AS nullable, CAST(sub_part AS CHAR) AS part
     FROM information_schema.statistics WHERE table_schema = ${HERE} AND non_unique = 0
     ORDER BY table_name, index_name <> 'PRIMARY', index_name, seq_in_index`,
  );
  const keys = new Map<string, readonly string[]>();
  for (const index of Map.groupBy(rows, ({ t, name }) => JSON.stringify([t, name])).values()) {
    const table = index[0]?.t ?? '';
    const usable = index.every(({ c, nullable, part }) => c !== null && nullable !== 'YES' && part === null);
    if (usable && !keys.has(table))
      keys.set(
        table,
        index.map(({ c }) => c ?? ''),
      );
  }
  return keys;
}

async function readForeignKeys(session: MysqlSession): Promise<MariadbKey[]> {
  const rows = await session.query(
    `SELECT constraint_name AS name, table_name AS child, column_name AS child_column, referenced_table_schema AS parent_schema,
       referenced_table_name AS parent, referenced_column_name AS parent_column
     FROM information_schema.key_column_usage
     WHERE table_schema = ${HERE} AND referenced_table_name IS NOT NULL ORDER BY table_name, constraint_name, ordinal_position`,
  );
  return [...Map.groupBy(rows, ({ child, name }) => JSON.stringify([child, name])).values()].map((columns) => {
    const { name, child, parent, parent_schema } = columns[0] ?? {};
    return {
      ...{ name: name ?? '', child: child ?? '', parent: parent ?? '', parentSchema: parent_schema ?? '' },
      childColumns: columns.map(({ child_column }) => child_column ?? ''),
      parentColumns: columns.map(({ parent_column }) => parent_column ?? ''),
      // A key with a NULL in it refers to nothing; nothing is ever deferred.
      ...{ deferrable: false, validated: true, match: 'SIMPLE' as const },
    };
  });
}
