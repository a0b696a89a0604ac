import { HoldfastError } from '../../errors.ts';
import type { SqlSource } from '../../sql/connect.ts';
import { quoteMysql } from '../../sql/identifiers.ts';
import type { MysqlSession } from '../../sql/mysql-session.ts';
import { failpoint } from '../../util/failpoint.ts';
import { attempt, mariadbError } from './mariadb-errors.ts';
import { type Flavour, readFlavour } from './mariadb-flavour.ts';
import { contextOf, printed, readTriggers } from './mariadb-objects.ts';
import { addToJournal, createMariadbProgress, dropMariadbProgress, readMariadbProgress } from './mariadb-progress.ts';
import {
  assertMariadbVersion,
  assertMayRestore,
  findMariadbContents,
  findMariadbDifferences,
  findMariadbRows,
  findMariadbTableDifferences,
  refuseMariadbContents,
} from './mariadb-target-checks.ts';
import { afterRestart, forgetEmptied } from './mariadb-target-memory.ts';
import {
  isTransactional,
  JOURNAL_TASK,
  type MariadbTask,
  type MariadbWork,
  PLAN_VERSION,
  planMariadbRestore,
} from './mariadb-target-plan.ts';
import { MARIADB_TARGET_SESSIONS } from './mariadb-target-sessions.ts';
import { MariadbTaskRunner } from './mariadb-task-runner.ts';
import { assertNotAdded, assertOwnMarks, bindingOf, type RestoreBinding } from './restore-binding.ts';
import {
  isSmall,
  type PreparedRestore,
  type RestoreOrder,
  RestorePhase,
  type RestoreTarget,
} from './restore-target.ts';
import { TargetSessions } from './target-sessions.ts';

/** Differences that a message lists. */
const LISTED = 5;

/** Opens a MariaDB or MySQL database to restore into; nothing is written before {@link MariadbTarget.prepare}. */
export async function openMariadbTarget(target: SqlSource, order: RestoreOrder): Promise<MariadbTarget> {
  const { workers, signal, manifest } = order;
  const sessions = await TargetSessions.open(target, MARIADB_TARGET_SESSIONS, { backup: manifest.id, workers, signal });
  try {
    return new MariadbTarget(sessions, order, await readFlavour(sessions.coordinator));
  } catch (error) {
    await sessions[Symbol.asyncDispose]();
    throw mariadbError(`look at ${sessions.location}`, error);
  }
}

/** What there is to do: everything; nothing; what a restart took from tables in memory; or what an earlier run left. */
type Begin = 'fresh' | 'complete' | 'emptied' | { readonly done: ReadonlySet<string> };

/**
 * {@link RestoreTarget} of MariaDB and MySQL. A chunk of rows is one transaction with its mark. Statements that create something end
 * transactions there: a run that goes on looks whether the object is there before it creates what was not marked.
 */
export class MariadbTarget implements RestoreTarget<MariadbTask, MysqlSession> {
  readonly #sessions: TargetSessions<MysqlSession>;
  readonly #order: RestoreOrder;
  readonly #flavour: Flavour;
  readonly #runner: MariadbTaskRunner;
  #workers: readonly MysqlSession[] = [];
  #isResumed = false;

