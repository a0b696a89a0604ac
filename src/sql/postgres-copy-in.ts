import type { Client, Connection } from 'pg';

/** What the server said at the end of a COPY … FROM STDIN. */
export interface Loaded {
  readonly rows: number;
  /** Bytes sent, without the frames around them. */
  readonly bytes: number;
}

export interface LoadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes of each piece when it has been taken. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/** What the driver's types leave out. */
interface CopyingConnection extends Connection {
  endCopyFrom(): void;
  sendCopyFail(reason: string): void;
}

const COPY_DATA = 0x64; // 'd'
const HEADER_BYTES = 5;

/**
 * Runs `sql`, a COPY … FROM STDIN, with the bytes of `rows` as they are: no row is looked at. A piece is asked for when the one
 * before has left, so memory is one piece, and pieces may be cut anywhere. When `rows` fails or `signal` aborts, the server is
 * told (CopyFail) and discards everything; that error is thrown once the connection is ready for the next query.
 * @throws what `rows` throws, the signal's reason, or the server's error
 */
export function copyIn(
  client: Client,
  sql: string,
  rows: AsyncIterable<Uint8Array>,
  options: LoadOptions = {},
): Promise<Loaded> {
  const copy = new CopyIn(sql, rows, options);
  client.query(copy);
  return copy.ended;
}

/** A query of the driver `pg` in its own terms: the driver calls the `handle…` methods with what the server answers. */
class CopyIn {
  readonly #sql: string;
  readonly #rows: AsyncIterable<Uint8Array>;
  readonly #options: LoadOptions;
  readonly #result = Promise.withResolvers<Loaded>();
  /** Resolves when the server has refused the rows, so that nobody waits for it to take more. */
  readonly #refused = Promise.withResolvers<void>();
  #isRefused = false;
  #sourceFailure: { readonly error: unknown } | undefined;
  #pumping: Promise<void> = Promise.resolve();
  #loadedRows = 0;
  #bytes = 0;

  constructor(sql: string, rows: AsyncIterable<Uint8Array>, options: LoadOptions) {
    this.#sql = sql;
    this.#rows = rows;
    this.#options = options;
  }

  get ended(): Promise<Loaded> {
    return this.#result.promise;
  }

  submit(connection: Connection): void {
    connection.query(this.#sql);
  }

  handleCopyInResponse(connection: Connection): void {
    this.#pumping = this.#pump(connection);
  }

  handleCommandComplete(message: { readonly text: string }): void {
    this.#loadedRows = Number(/^COPY (\d+)/.exec(message.text)?.[1] ?? Number.NaN);
  }

  handleReadyForQuery(): void {
    this.#result.resolve({ rows: this.#loadedRows, bytes: this.#bytes });
  }

  handleError(error: unknown): void {
    this.#isRefused = true;
    this.#refused.resolve();
    // The source is closed before the caller hears of it: nothing of this load goes on behind its back.
    void this.#pumping.then(() => this.#result.reject(this.#sourceFailure?.error ?? error));
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}

  /** Sends all pieces, then the end or the failure. Never throws. */
  async #pump(connection: Connection): Promise<void> {
    try {
      for await (const piece of this.#rows) {
        this.#options.signal?.throwIfAborted();
        if (this.#isRefused) return;
        await this.#send(connection, piece);
        if (this.#isRefused) return;
        this.#bytes += piece.length;
        this.#options.onBytes?.(piece.length);
      }
      this.#options.signal?.throwIfAborted();
    } catch (error) {
      if (this.#isRefused) return;
      this.#sourceFailure = { error };
      (connection as CopyingConnection).sendCopyFail('the rows could not be read to their end');
      return;
    }
    if (!this.#isRefused) (connection as CopyingConnection).endCopyFrom();
  }

  /** Resolves when the bytes are with the operating system (the piece may then be reused), or the server refused. */
  async #send({ stream }: Connection, piece: Uint8Array): Promise<void> {
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    header[0] = COPY_DATA;
    header.writeUInt32BE(piece.length + 4, 1);
    const sent = Promise.withResolvers<void>();
    stream.cork();
    stream.write(header);
    // A broken connection also reaches `handleError`, with the reason.
    stream.write(piece, () => sent.resolve());
    stream.uncork();
    await Promise.race([sent.promise, this.#refused.promise]);
  }
}
