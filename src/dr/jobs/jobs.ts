import { HoldfastError } from '../../errors.ts';
import { type Clock, systemClock } from '../../util/clock.ts';
import { latest } from '../../util/latest.ts';
import type { DrProgress } from '../progress.ts';
import type { JobEngine } from './job-engine.ts';
import {
  backupOf,
  errorOf,
  hasEnded,
  JobKind,
  type JobOrder,
  type JobRecord,
  JobState,
  newJobId,
  parseOrder,
} from './job-record.ts';
import type { JobStore } from './job-store.ts';

/** Jobs at work at once; the others wait. */
const MAX_RUNNING = 2;
/** Jobs that may wait. */
const MAX_QUEUED = 100;
/** When to ask again after that. */
const FULL_RETRY_MS = 60_000;
/** Jobs whose records are kept. */
const KEEP = 500;
/** Least time between two values of {@link DrJobs.progress}. */
const PROGRESS_MS = 250;
/** How long {@link DrJobs.cancel} waits for a job to end. */
const CANCEL_MS = 5_000;

export interface DrJobsOptions {
  /** Nobody else may write it. */
  readonly store: JobStore;
  readonly engine: JobEngine;
  /** Told of what failed and is nobody's answer. */
  readonly onError: (error: unknown, what: string) => void;
  /** Default 2. */
  readonly maxRunning?: number;
  readonly clock?: Clock;
  /** Default: the time of day. */
  readonly now?: () => Date;
}

/** Work in hand. */
interface Run {
  readonly controller: AbortController;
  /** Resolves when it is over and its record was written. */
  readonly done: Promise<void>;
  cancelled: boolean;
}

/**
 * The backups, restores and verifications that a gateway was asked for. A job is on disk before anybody hears of it, and each state
 * before what follows from it begins; so a crash at any moment leaves what {@link recover} can tell. One restore of a database at a time.
 */
export class DrJobs implements AsyncDisposable {
  readonly #store: JobStore;
  readonly #engine: JobEngine;
  readonly #onError: DrJobsOptions['onError'];
  readonly #maxRunning: number;
  readonly #clock: Clock;
  readonly #now: () => Date;
  /** Jobs that are not over, in the order in which they begin; and those whose end could not be written. */
  readonly #live = new Map<string, JobRecord>();
  readonly #runs = new Map<string, Run>();
  /** Archives that are being removed. */
  readonly #removing = new Set<string>();
  readonly #listeners = new Set<() => void>();
  #stopping = false;

  constructor({ store, engine, onError, maxRunning = MAX_RUNNING, clock = systemClock, now }: DrJobsOptions) {
    this.#store = store;
    this.#engine = engine;
    this.#onError = onError;
    this.#maxRunning = maxRunning;
    this.#clock = clock;
    this.#now = now ?? (() => new Date());
  }

  /**
   * Takes up what an earlier process left, once, before anything else: restores go on, what waited waits again, and backups and
   * verifications that were running are FAILED (DR_INTERRUPTED), for their snapshot is gone; nothing is left of them.
   */
  async recover(): Promise<void> {
    this.#store.tidy(KEEP, hasEnded);
    const left = this.#store
      .list(Number.POSITIVE_INFINITY)
      .filter((record) => !hasEnded(record))
      .reverse();
    for (const record of left) {
      if (record.state === JobState.QUEUED || record.order.kind === JobKind.RESTORE) {
        this.#live.set(record.id, { ...record, state: JobState.QUEUED });
      } else await this.#settle(record);
    }
    this.#pump();
  }

