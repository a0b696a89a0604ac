import { HoldfastError } from '../../errors.ts';
import type { SqlConnections } from '../../sql/connect.ts';
import { qualifiedPostgres } from '../../sql/identifiers.ts';
import { PostgresSession, sqlState } from '../../sql/postgres-session.ts';
import {
  type PostgresCatalog,
  type PostgresHolders,
  readCatalog,
  readHolders,
  readIdentities,
  type TableIdentity,
} from './postgres-catalog.ts';

/** How long one lock is waited for. Whoever waits behind us for the same table waits no longer than that. */
const LOCK_WAIT_MS = 5_000;
/** How a tool of the server says that it could not lock a table in time, or that what it was to describe was dropped meanwhile. */
export const LOCK_MESSAGE =
  /lock timeout|could not obtain lock|due to statement timeout|cache lookup failed|could not open relation with OID/;
const ATTEMPTS = 3;
/** Tables in one LOCK statement. */
const LOCKED_AT_ONCE = 200;

/** One state of the database, seen by every session here; no table of it can be altered while it is held. */
export interface PostgresSnapshot extends AsyncDisposable {
  /** Holds the locks and the snapshot. */
  readonly coordinator: PostgresSession;
  readonly workers: readonly PostgresSession[];
  /** As `pg_export_snapshot` named it. */
  readonly name: string;
  readonly catalog: PostgresCatalog;
}

export interface SnapshotOptions {
  readonly workers: number;
  readonly signal: AbortSignal;
  /** How long one lock is waited for. Default {@link LOCK_WAIT_MS}. */
  readonly lockWaitMs?: number;
  /** Checks the catalog before anything is locked. */
  readonly check: (catalog: PostgresHolders) => Promise<void>;
  /**
   * More that is read in the snapshot while the workers lock the tables: what it began is waited for, and when any of it fails for a
   * lock, everything starts over.
   */
  readonly alongside?: (snapshot: BegunSnapshot) => readonly Promise<unknown>[];
}

/** A snapshot of which the workers do not hold the locks yet; the coordinator does. */
export interface BegunSnapshot {
  readonly name: string;
  readonly coordinator: PostgresSession;
  readonly catalog: Promise<PostgresCatalog>;
  /** Aborts when another part has failed. */
  readonly signal: AbortSignal;
}

/**
 * Takes a snapshot that N sessions share. The order matters: every table is locked first (ACCESS SHARE; LOCK takes no snapshot), so
 * that the snapshot is younger than the locks and no TRUNCATE or ALTER can come between: rows of a table that was rewritten after
 * the snapshot would be read as none. Then the tables there are now are read, and one that appeared or is gone starts it over. Each
 * worker locks every table as well, without waiting: a read without a lock of its own would hang behind an ALTER that waits for us.
 * @throws DR_LOCKED when others hold locks at each of three attempts
 */
export async function takeSnapshot(sql: SqlConnections, options: SnapshotOptions): Promise<PostgresSnapshot> {
  for (let attempt = 1; ; attempt++) {
    options.signal.throwIfAborted();
    try {
      return await attemptSnapshot(sql, options);
    } catch (error) {
      options.signal.throwIfAborted();
      if (!isContention(error)) throw error;
      if (attempt < ATTEMPTS) continue;
      throw new HoldfastError(
        'DR_LOCKED',
        `The tables could not be locked against changes of their structure, ${ATTEMPTS} times: ${(error as Error).message}. End or wait for the ALTER, TRUNCATE, DROP, VACUUM FULL or REINDEX that runs, then start again.`,
        { cause: error },
      );
    }
  }
}

/** Something was created or dropped while the snapshot was taken: it is taken anew. */
export class CatalogChanged extends Error {}

/** Another session stood in the way, or ended what we meant to lock. */
function isContention(error: unknown): boolean {
  const state = sqlState(error);
  if (state === '55P03' || state === '40P01' || state === '42P01' || state === '3F000') return true;
  return error instanceof CatalogChanged || LOCK_MESSAGE.test((error as Error).message);
}

async function attemptSnapshot(sql: SqlConnections, options: SnapshotOptions): Promise<PostgresSnapshot> {
  const { signal, check } = options;
  const sessions: PostgresSession[] = [];
  const cut = (): void => {
    for (const session of sessions) session.destroy();
  };
  const open = async (): Promise<PostgresSession> => {
    const session = await PostgresSession.open(sql);
    sessions.push(session);
    if (signal.aborted) session.destroy();
    return session;
  };
  signal.addEventListener('abort', cut, { once: true });
  const release = async (): Promise<void> => {
    signal.removeEventListener('abort', cut);
    await Promise.all(sessions.map((session) => session.release()));
  };
  const opening = open();
  // Connected while the coordinator reads the catalog; until they are waited for, their errors are no unhandled ones.
  const idle = Array.from({ length: options.workers }, open);
  for (const worker of idle) worker.catch(() => {});
  try {
    const coordinator = await opening;
    await coordinator.query(`SET lock_timeout = ${options.lockWaitMs ?? LOCK_WAIT_MS}`);
    const planned = await readHolders(coordinator);
    await check(planned);
    await coordinator.query(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`);
    await lockTables(coordinator, planned.tables, '');
    if (identity(await readIdentities(coordinator)) !== identity(planned.tables)) {
      throw new CatalogChanged('tables were created or dropped meanwhile');
    }
    const [row] = await coordinator.query('SELECT pg_export_snapshot() AS name');
    const name = row?.name ?? '';
    const opened = idle.map(async (connected) => {
      const worker = await connected;
      await worker.query(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '${name}'`);
      await lockTables(worker, planned.tables, 'NOWAIT');
      return worker;
    });
    const reading = readCatalog(coordinator);
    const failure = new AbortController();
    const begun = { name, coordinator, catalog: reading, signal: AbortSignal.any([signal, failure.signal]) };
    const parts = [...opened, reading, ...(options.alongside?.(begun) ?? [])];
    for (const part of parts) part.catch((error: unknown) => failure.abort(error));
    // All are waited for also when one fails: what one has begun must not go on behind our back.
    await Promise.allSettled(parts);
    failure.signal.throwIfAborted();
    const [workers, catalog] = [await Promise.all(opened), await reading];
    return {
      coordinator,
      workers,
      name,
      catalog,
      [Symbol.asyncDispose]: release,
    };
  } catch (error) {
    // Sessions that are still being opened would be left behind.
    await Promise.allSettled(idle);
    await release();
    throw error;
  }
}

async function lockTables(
  session: PostgresSession,
  tables: readonly TableIdentity[],
  wait: 'NOWAIT' | '',
): Promise<void> {
  for (let from = 0; from < tables.length; from += LOCKED_AT_ONCE) {
    const names = tables.slice(from, from + LOCKED_AT_ONCE).map((table) => `ONLY ${qualifiedPostgres(table)}`);
    await session.query(`LOCK TABLE ${names.join(', ')} IN ACCESS SHARE MODE ${wait}`);
  }
}

function identity(tables: readonly TableIdentity[]): string {
  return JSON.stringify(tables.map(({ oid, schema, name }) => [oid, schema, name]));
}
