import type { IncomingMessage } from 'node:http';
import { CloseCode, GRAPHQL_TRANSPORT_WS_PROTOCOL, type Server as Protocol } from 'graphql-ws';
import type { WebSocket } from 'ws';
import type { Logger } from '../telemetry/logger.ts';
import type { ErrorFormat } from './errors.ts';
import type { Executor } from './executor.ts';
import type { Gate } from './gate.ts';
import type { Limits } from './limits.ts';
import type { Observer } from './observer.ts';
import type { Caller, HttpOptions } from './options.ts';
import { keptHeaders, type ServerRequest } from './request.ts';

export interface SocketOptions {
  readonly executor: Executor;
  readonly limits: Limits;
  readonly errors: ErrorFormat;
  readonly observer: Observer;
  readonly logger: Logger;
  readonly pingMs: number;
  readonly authenticate: HttpOptions['authenticate'];
  readonly isCurrent: HttpOptions['isCurrent'];
  readonly gate: Gate;
}

/** Bytes waiting to be sent beyond which nothing more is read from a client. */
const READ_PAUSE_BYTES = 1024 * 1024;

/** One websocket client. */
export class Connection {
  readonly headers: Readonly<Record<string, string>>;
  readonly address: string;
  /** Set when the client has introduced itself. */
  caller: Caller | undefined;
  connectionParams: Readonly<Record<string, unknown>> | undefined;
  /** Resolves with the close code when the connection is gone. */
  readonly closed: Promise<number>;
  readonly #socket: WebSocket;
  readonly #requests = new Set<ServerRequest>();
  readonly #work = new Set<Promise<unknown>>();

  constructor(socket: WebSocket, request: IncomingMessage) {
    this.#socket = socket;
    this.headers = keptHeaders(request.headers);
    this.address = request.socket.remoteAddress ?? '';
    this.closed = new Promise((resolve) => socket.once('close', resolve));
    void this.closed.then(() => {
      for (const ended of this.#requests) ended.end(new Error('The client closed the connection.'));
    });
  }

  /** Remembers a request, to end it when the client goes. */
  begin(request: ServerRequest): void {
    this.#requests.add(request);
  }

  finish(request: ServerRequest): void {
    this.#requests.delete(request);
  }

  /** Remembers work whose answer the client should still get when the server stops. */
  async working<T>(work: Promise<T>): Promise<T> {
    this.#work.add(work);
    try {
      return await work;
    } finally {
      this.#work.delete(work);
    }
  }

  /** Closes with 1001 as soon as no query or mutation is under way; resolves when the connection is gone. */
  async goAway(): Promise<void> {
    while (this.#work.size > 0) await Promise.allSettled(this.#work);
    // The answer is handed to the socket right after the work has ended.
    setImmediate(() => this.#socket.close(1001, 'Going away'));
    await this.closed;
  }

  /** Ends everything and closes with 4401: nobody known is at the other end, or no more. Called again, it waits no longer for the client's consent. */
  unauthorized(reason: string): void {
    for (const request of this.#requests) request.end(new Error(reason));
    if (this.#socket.readyState === this.#socket.CLOSING) this.#socket.terminate();
    else this.#socket.close(CloseCode.Unauthorized, reason);
  }

  terminate(): void {
    this.#socket.terminate();
  }
}

/** Joins a websocket to the protocol: sending with back-pressure, reading with a bound, keep-alive. */
export function openConnection(
  protocol: Protocol<Connection>,
  socket: WebSocket,
  request: IncomingMessage,
  options: SocketOptions,
): Connection {
  const { logger, pingMs } = options;
  const connection = new Connection(socket, request);
  // ws has closed the connection by itself: broken frame 1002, not UTF-8 1007, too large 1009.
  socket.on('error', (error) => logger.debug({ err: error, address: connection.address }, 'websocket failed'));
  const onClosed = protocol.opened(
    {
      protocol: socket.protocol,
      send: (data) => send(socket, data),
      close: (code, reason) => socket.close(code, reason),
      onMessage: (handle) => {
        socket.on('message', (data, isBinary) => {
          // What a client says after we have hung up is not for us.
          if (socket.readyState !== socket.OPEN) return;
          if (isBinary) socket.close(CloseCode.BadRequest, 'Messages are text');
          else handle(String(data)).catch((error) => failed(socket, error, logger));
        });
      },
    },
    connection,
  );
  if (socket.protocol === GRAPHQL_TRANSPORT_WS_PROTOCOL) keepAlive(socket, pingMs);
  socket.once('close', (code, reason) => {
    onClosed(code, String(reason)).catch((error) => logger.error({ err: error }, 'websocket close failed'));
  });
  return connection;
}

/** Resolves when the bytes have left for the kernel; the protocol asks a subscription for its next item only then. */
function send(socket: WebSocket, data: string): Promise<void> {
  return new Promise((resolve, reject) => {
    if (socket.readyState !== socket.OPEN) return resolve();
    socket.send(data, (error) => {
      if (socket.isPaused && socket.bufferedAmount < READ_PAUSE_BYTES) socket.resume();
      if (error) reject(error);
      else resolve();
    });
    // A client that asks but does not read must not fill our memory with answers.
    if (socket.bufferedAmount > READ_PAUSE_BYTES) socket.pause();
  });
}

function failed(socket: WebSocket, error: unknown, logger: Logger): void {
  if (error instanceof Error && error.message.startsWith('Unexpected message of type')) {
    socket.close(CloseCode.BadRequest, 'Invalid message received');
    return;
  }
  if (socket.readyState !== socket.OPEN) return;
  logger.error({ err: error }, 'a websocket message failed unexpectedly');
  socket.close(CloseCode.InternalServerError, 'Internal server error');
}

type Pingable = Pick<WebSocket, 'on' | 'once' | 'ping' | 'terminate'>;

/** Pings; a client that has not answered when the next ping is due is cut off. */
export function keepAlive(socket: Pingable, pingMs: number): void {
  let answered = true;
  socket.on('pong', () => {
    answered = true;
  });
  const timer = setInterval(() => {
    if (!answered) return socket.terminate();
    answered = false;
    socket.ping();
  }, pingMs);
  socket.once('close', () => clearInterval(timer));
}
