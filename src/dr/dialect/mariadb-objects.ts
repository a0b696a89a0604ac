import { HoldfastError } from '../../errors.ts';
import { literalMysql, quoteMysql } from '../../sql/identifiers.ts';
import type { MysqlRow, MysqlSession } from '../../sql/mysql-session.ts';
import { Dialect, type SchemaObject, type Section } from '../archive/manifest.ts';
import type { MariadbCatalog, MariadbTable } from './mariadb-catalog.ts';
import { BETWEEN_CLAUSES } from './mariadb-comparable.ts';
import { splitCreateTable } from './mariadb-create-table.ts';
import type { Flavour } from './mariadb-flavour.ts';
import { inReadingOrder } from './mariadb-view-order.ts';

/** Indexes of a smaller table are created with it: there is nothing to win by building them afterwards. */
const BUILT_LATER_BYTES = 8 << 20;
const INNODB = 'InnoDB';
/** Kinds of views of MySQL 9 that cannot take the place of a plain one. */
const OTHER_VIEW = /^CREATE OR REPLACE (?:ALGORITHM=\w+ )?(?:DEFINER=\S+ SQL SECURITY \w+ JSON |MATERIALIZED )/;

/**
 * Every object of the sessions' database as the server prints it, in an order in which they can be created: tables without their
 * large indexes and without foreign keys; views first as placeholders, so that routines may stand between them; events last.
 * @throws DR_PRIVILEGE_MISSING for a routine whose body is hidden
 */
export async function readMariadbObjects(
  sessions: readonly [MysqlSession, ...MysqlSession[]],
  catalog: MariadbCatalog,
  flavour: Flavour,
): Promise<SchemaObject[]> {
  const [session] = sessions;
  const { database } = flavour;
  const objects: SchemaObject[] = [
    object('DATABASE PROPERTIES', 'database', 'PRE_DATA', [
      `ALTER DATABASE CHARACTER SET ${flavour.encoding} COLLATE ${flavour.collation}${await commentClause(session, flavour)}`,
    ]),
  ];
  for (const name of catalog.sequences) {
    const [row] = await session.query(`SHOW CREATE SEQUENCE ${quoteMysql(name)}`);
    objects.push(object('SEQUENCE', name, 'PRE_DATA', [printed(row)]));
  }
  const routines = await routineObjects(session, flavour);
  const known = [...catalog.tables.map(({ name }) => name), ...catalog.sequences, ...catalog.views];
  const names = new Set([...known, ...routines.map(({ name }) => name)].map(quoteMysql));
  const ofTable = await readSideBySide(sessions, catalog.tables, (one, table) =>
    tableObjects(one, table, catalog, database, names),
  );
  objects.push(...ofTable.flat());
  return [
    ...objects,
    ...(flavour.hasLibraries ? await libraryObjects(session, flavour) : []),
    ...routines,
    ...(await viewObjects(session, catalog.views, database, names)),
    ...(await triggerObjects(session, catalog, flavour)),
    ...(await eventObjects(session, flavour)),
  ];
}

/** The comment that a database of MariaDB may have, as ALTER DATABASE is told of it; empty for none. */
async function commentClause(session: MysqlSession, { dialect, version }: Flavour): Promise<string> {
  if (dialect !== Dialect.MARIADB || version < 100_500) return '';
  const [row] = await session.query(
    'SELECT schema_comment AS comment FROM information_schema.schemata WHERE schema_name = DATABASE()',
  );
  return row?.comment ? ` COMMENT ${literalMysql(row.comment)}` : '';
}

/** Asks about many things on several sessions at once; answers in the order of the things. */
async function readSideBySide<T, R>(
  sessions: readonly MysqlSession[],
  things: readonly T[],
  read: (session: MysqlSession, thing: T) => Promise<R>,
): Promise<R[]> {
  const answers: R[] = [];
  const queue = things.entries();
  await Promise.all(
    sessions.map(async (session) => {
      for (const [index, thing] of queue) answers[index] = await read(session, thing);
    }),
  );
  return answers;
}

