import { HoldfastError } from '../../errors.ts';
import type { SqlSource } from '../../sql/connect.ts';
import { quoteMysql } from '../../sql/identifiers.ts';
import { type MysqlSession, mysqlErrorName } from '../../sql/mysql-session.ts';
import { failpoint } from '../../util/failpoint.ts';
import type { ManifestTable, SchemaObject } from '../archive/manifest.ts';
import type { ForeignKey } from '../graph/table-graph.ts';
import { isDenied, isLostRaceInMariadb, mariadbError } from './mariadb-errors.ts';
import { type Flavour, readFlavour } from './mariadb-flavour.ts';
import { loadChunk } from './mariadb-load.ts';
import { emptyTable, raiseNextNumbers } from './mariadb-next-numbers.ts';
import { contextOf, printed, readTriggers } from './mariadb-objects.ts';
import {
  addToJournal,
  createMariadbProgress,
  dropMariadbProgress,
  markMariadbDone,
  readMariadbJournal,
  readMariadbProgress,
} from './mariadb-progress.ts';
import { runStatements, withoutDefiner } from './mariadb-statements.ts';
import {
  assertMariadbVersion,
  assertMayRestore,
  findMariadbContents,
  findMariadbDifferences,
  findMariadbRows,
  findMariadbTableDifferences,
  isThere,
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
  type RowsOf,
} from './mariadb-target-plan.ts';
import { MARIADB_TARGET_SESSIONS } from './mariadb-target-sessions.ts';
import { RestorePhase } from './postgres-target-plan.ts';
import { assertNotAdded, assertOwnMarks, bindingOf, type RestoreBinding } from './restore-binding.ts';
import { isSmall, type PreparedRestore, type RestoreOrder, type RestoreTarget } from './restore-target.ts';
import { TargetSessions } from './target-sessions.ts';

