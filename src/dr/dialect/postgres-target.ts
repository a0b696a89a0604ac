import { HoldfastError } from '../../errors.ts';
import type { SqlSource } from '../../sql/connect.ts';
import type { PostgresSession } from '../../sql/postgres-session.ts';
import { failpoint } from '../../util/failpoint.ts';
import {
  createProgress,
  DROP_PROGRESS,
  type RestoreBinding,
  type RestoreProgressRecord,
  readProgress,
} from './postgres-progress.ts';
import { assertMayCreate, assertVersion, findContents, refuseContents } from './postgres-target-checks.ts';
import { findDifferences, findRows } from './postgres-target-compare.ts';
import { assertTablesMatch, planDataRestore, prepareTables } from './postgres-target-data.ts';
import { planFullRestore, type TargetTask, type TargetWork } from './postgres-target-plan.ts';
import { POSTGRES_TARGET_SESSIONS } from './postgres-target-sessions.ts';
import { attempt, fitsTogether, runTogether } from './postgres-target-transaction.ts';
import { forgetLost } from './postgres-target-unlogged.ts';
import type { PreparedRestore, RestoreOrder, RestoreTarget } from './restore-target.ts';
import { TargetSessions } from './target-sessions.ts';

/** Opens a PostgreSQL database to restore into; nothing is written before {@link PostgresTarget.prepare}. */
export async function openPostgresTarget(target: SqlSource, order: RestoreOrder): Promise<PostgresTarget> {
  const { workers, signal, manifest } = order;
  const sessions = await TargetSessions.open(target, POSTGRES_TARGET_SESSIONS, {
    backup: manifest.id,
    workers,
    signal,
  });
  return new PostgresTarget(sessions, order);
}

/** {@link RestoreTarget} of PostgreSQL. Each task is in one transaction with its mark in {@link PROGRESS_SCHEMA}. */
export class PostgresTarget implements RestoreTarget<TargetTask, PostgresSession> {
  readonly #sessions: TargetSessions<PostgresSession>;
  readonly #order: RestoreOrder;
  /** Roles that objects can be given to. */
  #roles: ReadonlySet<string> = new Set();
  /** Who we are: what we create is ours. */
  #user = '';
  #workers: readonly PostgresSession[] = [];

  constructor(sessions: TargetSessions<PostgresSession>, order: RestoreOrder) {
    this.#sessions = sessions;
    this.#order = order;
  }

  get location(): string {
    return this.#sessions.location;
  }

