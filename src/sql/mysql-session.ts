import { HoldfastError } from '../errors.ts';
import type { SqlConnections } from './connect.ts';
import { tap } from './copy-socket.ts';
import { LocalFile } from './mysql-local-file.ts';
import { ResultPackets } from './mysql-packets.ts';

/** A row, each value in the server's own text. */
export type MysqlRow = Readonly<Record<string, string | null>>;

/** What the server said about a statement without rows. */
export interface MysqlOutcome {
  readonly affectedRows: number;
  readonly warnings: number;
  /** E.g. `Records: 3  Deleted: 0  Skipped: 0  Warnings: 0`. */
  readonly info: string;
}

/** Time in seconds that a session may be left without a word: a worker may wait that long for its turn. */
const PATIENCE_S = 86_400;

/**
 * Settings that decide how values and statements are written and read, the same in every session. Those that a server does not know,
 * or does not let us change, are left out.
 */
const PINNED: readonly string[] = [
  "sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'",
  "time_zone = '+00:00'",
  'autocommit = 1',
  `net_write_timeout = ${PATIENCE_S}`,
  `net_read_timeout = ${PATIENCE_S}`,
  `wait_timeout = ${PATIENCE_S}`,
  'idle_transaction_timeout = 0',
  'idle_readonly_transaction_timeout = 0',
  'max_statement_time = 0',
  'max_execution_time = 0',
  'sql_select_limit = DEFAULT',
  'sql_big_selects = 1',
  'sql_auto_is_null = 0',
  'sql_quote_show_create = 1',
  'max_error_count = 65535',
  'query_cache_type = 0',
  'information_schema_stats_expiry = 0',
  'sql_require_primary_key = 0',
  'sql_generate_invisible_primary_key = 0',
  'show_gipk_in_create_table_and_information_schema = 1',
];
/** The server does not know a setting, has it for all sessions together only, or reserves it. */
const NOT_OURS = new Set(['ER_UNKNOWN_SYSTEM_VARIABLE', 'ER_GLOBAL_VARIABLE', 'ER_SPECIFIC_ACCESS_DENIED_ERROR']);

/** Those of {@link PINNED} that the server of these connections takes. */
const settingsOf = new WeakMap<SqlConnections, readonly string[]>();

/** One session of MariaDB or MySQL with pinned settings. One statement at a time; a second one in the same text is refused. */
export class MysqlSession implements AsyncDisposable {
  readonly #sql: SqlConnections;
  readonly #connection: DriverConnection;
  #released = false;

  private constructor(sql: SqlConnections, connection: DriverConnection) {
    this.#sql = sql;
    this.#connection = connection;
  }

  /** A session of its own, settings pinned. @throws what {@link SqlConnections.raw} throws */
  static async open(sql: SqlConnections): Promise<MysqlSession> {
    const session = new MysqlSession(sql, (await sql.raw()) as DriverConnection);
    try {
      await session.run('SET NAMES utf8mb4');
      await session.run('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
      await session.#pin(sql);
      return session;
    } catch (error) {
      session.destroy();
      throw error;
    }
  }

  /** What a server refuses is found out once, one setting after the other; the sessions after that set the others together. */
  async #pin(sql: SqlConnections): Promise<void> {
    const known = settingsOf.get(sql);
    if (known !== undefined)
      return void (await this.run(`SET ${known.map((setting) => `SESSION ${setting}`).join(', ')}`));
    const taken: string[] = [];
    for (const setting of PINNED) if (await this.set(setting)) taken.push(setting);
    settingsOf.set(sql, taken);
  }

  /** The server's number of this session, for KILL. */
  get id(): number {
    return this.#connection.threadId ?? 0;
  }

  /** Sets a variable of the session, as after SET; returns whether the server has it. */
  async set(setting: string): Promise<boolean> {
    try {
      await this.run(`SET SESSION ${setting}`);
      return true;
    } catch (error) {
      if (NOT_OURS.has(mysqlErrorName(error))) return false;
      throw error;
    }
  }

