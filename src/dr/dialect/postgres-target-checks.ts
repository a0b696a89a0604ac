import { HoldfastError } from '../../errors.ts';
import { literalPostgres } from '../../sql/identifiers.ts';
import { type PostgresSession, sqlState } from '../../sql/postgres-session.ts';
import type { Manifest } from '../archive/manifest.ts';
import { PROGRESS_SCHEMA } from './postgres-catalog.ts';

/** Objects that a message lists. */
const LISTED = 5;

/** @throws DR_INCOMPATIBLE when the server is older than the source's */
export function assertVersion({ version }: PostgresSession, { server }: Manifest): void {
  const [target, source] = [Math.floor(version / 10_000), Number.parseInt(server.version, 10)];
  if (target >= source) return;
  const message = `The backup is of PostgreSQL ${server.version} and the target runs ${target}: it needs at least ${source}.`;
  throw new HoldfastError('DR_INCOMPATIBLE', message);
}

/** @throws DR_PRIVILEGE_MISSING when the user cannot create what the backup holds */
export async function assertMayCreate(session: PostgresSession): Promise<void> {
  const [right] = await session.query(
    `SELECT current_user::text AS user, current_database()::text AS database
     WHERE NOT has_database_privilege(current_database(), 'CREATE')`,
  );
  if (right === undefined) return;
  const message = `User "${right.user}" may not create anything in database "${right.database}": GRANT CREATE ON DATABASE.`;
  throw new HoldfastError('DR_PRIVILEGE_MISSING', message);
}

/** Whether the session's database is the one the backup was taken of; false when the server does not tell who it is. */
export async function isSource(session: PostgresSession, { server }: Manifest): Promise<boolean> {
  try {
    const [same] = await session.query(
      `SELECT 1 AS same FROM pg_control_system()
       WHERE system_identifier::text = ${literalPostgres(server.identity)} AND current_database() = ${literalPostgres(server.database)}`,
    );
    return same !== undefined;
  } catch (error) {
    if (sqlState(error) === '42501') return false;
    throw error;
  }
}

/** Some of the objects that users or programs made in a database, as text; none in a fresh one. Extensions and our progress do not count. */
export async function findContents(session: PostgresSession): Promise<readonly string[]> {
  const ours = (alias: string, catalog: string): string => `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND n.nspname <> '${PROGRESS_SCHEMA}' AND NOT EXISTS (SELECT FROM pg_depend d
      WHERE d.classid = '${catalog}'::regclass AND d.objid = ${alias}.oid AND d.deptype = 'e')`;
  const rows = await session.query(`SELECT name FROM (
    SELECT 1 AS rank, format('%I.%I', n.nspname, c.relname) AS name
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${ours('c', 'pg_class')} AND c.relkind NOT IN ('i', 'I', 't')
    UNION ALL SELECT 2, format('function %I.%I', n.nspname, p.proname)
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE ${ours('p', 'pg_proc')}
    UNION ALL SELECT 3, format('type %I.%I', n.nspname, t.typname)
      FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE ${ours('t', 'pg_type')} AND t.typrelid = 0 AND t.typelem = 0
    UNION ALL SELECT 4, format('schema %I', n.nspname) FROM pg_namespace n WHERE ${ours('n', 'pg_namespace')} AND n.nspname <> 'public'
    UNION ALL SELECT 5, format('large object %s', oid) FROM pg_largeobject_metadata
  ) contents ORDER BY rank, name LIMIT ${LISTED}`);
  return rows.map(({ name }) => name ?? '');
}

/** @throws DR_TARGET_IS_SOURCE or DR_TARGET_NOT_EMPTY, naming some of the contents */
export async function refuseContents(
  session: PostgresSession,
  manifest: Manifest,
  location: string,
  contents: readonly string[],
): Promise<never> {
  if (await isSource(session, manifest)) {
    throw new HoldfastError('DR_TARGET_IS_SOURCE', `${location} is the database that the backup was taken of.`);
  }
  const listed = contents.join(', ');
  throw new HoldfastError(
    'DR_TARGET_NOT_EMPTY',
    `${location} contains ${listed}${contents.length < LISTED ? '' : ', …'}.`,
  );
}
