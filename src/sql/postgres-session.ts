import type { Client, QueryResult } from 'pg';
import { HoldfastError } from '../errors.ts';
import type { SqlConnections } from './connect.ts';
import { type Tap, tap } from './copy-socket.ts';
import { literalPostgres, quotePostgres } from './identifiers.ts';
import { copyIn, type Loaded, type LoadOptions } from './postgres-copy-in.ts';
import { CopyFrames } from './postgres-frames.ts';

/** A row, each value in the server's own text. */
export type PostgresRow = Readonly<Record<string, string | null>>;

/**
 * Settings that decide how values are written and read, the same in every session so that each value comes back byte by byte.
 * Those a server does not know are left out.
 */
const PINNED: Readonly<Record<string, string>> = {
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  extra_float_digits: '3',
  bytea_output: 'hex',
  lc_monetary: 'C',
  xmloption: 'content',
  // A backslash in a string constant is one.
  standard_conforming_strings: 'on',
  // Names are written with their schema, and no function of another schema can be picked up.
  search_path: '',
  // Rows hidden by a policy fail the statement instead of being left out.
  row_security: 'off',
  // A scan that joins another one in its middle would give rows in another order.
  synchronize_seqscans: 'off',
  // A statement of ours reads each row once and computes nothing: compiling it costs more than it saves.
  jit: 'off',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  transaction_timeout: '0',
};

/** What a session is, as it was before its settings are pinned; then they are. A database without an encoding is read byte by byte. */
const FACTS_AND_PINS = `
SELECT pg_backend_pid()::text AS pid, current_setting('server_version_num') AS version,
  getdatabaseencoding()::text AS encoding, current_setting('search_path') AS search_path;
SELECT count(set_config(s.name, p.value, false)) FROM pg_settings s
  JOIN json_each_text(${literalPostgres(JSON.stringify(PINNED))}) AS p(key, value) ON lower(p.key) = lower(s.name);
SELECT set_config('client_encoding', CASE getdatabaseencoding() WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END, false)`;

/** Takes rows of COPY in the order the server sends them. The bytes are reused after the call, or after the promise it returns. */
export type OnRows = (rows: Buffer) => Promise<void> | void;

/** One session of PostgreSQL with pinned settings. One statement at a time. */
export class PostgresSession implements AsyncDisposable {
  readonly #sql: SqlConnections;
  readonly #client: Client;
  #released = false;

  private constructor(sql: SqlConnections, client: Client, facts: PostgresRow) {
    this.#sql = sql;
    this.#client = client;
    this.pid = Number(facts.pid);
    this.version = Number(facts.version);
    this.encoding = facts.encoding ?? '';
    this.defaultSearchPath = facts.search_path ?? '';
  }

  /** The server's process of this session. */
  readonly pid: number;
  /** `server_version_num`, e.g. 150018. */
  readonly version: number;
  /** Encoding of the database, e.g. `UTF8`. */
  readonly encoding: string;
  /** The search path that the user has without us, as `SET` takes it. */
  readonly defaultSearchPath: string;

  /** A session of its own, settings pinned. @throws what {@link SqlConnections.raw} throws */
  static async open(sql: SqlConnections): Promise<PostgresSession> {
    const client = (await sql.raw()) as Client;
    try {
      // One message: several sessions are opened for every backup, and each waits for its answers.
      const [[facts]] = (await results(client, FACTS_AND_PINS)) as [PostgresRow[]];
      return new PostgresSession(sql, client, facts ?? {});
    } catch (error) {
      await sql.release(client);
      throw error;
    }
  }