/** Times that a transaction is tried which loses a deadlock; meanwhile the other one has finished. */
const TRIES = 5;
/** Kinds of objects whose statements change nothing when they are run again. */
const REPEATABLE = /^(VIEW|DATABASE PROPERTIES)$/;
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
  #workers: readonly MysqlSession[] = [];
  #isResumed = false;

  constructor(sessions: TargetSessions<MysqlSession>, order: RestoreOrder, flavour: Flavour) {
    this.#sessions = sessions;
    this.#order = order;
    this.#flavour = flavour;
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
    for (let tries = 1; ; tries++) {
      try {
        for (const task of tasks) await this.#work(task, session, signal);
        await this.#record(tasks, session);
        break;
      } catch (error) {
        await session.run('ROLLBACK').catch(() => undefined);
        if (signal.aborted) throw signal.reason;
        const isRetried = tasks.every(isRows) && isLostRaceInMariadb(error) && tries < TRIES;
        if (!isRetried) throw mariadbError(`restore into ${this.location}`, error);
      }
    }
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

  async #work({ id, work }: MariadbTask, session: MysqlSession, signal: AbortSignal): Promise<void> {
    switch (work.kind) {
      case 'objects':
        for (const object of work.objects) await this.#create(object, session, this.#isResumed);
        break;
      case 'rows':
        await attempt('load rows', () => this.#load(id, work, session, signal));
        return;
      case 'check':
        for (const key of work.keys) await this.#checkKey(key, session);
        break;
      case 'sequences':
        for (const { name, lastValue } of this.#order.manifest.sequences) {
          await attempt(`set sequence ${name}`, () =>
            session.query(`SELECT SETVAL(${quoteMysql(name)}, ${BigInt(lastValue)}, 0) AS value`),
          );
        }
        break;
      case 'journal':
        await attempt('set the next numbers', () => raiseNextNumbers(session, this.#order.manifest));
        for (const { name, statements } of await readMariadbJournal(session)) {
          await this.#create({ kind: 'TRIGGER', name, statements }, session, true);
        }
    }
  }

  /** Rows are recorded in the transaction that loads them. */
  async #record(tasks: readonly MariadbTask[], session: MysqlSession): Promise<void> {
    const ids = tasks.filter((task) => !isRows(task)).map(({ id }) => id);
    if (ids.length === 0) return;
    failpoint('restore.beforeCommit');
    await attempt('record what is done', () => markMariadbDone(session, ids));
    failpoint('restore.afterCommit');
  }

  /** @param looks whether it may be there already */
  async #create(
    object: Pick<SchemaObject, 'kind' | 'name' | 'statements'>,
    session: MysqlSession,
    looks: boolean,
  ): Promise<void> {
    const what = `create ${object.kind.toLowerCase()} ${object.name}`;
    if (looks && !REPEATABLE.test(object.kind) && (await attempt(what, () => isThere(session, object)))) return;
    try {
      await runStatements(session, object.statements, this.#flavour.database);
      failpoint('restore.afterObject');
    } catch (error) {
      if (!isDenied(error)) throw mariadbError(what, error);
      if (object.kind === 'DATABASE PROPERTIES') {
        return this.#order.events.onNotice(`${what}: ${(error as Error).message}; left as it is`);
      }
      // Only a privileged user may create what runs in the name of another.
      const plain = object.statements.map(withoutDefiner);
      if (plain.every((statement, at) => statement === object.statements[at])) throw mariadbError(what, error);
      await attempt(what, () => runStatements(session, plain, this.#flavour.database));
      this.#order.events.onNotice(`${object.kind.toLowerCase()} ${object.name} belongs to you, not to its definer`);
    }
  }

  async #load(
    id: string,
    { loads, empties }: Extract<MariadbWork, { readonly kind: 'rows' }>,
    session: MysqlSession,
    signal: AbortSignal,
  ): Promise<void> {
    const [first] = loads;
    if (empties && first !== undefined) {
      await attempt(`empty table ${first.table.name}`, () => emptyTable(session, first.table, this.#order.manifest));
    }
    await session.run('START TRANSACTION');
    for (const load of loads) await this.#loadOne(load, session, signal);
    await markMariadbDone(session, [id]);
    failpoint('restore.beforeCommit');
    await session.run('COMMIT');
    failpoint('restore.afterCommit');
  }

  async #loadOne({ table, chunk }: RowsOf, session: MysqlSession, signal: AbortSignal): Promise<void> {
    const { storage, manifest, key, events } = this.#order;
    events.onChunkStart(table, this.#workers.indexOf(session) + 1);
    try {
      const onBytes = (bytes: number): void => events.onBytes(table, bytes);
      await loadChunk(session, { storage, reading: { manifest, key, signal }, table, chunk, onBytes });
    } catch (error) {
      if (isLostRaceInMariadb(error) || signal.aborted) throw error;
      const coded = mariadbError(`load table ${table.name}`, error);
      events.onTableFailed(table, coded);
      throw coded;
    }
    failpoint('restore.afterChunk');
  }

  /** A key that is added or loaded unchecked: the server would never look again. */
  async #checkKey(key: ForeignKey, session: MysqlSession): Promise<void> {
    const nameOf = (id: number): string => this.#table(id).name;
    const [child, parent] = [nameOf(key.child), nameOf(key.parent)];
    const columns = key.childColumns.map((column) => `c.${quoteMysql(column)}`);
    const equal = columns.map((column, i) => `p.${quoteMysql(key.parentColumns[i] ?? '')} = ${column}`).join(' AND ');
    const [found] = await attempt(`check key ${key.name} of ${child}`, () =>
      session.query(
        `SELECT 1 AS dangles FROM ${quoteMysql(child)} c WHERE ${columns.map((column) => `${column} IS NOT NULL`).join(' AND ')}
         AND NOT EXISTS (SELECT 1 FROM ${quoteMysql(parent)} p WHERE ${equal}) LIMIT 1`,
      ),
    );
    // Every row is as it was: refusing them would keep a database from being restored that its server had let come to this.
    if (found !== undefined) {
      this.#order.events.onNotice(`rows of ${child} refer by ${key.name} to rows that ${parent} does not have`);
    }
  }

  #table(id: number): ManifestTable {
    return this.#order.manifest.tables.find((table) => table.id === id)!;
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

function isRows({ work }: MariadbTask): boolean {
  return work.kind === 'rows';
}

/** Runs a step whose error names it. */
async function attempt<T>(what: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw mysqlErrorName(error) === '' || isLostRaceInMariadb(error) ? error : mariadbError(what, error);
  }
}
