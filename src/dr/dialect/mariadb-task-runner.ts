import { quoteMysql } from '../../sql/identifiers.ts';
import type { MysqlSession } from '../../sql/mysql-session.ts';
import { failpoint } from '../../util/failpoint.ts';
import type { ManifestTable, SchemaObject, SequenceValue } from '../archive/manifest.ts';
import type { ForeignKey } from '../graph/table-graph.ts';
import { attempt, isDeadlock, isDenied, isLostRaceInMariadb, mariadbError } from './mariadb-errors.ts';
import type { Flavour } from './mariadb-flavour.ts';
import { loadRows } from './mariadb-load.ts';
import { emptyTable, raiseNextNumbers } from './mariadb-next-numbers.ts';
import { markMariadbDone, readMariadbJournal } from './mariadb-progress.ts';
import { setSequence } from './mariadb-sequences.ts';
import { runStatements, withoutDefiner, withoutRuns } from './mariadb-statements.ts';
import { isThere } from './mariadb-target-checks.ts';
import type { MariadbTask, MariadbWork, RowsOf } from './mariadb-target-plan.ts';
import { RestoreMode, type RestoreOrder } from './restore-target.ts';
import { RowsAhead } from './rows-ahead.ts';

/** Times that a transaction is tried which loses a deadlock; meanwhile the other one has finished. */
const TRIES = 5;
/** Kinds of objects whose statements change nothing when they are run again. */
const REPEATABLE = /^(VIEW|DATABASE PROPERTIES)$/;

/** What the runner asks of its target. */
export interface TaskContext {
  /** For people. */
  readonly location: string;
  /** Number of the worker that a session belongs to, from 1. */
  workerOf(session: MysqlSession): number;
  /** Whether what a task creates may be there already. */
  mayBeThere(): boolean;
}

/** Does the tasks of a restore into MariaDB or MySQL, each with its mark. */
export class MariadbTaskRunner {
  readonly #order: RestoreOrder;
  readonly #flavour: Flavour;
  readonly #context: TaskContext;

  constructor(order: RestoreOrder, flavour: Flavour, context: TaskContext) {
    this.#order = order;
    this.#flavour = flavour;
    this.#context = context;
  }

  /** What loses a deadlock is tried again. @throws the signal's reason, or what failed, with a code */
  async run(tasks: readonly MariadbTask[], session: MysqlSession, signal: AbortSignal): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        for (const task of tasks) await this.#work(task, session, signal, tries > 1);
        await this.#record(tasks, session);
        return;
      } catch (error) {
        await session.run('ROLLBACK').catch(() => undefined);
        if (signal.aborted) throw signal.reason;
        const isLost = tasks.every(isRows) ? isLostRaceInMariadb(error) : isDeadlock(error);
        if (!isLost || tries === TRIES) throw mariadbError(`restore into ${this.#context.location}`, error);
      }
    }
  }

  /** @param again whether what it creates may be there by an attempt before */
  async #work({ id, work }: MariadbTask, session: MysqlSession, signal: AbortSignal, again: boolean): Promise<void> {
    switch (work.kind) {
      case 'objects':
        for (const object of work.objects) {
          const looks = again || this.#context.mayBeThere();
          await (object.kind === 'EVENT'
            ? this.#createEvent(object, session, looks)
            : this.#create(object, session, looks));
        }
        break;
      case 'rows':
        await attempt('load rows', () => this.#load(id, work, session, signal));
        return;
      case 'check':
        for (const key of work.keys) await this.#checkKey(key, session);
        break;
      case 'sequences':
        for (const sequence of this.#order.manifest.sequences) await this.#setSequence(sequence, session);
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
    if (looks && object.kind === 'SEQUENCE') {
      // It may have lost its row, see assertSequencesHold; nothing uses it before it is recorded.
      await attempt(what, () => session.run(`DROP SEQUENCE IF EXISTS ${quoteMysql(object.name)}`));
    } else if (looks && !REPEATABLE.test(object.kind) && (await attempt(what, () => isThere(session, object)))) return;
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

  async #createEvent(object: SchemaObject, session: MysqlSession, looks: boolean): Promise<void> {
    const { isDrill, events } = this.#order;
    const statements = isDrill ? object.statements.map(withoutRuns) : object.statements;
    await this.#create({ ...object, statements }, session, looks);
    if (await attempt(`look for event ${object.name}`, () => isThere(session, object))) return;
    events.onNotice(`event ${object.name} is not there: its last moment has passed`);
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
    const chunks = loads.map(({ chunk }) => chunk);
    await using rows = new RowsAhead(this.#order, chunks, signal);
    await session.run('START TRANSACTION');
    for (const load of loads) await this.#loadOne(load, rows, session, signal);
    await markMariadbDone(session, [id]);
    failpoint('restore.beforeCommit');
    await session.run('COMMIT');
    failpoint('restore.afterCommit');
  }

  async #loadOne({ table, chunk }: RowsOf, rows: RowsAhead, session: MysqlSession, signal: AbortSignal): Promise<void> {
    const { events } = this.#order;
    events.onChunkStart(table, this.#context.workerOf(session));
    try {
      const onBytes = (bytes: number): void => {
        events.onBytes(table, bytes);
        rows.beginAfter(chunk);
      };
      const packets = rows.rowsOf(chunk);
      await loadRows(session, table, { packets, rows: chunk.rows, of: chunk.file, onBytes });
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

  /** One of a live table that has given what the backup would give again goes on from there. */
  async #setSequence(sequence: SequenceValue, session: MysqlSession): Promise<void> {
    const { mode, events } = this.#order;
    const { name, lastValue } = sequence;
    if (await attempt(`set sequence ${name}`, () => setSequence(session, sequence, mode === RestoreMode.FULL))) return;
    events.onNotice(`sequence ${name} stands beyond ${lastValue}, where the backup has it, and is left there`);
  }

  #table(id: number): ManifestTable {
    return this.#order.manifest.tables.find((table) => table.id === id)!;
  }
}

function isRows({ work }: MariadbTask): boolean {
  return work.kind === 'rows';
}
