import { type Client, CloseCode, createClient } from 'graphql-ws/client';
import WebSocket from 'ws';
import { ERRORS, type ErrorCode, HoldfastError } from '../src/errors.ts';
import type { DocumentText } from '../src/model/document.ts';
import { formatPosition, type Position } from '../src/model/position.ts';
import type {
  Ack,
  BucketDigests,
  BucketRows,
  CursorText,
  Frame,
  Hello,
  Row,
  Shape,
  SnapshotPage,
  SyncSource,
} from '../src/protocol/sync-source.ts';
import type { Token } from '../src/service/token.ts';
import { type Answer, answerOf, type OperationName } from './answers.ts';
import { OPERATIONS } from './operations.ts';

/** Largest message a replica accepts, in bytes: a frame, a page, or one document of 16 MiB quoted in JSON. */
const MAX_PAYLOAD_BYTES = 32 * 1024 * 1024;
/** Items of a subscription that may wait before the socket is paused. */
const MAX_WAITING_ITEMS = 4;
const PING_EVERY_MS = 3_000;
const TICK_MS = 1_000;
/** The connection for calls is closed when it was idle this long. */
const IDLE_MS = 10_000;

export interface ConnectOptions {
  /** API token of role `replica`; sent in each connection's first message. */
  readonly token?: string | undefined;
  /** For the websocket to be open and acknowledged. Default 5,000. */
  readonly connectMs?: number | undefined;
  /** For one call. Default 30,000. */
  readonly callMs?: number | undefined;
  /** A connection on which nothing was heard for this long is given up: also one whose other end vanished. Default 8,000. */
  readonly silenceMs?: number | undefined;
}

/** A source behind a connection. */
export interface ConnectedSource extends SyncSource {
  /** The tokens that the source accepts, now and after each change; ends with the signal. @throws PRIMARY_UNREACHABLE */
  tokens(signal: AbortSignal): AsyncIterable<readonly Token[]>;
  /** Ends the connection; whatever waits on it fails with PRIMARY_UNREACHABLE. */
  close(): void;
}

/**
 * Connects to the source at `url` (`ws:` or `wss:`). No attempt is repeated and nothing reconnects: an error of any call or of
 * `changes` means the caller connects anew, from its stored cursor. Frames come on a connection of their own, which is
 * paused while they wait; calls have another, opened when there is one.
 * @throws PRIMARY_UNREACHABLE; UNAUTHENTICATED, FORBIDDEN when the source refuses the token
 */
export async function connect(url: string, options: ConnectOptions = {}): Promise<ConnectedSource> {
  const callMs = options.callMs ?? 30_000;
  const stream = new Connection(url, options, false);
  const calls = new Connection(url, options, true);
  try {
    await stream.opened;
  } catch (error) {
    stream.close();
    throw error;
  }

  const call = <Name extends OperationName>(
    connection: Connection,
    name: Name,
    variables: Record<string, unknown>,
  ): Promise<Answer<Name>> => connection.call(name, variables, callMs);

  return {
    hello: (cursor: CursorText | null, shape: Shape, epochs): Promise<Hello> =>
      call(stream, 'hello', { cursor, shape, epochs }),
    changes: (cursor, shape, limits, signal): AsyncIterable<Frame> =>
      stream.items('changes', { cursor, shape, ...limits }, signal),
    tokens: (signal) => stream.items('tokens', {}, signal),
    snapshot: (collection, after, limit): Promise<SnapshotPage> =>
      call(calls, 'snapshot', { collection, after, limit }),
    digests: (at) => call(calls, 'digests', { at: positionText(at) }),
    buckets: (collection, at): Promise<BucketDigests> => call(calls, 'buckets', { collection, at: positionText(at) }),
    bucketRows: (collection, bucket): Promise<BucketRows> => call(calls, 'bucketRows', { collection, bucket }),
    rows: (collection, ids: readonly DocumentText[]): Promise<readonly Row[]> =>
      call(calls, 'rows', { collection, ids }),
    chain: (sequences) => call(calls, 'chain', { sequences }),
    ack: async (ack: Ack): Promise<void> => {
      await call(stream, 'ack', { ack });
    },
    close: () => {
      stream.close();
      calls.close();
    },
  };
}

