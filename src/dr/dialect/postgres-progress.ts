import { literalPostgres } from '../../sql/identifiers.ts';
import type { PostgresSession } from '../../sql/postgres-session.ts';
import { PROGRESS_SCHEMA } from './postgres-catalog.ts';
import { progressRecord, type RestoreBinding, type RestoreProgressRecord } from './restore-binding.ts';

/** What an interrupted restore left in the target; null when there is none. */
export async function readProgress(session: PostgresSession): Promise<RestoreProgressRecord | null> {
  const [found] = await session.query(
    `SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = '${PROGRESS_SCHEMA}' AND tablename = 'restore'`,
  );
  if (found === undefined) return null;
  const [binding] = await session.query(`SELECT * FROM ${PROGRESS_SCHEMA}.restore`);
  if (binding === undefined) return null;
  const done = await session.query(`SELECT task FROM ${PROGRESS_SCHEMA}.done`);
  return progressRecord(
    binding,
    done.map(({ task }) => task ?? null),
  );
}

/**
 * Statements that mark the target as being restored, for the transaction of the first write. The table `journal` holds statements
 * that put back what a restore into live tables has taken away, in the order in which they are to be run.
 */
export function createProgress(binding: RestoreBinding): string {
  const { backup, digest, mode, tables, plan } = binding;
  const schema = PROGRESS_SCHEMA;
  return `CREATE SCHEMA ${schema};
CREATE TABLE ${schema}.restore (backup text NOT NULL, digest text NOT NULL, mode text NOT NULL, tables text NOT NULL, plan int NOT NULL,
  started_at timestamptz NOT NULL DEFAULT pg_catalog.now());
CREATE TABLE ${schema}.done (task text PRIMARY KEY);
CREATE TABLE ${schema}.journal (id int PRIMARY KEY, statement text NOT NULL);
INSERT INTO ${schema}.restore (backup, digest, mode, tables, plan)
  VALUES (${[backup, digest, mode, tables].map(literalPostgres).join(', ')}, ${plan});`;
}

/** Statement that records finished tasks, for the transaction that did their work. */
export function markDone(tasks: readonly string[]): string {
  return `INSERT INTO ${PROGRESS_SCHEMA}.done VALUES ${tasks.map((task) => `(${literalPostgres(task)})`).join(', ')}`;
}

/** Statement that removes the marks of a finished restore. */
export const DROP_PROGRESS = `DROP TABLE ${PROGRESS_SCHEMA}.restore, ${PROGRESS_SCHEMA}.done, ${PROGRESS_SCHEMA}.journal;
DROP SCHEMA ${PROGRESS_SCHEMA};`;