async function tableObjects(
  session: MysqlSession,
  table: MariadbTable,
  { sequences }: MariadbCatalog,
  database: string,
  names: ReadonlySet<string>,
): Promise<SchemaObject[]> {
  const name = quoteMysql(table.name);
  const [row] = await session.query(`SHOW CREATE TABLE ${name}`);
  const keepIndexes = table.engine !== INNODB || table.versioned || table.bytes < BUILT_LATER_BYTES;
  const { statement, indexes, foreignKeys } = splitCreateTable(unqualified(printed(row), database, names), keepIndexes);
  const used = sequences.filter((sequence) => statement.includes(quoteMysql(sequence))).map((s) => `SEQUENCE:${s}`);
  const created = object('TABLE', table.name, 'PRE_DATA', [statement], { table: table.id, dependsOn: used });
  const plain = indexes.filter(({ isFulltext }) => !isFulltext);
  // One pass over the rows builds all of them, but a full-text index each needs its own.
  const groups = [
    ...(plain.length > 0 ? [plain] : []),
    ...indexes.filter(({ isFulltext }) => isFulltext).map((i) => [i]),
  ];
  const built = groups.map((group) =>
    object(
      'INDEX',
      `${table.name}: ${group.map((index) => index.name).join(', ')}`,
      'POST_DATA',
      [`ALTER TABLE ${name} ${group.map(({ clause }) => clause).join(BETWEEN_CLAUSES)}`],
      { table: table.id, dependsOn: [created.id] },
    ),
  );
  const keys = foreignKeys.map(({ name: key, clause }) =>
    object('FK CONSTRAINT', key, 'POST_DATA', [`ALTER TABLE ${name} ${clause}`], {
      table: table.id,
      dependsOn: [created.id, ...built.map(({ id }) => id)],
    }),
  );
  return [created, ...built, ...keys.map((key) => ({ ...key, id: `FK CONSTRAINT:${table.name}.${key.name}` }))];
}

async function routineObjects(session: MysqlSession, flavour: Flavour): Promise<SchemaObject[]> {
  const rows = await session.query(
    `SELECT routine_type AS type, routine_name AS name FROM information_schema.routines
     WHERE routine_schema = DATABASE() ORDER BY routine_type, routine_name`,
  );
  const objects: SchemaObject[] = [];
  const hidden: string[] = [];
  for (const { type, name } of rows) {
    const [row] = await session.query(`SHOW CREATE ${type} ${quoteMysql(name ?? '')}`);
    if (Object.entries(row ?? {}).some(([key, value]) => key.startsWith('Create ') && value === null)) {
      hidden.push(`${type?.toLowerCase()} ${name}`);
      continue;
    }
    objects.push(object(type ?? '', name ?? '', 'POST_DATA', createdAgain(row, flavour)));
  }
  if (hidden.length === 0) return objects;
  throw new HoldfastError(
    'DR_PRIVILEGE_MISSING',
    `The bodies of ${hidden.join(', ')} are hidden from the user: grant SELECT on mysql.proc, on MySQL SHOW_ROUTINE.`,
    { details: { routines: hidden } },
  );
}

function libraryObjects(session: MysqlSession, flavour: Flavour): Promise<SchemaObject[]> {
  const names =
    'SELECT library_name AS name FROM information_schema.libraries WHERE library_schema = DATABASE() ORDER BY library_name';
  return printedObjects(session, 'LIBRARY', names, flavour);
}

async function viewObjects(
  session: MysqlSession,
  views: readonly string[],
  database: string,
  names: ReadonlySet<string>,
): Promise<SchemaObject[]> {
  const columns = Map.groupBy(
    await session.query(
      `SELECT table_name AS t, column_name AS name FROM information_schema.columns
       WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position`,
    ),
    ({ t }) => t ?? '',
  );
  const placeholders: SchemaObject[] = [];
  const special: SchemaObject[] = [];
  const plain: SchemaObject[] = [];
  for (const view of await readReadingOrder(session, views, database)) {
    const [row] = await session.query(`SHOW CREATE VIEW ${quoteMysql(view)}`);
    const statement = unqualified(printed(row), database, names).replace(/^CREATE /, 'CREATE OR REPLACE ');
    const real = object('VIEW', view, 'POST_DATA', [contextOf(row), statement]);
    if (OTHER_VIEW.test(statement)) {
      special.push(real);
      continue;
    }
    const list = (columns.get(view) ?? []).map(({ name }) => `1 AS ${quoteMysql(name ?? '')}`).join(', ');
    const standIn = `CREATE OR REPLACE VIEW ${quoteMysql(view)} AS SELECT ${list === '' ? '1 AS `1`' : list}`;
    placeholders.push({ ...object('VIEW', view, 'POST_DATA', [standIn]), id: `PLACEHOLDER:${view}` });
    plain.push(real);
  }
  const dependsOn = placeholders.map(({ id }) => id);
  return [...placeholders, ...[...special, ...plain].map((view) => ({ ...view, dependsOn }))];
}

async function readReadingOrder(
  session: MysqlSession,
  views: readonly string[],
  database: string,
): Promise<readonly string[]> {
  const rows = await session.query(
    'SELECT table_name AS name, view_definition AS text FROM information_schema.views WHERE table_schema = DATABASE()',
  );
  const definitions = new Map(rows.map(({ name, text }) => [name, text ?? '']));
  return inReadingOrder(
    views.map((name) => ({ name, definition: definitions.get(name) ?? '' })),
    database,
  );
}

