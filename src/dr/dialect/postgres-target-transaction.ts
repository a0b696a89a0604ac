import { HoldfastError } from '../../errors.ts';
import { literalPostgres, qualifiedPostgres, quotePostgres } from '../../sql/identifiers.ts';
import { PostgresSession, sqlState } from '../../sql/postgres-session.ts';
import { failpoint } from '../../util/failpoint.ts';
import type { SchemaObject } from '../archive/manifest.ts';
import { isLostRace, targetError } from './postgres-errors.ts';
import { markDone } from './postgres-progress.ts';
import type { RowLoad, TargetTask } from './postgres-target-task.ts';
import { isSmall, type RestoreOrder, RestorePhase } from './restore-target.ts';
import { RowsAhead } from './rows-ahead.ts';

/** Times that a transaction is tried which loses a deadlock; meanwhile the other one has finished. */
const TRIES = 5;
/** Phases whose tasks are known to be small when their tables are. */
const TOGETHER = new Set<RestorePhase>([RestorePhase.LOAD, RestorePhase.INDEX, RestorePhase.CHECK]);
/**
 * From this size on it pays to empty a table in order to write its rows frozen: emptying makes new files, one of which waits for the
 * disk, looks through the server's whole cache, and the commit waits for the disk too.
 */
const FREEZE_BYTES = 8 << 20;
/** Objects that may fail for want of a role or a right here: grants to it, comments on what belongs to somebody else. */
const FORGIVEN_KINDS = /^(ACL|DEFAULT ACL|COMMENT|SECURITY LABEL)$/;
const FORGIVEN_STATES = /^(42704|42501)$/;
/** Beside these, for grants of what belongs to the server: a newer one may lack the function, view or column. */
const GONE_STATES = /^(42883|42P01|42703)$/;

/** Between statements of one message; on a line of its own, because one may end with a comment. */
const SEPARATOR = '\n;\n';

/** Who creates things, and for whom. */
export interface TransactionContext {
  readonly order: RestoreOrder;
  /** What we create is ours. */
  readonly user: string;
  /** Roles that objects can be given to. */
  readonly roles: ReadonlySet<string>;
}

export interface TransactionWorker {
  readonly session: PostgresSession;
  /** Counted from 1. */
  readonly number: number;
  readonly signal: AbortSignal;
}

/** Whether a task is small enough to share a transaction with others of its phase: of many small tables each is mostly waiting. */
export function fitsTogether(batch: readonly TargetTask[], task: TargetTask): boolean {
  const [first] = batch;
  return (
    isSmall(batch, task) &&
    first?.phase === task.phase &&
    TOGETHER.has(task.phase) &&
    [first, task].every(({ work }) => work.kind !== 'rows' || !work.deferred)
  );
}

/**
 * Does tasks and records them in one transaction. Statements are sent many at a time; when one of them fails, everything is rolled back
 * and done again one by one, which names what fails, or leaves out what may fail. Returns notices.
 */
export async function runTogether(
  tasks: readonly TargetTask[],
  worker: TransactionWorker,
  context: TransactionContext,
): Promise<readonly string[]> {
  const { session, signal } = worker;
  let oneByOne = false;
  for (let tries = 1; ; ) {
    try {
      const transaction = new Transaction(worker, context, oneByOne);
      await transaction.run(tasks);
      return transaction.notices;
    } catch (error) {
      await session.query('ROLLBACK').catch(() => undefined);
      if (signal.aborted) throw signal.reason;
      if (error instanceof StatementsFailed) oneByOne = true;
      else if (!isLostRace(error) || tries++ === TRIES) throw error;
    }
  }
}

/** One of the statements that were sent together failed. */
class StatementsFailed extends Error {}

class Transaction {
  readonly #worker: TransactionWorker;
  readonly #context: TransactionContext;
  readonly #oneByOne: boolean;
  /** Statements that were not sent yet. */
  #waiting: string[] = ['BEGIN'];
  readonly notices: string[] = [];

  constructor(worker: TransactionWorker, context: TransactionContext, oneByOne: boolean) {
    this.#worker = worker;
    this.#context = context;
    this.#oneByOne = oneByOne;
  }

