import { createHash } from 'node:crypto';
import { HoldfastError } from '../../errors.ts';
import { openSql, type SqlConnections, type SqlSource } from '../../sql/connect.ts';
import { MysqlSession } from '../../sql/mysql-session.ts';
import type { TargetSessionsOptions } from './postgres-target-sessions.ts';

const PREDECESSOR_TIMEOUT_MS = 60_000;
const PREDECESSOR_POLL_MS = 100;
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
  'innodb_strict_mode = 0',
  `lock_wait_timeout = ${LOCK_WAIT_S}`,
  'system_versioning_insert_history = 1',
  'system_versioning_alter_history = KEEP',
  'explicit_defaults_for_timestamp = 1',
];

/**
 * The sessions of one restore. Each holds a named lock that tells a later run which ones they are: names of sessions are not shown by
 * every server.
 */
export class MariadbTargetSessions implements AsyncDisposable {
  readonly #sql: SqlConnections;
  readonly #options: TargetSessionsOptions;
  readonly coordinator: MysqlSession;
  readonly #workers: MysqlSession[] = [];

  private constructor(sql: SqlConnections, coordinator: MysqlSession, options: TargetSessionsOptions) {
    this.#sql = sql;
    this.coordinator = coordinator;
    this.#options = options;
  }

  /** Opens the coordinating session. @throws what {@link SqlConnections.raw} throws */
  static async open(target: SqlSource, options: TargetSessionsOptions): Promise<MariadbTargetSessions> {
    const sql = openSql(target, { connections: options.workers + 1, applicationName: 'holdfast restore' });
    try {
      return new MariadbTargetSessions(sql, await openSession(sql), options);
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
   * server, such as building an index, goes on there.
   * @throws DR_LOCKED when another backup is being restored into it, or the earlier run does not end
   */
  async lock(): Promise<void> {
    const { signal, predecessorTimeoutMs = PREDECESSOR_TIMEOUT_MS } = this.#options;
    const deadline = performance.now() + predecessorTimeoutMs;
    const asked = Array.from({ length: SESSIONS }, (_, i) => `IS_USED_LOCK('${this.#lockName(i)}') AS s${i}`).join(
      ', ',
    );
    for (;;) {
      const [row] = await this.coordinator.query(`SELECT ${asked}`);
      const ids = Object.values(row ?? {}).flatMap((id) => id ?? []);
      if (ids.length === 0) break;
      for (const id of ids) await this.#kill(Number(id));
      if (performance.now() > deadline) {
        throw new HoldfastError(
          'DR_LOCKED',
          `The sessions ${ids.join(', ')} of an earlier run of this restore do not end.`,
        );
      }
      signal?.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, PREDECESSOR_POLL_MS));
    }
    if (!(await takeLock(this.coordinator, this.#databaseLock()))) {
      throw new HoldfastError('DR_LOCKED', `Another restore into ${this.location} is running.`);
    }
    await takeLock(this.coordinator, this.#lockName(0));
  }

  /** Opens the workers' sessions. */
  async openWorkers(): Promise<readonly MysqlSession[]> {
    for (let index = 1; index <= this.#options.workers; index++) {
      const session = await openSession(this.#sql);
      this.#workers.push(session);
      if (index < SESSIONS) await takeLock(session, this.#lockName(index));
    }
    return this.#workers;
  }

  /** Ends what the workers are doing in the server at once; their transactions are rolled back. Never throws. */
  async interruptWorkers(): Promise<void> {
    await Promise.all(this.#workers.map(({ id }) => this.#kill(id)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#workers, this.coordinator].map((session) => session.release()));
    await this.#sql.close();
  }

  /** It may be gone already. */
  async #kill(id: number): Promise<void> {
    await this.coordinator.run(`KILL ${id}`).catch(() => undefined);
  }

  #databaseLock(): string {
    const { database } = this.#sql.endpoint;
    return `holdfast ${createHash('sha256').update(database).digest('hex').slice(0, 12)}`;
  }

  #lockName(session: number): string {
    return `${this.#databaseLock()} ${this.#options.backup.slice(0, 16)} ${session}`;
  }
}

async function takeLock(session: MysqlSession, name: string): Promise<boolean> {
  const [row] = await session.query('SELECT GET_LOCK(?, 0) AS got', [name]);
  return row?.got === '1';
}

async function openSession(sql: SqlConnections): Promise<MysqlSession> {
  const session = await MysqlSession.open(sql);
  for (const setting of LOADING) await session.set(setting);
  return session;
}