  /** Rows of one statement. Values stand for `?`. @throws the driver's error, `code` is the name of the server's */
  async query(text: string, values: readonly (string | number | null)[] = []): Promise<MysqlRow[]> {
    return (await this.#send({ sql: text, values: [...values] })) as MysqlRow[];
  }

  /** One statement without rows. @throws the driver's error */
  async run(text: string, values: readonly (string | number | null)[] = []): Promise<MysqlOutcome> {
    return outcomeOf(await this.#send({ sql: text, values: [...values] }));
  }

  /** One statement without rows, in bytes of the session's `character_set_client`; its outcome has no `info`. */
  async runBytes(statement: Buffer): Promise<MysqlOutcome> {
    const { affectedRows, warnings } = await this.#read(statement, () => undefined);
    return { affectedRows, warnings, info: '' };
  }

  /** Lets the server prepare a statement, and forget it again. */
  async prepare(text: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#connection.prepare(text, (error: Error | null, statement) => {
        if (error !== null) return reject(coded(error));
        statement.close();
        resolve();
      });
    });
  }

  /**
   * Runs a SELECT and hands its rows on as the server sent them, see {@link ResultPackets}. Reading stops while `onRows` has not
   * finished, so no more than one buffer is held.
   * @returns the number of rows
   * @throws the driver's error, or what `onRows` threw; the session is of no use after the latter
   */
  async readRows(text: string, onRows: (bytes: Buffer) => Promise<void> | undefined): Promise<number> {
    return (await this.#read(Buffer.from(text), onRows)).rows;
  }

  /**
   * Runs one LOAD DATA LOCAL INFILE with the bytes of `rows`; a piece may be used again when the next one is asked for. When `rows` fails
   * the driver ends the file as if it were complete, and the server keeps what came before: run it in a transaction, and roll back when
   * this throws.
   */
  async loadLocal(text: string, rows: AsyncIterable<Buffer>): Promise<MysqlOutcome> {
    const file = new LocalFile(rows);
    try {
      return outcomeOf(await this.#send({ sql: text, infileStreamFactory: () => file.open() }));
    } finally {
      await file.close();
    }
  }

  /** Cuts the connection, whatever it does. */
  destroy(): void {
    if (this.#released) return;
    this.#released = true;
    this.#sql.destroy(this.#connection);
  }

  /** Ends the session; an open transaction is rolled back. */
  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    await this.#sql.release(this.#connection);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  #send(options: object): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#connection.query({ ...options, typeCast: TEXT } as never, (error: Error | null, result: unknown) =>
        error === null ? resolve(result) : reject(coded(error)),
      );
    });
  }

  #read(statement: Buffer, onRows: (bytes: Buffer) => Promise<void> | undefined): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const reading = new Reading(statement, onRows, (error, answer) =>
        error === null ? resolve(answer) : reject(coded(error)),
      );
      reading.onBroken = () => this.destroy();
      this.#connection.addCommand(reading);
    });
  }
}

