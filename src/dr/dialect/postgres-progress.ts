import { literalPostgres } from '../../sql/identifiers.ts';
import type { PostgresSession } from '../../sql/postgres-session.ts';
import { PROGRESS_SCHEMA } from './postgres-catalog.ts';

/** What a restore is bound to: only the same one may go on with its progress. */
export interface RestoreBinding {
  /** {@link Manifest.id} and {@link Manifest.digest}. */
  readonly backup: string;
  readonly digest: string;
  readonly mode: 'full' | 'data';
  /** Ids of the chosen tables, joined by commas; empty for all. */
  readonly tables: string;
}

export interface RestoreProgressRecord extends RestoreBinding {
  /** Ids of finished tasks. */
  readonly done: ReadonlySet<string>;
}

/** What an interrupted restore left in the target; null when there is none. */
export async function readProgress(session: PostgresSession): Promise<RestoreProgressRecord | null> {
  const [found] = await session.query(
    `SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = '${PROGRESS_SCHEMA}' AND tablename = 'restore'`,
  );
  if (found === undefined) return null;
  const [binding] = await session.query(`SELECT backup, digest, mode, tables FROM ${PROGRESS_SCHEMA}.restore`);
  if (binding === undefined) return null;
  const done = await session.query(`SELECT task FROM ${PROGRESS_SCHEMA}.done`);
  return {
    backup: binding.backup ?? '',
    digest: binding.digest ?? '',
    mode: binding.mode === 'data' ? 'data' : 'full',
    tables: binding.tables ?? '',
    done: new Set(done.map(({ task }) => task ?? '')),
  };
}

/**
 * Statements that mark the target as being restored, for the transaction of the first write. The table `journal` holds statements
 * that put back what a restore into live tables has taken away, in the order in which they are to be run.
 */
export function createProgress(binding: RestoreBinding): string {
  const values = [binding.backup, binding.digest, binding.mode, binding.tables].map(literalPostgres).join(', ');
  const schema = PROGRESS_SCHEMA;
  return `CREATE SCHEMA ${schema};
CREATE TABLE ${schema}.restore (backup text NOT NULL, digest text NOT NULL, mode text NOT NULL, tables text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT pg_catalog.now());
CREATE TABLE ${schema}.done (task text PRIMARY KEY);
CREATE TABLE ${schema}.journal (id int PRIMARY KEY, statement text NOT NULL);
INSERT INTO ${schema}.restore (backup, digest, mode, tables) VALUES (${values});`;
}

/** Statement that records finished tasks, for the transaction that did their work. */
export function markDone(tasks: readonly string[]): string {
  return `INSERT INTO ${PROGRESS_SCHEMA}.done VALUES ${tasks.map((task) => `(${literalPostgres(task)})`).join(', ')}`;
}

/** Statement that removes the marks of a finished restore. */
export const DROP_PROGRESS = `DROP TABLE ${PROGRESS_SCHEMA}.restore, ${PROGRESS_SCHEMA}.done, ${PROGRESS_SCHEMA}.journal;
DROP SCHEMA ${PROGRESS_SCHEMA};`;