/** One websocket, at most. */
class Connection {
  /** Settled once: acknowledged, or failed. Never for a lazy connection. */
  readonly opened: Promise<void>;
  readonly #url: string;
  readonly #client: Client;
  readonly #silentTicks: number;
  #socket: WebSocket | undefined;
  #ticker: NodeJS.Timeout | undefined;
  #quietTicks = 0;
  /** Why the socket failed, which its close event does not tell. */
  #failure: Error | undefined;

  constructor(url: string, options: ConnectOptions, lazy: boolean) {
    this.#url = url;
    this.#silentTicks = Math.ceil((options.silenceMs ?? 8_000) / TICK_MS);
    const connectMs = options.connectMs ?? 5_000;
    const opened = Promise.withResolvers<void>();
    this.opened = opened.promise;
    this.opened.catch(() => {});
    const failed = (error: unknown): void => opened.reject(this.#unreachable(error));
    this.#client = createClient({
      url,
      ...(options.token === undefined ? {} : { connectionParams: { authorization: `Bearer ${options.token}` } }),
      lazy,
      lazyCloseTimeout: IDLE_MS,
      onNonLazyError: failed,
      keepAlive: PING_EVERY_MS,
      connectionAckWaitTimeout: connectMs,
      // Retrying here would subscribe again with the cursor of long ago: our own loop does it, from the stored one.
      retryAttempts: 0,
      webSocketImpl: socketOf(connectMs, (error) => {
        this.#failure = error;
      }),
      on: {
        opened: (socket) => this.#watch(socket as WebSocket),
        connected: () => opened.resolve(),
        closed: (event) => {
          clearInterval(this.#ticker);
          failed(event);
        },
      },
    });
  }

