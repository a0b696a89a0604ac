import { HoldfastError, isHoldfastError, withSentence } from '../errors.ts';
import { openSql, type SqlConnections, type SqlSource } from '../sql/connect.ts';
import { checkArchive } from './archive/archive-check.ts';
import type { EncryptionKey } from './archive/encryption-key.ts';
import type { Manifest } from './archive/manifest.ts';
import { keyFor } from './archive/manifest-file.ts';
import { openStorage } from './archive/open-storage.ts';
import type { ArchiveStorage } from './archive/storage.ts';
import type { PreparedRestore, RestoreEvents, RestoreOrder, RestoreTarget } from './dialect/restore-target.ts';
import { RestoreMode, RestorePhase } from './dialect/restore-target.ts';
import type { OnProgress } from './progress.ts';
import { selectTables } from './restore-selection.ts';
import { runBatches } from './scheduler/run-tasks.ts';
import { type Task, TaskGraph } from './scheduler/task-graph.ts';
import { ProgressTracker } from './track-progress.ts';

const DEFAULT_WORKERS = 2;

type PhasedTask = Task & { readonly phase: RestorePhase };

export interface RestoreOptions {
  /** Directory or `s3://` prefix of the archive. */
  readonly from: string;
  /** The database, by URL or as sequelize's options. */
  readonly target: SqlSource;
  /** Connections that work side by side; default 2. One more coordinates. */
  readonly workers?: number | undefined;
  /** Default `full`. */
  readonly mode?: RestoreMode | undefined;
  /** Only these tables, with what they depend on; default all. */
  readonly tables?: readonly string[] | undefined;
  /** The target database's name, as a check that it is the right one; in mode `data` also the consent to append to tables with rows. */
  readonly confirm?: string | undefined;
  /** Goes on where an interrupted restore of the same backup, mode and tables stopped. */
  readonly resume?: boolean | undefined;
  /**
   * Of a database that is compared with the backup and dropped: events of MariaDB and MySQL are created so that none runs, in it or in
   * other databases that it names.
   */
  readonly isDrill?: boolean | undefined;
  /** Of an encrypted archive. */
  readonly key?: EncryptionKey | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface RestoreSummary {
  /** Identity of the backup. */
  readonly backup: string;
  /** `host:port/database`. */
  readonly target: string;
  readonly mode: RestoreMode;
  /** `complete`: there was nothing left to do. */
  readonly state: 'fresh' | 'resumed' | 'complete';
  readonly tables: number;
  /** Rows and bytes of them of the whole restore, what an earlier run loaded included. */
  readonly rows: number;
  readonly bytes: number;
  readonly workers: number;
  readonly durationMs: number;
  /** What is not as it was in the source, in words: an owner that does not exist in the target. */
  readonly notices: readonly string[];
}

/**
 * Restores a backup. Everything that can be checked is checked before the first write: every file of the archive, that the target is
 * not the source and holds nothing (or in mode `data` the same tables, without rows), versions, rights. After it the target is marked,
 * and a failure, a cancellation or a crash leaves it so: `resume` goes on, each piece of work done exactly once. Returns when
 * everything is durable.
 * @throws DR_NOT_FOUND, DR_CHECKSUM_MISMATCH, DR_INCOMPATIBLE, DR_TARGET_NOT_EMPTY, DR_TARGET_IS_SOURCE, DR_LOCKED, DR_CANCELLED,
 *   DR_PRIVILEGE_MISSING, DR_STORAGE_FULL, DATABASE_UNAVAILABLE, CONFIG_INVALID
 */
export async function restore(options: RestoreOptions): Promise<RestoreSummary> {
  const { signal } = options;
  assertConfirmed(options);
  const storage = await openStorage(options.from);
  try {
    return await restoreFrom(storage, options);
  } catch (error) {
    if (!signal?.aborted || isHoldfastError(error, 'DR_CANCELLED')) throw error;
    throw new HoldfastError('DR_CANCELLED', `The restore of ${storage.location} was cancelled.`, { cause: error });
  } finally {
    await storage.close();
  }
}

/**
 * Checks in a moment what {@link restore} would check before its first write, but for the contents of the archive's files, and takes
 * nothing from another restore.
 * @throws what `restore` throws before its first write, but DR_LOCKED
 */
export async function checkRestore(options: RestoreOptions): Promise<void> {
  assertConfirmed(options);
  const storage = await openStorage(options.from);
  try {
    const whole = await checkArchive(storage, { key: options.key, signal: options.signal, namesOnly: true });
    const manifest = options.tables === undefined ? whole : selectTables(whole, options.tables);
    await using database = await openTarget(options.target, orderOf(storage, manifest, options, NO_EVENTS));
    await database.check();
  } finally {
    await storage.close();
  }
}

async function restoreFrom(storage: ArchiveStorage, options: RestoreOptions): Promise<RestoreSummary> {
  const { mode = RestoreMode.FULL, workers = DEFAULT_WORKERS, tables, signal } = options;
  const started = performance.now();
  const whole = await checkArchive(storage, { key: options.key, signal });
  const manifest = tables === undefined ? whole : selectTables(whole, tables);
  const tracker = new ProgressTracker(options.onProgress ?? (() => {}));
  tracker.plan(
    manifest.tables.map(({ id, schema, name, chunks, bytes }) => ({
      ...{ id, bytes, chunks: chunks.length },
      name: schema === '' ? name : `${schema}.${name}`,
    })),
  );
  tracker.phase('checking');
  const notices: string[] = [];
  const events = eventsFor(tracker, (notice) => notices.push(notice));
  const order = orderOf(storage, manifest, options, events);
  await using database = await openTarget(options.target, order);
  const { state } = await fill(database, order, tracker);
  tracker.end('done');
  return {
    ...{ backup: manifest.id, target: database.location, mode, state, workers, notices },
    tables: manifest.tables.length,
    rows: manifest.tables.reduce((sum, { rows }) => sum + rows, 0),
    bytes: manifest.tables.reduce((sum, { bytes }) => sum + bytes, 0),
    durationMs: Math.round(performance.now() - started),
  };
}

const NO_EVENTS: RestoreEvents = {
  onChunkStart: () => {},
  onBytes: () => {},
  onChunkDone: () => {},
  onTableFailed: () => {},
  onNotice: () => {},
};

function orderOf(
  storage: ArchiveStorage,
  manifest: Manifest,
  options: RestoreOptions,
  events: RestoreEvents,
): RestoreOrder {
  const { mode = RestoreMode.FULL, workers = DEFAULT_WORKERS, tables, signal } = options;
  return {
    ...{ storage, manifest, mode, workers, events, signal },
    key: keyFor(manifest, options.key),
    isSelection: tables !== undefined,
    append: options.confirm !== undefined,
    resume: options.resume ?? false,
    isDrill: options.isDrill ?? false,
  };
}

async function openTarget(target: SqlSource, order: RestoreOrder): Promise<RestoreTarget<PhasedTask, unknown>> {
  const { dialect } = order.manifest;
  const { driver } = openTargetUnconnected(target);
  if (dialect === 'postgres' && driver === 'postgres') {
    return (await import('./dialect/postgres-target.ts')).openPostgresTarget(target, order);
  }
  if (dialect !== 'postgres' && driver === 'mysql') {
    return (await import('./dialect/mariadb-target.ts')).openMariadbTarget(target, order);
  }
  throw new HoldfastError(
    'DR_INCOMPATIBLE',
    `A backup of ${dialect} cannot be restored into a target of kind ${driver}.`,
  );
}

/** What the URL or the options say, without a connection. */
function openTargetUnconnected(target: SqlSource): SqlConnections {
  return openSql(target, { connections: 1, applicationName: 'holdfast restore' });
}

/** Does what is left to do, on all workers. */
async function fill<T extends PhasedTask, W>(
  target: RestoreTarget<T, W>,
  order: RestoreOrder,
  tracker: ProgressTracker,
): Promise<PreparedRestore<T>> {
  const prepared = await target.prepare();
  if (prepared.state === 'complete') return prepared;
  try {
    await work(target, prepared, tracker, order.signal);
    await target.finish();
  } catch (error) {
    throw resumable(error, target.location);
  }
  return prepared;
}

async function work<T extends PhasedTask, W>(
  target: RestoreTarget<T, W>,
  { tasks, done }: PreparedRestore<T>,
  tracker: ProgressTracker,
  signal: AbortSignal | undefined,
): Promise<void> {
  const phases = new PhaseTeller(
    tracker,
    tasks.filter(({ id }) => !done.has(id)),
  );
  const graph = new TaskGraph(tasks, done);
  const workers = await target.openWorkers();
  await runBatches(
    graph,
    workers,
    (batch, task) => target.fits(batch, task),
    async (tasks, worker, stop) => {
      // It may be in the middle of an index of many minutes: sessions are ended rather than waited for.
      const interrupt = (): void => void target.interrupt();
      stop.addEventListener('abort', interrupt, { once: true });
      try {
        await target.run(tasks, worker, stop);
        for (const { phase } of tasks) phases.finish(phase);
      } finally {
        stop.removeEventListener('abort', interrupt);
      }
    },
    signal,
  );
}

/** Says how to go on: the target is marked by now. */
function resumable(error: unknown, location: string): unknown {
  if (!isHoldfastError(error)) return error;
  return withSentence(error, `What is done in ${location} is kept: go on with --resume.`, { resumable: true });
}

/** Phases overlap: told is the first one that is not over. */
class PhaseTeller {
  readonly #tracker: ProgressTracker;
  /** Tasks that are not finished, by their phase. */
  readonly #left = new Map<RestorePhase, number>();
  #told: RestorePhase | undefined;