  async check(): Promise<void> {
    const { coordinator } = this.#sessions;
    assertVersion(coordinator, this.#order.manifest);
    await assertMayCreate(coordinator);
    await this.#lookAt();
  }

  async prepare(): Promise<PreparedRestore<TargetTask>> {
    const { coordinator } = this.#sessions;
    const { manifest, mode } = this.#order;
    assertVersion(coordinator, manifest);
    await assertMayCreate(coordinator);
    await this.#sessions.lock();
    const roles = await coordinator.query(
      `SELECT rolname AS name, (rolname = current_user)::text AS mine FROM pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER')`,
    );
    this.#user = roles.find(({ mine }) => mine === 'true')?.name ?? '';
    this.#roles = new Set(roles.map(({ name }) => name ?? ''));
    const begin = await this.#lookAt();
    if (typeof begin === 'object') {
      const done = await forgetLost(coordinator, manifest, begin.done);
      const tasks = (await this.#plan(done)).map((task) => (begin.done.has(task.id) ? inPieces(task) : task));
      for (const { id, work } of tasks) if (done.has(id)) this.#tellDone(work, true);
      return { state: 'resumed', tasks, done };
    }
    if (begin === 'complete') return { state: 'complete', tasks: [], done: new Set() };
    const preparation = mode === 'data' ? await prepareTables(coordinator, manifest) : '';
    await attempt('mark the target', () =>
      coordinator.query(`BEGIN;\n${createProgress(this.#binding())}\n${preparation}\nCOMMIT`),
    );
    failpoint('restore.afterMark');
    const done = new Set<string>();
    return { state: 'fresh', tasks: await this.#plan(done), done };
  }

  async openWorkers(): Promise<readonly PostgresSession[]> {
    this.#workers = await this.#sessions.openWorkers();
    return this.#workers;
  }

  fits(batch: readonly TargetTask[], task: TargetTask): boolean {
    return fitsTogether(batch, task);
  }

  async run(tasks: readonly TargetTask[], session: PostgresSession, signal: AbortSignal): Promise<void> {
    const worker = { session, number: this.#workers.indexOf(session) + 1, signal };
    const notices = await runTogether(tasks, worker, { order: this.#order, user: this.#user, roles: this.#roles });
    for (const notice of notices) this.#order.events.onNotice(notice);
    for (const { work } of tasks) this.#tellDone(work, false);
  }

  interrupt(): Promise<void> {
    return this.#sessions.interruptWorkers();
  }

  async finish(): Promise<void> {
    failpoint('restore.beforeFinish');
    // This commit waits for the disk, and so for every commit before it.
    await this.#sessions.coordinator.query(`BEGIN; SET LOCAL synchronous_commit = on; ${DROP_PROGRESS} COMMIT`);
    failpoint('restore.afterFinish');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#sessions[Symbol.asyncDispose]();
  }

  #tellDone(work: TargetWork, earlier: boolean): void {
    if (work.kind !== 'rows') return;
    const { events } = this.#order;
    for (const { table, chunk } of work.loads) {
      if (earlier) events.onBytes(table, chunk.bytes);
      events.onChunkDone(table, chunk);
    }
  }

  #binding(): RestoreBinding {
    const { manifest, mode, isSelection } = this.#order;
    const tables = isSelection ? manifest.tables.map(({ id }) => id).join(',') : '';
    return { backup: manifest.id, digest: manifest.digest, mode, tables };
  }

  /** What there is to begin with: the progress of an earlier run of this restore, or nothing, or all of it. */
  async #lookAt(): Promise<RestoreProgressRecord | 'fresh' | 'complete'> {
    const { mode, resume } = this.#order;
    const progress = await readProgress(this.#sessions.coordinator);
    if (progress === null) return mode === 'full' ? this.#checkEmpty() : this.#checkTables();
    this.#assertOwn(progress, resume);
    return progress;
  }

  #assertOwn(found: RestoreBinding, resume: boolean): void {
    const own = this.#binding();
    const isOwn = (Object.keys(own) as (keyof RestoreBinding)[]).every((name) => found[name] === own[name]);
    if (isOwn && resume) return;
    const message = isOwn
      ? `${this.location} holds an interrupted restore of this backup: go on with --resume.`
      : `${this.location} holds an interrupted restore of backup ${found.backup} (mode ${found.mode}).`;
    throw new HoldfastError('DR_TARGET_NOT_EMPTY', message);
  }

  async #checkEmpty(): Promise<'fresh' | 'complete'> {
    const { manifest, resume } = this.#order;
    const { coordinator } = this.#sessions;
    const contents = await findContents(coordinator);
    if (contents.length === 0) return 'fresh';
    if (resume && (await findDifferences(coordinator, manifest)).length === 0) return 'complete';
    return refuseContents(coordinator, manifest, this.location, contents);
  }

  async #checkTables(): Promise<'fresh' | 'complete'> {
    const { manifest, resume, append } = this.#order;
    const { coordinator } = this.#sessions;
    await assertTablesMatch(coordinator, manifest);
    const filled = await findRows(coordinator, manifest);
    if (filled.length === 0) return 'fresh';
    if (resume && (await findDifferences(coordinator, manifest)).length === 0) return 'complete';
    if (append) return 'fresh';
    return refuseContents(coordinator, manifest, this.location, filled);
  }

  async #plan(done: ReadonlySet<string>): Promise<readonly TargetTask[]> {
    const { manifest, mode } = this.#order;
    const { coordinator } = this.#sessions;
    if (mode === 'data') return planDataRestore(coordinator, manifest, done);
    return planFullRestore(manifest, Math.floor(coordinator.version / 10_000));
  }
}

/** Loads again what was there before: by now a key may refer to the table, and it cannot be emptied first. */
function inPieces(task: TargetTask): TargetTask {
  const { work } = task;
  if (work.kind !== 'rows') return task;
  return { ...task, work: { ...work, loads: work.loads.map((load) => ({ ...load, whole: false })) } };
}