async function triggerObjects(
  session: MysqlSession,
  { tables }: MariadbCatalog,
  flavour: Flavour,
): Promise<SchemaObject[]> {
  const ids = new Map(tables.map(({ name, id }) => [name, id]));
  const objects: SchemaObject[] = [];
  for (const { name, t } of await readTriggers(session)) {
    const table = ids.get(t);
    // Of a table that is not in the backup.
    if (table === undefined) continue;
    const [row] = await session.query(`SHOW CREATE TRIGGER ${quoteMysql(name)}`);
    const dependsOn = [`TABLE:${t}`];
    objects.push(object('TRIGGER', name, 'POST_DATA', createdAgain(row, flavour), { table, dependsOn }));
  }
  return objects;
}

/** Names of the triggers of the session's database with their tables `t`, in the order in which they fire. */
export async function readTriggers(session: MysqlSession): Promise<{ readonly name: string; readonly t: string }[]> {
  const rows = await session.query(
    `SELECT trigger_name AS name, event_object_table AS t FROM information_schema.triggers WHERE trigger_schema = DATABASE()
     ORDER BY event_object_table, action_timing, event_manipulation, action_order`,
  );
  return rows.map(({ name, t }) => ({ name: name ?? '', t: t ?? '' }));
}

function eventObjects(session: MysqlSession, flavour: Flavour): Promise<SchemaObject[]> {
  const names =
    'SELECT event_name AS name FROM information_schema.events WHERE event_schema = DATABASE() ORDER BY event_name';
  return printedObjects(session, 'EVENT', names, flavour);
}

/** Objects of a kind as SHOW CREATE prints them; `names` selects their names. */
async function printedObjects(
  session: MysqlSession,
  kind: string,
  names: string,
  flavour: Flavour,
): Promise<SchemaObject[]> {
  const objects: SchemaObject[] = [];
  for (const { name } of await session.query(names)) {
    const [row] = await session.query(`SHOW CREATE ${kind} ${quoteMysql(name ?? '')}`);
    objects.push(object(kind, name ?? '', 'POST_DATA', createdAgain(row, flavour)));
  }
  return objects;
}

/**
 * What creates a routine, trigger or event as it was. The database's collation of that moment goes for what its text leaves open, and no
 * statement can say it: the database has to have it for that moment again.
 */
function createdAgain(row: MysqlRow | undefined, { collation }: Flavour): string[] {
  const created = [contextOf(row), printed(row)] as const;
  const then = row?.['Database Collation'];
  if (then == null || then === collation) return [...created];
  return [created[0], `ALTER DATABASE COLLATE ${then}`, created[1], `ALTER DATABASE COLLATE ${collation}`];
}

/** The settings that a routine, view, trigger or event was created under, and is to be created under again. */
export function contextOf(row: MysqlRow | undefined): string {
  const settings = ['sql_mode', 'time_zone', 'character_set_client', 'collation_connection'].flatMap((name) => {
    const value = row?.[name];
    return value == null ? [] : [`${name} = ${literalMysql(value)}`];
  });
  return `SET SESSION ${settings.join(', ')}`;
}

/** The statement in a row of SHOW CREATE. */
export function printed(row: MysqlRow | undefined): string {
  const found = Object.entries(row ?? {}).find(([name]) => /^(Create |SQL Original Statement$)/.test(name));
  return found?.[1] ?? '';
}

/**
 * A statement printed by the server without the name of the database it is of, so that it means the one it is restored into.
 * @param names of the database's objects, quoted
 */
export function unqualified(statement: string, database: string, names: ReadonlySet<string>): string {
  const own = quoteMysql(database);
  const parts = statement.split(/('(?:[^'\\]|\\[\s\S]|'')*'|`(?:[^`]|``)*`)/);
  return parts
    .map((part, at) => {
      const first = part === '.' ? at - 1 : at;
      const isPrefix = parts[first] === own && parts[first + 1] === '.' && !parts[first - 1]?.endsWith('.');
      // A table may be named like its database: what follows tells which of them is meant.
      return isPrefix && names.has(parts[first + 2] ?? '') ? '' : part;
    })
    .join('');
}

function object(
  kind: string,
  name: string,
  section: Section,
  statements: readonly string[],
  more: Partial<Pick<SchemaObject, 'table' | 'dependsOn'>> = {},
): SchemaObject {
  return {
    ...{ id: `${kind}:${name}`, kind, schema: null, name, section, statements, dependsOn: [] },
    ...{ table: null, owner: null, ownedAs: null },
    ...more,
  };
}
