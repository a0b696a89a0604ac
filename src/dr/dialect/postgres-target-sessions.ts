import { HoldfastError } from '../../errors.ts';
import { openSql, type SqlConnections, type SqlSource } from '../../sql/connect.ts';
import { PostgresSession } from '../../sql/postgres-session.ts';

/** How long a predecessor's sessions may take to end: a backend sees the request at its next check for interrupts. */
const PREDECESSOR_TIMEOUT_MS = 60_000;
const PREDECESSOR_POLL_MS = 100;
/** Key of the advisory lock that one restore of a database holds; any number that nobody else uses. */
const LOCK_KEY = '7236272102910451';

export interface TargetSessionsOptions {
  /** {@link Manifest.id}: every restore of it into this database names its sessions alike, so that a new run finds the old one's. */
  readonly backup: string;
  readonly workers: number;
  readonly signal?: AbortSignal | undefined;
  /** Default 60 s. */
  readonly predecessorTimeoutMs?: number | undefined;
}

/** The sessions of one restore: one that coordinates and holds the lock, and one for each worker. */
export class TargetSessions implements AsyncDisposable {
  readonly #sql: SqlConnections;
  readonly #options: TargetSessionsOptions;
  readonly coordinator: PostgresSession;
  readonly #workers: PostgresSession[] = [];

  private constructor(sql: SqlConnections, coordinator: PostgresSession, options: TargetSessionsOptions) {
    this.#sql = sql;
    this.coordinator = coordinator;
    this.#options = options;
  }

  /** Opens the coordinating session. @throws what {@link SqlConnections.raw} throws */
  static async open(target: SqlSource, options: TargetSessionsOptions): Promise<TargetSessions> {
    const sql = openSql(target, { connections: options.workers + 1, applicationName: nameFor(options.backup) });
    try {
      return new TargetSessions(sql, await openSession(sql), options);
    } catch (error) {
      await sql.close();
      throw error;
    }
  }

  /** `host:port/database`. */
  get location(): string {
    return this.#sql.location;
  }

  /**
   * Takes the database for this restore. An earlier run of the same backup is ended first: what a killed client started in the
   * server, such as building an index, goes on there, and could still commit.
   * @throws DR_LOCKED when another backup is being restored into it, or the earlier run does not end
   */
  async lock(): Promise<void> {
    const { signal, predecessorTimeoutMs = PREDECESSOR_TIMEOUT_MS } = this.#options;
    const deadline = performance.now() + predecessorTimeoutMs;
    for (;;) {
      const ended = await this.coordinator.query(
        `SELECT pid, pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
         WHERE datname = pg_catalog.current_database() AND application_name = $1 AND pid <> pg_catalog.pg_backend_pid()`,
        [nameFor(this.#options.backup)],
      );
      if (ended.length === 0) break;
      if (performance.now() > deadline) {
        const pids = ended.map(({ pid }) => pid).join(', ');
        throw new HoldfastError('DR_LOCKED', `The sessions ${pids} of an earlier run of this restore do not end.`);
      }
      signal?.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, PREDECESSOR_POLL_MS));
    }
    const [answer] = await this.coordinator.query(
      `SELECT 1 AS locked WHERE pg_catalog.pg_try_advisory_lock(${LOCK_KEY})`,
    );
    if (answer === undefined) {
      throw new HoldfastError('DR_LOCKED', `Another restore into ${this.location} is running.`);
    }
  }

  /** Opens the workers' sessions. */
  async openWorkers(): Promise<readonly PostgresSession[]> {
    const opening = Array.from({ length: this.#options.workers }, async () => {
      this.#workers.push(await openSession(this.#sql));
    });
    // None is still being opened when one has failed: it would be left behind.
    await Promise.allSettled(opening);
    await Promise.all(opening);
    return this.#workers;
  }

  /** Ends what the workers are doing in the server at once; their transactions are rolled back. Never throws. */
  async interruptWorkers(): Promise<void> {
    const pids = this.#workers.map(({ pid }) => pid).join(',');
    await this.coordinator
      .query(`SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.unnest('{${pids}}'::int[]) AS pid`)
      .catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#workers, this.coordinator].map((session) => session.release()));
    await this.#sql.close();
  }
}

function nameFor(backup: string): string {
  return `holdfast restore ${backup}`;
}

/**
 * A session whose commits do not wait for the disk: they become durable in their order, so that rows and the mark of their being
 * done are lost together or not at all, and the last commit of the restore, which does wait, makes all of them durable.
 */
async function openSession(sql: SqlConnections): Promise<PostgresSession> {
  const session = await PostgresSession.open(sql);
  await session.query(`SET client_min_messages = error; SET standard_conforming_strings = on;
SET check_function_bodies = off; SET synchronous_commit = off; SET default_transaction_read_only = off;
SET default_transaction_isolation = 'read committed';
SELECT pg_catalog.set_config('maintenance_work_mem', '256MB', false)
  FROM pg_catalog.pg_settings WHERE name = 'maintenance_work_mem' AND setting::bigint < 262144;`);
  return session;
}