  constructor(tracker: ProgressTracker, tasks: readonly PhasedTask[]) {
    this.#tracker = tracker;
    for (const phase of Object.values(RestorePhase)) this.#left.set(phase, 0);
    for (const { phase } of tasks) this.#left.set(phase, (this.#left.get(phase) ?? 0) + 1);
    this.#tell();
  }

  /** A task of a phase is finished. */
  finish(phase: RestorePhase): void {
    this.#left.set(phase, (this.#left.get(phase) ?? 0) - 1);
    this.#tell();
  }

  #tell(): void {
    const [first] = [...this.#left].find(([, left]) => left > 0) ?? [];
    if (first === undefined || first === this.#told) return;
    this.#told = first;
    this.#tracker.phase(first);
  }
}

/** What a target tells, as progress. */
function eventsFor(tracker: ProgressTracker, onNotice: (notice: string) => void): RestoreEvents {
  return {
    onChunkStart: ({ id }, worker) => tracker.start(id, worker),
    onBytes: ({ id }, bytes) => tracker.read(id, bytes),
    onChunkDone: ({ id }, { rows }) => tracker.finish(id, rows),
    onTableFailed: ({ id }, error) => tracker.fail(id, error),
    onNotice,
  };
}

function assertConfirmed({ target, confirm }: RestoreOptions): void {
  if (confirm === undefined) return;
  const { endpoint, location } = openTargetUnconnected(target);
  if (endpoint.database === confirm) return;
  throw new HoldfastError('CONFIG_INVALID', `The target is ${location}, but the confirmation names "${confirm}".`);
}
