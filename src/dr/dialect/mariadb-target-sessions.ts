import { createHash } from 'node:crypto';
import type { SqlConnections } from '../../sql/connect.ts';
import { MysqlSession } from '../../sql/mysql-session.ts';
import type { RestoreName, TargetSessionsDialect } from './target-sessions.ts';

/** Most sessions of an earlier run that are looked for. */
const SESSIONS = 65;
/** A worker waits for the others' changes of tables that it needs, no longer. */
const LOCK_WAIT_S = 600;

/** Settings of a session that loads rows as they were, whatever rules they break, and creates what was there, however odd. */
const LOADING: readonly string[] = [
  'foreign_key_checks = 0',
  // Rows go in faster with than without, see SPEC.md.
  'unique_checks = 1',
  'check_constraint_checks = 0',
  'restrict_fk_on_non_standard_key = 0',
  'innodb_strict_mode = 0',
  `lock_wait_timeout = ${LOCK_WAIT_S}`,
  'system_versioning_insert_history = 1',
  'system_versioning_alter_history = KEEP',
  'explicit_defaults_for_timestamp = 1',
];

/**
 * Sessions of a restore into MariaDB or MySQL. Each holds a named lock that tells a later run which ones they are: names of sessions
 * are not shown by every server.
 */
export const MARIADB_TARGET_SESSIONS: TargetSessionsDialect<MysqlSession> = {
  applicationName: () => 'holdfast restore',

  async open(sql: SqlConnections) {
    const session = await MysqlSession.open(sql);
    for (const setting of LOADING) await session.set(setting);
    return session;
  },

  async endPredecessors(coordinator, restore) {
    const asked = Array.from({ length: SESSIONS }, (_, i) => `IS_USED_LOCK('${lockName(restore, i)}') AS s${i}`);
    const [row] = await coordinator.query(`SELECT ${asked.join(', ')}`);
    const ids = Object.values(row ?? {}).flatMap((id) => id ?? []);
    for (const id of ids) await kill(coordinator, Number(id));
    return ids;
  },

  async takeDatabase(coordinator, restore) {
    if (!(await takeLock(coordinator, databaseLock(restore)))) return false;
    await takeLock(coordinator, lockName(restore, 0));
    return true;
  },

  async markWorker(session, restore, worker) {
    if (worker < SESSIONS) await takeLock(session, lockName(restore, worker));
  },

  async interrupt(coordinator, workers) {
    await Promise.all(workers.map(({ id }) => kill(coordinator, id)));
  },
};

/** It may be gone already. */
async function kill(coordinator: MysqlSession, id: number): Promise<void> {
  await coordinator.run(`KILL ${id}`).catch(() => undefined);
}

function databaseLock({ database }: RestoreName): string {
  return `holdfast ${createHash('sha256').update(database).digest('hex').slice(0, 12)}`;
}

function lockName(restore: RestoreName, session: number): string {
  return `${databaseLock(restore)} ${restore.backup.slice(0, 16)} ${session}`;
}

async function takeLock(session: MysqlSession, name: string): Promise<boolean> {
  const [row] = await session.query('SELECT GET_LOCK(?, 0) AS got', [name]);
  return row?.got === '1';
}
