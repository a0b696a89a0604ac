import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { HoldfastError } from '../errors.ts';
import { ensureDirectory } from '../util/directory.ts';
import { Checkpointer, type WalState } from './checkpointer.ts';

/** One SQLite connection with its prepared statements; a statement is prepared once per SQL text. */
export class Connection {
  readonly database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.database = database;
  }

  /** The prepared statement for `sql`. Texts must come from a bounded set: they are kept as long as the connection. */
  prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  exec(sql: string): void {
    this.database.exec(sql);
  }
}

/** The write transaction a piece of work runs in. */
export interface Transaction extends Pick<Connection, 'prepare' | 'exec'> {
  /** Registers how to take back a change of memory; called, last first, when this work is rolled back. */
  onRollback(undo: () => void): void;
  /** Registers what to do once the work is durable; called in order, before the promise of the work resolves. */
  onCommit(done: () => void): void;
  /** Registers what is written at the end of this work, once however often it is registered: what many steps of it change. */
  atEnd(write: LastWrite): void;
}

/** Writes something that many steps of a piece of work change, as it is in the end. */
export type LastWrite = (transaction: Pick<Connection, 'prepare'>) => void;

export interface DatabaseOptions {
  /** Directory that holds the file; created when missing. `:memory:` for a database without files. */
  readonly directory: string;
  /** File name inside the directory. Default `holdfast.db`. */
  readonly file?: string;
  /** How a group commit is put off to gather more work. Default `setImmediate`; a simulation gives its own. */
  readonly schedule?: (flush: () => void) => void;
  /** Measures, in ms, how long a group has worked. Default: the machine's clock. */
  readonly now?: () => number;
}

interface Job {
  readonly work: (transaction: Transaction) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** A piece of work that was run; nobody hears of it before the group is durable. */
interface Done {
  readonly job: Job;
  /** Undefined when it threw, and was taken back. */
  readonly work: Work | undefined;
  readonly settle: () => void;
}

/**
 * A group is committed after this much work, so that nobody waits for a neighbour's bulk write. Two bulk writes in one commit are some
 * 5 % cheaper, but who reads meanwhile waits for both.
 */
const MAX_GROUP_MS = 8;
/** Reader connections kept open when idle. */
const IDLE_READERS = 4;

/**
 * One SQLite file with one writer and many readers, in WAL mode with `synchronous = FULL`: a transaction is durable when
 * its promise resolves. Work that arrives together is committed together (group commit); a piece that fails is taken back alone.
 * The directory belongs to one process at a time; the operating system frees it when the process dies.
 *
 * Errors: DATA_LOCKED, DATA_UNWRITABLE (also when the disk is full: nothing of the group is written).
 */
export class Database {
  readonly #writer: Connection;
  readonly #reader: Connection;
  readonly #idle: Connection[] = [];
  readonly #lock: DatabaseSync | undefined;
  /** None where there is no file of our own. */
  readonly #checkpointer: Checkpointer | undefined;
  readonly #path: string;
  readonly #schedule: (flush: () => void) => void;
  readonly #now: () => number;
  #queue: Job[] = [];
  #scheduled = false;
  #closed = false;
  #closing: Promise<void> | undefined;

  private constructor(
    path: string,
    writer: Connection,
    reader: Connection,
    lock: DatabaseSync | undefined,
    schedule: (flush: () => void) => void,
    now: () => number = () => performance.now(),
  ) {
    this.#path = path;
    this.#writer = writer;
    this.#reader = reader;
    this.#lock = lock;
    this.#schedule = schedule;
    this.#now = now;
    const state = writer.prepare('PRAGMA wal_checkpoint(NOOP)');
    this.#checkpointer = lock && new Checkpointer(path, () => state.get() as unknown as WalState);
  }