  /**
   * Runs SQL and returns the rows of its last statement. Without `values` it may hold several statements; with them (also an empty
   * list) it is sent by the extended protocol, which refuses a second statement.
   * @throws the driver's error, `code` is the SQLSTATE
   */
  query(text: string, values?: readonly (string | number | null)[]): Promise<PostgresRow[]> {
    return run(this.#client, text, values);
  }

  /**
   * Runs one COPY … TO STDOUT and hands its rows on as they come, headers of messages removed. Reading stops while `onRows` has
   * not finished, so no more than one buffer is held.
   * @param onEnd is called behind the last row; when `text` holds several COPY, behind the last one of each
   * @returns the number of rows (of the last COPY), as the server counted them
   * @throws the driver's error, or what `onRows` threw; the session is of no use after the latter
   */
  copyOut(text: string, onRows: OnRows, onEnd: () => void = () => {}): Promise<number> {
    return new Promise((resolve, reject) => {
      const copy = new CopyOut(text, onRows, (error, rows) => (error === null ? resolve(rows) : reject(error)));
      copy.onEnd = onEnd;
      copy.onBroken = () => this.destroy();
      this.#client.query(copy as never);
    });
  }

  /** Runs several COPY … TO STDOUT, sent as one message. Returns the bytes of the rows of each. */
  async copySizes(texts: readonly string[]): Promise<number[]> {
    const sizes: number[] = [];
    let bytes = 0;
    await this.copyOut(
      texts.join(';\n'),
      (rows) => {
        bytes += rows.length;
      },
      () => {
        sizes.push(bytes);
        bytes = 0;
      },
    );
    return sizes;
  }

  /** Runs one COPY … FROM STDIN, see {@link copyIn}. */
  copyIn(text: string, rows: AsyncIterable<Uint8Array>, options?: LoadOptions): Promise<Loaded> {
    return copyIn(this.#client, text, rows, options);
  }

  /** Quotes names and puts them into a list. */
  static list(names: readonly string[]): string {
    return names.map(quotePostgres).join(', ');
  }

  /** Cuts the connection, whatever it does: a statement that runs ends with an error, here at once. */
  destroy(): void {
    if (this.#released) return;
    this.#released = true;
    this.#sql.destroy(this.#client);
  }

  /** Ends the session; an open transaction is rolled back. */
  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    await this.#sql.release(this.#client);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/** SQLSTATE of an error of the driver; the empty string when it is none. */
export function sqlState(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : '';
}

/** Values stay the server's text: no number, date or JSON is read by the driver. */
const TEXT = { getTypeParser: () => (value: string) => value };

async function run(client: Client, text: string, values?: readonly (string | number | null)[]): Promise<PostgresRow[]> {
  return (await results(client, text, values)).at(-1) ?? [];
}

/** The rows of each statement. */
async function results(
  client: Client,
  text: string,
  values?: readonly (string | number | null)[],
): Promise<PostgresRow[][]> {
  const query = { text, types: TEXT, ...(values === undefined ? {} : { values: [...values], queryMode: 'extended' }) };
  try {
    const result = (await client.query(query as never)) as unknown as
      | QueryResult<PostgresRow>
      | QueryResult<PostgresRow>[];
    return [result].flat().map(({ rows }) => rows ?? []);
  } catch (error) {
    if (sqlState(error) !== '') throw error;
    throw new HoldfastError('DATABASE_UNAVAILABLE', `The connection to the database was lost: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A COPY … TO STDOUT in the form in which `pg` takes a query of one's own. */
class CopyOut {
  readonly #text: string;
  readonly #onRows: OnRows;
  readonly #done: (error: Error | null, rows: number) => void;
  readonly #frames = new CopyFrames({
    onRows: (rows) => this.#take(rows),
    onOther: (bytes) => this.#tap?.forward(bytes),
  });
  #tap: Tap | null = null;
  #rows = 0;
  /** What the buffer at hand waits for. */
  #waiting: Promise<void>[] = [];
  #failure: Error | null = null;
  #ended = false;
  onBroken: () => void = () => {};
  /** Called behind the rows of each statement. */
  onEnd: () => void = () => {};

  constructor(text: string, onRows: OnRows, done: (error: Error | null, rows: number) => void) {
    this.#text = text;
    this.#onRows = onRows;
    this.#done = done;
  }

  submit(connection: { stream: Parameters<typeof tap>[0]; query(text: string): void }): null {
    this.#tap = tap(connection.stream, (bytes) => this.#read(bytes));
    connection.query(this.#text);
    return null;
  }

  #read(bytes: Buffer): boolean {
    this.#frames.push(bytes);
    if (this.#waiting.length === 0) return true;
    const waiting = Promise.all(this.#waiting);
    this.#waiting = [];
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
      const taken = this.#onRows(rows);
      if (taken !== undefined) this.#waiting.push(taken);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The rows that still come would have to be read to the end: the connection is cut instead. */
  #fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
    this.onBroken();
    this.#end(this.#failure);
  }

  #end(error: Error | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#tap?.remove();
    this.#done(error, this.#rows);
  }

  handleCommandComplete(message: { readonly text: string }): void {
    this.#rows = Number(/^COPY (\d+)/.exec(message.text)?.[1] ?? 0);
    this.onEnd();
  }

  handleError(error: Error): void {
    this.#end(this.#failure ?? error);
  }

  handleReadyForQuery(): void {
    // The last rows may still be on their way: the answer waits for them.
    Promise.all(this.#waiting).then(
      () => this.#end(null),
      (error) => this.#fail(error),
    );
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
  handleCopyData(): void {}
}
