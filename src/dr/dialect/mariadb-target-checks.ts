import { HoldfastError } from '../../errors.ts';
import { literalMysql, quoteMysql } from '../../sql/identifiers.ts';
import type { MysqlRow, MysqlSession } from '../../sql/mysql-session.ts';
import type { Manifest, ManifestTable, SchemaObject } from '../archive/manifest.ts';
import { PROGRESS_PREFIX, readMariadbCatalog } from './mariadb-catalog.ts';
import type { Flavour } from './mariadb-flavour.ts';
import { readTriggers } from './mariadb-objects.ts';
import { missingRights, restoreNeeds, TRUSTED_BY_LOG } from './mariadb-rights.ts';
import { assertServerTakes, type CreatedObject, readServerSettings } from './mariadb-target-server.ts';
import type { RestoreMode } from './restore-target.ts';

/** Objects that a message lists. */
const LISTED = 5;
/** Tables asked about in one statement. */
const TOGETHER = 100;
/** Where TIMESTAMP ends in 2106 instead of 2038 (MDEV-32188), and with it the rows that are not history: 11.5. */
const LONG_TIMESTAMPS = 1105;

/** @throws DR_INCOMPATIBLE for the other kind of server, one that is older than the source's, or one that ends time elsewhere */
export function assertMariadbVersion(
  flavour: Pick<Flavour, 'dialect' | 'version' | 'versionText'>,
  { dialect, server, objects }: Manifest,
): void {
  const [, major, minor] = /(\d+)\.(\d+)\.\d+/.exec(server.version.replace(/^5\.5\.5-/, '')) ?? [];
  const source = Number(major) * 100 + Number(minor);
  const target = Math.floor(flavour.version / 100);
  if (flavour.dialect !== dialect || target < source) {
    throw new HoldfastError(
      'DR_INCOMPATIBLE',
      `The backup is of ${dialect} ${server.version} and the target runs ${flavour.dialect} ${flavour.versionText}: it has to be the same kind, at least as new.`,
    );
  }
  const tables = objects.filter(keepsHistory).map(({ name }) => name);
  if (dialect !== 'mariadb' || source >= LONG_TIMESTAMPS || target < LONG_TIMESTAMPS || tables.length === 0) return;
  throw new HoldfastError(
    'DR_INCOMPATIBLE',
    `All rows of ${tables.join(', ')} would be history in MariaDB ${flavour.versionText}: before 11.5 current rows of tables WITH SYSTEM VERSIONING end in 2038, since then in 2106. Restore into a server before 11.5 and upgrade that, or without these tables.`,
    { details: { tables } },
  );
}

/** Whether a table is system-versioned. */
function keepsHistory({ kind, statements }: Pick<SchemaObject, 'kind' | 'statements'>): boolean {
  const words = (statements[0] ?? '').replace(/'(?:[^'\\]|\\[\s\S]|'')*'|`(?:[^`]|``)*`/g, '');
  return kind === 'TABLE' && / WITH SYSTEM VERSIONING\b/.test(words);
}

/** @throws DR_PRIVILEGE_MISSING, DR_INCOMPATIBLE when the user or the server cannot create what the backup holds */
export async function assertMayRestore(
  session: MysqlSession,
  manifest: Manifest,
  flavour: Flavour,
  mode: RestoreMode,
): Promise<void> {
  const { database } = flavour;
  const grants = (await session.query('SHOW GRANTS')).flatMap((row) => Object.values(row)[0] ?? []);
  const missing = missingRights(grants, database, restoreNeeds(new Set(manifest.objects.map(({ kind }) => kind))));
  if (missing.length > 0) {
    throw new HoldfastError('DR_PRIVILEGE_MISSING', `The user has no ${missing.join(', ')} on ${database}.*.`, {
      details: { rights: missing },
    });
  }
  const isTrusted = missingRights(grants, database, [TRUSTED_BY_LOG]).length === 0;
  // Into live tables nothing is created, but triggers are taken away and put back.
  const triggers = async (): Promise<CreatedObject[]> =>
    (await readTriggers(session)).map(({ name }) => ({ kind: 'TRIGGER', name, statements: [] }));
  const created = mode === 'full' ? manifest.objects : await triggers();
  assertServerTakes(created, flavour, await readServerSettings(session), isTrusted);
}

