import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { CloseCode, GRAPHQL_TRANSPORT_WS_PROTOCOL } from 'graphql-ws';
import { WebSocketServer } from 'ws';
import { ERRORS, isHoldfastError } from '../errors.ts';
import { type Connection, openConnection, type SocketOptions } from './connection.ts';
import type { OriginPolicy } from './origin.ts';
import { createProtocol } from './socket-protocol.ts';

export interface SocketsOptions extends SocketOptions {
  readonly path: string;
  readonly origins: OriginPolicy;
  readonly random: () => number;
  readonly delay: (ms: number) => Promise<unknown>;
}

/** Close codes of the protocols and of ourselves; others are counted together. */
const KNOWN_CODES = new Set([1000, 1001, 1002, 1005, 1006, 1007, 1009, 1011, ...Object.values(CloseCode)]);
const WAVES = 20;
/** How often callers are looked at whether they still may. */
const LOOK_EVERY_MS = 400;
/** Time that each connection adds to the waves. */
const WAVE_SHARE_MS = 2;

/** The websockets of one server: `graphql-transport-ws` on the path and port of HTTP. */
export class Sockets {
  readonly #options: SocketsOptions;
  readonly #upgrader: WebSocketServer;
  readonly #connections = new Set<Connection>();

  constructor(server: Server, options: SocketsOptions) {
    this.#options = options;
    this.#upgrader = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: Math.min(options.limits.socketPayloadBytes, 2 ** 31 - 1),
      perMessageDeflate: false,
      // A client with other protocols gets the one it asked for, just to be told 4406 in words it can show.
      handleProtocols: (offered) =>
        offered.has(GRAPHQL_TRANSPORT_WS_PROTOCOL) ? GRAPHQL_TRANSPORT_WS_PROTOCOL : ([...offered][0] ?? false),
    });
    const protocol = createProtocol(options);
    const { isCurrent } = options;
    if (isCurrent !== undefined) {
      const timer = setInterval(() => this.#closeOutdated(isCurrent), LOOK_EVERY_MS).unref();
      server.once('close', () => clearInterval(timer));
    }
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (!this.#accepts(request, socket)) return;
      this.#upgrader.handleUpgrade(request, socket, head, (client) => {
        const connection = openConnection(protocol, client, request, options);
        this.#opened(connection);
      });
    });
  }

  /**
   * Asks every client to go elsewhere (1001), in small waves over a random order so that they do not all knock at the next
   * server at once. A connection with a query or mutation under way is closed when that is answered. Resolves when all are gone.
   */
  async drain(withinMs: number): Promise<void> {
    const { random, delay } = this.#options;
    const shuffled = [...this.#connections].map((connection) => ({ connection, order: random() }));
    const waiting = shuffled.sort((a, b) => a.order - b.order).map(({ connection }) => connection);
    const size = Math.ceil(waiting.length / WAVES);
    const pauseMs = Math.min(withinMs / 2, waiting.length * WAVE_SHARE_MS) / WAVES;
    const gone: Promise<void>[] = [];
    while (waiting.length > 0) {
      gone.push(...waiting.splice(0, size).map((connection) => connection.goAway()));
      if (waiting.length > 0) await delay(pauseMs * (0.5 + random()));
    }
    await Promise.all(gone);
  }

  /** Cuts off whoever is left. */
  terminate(): void {
    for (const connection of this.#connections) connection.terminate();
  }

  #closeOutdated(isCurrent: NonNullable<SocketsOptions['isCurrent']>): void {
    for (const connection of this.#connections) {
      if (connection.caller === undefined || isCurrent(connection.caller)) continue;
      connection.unauthorized('The token was revoked or has expired');
    }
  }

  #opened(connection: Connection): void {
    const { holdfast_websocket_connections: open, holdfast_websocket_closed_total: closed } =
      this.#options.observer.metrics;
    this.#connections.add(connection);
    open.inc();
    void connection.closed.then((code) => {
      this.#connections.delete(connection);
      open.dec();
      closed.inc({ code: KNOWN_CODES.has(code) ? String(code) : 'other' });
    });
  }

  /** Whether the handshake may go on; else it was refused over HTTP. */
  #accepts(request: IncomingMessage, socket: Duplex): boolean {
    const { path, origins, gate } = this.#options;
    try {
      gate.check();
      origins.checkHost(request.headers);
      origins.checkOrigin(request.headers);
      if (request.url?.split('?', 1)[0] === path) return true;
      refuse(socket, 404, 'BAD_REQUEST', `Websockets are at ${path}.`);
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      refuse(socket, ERRORS[error.code].status, error.code, error.message);
    }
    return false;
  }
}

function refuse(socket: Duplex, status: number, code: string, message: string): void {
  const body = JSON.stringify({ errors: [{ message, extensions: { code } }] });
  socket.on('error', () => {}); // the client may be gone already
  socket.end(
    `HTTP/1.1 ${status} ${code}\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