  /** Opens or creates the database. @throws DATA_LOCKED, DATA_UNWRITABLE */
  static open(options: DatabaseOptions): Database {
    const schedule = options.schedule ?? ((flush) => void setImmediate(flush));
    if (options.directory === ':memory:') return Database.over(new DatabaseSync(':memory:'), schedule, options.now);
    try {
      ensureDirectory(options.directory);
    } catch (cause) {
      throw new HoldfastError(
        'DATA_UNWRITABLE',
        `the data directory ${options.directory} cannot be created: ${messageOf(cause)}`,
        { cause },
      );
    }
    const lock = lockDirectory(options.directory);
    const path = join(options.directory, options.file ?? 'holdfast.db');
    try {
      const writer = new DatabaseSync(path, { timeout: 5_000 });
      writer.exec(
        `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = ${Checkpointer.FALLBACK_PAGES}; PRAGMA cache_size = -65536`,
      );
      return new Database(path, new Connection(writer), openReader(path), lock, schedule, options.now);
    } catch (cause) {
      lock.close();
      throw new HoldfastError('DATA_UNWRITABLE', `the database ${path} cannot be opened: ${messageOf(cause)}`, {
        cause,
      });
    }
  }

  /**
   * A database over one connection that stays the caller's, for simulations: every reader is the writer. `now` measures, in ms,
   * how long a group has worked; default the machine's clock.
   */
  static over(database: DatabaseSync, schedule: (flush: () => void) => void, now?: () => number): Database {
    const connection = new Connection(database);
    return new Database(':memory:', connection, connection, undefined, schedule, now);
  }