/** Some of the objects in the session's database; none in a fresh one. The marks of a restore do not count. */
export async function findMariadbContents(session: MysqlSession, flavour: Flavour): Promise<readonly string[]> {
  const rows = await session.query(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() AND LEFT(table_name, ${PROGRESS_PREFIX.length}) <> '${PROGRESS_PREFIX}'
     UNION ALL SELECT CONCAT(LOWER(routine_type), ' ', routine_name) FROM information_schema.routines WHERE routine_schema = DATABASE()
     ${flavour.hasLibraries ? "UNION ALL SELECT CONCAT('library ', library_name) FROM information_schema.libraries WHERE library_schema = DATABASE()" : ''}
     UNION ALL SELECT CONCAT('event ', event_name) FROM information_schema.events WHERE event_schema = DATABASE()
     LIMIT ${LISTED}`,
  );
  return rows.map(({ name }) => name ?? '');
}

/** @throws DR_TARGET_IS_SOURCE or DR_TARGET_NOT_EMPTY, naming some of the contents */
export function refuseMariadbContents(
  { server }: Manifest,
  flavour: Flavour,
  location: string,
  contents: readonly string[],
): never {
  if (server.identity !== '' && server.identity === flavour.identity && server.database === flavour.database) {
    throw new HoldfastError('DR_TARGET_IS_SOURCE', `${location} is the database that the backup was taken of.`);
  }
  const listed = contents.slice(0, LISTED).join(', ');
  throw new HoldfastError(
    'DR_TARGET_NOT_EMPTY',
    `${location} contains ${listed}${contents.length < LISTED ? '' : ', …'}.`,
  );
}

/** Tables of the backup that the target lacks or has with other columns, in words. */
export async function findMariadbTableDifferences(session: MysqlSession, { tables }: Manifest): Promise<string[]> {
  const found = new Map((await readMariadbCatalog(session)).tables.map((table) => [table.name, table]));
  return tables.flatMap((table) => {
    const there = found.get(table.name);
    if (there === undefined) return [`${table.name} does not exist`];
    const text = (column: { name: string; type: string; generated: boolean }): string =>
      JSON.stringify([column.name, withoutWidth(column.type), column.generated]);
    const left = new Set(there.columns.map(text));
    const differing =
      table.columns.find((column) => !left.delete(text(column)))?.name ??
      there.columns.find((column) => left.has(text(column)))?.name;
    return differing === undefined ? [] : [`${table.name} differs in column ${differing}`];
  });
}

/** Newer servers print no width of integers. */
function withoutWidth(type: string): string {
  return type.replace(/int\(\d+\)/, 'int');
}

/** Names of the tables of the backup that have rows in the target. */
export async function findMariadbRows(
  session: MysqlSession,
  { tables }: Pick<Manifest, 'tables'>,
): Promise<readonly string[]> {
  const rows = await ask(
    session,
    tables,
    ({ name }) => `(SELECT ${literalMysql(name)} AS name FROM ${quoteMysql(name)} LIMIT 1)`,
  );
  return rows.map(({ name }) => name ?? '');
}

/** What is not as the manifest says: columns, numbers of rows, objects; empty when the target is what a restore would make. */
export async function findMariadbDifferences(session: MysqlSession, manifest: Manifest): Promise<readonly string[]> {
  const differing = await findMariadbTableDifferences(session, manifest);
  if (differing.length > 0) return differing;
  const counted = await ask(session, manifest.tables, (table) => {
    const history = manifest.objects.some((object) => object.name === table.name && keepsHistory(object));
    const name = quoteMysql(table.name);
    return `SELECT ${literalMysql(table.name)} AS name, COUNT(*) AS n FROM ${name}${history ? ' FOR SYSTEM_TIME ALL' : ''} HAVING n <> ${table.rows}`;
  });
  const differences = counted.map(({ name, n }) => `${name} has ${n} rows`);
  for (const object of manifest.objects) {
    if (!(await isThere(session, object)))
      differences.push(`${object.kind.toLowerCase()} ${object.name} does not exist`);
  }
  return differences;
}

async function ask(
  session: MysqlSession,
  tables: readonly ManifestTable[],
  question: (table: ManifestTable) => string,
): Promise<MysqlRow[]> {
  const answers: MysqlRow[] = [];
  for (let from = 0; from < tables.length; from += TOGETHER) {
    const questions = tables.slice(from, from + TOGETHER).map(question);
    answers.push(...(await session.query(questions.join('\nUNION ALL '))));
  }
  return answers;
}

/** Where the server lists objects of a kind, by which name. */
const LISTS: Readonly<Record<string, readonly [list: string, name: string, schema: string]>> = {
  TABLE: ['tables', 'table_name', 'table_schema'],
  SEQUENCE: ['tables', 'table_name', 'table_schema'],
  VIEW: ['tables', 'table_name', 'table_schema'],
  FUNCTION: ['routines', 'routine_name', 'routine_schema'],
  PROCEDURE: ['routines', 'routine_name', 'routine_schema'],
  PACKAGE: ['routines', 'routine_name', 'routine_schema'],
  'PACKAGE BODY': ['routines', 'routine_name', 'routine_schema'],
  LIBRARY: ['libraries', 'library_name', 'library_schema'],
  TRIGGER: ['triggers', 'trigger_name', 'trigger_schema'],
  EVENT: ['events', 'event_name', 'event_schema'],
};

/** Whether an object of a backup exists in the session's database. An index or key does when the table has all of them that it is made of. */
export async function isThere(
  session: MysqlSession,
  { kind, name, statements }: { readonly kind: string; readonly name: string; readonly statements: readonly string[] },
): Promise<boolean> {
  if (kind === 'INDEX' || kind === 'FK CONSTRAINT') {
    const [, table = ''] = /^ALTER TABLE (`(?:[^`]|``)+`) /.exec(statements[0] ?? '') ?? [];
    const [row] = await session.query(`SHOW CREATE TABLE ${table}`);
    const created = Object.values(row ?? {})[1] ?? '';
    return clausesOf(statements[0] ?? '').every((clause) => created.includes(clause));
  }
  const list = LISTS[kind];
  if (list === undefined) return true;
  const routine = list[0] === 'routines' ? ` AND routine_type = ${literalMysql(kind)}` : '';
  const [row] = await session.query(
    `SELECT 1 AS there FROM information_schema.${list[0]} WHERE ${list[2]} = DATABASE() AND ${list[1]} = ?${routine}`,
    [name],
  );
  return row !== undefined;
}

/** The beginnings, with their names, of what an ALTER TABLE adds. */
function clausesOf(statement: string): string[] {
  const pattern = /\bADD ((?:UNIQUE |FULLTEXT |SPATIAL )?KEY `(?:[^`]|``)+` |CONSTRAINT `(?:[^`]|``)+` FOREIGN KEY )/g;
  return [...statement.matchAll(pattern)].map(([, clause]) => clause ?? '');
}
