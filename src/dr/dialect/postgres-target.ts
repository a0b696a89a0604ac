import type { SqlSource } from '../../sql/connect.ts';
import type { PostgresSession } from '../../sql/postgres-session.ts';
import { failpoint } from '../../util/failpoint.ts';
import { createProgress, DROP_PROGRESS, markDone, readProgress } from './postgres-progress.ts';
import { assertMayCreate, assertVersion, findContents, refuseContents } from './postgres-target-checks.ts';
import { findDifferences, findRows } from './postgres-target-compare.ts';
import { assertTablesMatch, planDataRestore, prepareTables } from './postgres-target-data.ts';
import { planFullRestore } from './postgres-target-plan.ts';
import { POSTGRES_TARGET_SESSIONS } from './postgres-target-sessions.ts';
import { PLAN_VERSION, type TargetTask, type TargetWork } from './postgres-target-task.ts';
import { attempt, fitsTogether, runTogether } from './postgres-target-transaction.ts';
import { afterCrash, forgetLost, withUnlogged } from './postgres-target-unlogged.ts';
import { assertNotAdded, assertOwnMarks, bindingOf, type RestoreBinding } from './restore-binding.ts';
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

/** Nothing; all, or all but what a crash of the server takes from unlogged tables; or the marks of an earlier run of this restore. */
type Begin = 'fresh' | 'complete' | 'emptied' | ReadonlySet<string>;

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
    if (begin === 'complete') return { state: 'complete', tasks: [], done: new Set() };
    if (begin === 'emptied') return this.#goOn(await this.#markFinished());
    if (begin !== 'fresh') return this.#goOn(begin);
    const preparation = mode === 'data' ? await prepareTables(coordinator, manifest) : '';
    await attempt('mark the target', () =>
      coordinator.query(`BEGIN;\n${createProgress(this.#binding())}\n${preparation}\nCOMMIT`),
    );
    failpoint('restore.afterMark');
    const done = new Set<string>();
    return { state: 'fresh', tasks: await this.#plan(done), done };
  }

  /** @param marked tasks of an earlier run, some of which a crash may have undone */
  async #goOn(marked: ReadonlySet<string>): Promise<PreparedRestore<TargetTask>> {
    const { coordinator } = this.#sessions;
    const { manifest, mode } = this.#order;
    const done = await attempt('look for what was lost', () => forgetLost(coordinator, manifest, marked));
    const plan = await this.#plan(done);
    const tasks = mode === 'full' ? await withUnlogged(coordinator, manifest, plan) : plan;
    for (const { id, work } of tasks) if (done.has(id)) this.#tellDone(work, true);
    return { state: 'resumed', tasks, done };
  }

  /** Marks a target again as it was when all was done; returns the marks. */
  async #markFinished(): Promise<ReadonlySet<string>> {
    const { coordinator } = this.#sessions;
    await attempt('mark the target', () => coordinator.query(`BEGIN;\n${createProgress(this.#binding())}`));
    const done = (await this.#plan(new Set())).flatMap(({ id, marks = [] }) => [id, ...marks]);
    await attempt('mark the target', () => coordinator.query(`${markDone(done)};\nCOMMIT`));
    return new Set(done);
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
    return bindingOf(this.#order, PLAN_VERSION);
  }

  /** What there is to begin with. */
  async #lookAt(): Promise<Begin> {
    const { mode, resume } = this.#order;
    const progress = await readProgress(this.#sessions.coordinator);
    if (progress === null) return mode === 'full' ? this.#checkEmpty() : this.#checkTables();
    assertOwnMarks(progress, this.#binding(), resume, this.location);
    return progress.done;
  }

  async #checkEmpty(): Promise<Begin> {
    const { manifest } = this.#order;
    const { coordinator } = this.#sessions;
    const contents = await findContents(coordinator);
    if (contents.length === 0) return 'fresh';
    const finished = await this.#lookForEnd();
    if (finished !== null) return finished;
    return refuseContents(coordinator, manifest, this.location, contents);
  }

  async #checkTables(): Promise<Begin> {
    const { manifest, append, resume } = this.#order;
    const { coordinator } = this.#sessions;
    await assertTablesMatch(coordinator, manifest);
    const filled = await findRows(coordinator, manifest);
    if (filled.length === 0) return 'fresh';
    const finished = await this.#lookForEnd();
    if (finished !== null) return finished;
    if (!append) return refuseContents(coordinator, manifest, this.location, filled);
    assertNotAdded(resume, this.location);
    return 'fresh';
  }

  /** Whether an earlier run had finished; only one that may go on with it asks. */
  async #lookForEnd(): Promise<'complete' | 'emptied' | null> {
    const { manifest, resume } = this.#order;
    const { coordinator } = this.#sessions;
    if (!resume) return null;
    if ((await findDifferences(coordinator, manifest)).length === 0) return 'complete';
    const emptied = await findDifferences(coordinator, await afterCrash(coordinator, manifest));
    return emptied.length === 0 ? 'emptied' : null;
  }

  async #plan(done: ReadonlySet<string>): Promise<readonly TargetTask[]> {
    const { manifest, mode } = this.#order;
    const { coordinator } = this.#sessions;
    if (mode === 'data') return planDataRestore(coordinator, manifest, done);
    return planFullRestore(manifest, Math.floor(coordinator.version / 10_000));
  }
}