  /**
   * Runs `work` in the next group and resolves with its value once it is durable. `work` is synchronous and may be the only
   * writer; when it throws, its own writes are taken back and the promise rejects with what it threw.
   */
  transaction<T>(work: (transaction: Transaction) => T): Promise<T> {
    if (this.#closed) return Promise.reject(new Error('the database is closed'));
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ work, resolve: resolve as (value: unknown) => void, reject });
      this.#wake();
    });
  }

  /** The connection for short reads that end before the caller awaits anything. It sees committed data only. */
  get reader(): Connection {
    return this.#reader;
  }

  /** Lends a connection of its own to a read that lasts: its transaction or open cursor keeps one state of the database. */
  async lend<T>(read: (connection: Connection) => Promise<T>): Promise<T> {
    if (this.#lock === undefined) return read(this.#reader);
    const connection = this.#idle.pop() ?? openReader(this.#path);
    try {
      return await read(connection);
    } finally {
      if (connection.database.isTransaction) connection.exec('ROLLBACK');
      if (!this.#closed && this.#idle.length < IDLE_READERS) this.#idle.push(connection);
      else connection.database.close();
    }
  }

  /** Commits what is waiting, then closes the file and frees the directory. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    while (this.#queue.length > 0) this.#flush();
    this.#closed = true;
    for (const connection of this.#idle.splice(0)) connection.database.close();
    if (this.#lock === undefined) return;
    await this.#checkpointer?.close();
    this.#reader.database.close();
    this.#writer.database.close();
    this.#lock.close();
  }

  #wake(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#schedule(() => {
      this.#scheduled = false;
      if (this.#closed) return;
      this.#flush();
      if (this.#queue.length > 0) this.#wake();
    });
  }

  #flush(): void {
    const done: Done[] = [];
    const started = this.#now();
    try {
      this.#writer.exec('BEGIN IMMEDIATE');
      while (this.#queue.length > 0 && this.#now() - started < MAX_GROUP_MS) this.#runNext(done);
      this.#writer.exec('COMMIT');
    } catch (cause) {
      this.#abandon(done, cause);
      return;
    }
    for (const { work } of done) for (const commit of work?.commits ?? []) commit();
    for (const { settle } of done) settle();
    this.#checkpointer?.committed();
  }

  /**
   * Runs one piece of work in its savepoint. Throws only when the whole transaction is gone. The first of a group needs none: with a
   * savepoint open, SQLite copies each page aside before it is changed.
   */
  #runNext(done: Done[]): void {
    const job = this.#queue.shift() as Job;
    const work = new Work(this.#writer);
    const first = done.length === 0;
    if (!first) this.#writer.exec('SAVEPOINT work');
    try {
      const value = job.work(work);
      work.end();
      if (!first) this.#writer.exec('RELEASE work');
      done.push({ job, work, settle: () => job.resolve(value) });
    } catch (error) {
      work.rollback();
      // A full disk or an I/O error makes SQLite roll the whole transaction back by itself.
      if (!this.#writer.database.isTransaction) {
        job.reject(unwritable(error));
        throw error;
      }
      this.#writer.exec(first ? 'ROLLBACK; BEGIN IMMEDIATE' : 'ROLLBACK TO work; RELEASE work');
      // What it was refused for may be a neighbour's write of this group, and go with it.
      done.push({ job, work: undefined, settle: () => job.reject(error) });
    }
  }

  #abandon(done: Done[], cause: unknown): void {
    if (this.#writer.database.isTransaction) this.#writer.exec('ROLLBACK');
    for (const { work } of done.reverse()) work?.rollback();
    for (const { job } of done) job.reject(unwritable(cause));
    // BEGIN itself failed: nothing ran, and the first in the queue must not wait for ever.
    if (done.length === 0) this.#queue.shift()?.reject(unwritable(cause));
  }
}

class Work implements Transaction {
  readonly commits: (() => void)[] = [];
  readonly #connection: Connection;
  readonly #last = new Set<LastWrite>();
  readonly #undos: (() => void)[] = [];

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  prepare(sql: string): StatementSync {
    return this.#connection.prepare(sql);
  }

  exec(sql: string): void {
    this.#connection.exec(sql);
  }

  onRollback(undo: () => void): void {
    this.#undos.push(undo);
  }

  onCommit(done: () => void): void {
    this.commits.push(done);
  }

  atEnd(write: LastWrite): void {
    this.#last.add(write);
  }

  end(): void {
    for (const write of this.#last) write(this.#connection);
  }

  rollback(): void {
    for (const undo of this.#undos.reverse()) undo();
  }
}

function openReader(path: string): Connection {
  const reader = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
  reader.exec('PRAGMA cache_size = -32768; PRAGMA mmap_size = 268435456');
  return new Connection(reader);
}

/**
 * Creates a directory, when there is none, and holds it for this process until it is disposed of or the process ends: for what is kept in plain
 * files. @throws DATA_LOCKED, DATA_UNWRITABLE
 */
export function holdDirectory(directory: string): Disposable {
  try {
    ensureDirectory(directory);
  } catch (cause) {
    throw new HoldfastError('DATA_UNWRITABLE', `the directory ${directory} cannot be created: ${messageOf(cause)}`, {
      cause,
    });
  }
  const lock = lockDirectory(directory);
  return { [Symbol.dispose]: () => lock.close() };
}

/** Holds an exclusive SQLite lock on a file beside the database for as long as the process lives. */
function lockDirectory(directory: string): DatabaseSync {
  const path = join(directory, 'holdfast.lock');
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(path);
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (cause) {
    lock?.close();
    // SQLITE_BUSY (5): https://sqlite.org/rescode.html#busy
    if ((cause as { errcode?: number }).errcode === 5) {
      throw new HoldfastError('DATA_LOCKED', `the data directory ${directory} is used by another process`, { cause });
    }
    throw new HoldfastError(
      'DATA_UNWRITABLE',
      `the data directory ${directory} cannot be written: ${messageOf(cause)}`,
      { cause },
    );
  }
}

function unwritable(cause: unknown): unknown {
  if (cause instanceof HoldfastError) return cause;
  return new HoldfastError('DATA_UNWRITABLE', `the transaction was not written: ${messageOf(cause)}`, { cause });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
