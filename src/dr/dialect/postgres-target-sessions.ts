import type { SqlConnections } from '../../sql/connect.ts';
import { PostgresSession } from '../../sql/postgres-session.ts';
import type { TargetSessionsDialect } from './target-sessions.ts';

/** Key of the advisory lock that one restore of a database holds; any number that nobody else uses. */
const LOCK_KEY = '7236272102910451';

/** Sessions of a restore into PostgreSQL, named after their backup. */
export const POSTGRES_TARGET_SESSIONS: TargetSessionsDialect<PostgresSession> = {
  applicationName: nameFor,

  /**
   * A session whose commits do not wait for the disk: they become durable in their order, so that rows and the mark of their being
   * done are lost together or not at all, and the last commit of the restore, which does wait, makes all of them durable.
   */
  async open(sql: SqlConnections) {
    const session = await PostgresSession.open(sql);
    await session.query(`SET client_min_messages = error; SET standard_conforming_strings = on;
SET check_function_bodies = off; SET synchronous_commit = off; SET default_transaction_read_only = off;
SET default_transaction_isolation = 'read committed';
SELECT pg_catalog.set_config('maintenance_work_mem', '256MB', false)
  FROM pg_catalog.pg_settings WHERE name = 'maintenance_work_mem' AND setting::bigint < 262144;`);
    return session;
  },

  async endPredecessors(coordinator, { backup }) {
    const ended = await coordinator.query(
      `SELECT pid::text AS pid, pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
       WHERE datname = pg_catalog.current_database() AND application_name = $1 AND pid <> pg_catalog.pg_backend_pid()`,
      [nameFor(backup)],
    );
    return ended.map(({ pid }) => pid ?? '');
  },

  async takeDatabase(coordinator) {
    const taken = await coordinator.query(`SELECT 1 AS taken WHERE pg_catalog.pg_try_advisory_lock(${LOCK_KEY})`);
    return taken.length > 0;
  },

  async interrupt(coordinator, workers) {
    const pids = workers.map(({ pid }) => pid).join(',');
    await coordinator
      .query(`SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.unnest('{${pids}}'::int[]) AS pid`)
      .catch(() => undefined);
  },
};

function nameFor(backup: string): string {
  return `holdfast restore ${backup}`;
}