  call<Name extends OperationName>(
    name: Name,
    variables: Record<string, unknown>,
    timeoutMs: number,
  ): Promise<Answer<Name>> {
    return new Promise((resolve, reject) => {
      let release = (): void => {};
      const timer = setTimeout(() => {
        release();
        reject(this.#unreachable(new Error(`no answer to ${name} within ${timeoutMs} ms`)));
      }, timeoutMs);
      const settle = (outcome: () => void): void => {
        clearTimeout(timer);
        outcome();
      };
      release = this.#client.subscribe(
        { query: OPERATIONS[name], variables },
        {
          next: (result) =>
            settle(() => {
              try {
                resolve(answerOf(name, dataOf(result)));
              } catch (error) {
                reject(error);
              }
            }),
          error: (error) => settle(() => reject(this.#errorOf(error))),
          complete: () => settle(() => reject(this.#unreachable(new Error(`${name} ended without an answer`)))),
        },
      );
    });
  }

  /** The items of a subscription, in order. While several wait the socket is not read. */
  async *items<Name extends 'changes' | 'tokens'>(
    name: Name,
    variables: Record<string, unknown>,
    signal: AbortSignal,
  ): AsyncGenerator<Answer<Name>, void> {
    const waiting: Answer<Name>[] = [];
    let end: { readonly error: unknown } | undefined;
    let wake = (): void => {};
    const finish = (error: unknown): void => {
      end ??= { error };
      wake();
    };
    const release = this.#client.subscribe(
      { query: OPERATIONS[name], variables },
      {
        next: (result) => {
          try {
            waiting.push(answerOf(name, dataOf(result)));
            if (waiting.length >= MAX_WAITING_ITEMS) this.#socket?.pause();
            wake();
          } catch (error) {
            finish(error);
          }
        },
        error: (error) => finish(this.#errorOf(error)),
        complete: () => finish(this.#unreachable(new Error('the source ended the subscription'))),
      },
    );
    const aborted = (): void => finish(undefined);
    signal.addEventListener('abort', aborted, { once: true });
    if (signal.aborted) aborted();
    try {
      while (!signal.aborted) {
        const item = waiting.shift();
        if (item !== undefined) {
          if (waiting.length === 0) this.#resume();
          yield item;
        } else if (end !== undefined) {
          if (end.error !== undefined) throw end.error;
          return;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      signal.removeEventListener('abort', aborted);
      this.#resume();
      release();
    }
  }

  close(): void {
    clearInterval(this.#ticker);
    this.#client.terminate();
    void this.#client.dispose();
    this.#socket?.terminate();
  }

  #resume(): void {
    if (this.#socket?.isPaused === true) {
      this.#quietTicks = 0;
      this.#socket.resume();
    }
  }

  /** Ticks are counted, not clocks compared: a process that was stopped for a while does not suspect its peer. */
  #watch(socket: WebSocket): void {
    this.#socket = socket;
    this.#quietTicks = 0;
    socket.addEventListener('message', () => {
      this.#quietTicks = 0;
    });
    clearInterval(this.#ticker);
    this.#ticker = setInterval(() => {
      if (socket.isPaused) return;
      this.#quietTicks += 1;
      if (this.#quietTicks >= this.#silentTicks) socket.terminate();
    }, TICK_MS);
    this.#ticker.unref();
  }

  /** The error of a call: coded by the source, or the loss of the connection. */
  #errorOf(error: unknown): HoldfastError {
    return Array.isArray(error) ? codedError(error[0]) : this.#unreachable(error);
  }

  #unreachable(error: unknown): HoldfastError {
    if (error instanceof HoldfastError) return error;
    const cause = this.#failure ?? error;
    const refusal = REFUSALS.get(closeCodeOf(cause));
    if (refusal !== undefined) {
      return new HoldfastError(
        refusal,
        `${this.#url} refuses the token of this replica (${reasonOf(cause)}): give it one of role replica, with --token or replica.token`,
        { cause },
      );
    }
    return new HoldfastError('PRIMARY_UNREACHABLE', `${this.#url}: ${reasonOf(cause)}`, { cause });
  }
}

/** The websocket class graphql-ws opens: with our limit of a message, a deadline for the handshake, and an ear for errors. */
function socketOf(handshakeTimeout: number, failed: (error: Error) => void): unknown {
  return class extends WebSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols, { maxPayload: MAX_PAYLOAD_BYTES, handshakeTimeout, perMessageDeflate: false });
      this.once('error', failed);
    }
  };
}

/** Close codes by which a source says that it does not want us. */
const REFUSALS: ReadonlyMap<unknown, ErrorCode> = new Map([
  [CloseCode.Unauthorized, 'UNAUTHENTICATED'],
  [CloseCode.Forbidden, 'FORBIDDEN'],
]);

function closeCodeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

function positionText(position: Position | null): string | null {
  return position === null ? null : formatPosition(position);
}

function dataOf(result: { readonly data?: unknown; readonly errors?: readonly unknown[] | undefined }): unknown {
  if (result.errors !== undefined && result.errors.length > 0) throw codedError(result.errors[0]);
  return result.data;
}

/** A GraphQL error as one of the catalogue, with its details. */
function codedError(error: unknown): HoldfastError {
  const { message, extensions } = (error ?? {}) as { message?: unknown; extensions?: Record<string, unknown> };
  const { code, ...details } = extensions ?? {};
  const known = typeof code === 'string' && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'INTERNAL_SERVER_ERROR';
  return new HoldfastError(known, `the source says: ${String(message)}`, { details, cause: error });
}

function reasonOf(error: unknown): string {
  if (typeof error === 'object' && error !== null) {
    const { code, reason, message, error: inner } = error as Record<string, unknown>;
    if (typeof reason === 'string' && reason !== '') return `closed with ${String(code)} (${reason})`;
    if (typeof message === 'string' && message !== '') return message;
    if (inner !== undefined) return reasonOf(inner);
    if (code !== undefined) return `closed with ${String(code)}`;
  }
  return String(error);
}