/** Name of an error of the server, or of the system for a broken connection; the empty string for others. */
export function mysqlErrorName(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

/** Values stay the server's text: no number or date is read by the driver. */
const TEXT = (field: { string(): string | null }): string | null => field.string();
const LOST =
  /^(PROTOCOL_|ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ER_((CONNECTION|SESSION_WAS)_KILLED|SERVER_SHUTDOWN|CLIENT_INTERACTION_TIMEOUT)$)/;

/** A lost connection as an error of ours; others as they are. */
function coded(error: unknown): unknown {
  const fatal = (error as { fatal?: boolean } | null)?.fatal === true;
  const name = mysqlErrorName(error);
  if (name.startsWith('ER_') ? !LOST.test(name) : !fatal && !LOST.test(name)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new HoldfastError('DATABASE_UNAVAILABLE', `The connection to the database was lost: ${message}`, {
    cause: error,
  });
}

function outcomeOf(result: unknown): MysqlOutcome {
  const { affectedRows, warningStatus, info } = result as {
    affectedRows?: number;
    warningStatus?: number;
    info?: string;
  };
  return { affectedRows: affectedRows ?? 0, warnings: warningStatus ?? 0, info: info ?? '' };
}

/** The driver's connection, with what its types leave out. */
interface DriverConnection {
  readonly stream: Parameters<typeof tap>[0];
  readonly threadId: number | null;
  readonly config: { readonly clientFlags: number };
  readonly serverCapabilityFlags: number;
  sequenceId: number;
  query(options: never, callback: (error: Error | null, result: unknown) => void): void;
  prepare(sql: string, callback: (error: Error | null, statement: { close(): void }) => void): void;
  write(bytes: Buffer): void;
  addCommand(command: unknown): void;
}

interface DriverPacket {
  isError(): boolean;
  asError(encoding: string): Error;
}

/** What a statement came to: rows that went past the driver, or the numbers of one that has none. */
interface Answer {
  readonly rows: number;
  readonly affectedRows: number;
  readonly warnings: number;
}

const COM_QUERY = 3;
const PACKET_BYTES = 0xffffff;
/** Servers that take attributes of queries expect their number before the text. */
const CLIENT_QUERY_ATTRIBUTES = 1 << 27;
const NO_ATTRIBUTES = Buffer.from([0, 1]);

/** A statement in the form in which `mysql2` takes a command of one's own, whose rows go past the driver. */
class Reading {
  readonly #statement: Buffer;
  readonly #onRows: (bytes: Buffer) => Promise<void> | undefined;
  readonly #done: (error: unknown, answer: Answer) => void;
  readonly #packets = new ResultPackets({
    onRows: (rows) => this.#take(rows),
    onEnd: (packet) => this.#handBack(packet),
  });
  #connection: DriverConnection | null = null;
  #tap: ReturnType<typeof tap> | null = null;
  /** The rows on their way, one piece after the other; null when all have been taken. */
  #waiting: Promise<void> | null = null;
  #failure: { readonly error: unknown } | null = null;
  #ended = false;
  onBroken: () => void = () => {};

  constructor(
    statement: Buffer,
    onRows: (bytes: Buffer) => Promise<void> | undefined,
    done: (error: unknown, answer: Answer) => void,
  ) {
    this.#statement = statement;
    this.#onRows = onRows;
    this.#done = done;
  }

  /** Called by the driver: first without a packet, then with the one that ends the answer. Returns whether that was all. */
  execute(packet: DriverPacket | undefined, connection: DriverConnection): boolean {
    if (packet === undefined || packet === null) {
      this.#connection = connection;
      this.#tap = tap(connection.stream, (bytes) => this.#read(bytes));
      this.#write(connection);
      return false;
    }
    if (packet.isError()) this.#end(packet.asError('utf8'));
    else {
      // The last rows may still be on their way: the answer waits for them.
      (this.#waiting ?? Promise.resolve()).then(
        () => this.#end(null),
        (error) => this.#fail(error),
      );
    }
    return true;
  }

  /** Called by the driver when the connection is lost. */
  onResult(error: Error): void {
    this.#end(error);
  }

  #write(connection: DriverConnection): void {
    const attributes = connection.config.clientFlags & connection.serverCapabilityFlags & CLIENT_QUERY_ATTRIBUTES;
    const prefix = attributes === 0 ? Buffer.alloc(0) : NO_ATTRIBUTES;
    const payload = Buffer.concat([Buffer.from([COM_QUERY]), prefix, this.#statement]);
    let number = 0;
    for (let from = 0; from <= payload.length; from += PACKET_BYTES) {
      const part = payload.subarray(from, from + PACKET_BYTES);
      const { length } = part;
      connection.write(Buffer.from([length & 0xff, (length >> 8) & 0xff, length >> 16, number & 0xff]));
      connection.write(part);
      number += 1;
    }
    connection.sequenceId = number & 0xff;
  }

  #read(bytes: Buffer): boolean {
    this.#packets.push(bytes);
    if (this.#waiting === null || this.#ended) return true;
    const waiting = this.#waiting;
    this.#waiting = null;
    const tapped = this.#tap;
    waiting.then(
      () => tapped?.resume(),
      (error) => this.#fail(error),
    );
    return false;
  }

  #take(rows: Buffer): void {
    if (this.#failure !== null) return;
    try {
      // The bytes stay where they are until reading goes on, so that a piece can wait for the one before.
      if (this.#waiting !== null) this.#waiting = this.#waiting.then(() => this.#onRows(rows));
      else this.#waiting = this.#onRows(rows) ?? null;
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Gives the connection back to the driver with the last packet, numbered as the driver expects it. */
  #handBack(packet: Buffer): void {
    const tapped = this.#tap;
    tapped?.remove();
    const last = Buffer.from(packet);
    last[3] = this.#connection?.sequenceId ?? 0;
    tapped?.forward(last);
  }

  /** The rows that still come would have to be read to the end: the connection is cut instead. */
  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.onBroken();
    this.#end(error);
  }

  #end(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#tap?.remove();
    const { rows, affectedRows, warnings } = this.#packets;
    this.#done(this.#failure?.error ?? error, { rows, affectedRows, warnings });
  }
}
