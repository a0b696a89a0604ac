import { qualifiedPostgres } from '../../sql/identifiers.ts';
import type { PostgresSession } from '../../sql/postgres-session.ts';
import type { Manifest } from '../archive/manifest.ts';
import { PROGRESS_SCHEMA } from './postgres-catalog.ts';
import { nameOf } from './postgres-target-live.ts';

/**
 * A crash of the server empties unlogged tables and sets unlogged sequences back, whatever was committed. Takes the marks away from what
 * was lost in that way, so that it is done again; nobody else may work in the target meanwhile.
 * @returns the marks that are left
 */
export async function forgetLost(
  session: PostgresSession,
  { tables }: Manifest,
  done: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const unlogged = await session.query(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND c.relpersistence = 'u'`,
  );
  const names = new Set(unlogged.map(nameOf));
  // To set sequences once more does no harm.
  const lost = new Set(['sequences']);
  for (const table of tables.filter((one) => one.rows > 0 && names.has(nameOf(one)))) {
    const [found] = await session.query(`SELECT 1 AS found FROM ONLY ${qualifiedPostgres(table)} LIMIT 1`);
    if (found === undefined) for (const task of done) if (isLoadOf(task, table.id)) lost.add(task);
  }
  await session.query(`DELETE FROM ${PROGRESS_SCHEMA}.done WHERE task IN (SELECT json_array_elements_text($1::json))`, [
    JSON.stringify([...lost]),
  ]);
  return new Set([...done].filter((task) => !lost.has(task)));
}

/** `rows:7:0`, or `cycle:5,7`: the tables of a cycle with an unlogged one are all unlogged. */
function isLoadOf(task: string, table: number): boolean {
  const [kind, ids = ''] = task.split(':');
  return (kind === 'rows' || kind === 'cycle') && ids.split(',').includes(`${table}`);
}
