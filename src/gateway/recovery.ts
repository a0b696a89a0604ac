import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { type Config, dataDirectory } from '../config.ts';
import { readKeyFile } from '../dr/archive/encryption-key.ts';
import { JOBS_DIRECTORY } from '../dr/archives.ts';
import { renderGraph } from '../dr/graph/render.ts';
import { ArchiveShelf, type ShelvedArchive } from '../dr/jobs/archive-shelf.ts';
import { DatabaseEngine, locationOf, type NamedDatabase } from '../dr/jobs/job-engine.ts';
import { backupOf, JobKind, type JobRecord } from '../dr/jobs/job-record.ts';
import { JobStore } from '../dr/jobs/job-store.ts';
import { DrJobs } from '../dr/jobs/jobs.ts';
import { readGraph } from '../dr/read-graph.ts';
import { HoldfastError, isHoldfastError } from '../errors.ts';
import type { DrBackup, DrGraph, DrJob, DrOrder, DrService, DrSource } from '../service/dr-service.ts';
import type { SqlSource } from '../sql/connect.ts';
import { holdDirectory } from '../sqlite/database.ts';
import type { Logger } from '../telemetry/logger.ts';

/** Without a configured number there are as many workers as processors, up to this. */
const MAX_DEFAULT_WORKERS = 8;

export interface DisasterRecoveryOptions {
  readonly config: Config;
  readonly logger: Logger;
}

/**
 * Disaster recovery by a gateway: its databases are those of `dr.sources`, its archives lie in `dr.dir`, its jobs in `dr.dir/jobs` (in the
 * data directory when `dr.dir` is a bucket). Of several gateways with one `dr.dir` one runs jobs; the others tell what is there and
 * refuse what would change it, until it is gone.
 */
export class DisasterRecovery implements DrService, AsyncDisposable {
  readonly #databases: ReadonlyMap<string, NamedDatabase>;
  readonly #shelf: ArchiveShelf;
  readonly #store: JobStore;
  readonly #engine: DatabaseEngine;
  readonly #logger: Logger;
  readonly #config: Config['dr'];
  readonly #parts = new AsyncDisposableStack();
  #opening: Promise<DrJobs> | undefined;
  /** Set once the jobs are ours. */
  #jobs: DrJobs | undefined;

