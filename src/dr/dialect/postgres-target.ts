import { HoldfastError } from '../../errors.ts';
import type { SqlSource } from '../../sql/connect.ts';
import { qualifiedPostgres, quotePostgres } from '../../sql/identifiers.ts';
import { PostgresSession, sqlState } from '../../sql/postgres-session.ts';
import { failpoint } from '../../util/failpoint.ts';
import { readChunk } from '../archive/chunk-reader.ts';
import type { SchemaObject } from '../archive/manifest.ts';
import { isLostRace, targetError } from './postgres-errors.ts';
import {
  createProgress,
  DROP_PROGRESS,
  markDone,
  type RestoreBinding,
  type RestoreProgressRecord,
  readProgress,
} from './postgres-progress.ts';
import { assertMayCreate, assertVersion, findContents, refuseContents } from './postgres-target-checks.ts';
import { findDifferences, findRows } from './postgres-target-compare.ts';
import { assertTablesMatch, planDataRestore, prepareTables } from './postgres-target-data.ts';
import { planFullRestore, type RowLoad, type TargetTask, type TargetWork } from './postgres-target-plan.ts';
import { POSTGRES_TARGET_SESSIONS } from './postgres-target-sessions.ts';
import { forgetLost } from './postgres-target-unlogged.ts';
import type { PreparedRestore, RestoreOrder, RestoreTarget } from './restore-target.ts';
import { TargetSessions } from './target-sessions.ts';

/** Times that a transaction is tried which loses a deadlock; meanwhile the other one has finished. */
const TRIES = 5;
/** From this size on it pays to empty a table in order to write its rows frozen: emptying looks through the server's whole cache. */
const FREEZE_BYTES = 1 << 20;
/** Objects that may fail for want of a role or a right here: grants to it, comments on what belongs to somebody else. */
const FORGIVEN_KINDS = /^(ACL|DEFAULT ACL|COMMENT|SECURITY LABEL)$/;
const FORGIVEN_STATES = /^(42704|42501)$/;

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

/** {@link RestoreTarget} of PostgreSQL. Each task is one transaction with its mark in {@link PROGRESS_SCHEMA}. */
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

  async run(task: TargetTask, session: PostgresSession, signal: AbortSignal): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await session.query('BEGIN');
        await this.#work(task, session, signal);
        await session.query(markDone([task.id, ...(task.marks ?? [])]));
        failpoint('restore.beforeCommit');
        await session.query('COMMIT');
        failpoint('restore.afterCommit');
        break;
      } catch (error) {
        await session.query('ROLLBACK').catch(() => undefined);
        if (!isLostRace(error) || tries === TRIES) throw signal.aborted ? signal.reason : error;
      }
    }
    this.#tellDone(task.work, false);
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

  async #work({ work }: TargetTask, session: PostgresSession, signal: AbortSignal): Promise<void> {
    switch (work.kind) {
      case 'objects':
        for (const object of work.objects) await this.#create(object, session);
        return;
      case 'statements':
        await attempt(work.what, () => session.query(work.statements.join(';\n')));
        return;
      case 'sequences':
        await this.#setSequences(session);
        return;
      case 'rows':
        if (work.deferred) await session.query('SET CONSTRAINTS ALL DEFERRED');
        for (const load of work.loads) await this.#load(load, session, signal);
    }
  }

  async #create(object: SchemaObject, session: PostgresSession): Promise<void> {
    const what = `create ${describe(object)}`;
    const forgives = FORGIVEN_KINDS.test(object.kind);
    try {
      if (forgives) await session.query('SAVEPOINT object');
      // A statement may have changed what names mean, as the printed form of some objects does.
      const statements = [...object.statements, `SET search_path = ''`];
      if (object.statements.length > 0) await session.query(statements.join(';\n'));
      if (forgives) await session.query('RELEASE SAVEPOINT object');
    } catch (error) {
      if (isLostRace(error)) throw error;
      if (!forgives || !FORGIVEN_STATES.test(sqlState(error))) throw targetError(what, error);
      await session.query('ROLLBACK TO SAVEPOINT object; RELEASE SAVEPOINT object');
      this.#order.events.onNotice(`${what}: ${(error as Error).message}; left out`);
    }
    const { owner, ownedAs } = object;
    if (owner === null || ownedAs === null || (owner === this.#user && object.statements.length > 0)) return;
    if (this.#roles.has(owner)) {
      await attempt(what, () => session.query(`ALTER ${ownedAs} OWNER TO ${quotePostgres(owner)}`));
    } else {
      this.#order.events.onNotice(`${ownedAs} belongs to "${owner}" in the source, which cannot own it here`);
    }
  }

  async #load({ table, chunk, whole }: RowLoad, session: PostgresSession, signal: AbortSignal): Promise<void> {
    const { storage, manifest, key, events } = this.#order;
    const name = qualifiedPostgres(table);
    const columns = table.columns.filter(({ generated }) => !generated).map((column) => column.name);
    // A table without columns has rows all the same; it takes no list.
    const list = columns.length === 0 ? '' : ` (${PostgresSession.list(columns)})`;
    const format = table.format === 'binary' ? 'binary' : 'text';
    events.onChunkStart(table, this.#workers.indexOf(session) + 1);
    try {
      // Rows of a table emptied in the same transaction need no visibility check later, and their pages are not read again for it.
      const freeze = whole && table.bytes >= FREEZE_BYTES && table.schema !== 'pg_catalog';
      if (freeze && chunk === table.chunks[0]) await session.query(`TRUNCATE ONLY ${name}`);
      const options = `(FORMAT ${format}${freeze ? ', FREEZE' : ''})`;
      const rows = readChunk(storage, chunk, { manifest, key, signal });
      const onBytes = (bytes: number): void => events.onBytes(table, bytes);
      const loaded = await session.copyIn(`COPY ${name}${list} FROM STDIN ${options}`, rows, { signal, onBytes });
      if (loaded.rows !== chunk.rows) {
        throw new HoldfastError(
          'DR_CHECKSUM_MISMATCH',
          `${chunk.file} gave ${loaded.rows} rows instead of ${chunk.rows}.`,
        );
      }
    } catch (error) {
      if (isLostRace(error) || signal.aborted) throw error;
      const coded = targetError(`load table ${name}`, error);
      events.onTableFailed(table, coded);
      throw coded;
    }
    failpoint('restore.afterChunk');
  }

  async #setSequences(session: PostgresSession): Promise<void> {
    for (const sequence of this.#order.manifest.sequences) {
      const name = qualifiedPostgres(sequence);
      await attempt(`set sequence ${name}`, () =>
        session.query('SELECT setval($1::regclass, $2::text::bigint, $3::text::boolean)', [
          name,
          sequence.lastValue,
          `${sequence.isCalled}`,
        ]),
      );
    }
  }
}

/** Loads again what was there before: by now a key may refer to the table, and it cannot be emptied first. */
function inPieces(task: TargetTask): TargetTask {
  const { work } = task;
  if (work.kind !== 'rows') return task;
  return { ...task, work: { ...work, loads: work.loads.map((load) => ({ ...load, whole: false })) } };
}

/** Runs a step whose error names it. */
async function attempt(what: string, step: () => Promise<unknown>): Promise<void> {
  try {
    await step();
  } catch (error) {
    throw isLostRace(error) ? error : targetError(what, error);
  }
}

function describe({ kind, schema, name }: SchemaObject): string {
  return `${kind.toLowerCase()} ${schema === null ? name : `${schema}.${name}`}`;
}