  /**
   * Checks an order and takes it as a job: QUEUED, or RUNNING when there is room. Returns when the job is on disk.
   * @param by who asks
   * @param signal of the caller: without them there is no job
   * @throws VALIDATION_FAILED, DR_NOT_FOUND, DR_LOCKED, RATE_LIMITED, and what the work would throw
   */
  async start(given: JobOrder, by: string, signal: AbortSignal): Promise<JobRecord> {
    const order = parseOrder(given);
    const assertFree = (): void => {
      this.#assertTakes();
      this.#assertFree(order);
    };
    assertFree();
    await this.#engine.check(order, { resume: false, signal });
    // Others were answered meanwhile.
    signal.throwIfAborted();
    assertFree();
    const at = this.#now();
    return this.#queue({
      ...{ version: 1, id: newJobId(order, at), order, state: JobState.QUEUED, by },
      ...{ createdAt: at.toISOString(), startedAt: null, endedAt: null },
      ...{ starts: 0, error: null, progress: null, notices: [] },
    });
  }

  /**
   * Ends a job that is not over: a backup leaves nothing, a restore a target that {@link resume} goes on with. Nothing happens to one that
   * is over. Returns when it ended, at the latest after five seconds.
   * @throws DR_NOT_FOUND
   */
  async cancel(id: string): Promise<JobRecord> {
    const record = this.get(id);
    const run = this.#runs.get(id);
    if (run !== undefined) {
      run.cancelled = true;
      run.controller.abort(new Error('cancelled'));
      const { promise, resolve } = Promise.withResolvers<void>();
      const callOff = this.#clock.after(CANCEL_MS, resolve);
      await Promise.race([run.done, promise]);
      callOff();
    } else if (record.state === JobState.QUEUED) {
      this.#end(record, JobState.CANCELLED, cancelledError(record));
    }
    return this.get(id);
  }

  /**
   * Takes up a job that FAILED or was CANCELLED: a restore goes on where it stopped, a backup or verification starts anew. Nothing
   * happens to one that is not over.
   * @throws DR_NOT_FOUND, VALIDATION_FAILED (it SUCCEEDED), and as {@link start}
   */
  async resume(id: string, signal: AbortSignal): Promise<JobRecord> {
    const assertEnded = (): JobRecord | undefined => {
      const record = this.get(id);
      if (!hasEnded(record)) return undefined;
      if (record.state === JobState.SUCCEEDED) {
        throw new HoldfastError('VALIDATION_FAILED', `Job ${id} SUCCEEDED: there is nothing to go on with.`);
      }
      this.#assertTakes();
      this.#assertFree(record.order);
      return record;
    };
    const ended = assertEnded();
    if (ended === undefined) return this.get(id);
    await this.#engine.check(ended.order, { resume: goesOn(ended), signal });
    signal.throwIfAborted();
    const record = assertEnded();
    if (record === undefined) return this.get(id);
    const startedAt = goesOn(record) ? record.startedAt : null;
    const fresh = { endedAt: null, error: null, progress: null, notices: [] };
    return this.#queue({ ...record, ...fresh, startedAt, state: JobState.QUEUED });
  }

  /** A job as it is now. @throws DR_NOT_FOUND */
  get(id: string): JobRecord {
    const record = this.#live.get(id) ?? this.#store.read(id);
    if (record !== undefined) return record;
    throw new HoldfastError('DR_NOT_FOUND', `There is no job ${id.slice(0, 100)}; drJobs lists them.`);
  }

  /** The newest jobs, newest first. */
  list(first: number): JobRecord[] {
    return this.#store.list(first).map((record) => this.#live.get(record.id) ?? record);
  }

  /** A job now, and again after each change, at most four times a second; the last value is its end. @throws DR_NOT_FOUND */
  progress(id: string, signal: AbortSignal): AsyncGenerator<JobRecord, void> {
    this.get(id);
    return latest({
      read: () => this.get(id),
      isLast: hasEnded,
      onChange: (changed) => {
        this.#listeners.add(changed);
        return () => void this.#listeners.delete(changed);
      },
      ...{ leastMs: PROGRESS_MS, clock: this.#clock, signal },
    });
  }

  /** Lets `remove` take an archive away that no job uses, and no job use it meanwhile. @throws DR_LOCKED */
  async removeArchive(name: string, remove: () => Promise<void>): Promise<void> {
    const user = [...this.#live.values()].find((record) => !hasEnded(record) && backupOf(record) === name);
    if (user !== undefined || this.#removing.has(name)) {
      const by = user === undefined ? 'is being removed' : `is used by job ${user.id}`;
      throw new HoldfastError('DR_LOCKED', `Backup ${name} ${by}.`);
    }
    this.#removing.add(name);
    try {
      await remove();
    } finally {
      this.#removing.delete(name);
    }
  }

  /**
   * Ends the work: restores stop so that the next process goes on with them, backups and verifications fail with DR_INTERRUPTED, what
   * waits stays. Returns when every record is on disk.
   */
  async stop(): Promise<void> {
    this.#stopping = true;
    const runs = [...this.#runs.values()];
    for (const { controller } of runs) controller.abort(new Error('the gateway stops'));
    await Promise.all(runs.map(({ done }) => done));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #assertTakes(): void {
    if (this.#stopping) throw new HoldfastError('SHUTTING_DOWN', 'This gateway is stopping and takes no job.');
    const queued = [...this.#live.values()].filter(({ state }) => state === JobState.QUEUED).length;
    if (queued < MAX_QUEUED) return;
    const details = { retryAfterMs: FULL_RETRY_MS };
    throw new HoldfastError('RATE_LIMITED', `${queued} jobs wait already: let some of them finish.`, { details });
  }

  /** @throws DR_LOCKED when something else has hold of what the order needs */
  #assertFree(order: JobOrder): void {
    if (order.kind !== JobKind.BACKUP && this.#removing.has(order.backup)) {
      throw new HoldfastError('DR_LOCKED', `Backup ${order.backup} is being removed.`);
    }
    const target = this.#engine.targetOf(order);
    if (target === null) return;
    for (const other of this.#live.values()) {
      if (hasEnded(other) || this.#targetOf(other) !== target) continue;
      throw new HoldfastError('DR_LOCKED', `Job ${other.id} restores into ${target}: wait for it, or cancel it.`);
    }
  }

  /** Of a job that was taken once; its name may have left the configuration since. */
  #targetOf({ order }: JobRecord): string | null {
    try {
      return this.#engine.targetOf(order);
    } catch {
      return null;
    }
  }

  #queue(record: JobRecord): JobRecord {
    this.#store.write(record);
    this.#live.set(record.id, record);
    this.#pump();
    return this.get(record.id);
  }

  #pump(): void {
    for (const record of this.#live.values()) {
      if (this.#stopping || this.#runs.size >= this.#maxRunning) return;
      if (record.state !== JobState.QUEUED || this.#runs.has(record.id)) continue;
      const controller = new AbortController();
      const done = this.#run(record, controller.signal).finally(() => {
        this.#runs.delete(record.id);
        this.#pump();
      });
      this.#runs.set(record.id, { controller, done, cancelled: false });
    }
  }

  /** Never throws. */
  async #run(queued: JobRecord, signal: AbortSignal): Promise<void> {
    const { id } = queued;
    const resume = goesOn(queued);
    const started = {
      ...queued,
      ...{
        state: JobState.RUNNING,
        startedAt: queued.startedAt ?? this.#now().toISOString(),
        starts: queued.starts + 1,
      },
    };
    const latestOf = (): JobRecord => this.#live.get(id) ?? started;
    try {
      this.#show(started);
      this.#store.write(started);
      const onProgress = (progress: DrProgress): void => this.#show({ ...latestOf(), progress });
      const notices = await this.#engine.run(queued, { resume, onProgress, signal });
      this.#end({ ...latestOf(), notices: [...notices] }, JobState.SUCCEEDED, null);
    } catch (error) {
      if (!(error instanceof HoldfastError)) this.#onError(error, `job ${id} failed`);
      const record = latestOf();
      if (this.#runs.get(id)?.cancelled) this.#end(record, JobState.CANCELLED, cancelledError(record));
      else if (!signal.aborted) this.#end(record, JobState.FAILED, error);
      else if (record.order.kind === JobKind.RESTORE) this.#keep({ ...record, state: JobState.QUEUED, progress: null });
      else this.#end(record, JobState.FAILED, interruptedError(record));
    }
  }

  async #settle(record: JobRecord): Promise<void> {
    try {
      if (await this.#engine.settle(record)) this.#end(record, JobState.SUCCEEDED, null);
      else this.#end(record, JobState.FAILED, interruptedError(record));
    } catch (error) {
      this.#onError(error, `what the interrupted job ${record.id} left could not be removed`);
      this.#end(record, JobState.FAILED, interruptedError(record, errorOf(error).message));
    }
  }

  #end(record: JobRecord, state: JobState, error: unknown): void {
    const endedAt = this.#now().toISOString();
    this.#keep({ ...record, state, endedAt, error: error === null ? null : errorOf(error) });
  }

  /** Puts a state on disk. When that fails it is still told as long as this process lives; the next one finds the state before. */
  #keep(record: JobRecord): void {
    this.#live.set(record.id, record);
    try {
      this.#store.write(record);
      if (hasEnded(record)) this.#live.delete(record.id);
    } catch (error) {
      this.#onError(error, `the record of job ${record.id} could not be written`);
    }
    this.#tell();
  }

  #show(record: JobRecord): void {
    this.#live.set(record.id, record);
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** Whether a job goes on with what it did before, rather than anew. */
function goesOn({ order, starts }: JobRecord): boolean {
  return order.kind === JobKind.RESTORE && starts > 0;
}

function interruptedError({ order, id }: JobRecord, leftover?: string): HoldfastError {
  const what = order.kind === JobKind.BACKUP ? 'backup' : 'verification';
  const files = leftover === undefined ? 'Nothing of it was kept' : `What it left could not be removed (${leftover})`;
  return new HoldfastError(
    'DR_INTERRUPTED',
    `The gateway stopped in the middle of this ${what}. ${files}: start it anew with drResume(id: "${id}").`,
  );
}

function cancelledError({ order, id, starts }: JobRecord): HoldfastError {
  const goes = order.kind === JobKind.RESTORE && starts > 0 ? 'go on' : 'start it anew';
  const kept = goes === 'go on' ? 'what it has done in the target is kept' : 'nothing of it was kept';
  return new HoldfastError('DR_CANCELLED', `The job was cancelled, and ${kept}: ${goes} with drResume(id: "${id}").`);
}
