import { quoteMysql } from '../../sql/identifiers.ts';
import type { MysqlSession } from '../../sql/mysql-session.ts';
import type { Manifest, ManifestTable } from '../archive/manifest.ts';
import { readTriggers } from './mariadb-objects.ts';
import { forgetMariadbDone } from './mariadb-progress.ts';
import { findMariadbRows } from './mariadb-target-checks.ts';
import { FINISH_TASK, JOURNAL_TASK, type MariadbTask } from './mariadb-target-plan.ts';

/*
 * Tables of the engine MEMORY are empty after every restart of the server. What one took is loaded again: by a restore that goes on, and by
 * one that finds a target in which nothing else is missing.
 */

/** The manifest of a database that was restored whole before its server was restarted: emptied tables have no rows. */
export async function afterRestart(session: MysqlSession, manifest: Manifest): Promise<Manifest> {
  const emptied = new Set(await findEmptied(session, manifest));
  return { ...manifest, tables: manifest.tables.map((table) => (emptied.has(table) ? { ...table, rows: 0 } : table)) };
}

/**
 * Takes the marks away from tasks whose rows a restart took, so that they are done again, and from the task that makes triggers, after
 * dropping those that the rows would fire. Triggers go first: until the marks do, the same is found again.
 * @returns the marks that are left
 */
export async function forgetEmptied(
  session: MysqlSession,
  manifest: Manifest,
  tasks: readonly MariadbTask[],
  done: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const emptied = new Set((await findEmptied(session, manifest)).map(({ name }) => name));
  const isLost = ({ id, work }: MariadbTask): boolean =>
    done.has(id) && work.kind === 'rows' && work.loads.some(({ table }) => emptied.has(table.name));
  const lost = tasks.filter(isLost).map(({ id }) => id);
  if (lost.length === 0) return done;
  // In mode data those of every table are taken away, and noted, because their task is not done.
  if (!tasks.some(({ id }) => id === JOURNAL_TASK)) {
    for (const { name, t } of await readTriggers(session)) {
      if (emptied.has(t)) await session.run(`DROP TRIGGER ${quoteMysql(name)}`);
    }
  }
  const forgotten = new Set([...lost, FINISH_TASK, JOURNAL_TASK]);
  await forgetMariadbDone(session, [...forgotten]);
  return new Set([...done].filter((task) => !forgotten.has(task)));
}

/** Tables of MEMORY that have rows in the backup and none here. */
async function findEmptied(session: MysqlSession, { tables }: Manifest): Promise<readonly ManifestTable[]> {
  const found = await session.query(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() AND engine = 'MEMORY'`,
  );
  const names = new Set(found.map(({ name }) => name));
  const kept = tables.filter(({ name, rows }) => rows > 0 && names.has(name));
  const filled = new Set(await findMariadbRows(session, { tables: kept }));
  return kept.filter(({ name }) => !filled.has(name));
}