  constructor(sessions: TargetSessions<MysqlSession>, order: RestoreOrder, flavour: Flavour) {
    this.#sessions = sessions;
    this.#order = order;
    this.#flavour = flavour;
    this.#runner = new MariadbTaskRunner(order, flavour, {
      location: sessions.location,
      workerOf: (session) => this.#workers.indexOf(session) + 1,
      mayBeThere: () => this.#isResumed,
    });
  }

  get location(): string {
    return this.#sessions.location;
  }

  check(): Promise<void> {
    return this.#checking(async () => void (await this.#lookAt()));
  }

  prepare(): Promise<PreparedRestore<MariadbTask>> {
    return this.#checking(() => this.#prepare());
  }

  async openWorkers(): Promise<readonly MysqlSession[]> {
    this.#workers = await this.#sessions.openWorkers();
    return this.#workers;
  }

  /** What changes small tables is recorded together; a run that goes on looks which of it is there. Small chunks are planned together. */
  fits(batch: readonly MariadbTask[], task: MariadbTask): boolean {
    const changes = ({ work, phase }: MariadbTask): boolean =>
      work.kind === 'objects' && (phase === RestorePhase.INDEX || phase === RestorePhase.CHECK);
    return batch.every(changes) && changes(task) && isSmall(batch, task);
  }

  async run(tasks: readonly MariadbTask[], session: MysqlSession, signal: AbortSignal): Promise<void> {
    await this.#runner.run(tasks, session, signal);
    for (const { work } of tasks) this.#tellDone(work, false);
  }

  interrupt(): Promise<void> {
    return this.#sessions.interruptWorkers();
  }

  async finish(): Promise<void> {
    failpoint('restore.beforeFinish');
    await attempt('remove the marks', () => dropMariadbProgress(this.#sessions.coordinator));
    failpoint('restore.afterFinish');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#sessions[Symbol.asyncDispose]();
  }

  async #checking<T>(step: () => Promise<T>): Promise<T> {
    try {
      const { manifest, mode } = this.#order;
      assertMariadbVersion(this.#flavour, manifest);
      await assertMayRestore(this.#sessions.coordinator, manifest, this.#flavour, mode);
      return await step();
    } catch (error) {
      throw mariadbError(`prepare ${this.location}`, error);
    }
  }

  async #prepare(): Promise<PreparedRestore<MariadbTask>> {
    const { coordinator } = this.#sessions;
    const { manifest, mode } = this.#order;
    await this.#sessions.lock();
    const begin = await this.#lookAt();
    if (begin === 'complete') {
      await dropMariadbProgress(coordinator);
      return { state: 'complete', tasks: [], done: new Set() };
    }
    const tasks = planMariadbRestore(manifest, mode);
    const marked = typeof begin === 'object' ? begin.done : new Set(begin === 'fresh' ? [] : tasks.map(({ id }) => id));
    if (typeof begin !== 'object') await createMariadbProgress(coordinator, this.#binding(), [...marked]);
    failpoint('restore.afterMark');
    const done = await forgetEmptied(coordinator, manifest, tasks, marked);
    if (mode === 'data' && !done.has(JOURNAL_TASK)) await this.#takeTriggersAway();
    this.#isResumed = begin !== 'fresh';
    for (const { id, work } of tasks) if (done.has(id)) this.#tellDone(work, true);
    return { state: this.#isResumed ? 'resumed' : 'fresh', tasks, done };
  }

  async #lookAt(): Promise<Begin> {
    const progress = await readMariadbProgress(this.#sessions.coordinator);
    if (progress === null) return this.#order.mode === 'full' ? this.#checkEmpty() : this.#checkTables();
    assertOwnMarks(progress, this.#binding(), this.#order.resume, this.location);
    return { done: progress.done };
  }

  #binding(): RestoreBinding {
    return bindingOf(this.#order, PLAN_VERSION);
  }

  async #checkEmpty(): Promise<Begin> {
    const { manifest } = this.#order;
    const contents = await findMariadbContents(this.#sessions.coordinator, this.#flavour);
    if (contents.length === 0) return 'fresh';
    const finished = await this.#lookForEnd();
    if (finished !== null) return finished;
    return refuseMariadbContents(manifest, this.#flavour, this.location, contents);
  }

  async #checkTables(): Promise<Begin> {
    const { manifest, resume, append } = this.#order;
    const { coordinator } = this.#sessions;
    const differences = await findMariadbTableDifferences(coordinator, manifest);
    if (differences.length > 0) {
      const listed = differences.slice(0, LISTED).join('; ');
      const more = differences.length > LISTED ? `; and ${differences.length - LISTED} more` : '';
      const message = `Mode data loads into tables as they are in the backup: ${listed}${more}.`;
      throw new HoldfastError('DR_INCOMPATIBLE', message);
    }
    const filled = await findMariadbRows(coordinator, manifest);
    if (filled.length === 0) return 'fresh';
    const finished = await this.#lookForEnd();
    if (finished !== null) return finished;
    if (!append) return refuseMariadbContents(manifest, this.#flavour, this.location, filled);
    assertNotAdded(resume, this.location);
    const loose = manifest.tables.filter((table) => filled.includes(table.name) && !isTransactional(table));
    if (loose.length === 0) return 'fresh';
    const names = loose.map(({ name }) => name).join(', ');
    const message = `Rows cannot be added to ${names}: a table without transactions can only be loaded as a whole.`;
    throw new HoldfastError('DR_INCOMPATIBLE', message);
  }

  /** Whether an earlier run had finished; only one that may go on with it asks. */
  async #lookForEnd(): Promise<'complete' | 'emptied' | null> {
    const { manifest, resume } = this.#order;
    const { coordinator } = this.#sessions;
    if (!resume) return null;
    if ((await findMariadbDifferences(coordinator, manifest)).length === 0) return 'complete';
    const emptied = await findMariadbDifferences(coordinator, await afterRestart(coordinator, manifest));
    return emptied.length === 0 ? 'emptied' : null;
  }

  /** Loading fires triggers and there is no switch: what puts each back goes into the journal before it is dropped. */
  async #takeTriggersAway(): Promise<void> {
    const { coordinator } = this.#sessions;
    const tables = new Set(this.#order.manifest.tables.map(({ name }) => name));
    for (const { name, t } of await readTriggers(coordinator)) {
      if (!tables.has(t)) continue;
      const [row] = await coordinator.query(`SHOW CREATE TRIGGER ${quoteMysql(name)}`);
      await addToJournal(coordinator, { name, statements: [contextOf(row), printed(row)] });
      await coordinator.run(`DROP TRIGGER ${quoteMysql(name)}`);
    }
  }

  #tellDone(work: MariadbWork, earlier: boolean): void {
    if (work.kind !== 'rows') return;
    const { events } = this.#order;
    for (const { table, chunk } of work.loads) {
      if (earlier) events.onBytes(table, chunk.bytes);
      events.onChunkDone(table, chunk);
    }
  }
}