  constructor({ config, logger }: DisasterRecoveryOptions) {
    this.#config = config.dr;
    this.#logger = logger;
    const { dir, sources } = config.dr;
    this.#databases = new Map(
      Object.entries(sources).map(([name, { url, sequelize, suffixes }]) => {
        return [name, { source: (url ?? sequelize) as SqlSource, suffixes }];
      }),
    );
    this.#shelf = new ArchiveShelf(dir);
    const directory = dir.startsWith('s3://')
      ? join(dataDirectory(config), 'dr-jobs')
      : join(resolve(dir), JOBS_DIRECTORY);
    this.#store = new JobStore(directory, (error) => logger.error({ err: error }, 'a job cannot be read'));
    this.#engine = new DatabaseEngine({
      ...{ databases: this.#databases, shelf: this.#shelf },
      key: () => this.#key(),
      workers: config.dr.workers ?? Math.min(MAX_DEFAULT_WORKERS, availableParallelism()),
    });
  }

  /** Takes up the jobs of the process before this one, when there are any. What stands in the way is logged. */
  run(): void {
    if (!this.#store.exists) return;
    this.#open().catch((error) => this.#logger.warn({ err: error }, 'jobs of disaster recovery are not taken up'));
  }

  async sources(): Promise<readonly DrSource[]> {
    return [...this.#databases].map(([name, { source, suffixes }]) => ({
      ...{ name, ...whereabouts(source) },
      suffixes: Object.entries(suffixes).map(([table, sql]) => ({ table, sql })),
    }));
  }

  async backups(signal: AbortSignal): Promise<readonly DrBackup[]> {
    return (await this.#shelf.list({ key: await this.#key(), signal })).map(backupView);
  }

  async jobs(first: number): Promise<readonly DrJob[]> {
    return (this.#jobs ?? this.#store).list(first).map(jobView);
  }

  async job(id: string): Promise<DrJob> {
    const record = this.#jobs?.get(id) ?? this.#store.read(id);
    if (record !== undefined) return jobView(record);
    throw new HoldfastError('DR_NOT_FOUND', `There is no job ${id.slice(0, 100)}; drJobs lists them.`);
  }

  async graph(source: string): Promise<DrGraph> {
    const { graph, tables } = await readGraph(this.#engine.database(source).source);
    const rendered = JSON.parse(renderGraph(graph, tables, 'json')) as Omit<DrGraph, 'dot'>;
    return { ...rendered, dot: renderGraph(graph, tables, 'dot') };
  }

  async start(order: DrOrder, by: string, signal: AbortSignal): Promise<DrJob> {
    return jobView(await (await this.#open()).start(order, by, signal));
  }

  async cancel(id: string): Promise<DrJob> {
    return jobView(await (await this.#open()).cancel(id));
  }

  async resume(id: string, signal: AbortSignal): Promise<DrJob> {
    return jobView(await (await this.#open()).resume(id, signal));
  }

  async delete(backup: string): Promise<void> {
    const jobs = await this.#open();
    const key = await this.#key();
    await jobs.removeArchive(backup, () => this.#shelf.remove(backup, { key }));
  }

  async *progress(id: string, signal: AbortSignal): AsyncIterable<DrJob> {
    await this.job(id);
    const jobs = await this.#open();
    for await (const record of jobs.progress(id, signal)) yield jobView(record);
  }

  /** Running jobs stop as `DrJobs.stop` says. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opening?.catch(() => undefined);
    await this.#parts.disposeAsync();
  }

  /** The jobs, once they are ours. @throws DR_LOCKED while they are another gateway's, DATA_UNWRITABLE */
  #open(): Promise<DrJobs> {
    this.#opening ??= this.#take().catch((error) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #take(): Promise<DrJobs> {
    const { directory } = this.#store;
    await using parts = new AsyncDisposableStack();
    try {
      parts.use(holdDirectory(directory));
    } catch (error) {
      if (!isHoldfastError(error, 'DATA_LOCKED')) throw error;
      const message = `Another gateway runs the jobs in ${directory}: ask that one.`;
      throw new HoldfastError('DR_LOCKED', message, { cause: error });
    }
    const jobs = parts.use(
      new DrJobs({
        ...{ store: this.#store, engine: this.#engine },
        onError: (error, what) => this.#logger.error({ err: error }, what),
      }),
    );
    await jobs.recover();
    this.#parts.use(parts.move());
    this.#jobs = jobs;
    return jobs;
  }

  async #key() {
    return this.#config.keyFile === undefined ? undefined : readKeyFile(this.#config.keyFile);
  }
}

function whereabouts(source: SqlSource): Pick<DrSource, 'location' | 'problem'> {
  try {
    return { location: locationOf(source), problem: null };
  } catch (error) {
    return { location: null, problem: (error as Error).message };
  }
}

function jobView(record: JobRecord): DrJob {
  const { id, order, state, progress, notices, by, createdAt, startedAt, endedAt, error } = record;
  return {
    ...{ id, state, notices, by, createdAt, startedAt, endedAt, error, progress },
    ...{ kind: order.kind, backup: backupOf(record) },
    source: order.kind === JobKind.BACKUP ? order.source : null,
    target: order.kind === JobKind.BACKUP ? null : order.target,
    level: order.kind === JobKind.VERIFY ? order.level : null,
    tables: progress?.tables ?? [],
  };
}

function backupView({ verified, ...archive }: ShelvedArchive): DrBackup {
  const reports = Object.values(verified).map(({ result, ...report }) => ({ ...report, passed: result === 'PASSED' }));
  return { ...archive, verified: reports };
}
