import { HoldfastError, isHoldfastError } from '../../errors.ts';
import type { SqlConnections } from '../../sql/connect.ts';
import { quoteMysql } from '../../sql/identifiers.ts';
import { MysqlSession, mysqlErrorName } from '../../sql/mysql-session.ts';
import { readTableNames } from './mariadb-catalog.ts';
import { isDenied } from './mariadb-errors.ts';
import type { Flavour } from './mariadb-flavour.ts';

/** How long one lock is waited for: who waits longer holds up everybody behind. */
const LOCK_WAIT_S = 5;
const TRIES = 3;
/** Tables touched in one statement. */
const TOUCHED_AT_ONCE = 100;
/** Somebody held a lock, or altered a table between our looking at it and our holding it. */
const IN_THE_WAY = /^ER_(LOCK_WAIT_TIMEOUT|LOCK_DEADLOCK|TABLE_DEF_CHANGED|NO_SUCH_TABLE|BACKUP_LOCK_IS_ACTIVE)$/;

/** A database held still: sessions that see one moment of it, and whose locks keep every table as it is. */
export interface MariadbSnapshot extends AsyncDisposable {
  /** For the catalog and for finding rows. */
  readonly coordinator: MysqlSession;
  /** They read rows. The coordinator itself when the rights allow no second session of the same moment. */
  readonly workers: readonly MysqlSession[];
  /** Whether every session sees the same moment, and no table can have been altered between it and their locks. */
  readonly isWhole: boolean;
  readonly position: Readonly<Record<string, string>>;
  /** Names of the tables that are held. One that was made since is none of them, and cannot be read. */
  readonly tables: ReadonlySet<string>;
}

export interface SnapshotOptions {
  readonly workers: number;
  readonly signal: AbortSignal;
}

/**
 * Holds a database still for a moment, in which every session begins its snapshot and touches every table: from then on no table can
 * be altered while it is being read. Without the right to hold it still, one session does the same by itself.
 * @throws DR_LOCKED after three tries
 */
export async function takeMariadbSnapshot(
  sql: SqlConnections,
  flavour: Flavour,
  options: SnapshotOptions,
): Promise<MariadbSnapshot> {
  for (let tries = 1; ; tries++) {
    const sessions = new Sessions(sql, options.signal);
    try {
      return await attempt(sessions, flavour, options);
    } catch (error) {
      await sessions[Symbol.asyncDispose]();
      options.signal.throwIfAborted();
      if (isHoldfastError(error) || !IN_THE_WAY.test(mysqlErrorName(error))) throw error;
      if (tries === TRIES) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new HoldfastError('DR_LOCKED', `The tables cannot be held still, ${TRIES} times over: ${reason}`, {
          cause: error,
        });
      }
    }
  }
}

async function attempt(sessions: Sessions, flavour: Flavour, { workers }: SnapshotOptions): Promise<MariadbSnapshot> {
  // All are connected before the database is held: nobody shall wait for that.
  const [holder, coordinator, ...idle] = (await sessions.openAll(workers + 2)) as [
    MysqlSession,
    MysqlSession,
    ...MysqlSession[],
  ];
  const isHeld = await hold(holder, flavour);
  const readers = isHeld ? idle : [];
  if (!isHeld) await Promise.all(idle.map((session) => sessions.close(session)));
  const held = isHeld ? [coordinator, ...readers] : [coordinator];
  await Promise.all(readers.map((session) => session.run('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY')));
  await coordinator.run('START TRANSACTION WITH CONSISTENT SNAPSHOT');
  const names = await readTableNames(holder);
  // A row that is asked for shows whether the table is one the snapshot can read.
  await Promise.all(held.map((session) => touch(session, names, isHeld ? 0 : 1)));
  const position = isHeld ? await readPosition(holder, flavour) : {};
  await sessions.close(holder);
  return {
    coordinator,
    workers: isHeld ? readers : [coordinator],
    isWhole: isHeld,
    position,
    tables: new Set(names),
    [Symbol.asyncDispose]: () => sessions[Symbol.asyncDispose](),
  };
}

/** Keeps everybody from committing and from altering tables until the session ends; false without the right to. */
async function hold(session: MysqlSession, { hasBackupStages }: Flavour): Promise<boolean> {
  const stages = ['START', 'BLOCK_DDL', 'BLOCK_COMMIT'].map((stage) => `BACKUP STAGE ${stage}`);
  try {
    for (const step of hasBackupStages ? stages : ['FLUSH TABLES WITH READ LOCK']) await session.run(step);
    return true;
  } catch (error) {
    if (isDenied(error)) return false;
    throw error;
  }
}

async function touch(session: MysqlSession, names: readonly string[], rows: 0 | 1): Promise<void> {
  for (let from = 0; from < names.length; from += TOUCHED_AT_ONCE) {
    const some = names.slice(from, from + TOUCHED_AT_ONCE);
    await session.query(some.map((name) => `(SELECT 1 FROM ${quoteMysql(name)} LIMIT ${rows})`).join(' UNION ALL '));
  }
}

/** Where in the server's own log the snapshot lies; nothing without a log or the right to see it. */
async function readPosition(session: MysqlSession, { dialect }: Flavour): Promise<Record<string, string>> {
  const position: Record<string, string> = {};
  for (const statement of ['SHOW MASTER STATUS', 'SHOW BINARY LOG STATUS']) {
    const [row] = await session.query(statement).catch(() => []);
    if (row?.File == null) continue;
    position.file = row.File;
    position.offset = row.Position ?? '';
    break;
  }
  if (position.file === undefined) return position;
  const variable = dialect === 'mariadb' ? '@@global.gtid_binlog_pos' : '@@global.gtid_executed';
  const [row] = await session.query(`SELECT ${variable} AS gtid`).catch(() => []);
  if (row?.gtid) position.gtid = row.gtid;
  return position;
}

/** Sessions that end together, at once when the signal says so. */
class Sessions implements AsyncDisposable {
  readonly #sql: SqlConnections;
  readonly #signal: AbortSignal;
  readonly #open = new Set<MysqlSession>();
  readonly #cut = (): void => {
    for (const session of this.#open) session.destroy();
  };

  constructor(sql: SqlConnections, signal: AbortSignal) {
    this.#sql = sql;
    this.#signal = signal;
    signal.addEventListener('abort', this.#cut, { once: true });
  }

  /** @throws when one cannot be opened; none is being opened any more then */
  async openAll(count: number): Promise<MysqlSession[]> {
    const opening = Array.from({ length: count }, () => this.#openOne());
    await Promise.allSettled(opening);
    return Promise.all(opening);
  }

  async #openOne(): Promise<MysqlSession> {
    this.#signal.throwIfAborted();
    const session = await MysqlSession.open(this.#sql);
    this.#open.add(session);
    await session.set(`lock_wait_timeout = ${LOCK_WAIT_S}`);
    return session;
  }

  async close(session: MysqlSession): Promise<void> {
    this.#open.delete(session);
    await session.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener('abort', this.#cut);
    await Promise.all([...this.#open].map((session) => session.release()));
  }
}