  async run(tasks: readonly TargetTask[]): Promise<void> {
    const { session, signal } = this.#worker;
    const chunks = tasks.flatMap(({ work }) => (work.kind === 'rows' ? work.loads.map(({ chunk }) => chunk) : []));
    await using rows = new RowsAhead(this.#context.order, chunks, signal);
    if (this.#oneByOne) await this.#send();
    for (const task of tasks) await this.#work(task, rows);
    await this.#add('record what is done', [markDone(tasks.flatMap(({ id, marks = [] }) => [id, ...marks]))]);
    await this.#send();
    failpoint('restore.beforeCommit');
    // A message of its own, after everything it covers was answered.
    await session.query('COMMIT');
    failpoint('restore.afterCommit');
  }

  async #work({ work }: TargetTask, rows: RowsAhead): Promise<void> {
    switch (work.kind) {
      case 'objects':
        for (const object of work.objects) await this.#create(object);
        return;
      case 'statements':
        return this.#add(work.what, work.statements);
      case 'sequences':
        return this.#setSequences();
      case 'rows':
        if (work.deferred) await this.#add('defer keys', ['SET CONSTRAINTS ALL DEFERRED']);
        for (const load of work.loads) await this.#load(load, rows);
    }
  }

  /** Statements to be sent with others; one by one they are sent now, and an error names `what`. */
  async #add(what: string, statements: readonly string[]): Promise<void> {
    this.#waiting.push(...statements);
    if (this.#oneByOne) await attempt(what, () => this.#send());
  }

  async #send(): Promise<void> {
    const statements = this.#waiting;
    if (statements.length === 0) return;
    this.#waiting = [];
    try {
      await this.#worker.session.query(statements.join(SEPARATOR));
    } catch (error) {
      if (this.#oneByOne || isLostRace(error)) throw error;
      throw new StatementsFailed('one of several statements failed', { cause: error });
    }
  }

  async #create(object: SchemaObject): Promise<void> {
    const what = `create ${describe(object)}`;
    // A statement may have changed what names mean, as the printed form of some objects does.
    const statements = object.statements.length === 0 ? [] : [...object.statements, `SET search_path = ''`];
    if (this.#oneByOne && FORGIVEN_KINDS.test(object.kind)) await this.#forgive(object, statements);
    else await this.#add(what, statements);
    const { owner, ownedAs } = object;
    const { user, roles } = this.#context;
    if (owner === null || ownedAs === null || (owner === user && object.statements.length > 0)) return;
    if (roles.has(owner)) await this.#add(what, [`ALTER ${ownedAs} OWNER TO ${quotePostgres(owner)}`]);
    else this.notices.push(`${ownedAs} belongs to "${owner}" in the source, which cannot own it here`);
  }

  /** Leaves out what fails for want of a role or a right, or because the server has done away with what it is of. */
  async #forgive(object: SchemaObject, statements: readonly string[]): Promise<void> {
    const { session } = this.#worker;
    const what = `create ${describe(object)}`;
    await session.query('SAVEPOINT object');
    try {
      await session.query([...statements, 'RELEASE SAVEPOINT object'].join(SEPARATOR));
    } catch (error) {
      if (isLostRace(error)) throw error;
      const state = sqlState(error);
      const isGone = object.schema === 'pg_catalog' && GONE_STATES.test(state);
      if (!FORGIVEN_STATES.test(state) && !isGone) throw targetError(what, error);
      await session.query('ROLLBACK TO SAVEPOINT object; RELEASE SAVEPOINT object');
      this.notices.push(`${what}: ${(error as Error).message}; left out`);
    }
  }

  async #load({ table, chunk, whole }: RowLoad, rows: RowsAhead): Promise<void> {
    const { events } = this.#context.order;
    const { session, number, signal } = this.#worker;
    const name = qualifiedPostgres(table);
    const columns = table.columns.filter(({ generated }) => !generated).map((column) => column.name);
    // A table without columns has rows all the same; it takes no list.
    const list = columns.length === 0 ? '' : ` (${PostgresSession.list(columns)})`;
    const format = table.format === 'binary' ? 'binary' : 'text';
    events.onChunkStart(table, number);
    try {
      // Rows of a table emptied in the same transaction need no visibility check later, and their pages are not read again for it.
      const freeze = whole && table.bytes >= FREEZE_BYTES;
      if (freeze && chunk === table.chunks[0]) await this.#add(`empty table ${name}`, [`TRUNCATE ONLY ${name}`]);
      await this.#send();
      const options = `(FORMAT ${format}${freeze ? ', FREEZE' : ''})`;
      const onBytes = (bytes: number): void => {
        events.onBytes(table, bytes);
        rows.beginAfter(chunk);
      };
      const copy = `COPY ${name}${list} FROM STDIN ${options}`;
      const loaded = await session.copyIn(copy, rows.rowsOf(chunk), { signal, onBytes });
      if (loaded.rows !== chunk.rows) {
        throw new HoldfastError(
          'DR_CHECKSUM_MISMATCH',
          `${chunk.file} gave ${loaded.rows} rows instead of ${chunk.rows}.`,
        );
      }
    } catch (error) {
      if (isLostRace(error) || error instanceof StatementsFailed || signal.aborted) throw error;
      const coded = targetError(`load table ${name}`, error);
      events.onTableFailed(table, coded);
      throw coded;
    }
    failpoint('restore.afterChunk');
  }

  async #setSequences(): Promise<void> {
    const { manifest, append } = this.#context.order;
    for (const sequence of manifest.sequences) {
      const name = qualifiedPostgres(sequence);
      const object = `${literalPostgres(name)}::regclass`;
      const value = `${literalPostgres(sequence.lastValue)}::bigint`;
      const set = `SELECT setval(${object}, ${value}, ${sequence.isCalled})`;
      // Where rows are added, a sequence that stands further on has given its numbers to others.
      const isFurther = `CASE WHEN q.seqincrement > 0 THEN ${value} > s.last_value ELSE ${value} < s.last_value END
        OR ${value} = s.last_value AND ${sequence.isCalled} AND NOT s.is_called`;
      const onward = `FROM ${name} s, pg_catalog.pg_sequence q WHERE q.seqrelid = ${object} AND (${isFurther})`;
      await this.#add(`set sequence ${name}`, [append ? `${set} ${onward}` : set]);
    }
  }
}

/** Runs a step whose error names it. */
export async function attempt<T>(what: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw isLostRace(error) ? error : targetError(what, error);
  }
}

function describe({ kind, schema, name }: SchemaObject): string {
  return `${kind.toLowerCase()} ${schema === null ? name : `${schema}.${name}`}`;
}
