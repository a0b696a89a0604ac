import { HoldfastError } from '../../errors.ts';
import { openSql, type SqlConnections, type SqlSource } from '../../sql/connect.ts';

/** How long a predecessor's sessions may take to end: a server's process sees the request when it next checks for interrupts. */
const PREDECESSOR_TIMEOUT_MS = 60_000;
const PREDECESSOR_POLL_MS = 100;

export interface TargetSessionsOptions {
  /** {@link Manifest.id}: what every restore of it into this database is known by, so that a new run finds the old one's sessions. */
  readonly backup: string;
  readonly workers: number;
  readonly signal?: AbortSignal | undefined;
  /** Default 60 s. */
  readonly predecessorTimeoutMs?: number | undefined;
}

/** How sessions of one kind of server are opened, found and ended. */
export interface TargetSessionsDialect<S> {
  /** What the server shows as the name of the sessions. */
  applicationName(backup: string): string;
  open(sql: SqlConnections): Promise<S>;
  /** Asks the sessions of earlier runs to end. Returns the ids of those that are still there. */
  endPredecessors(coordinator: S, restore: RestoreName): Promise<readonly string[]>;
  /** Takes the database for this restore, until the coordinator ends; false when another restore has it. */
  takeDatabase(coordinator: S, restore: RestoreName): Promise<boolean>;
  /** Marks a session as one of this restore's; workers count from 1. */
  markWorker?(session: S, restore: RestoreName, worker: number): Promise<void>;
  /** Ends what sessions are doing in the server at once. Never throws. */
  interrupt(coordinator: S, workers: readonly S[]): Promise<void>;
}

/** A restore: of this backup, into this database. */
export interface RestoreName {
  readonly backup: string;
  readonly database: string;
}

/** The sessions of one restore: one that coordinates and holds the database, and one for each worker. */
export class TargetSessions<S extends { release(): Promise<void> }> implements AsyncDisposable {
  readonly #sql: SqlConnections;
  readonly #dialect: TargetSessionsDialect<S>;
  readonly #options: TargetSessionsOptions;
  readonly #workers: S[] = [];
  readonly coordinator: S;

  private constructor(
    sql: SqlConnections,
    coordinator: S,
    dialect: TargetSessionsDialect<S>,
    options: TargetSessionsOptions,
  ) {
    this.#sql = sql;
    this.coordinator = coordinator;
    this.#dialect = dialect;
    this.#options = options;
  }

  /** Opens the coordinating session. @throws what {@link SqlConnections.raw} throws */
  static async open<S extends { release(): Promise<void> }>(
    target: SqlSource,
    dialect: TargetSessionsDialect<S>,
    options: TargetSessionsOptions,
  ): Promise<TargetSessions<S>> {
    const applicationName = dialect.applicationName(options.backup);
    const sql = openSql(target, { connections: options.workers + 1, applicationName });
    try {
      return new TargetSessions(sql, await dialect.open(sql), dialect, options);
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
      const left = await this.#dialect.endPredecessors(this.coordinator, this.#name);
      if (left.length === 0) break;
      if (performance.now() > deadline) {
        const message = `The sessions ${left.join(', ')} of an earlier run of this restore do not end.`;
        throw new HoldfastError('DR_LOCKED', message);
      }
      signal?.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, PREDECESSOR_POLL_MS));
    }
    if (await this.#dialect.takeDatabase(this.coordinator, this.#name)) return;
    throw new HoldfastError('DR_LOCKED', `Another restore into ${this.location} is running.`);
  }

  /** Opens the workers' sessions. */
  async openWorkers(): Promise<readonly S[]> {
    const opening = Array.from({ length: this.#options.workers }, async (_, index) => {
      const session = await this.#dialect.open(this.#sql);
      this.#workers.push(session);
      await this.#dialect.markWorker?.(session, this.#name, index + 1);
    });
    // None is still being opened when one has failed: it would be left behind.
    await Promise.allSettled(opening);
    await Promise.all(opening);
    return this.#workers;
  }

  /** Ends what the workers are doing in the server at once; their transactions are rolled back. Never throws. */
  interruptWorkers(): Promise<void> {
    return this.#dialect.interrupt(this.coordinator, this.#workers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#workers, this.coordinator].map((session) => session.release()));
    await this.#sql.close();
  }

  get #name(): RestoreName {
    return { backup: this.#options.backup, database: this.#sql.endpoint.database };
  }
}
