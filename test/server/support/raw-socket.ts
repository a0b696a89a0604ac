import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { type ClientOptions, WebSocket } from 'ws';

/** A websocket client that speaks no protocol by itself. */
export class RawSocket {
  readonly socket: WebSocket;
  /** Messages received and not yet taken. */
  readonly messages: Record<string, unknown>[] = [];
  /** Close code and reason. */
  readonly closed: Promise<{ code: number; reason: string }>;
  #wake: () => void = () => {};

  constructor(url: string, protocol: string | string[] = 'graphql-transport-ws', options: ClientOptions = {}) {
    this.socket = new WebSocket(url, protocol, options);
    this.socket.on('message', (data) => {
      this.messages.push(JSON.parse(String(data)));
      this.#wake();
    });
    this.socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => resolve({ code, reason: String(reason) }));
    });
    onTestFinished(() => this.socket.terminate());
  }

  static async open(url: string, protocol?: string | string[], options?: ClientOptions): Promise<RawSocket> {
    const client = new RawSocket(url, protocol, options);
    await once(client.socket, 'open');
    return client;
  }

  /** An opened socket whose introduction was acknowledged. */
  static async ready(url: string, payload?: Record<string, unknown>, options?: ClientOptions): Promise<RawSocket> {
    const client = await RawSocket.open(url, undefined, options);
    client.send({ type: 'connection_init', payload });
    await client.next('connection_ack');
    return client;
  }

  send(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  subscribe(id: string, query: string, rest: Record<string, unknown> = {}): void {
    this.send({ id, type: 'subscribe', payload: { query, ...rest } });
  }

  /** Asks and is answered this many times. */
  async roundTrips(count: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      this.send({ type: 'ping' });
      await this.next('pong');
    }
  }

  /** The next message, which must be of this type. */
  async next(type: string): Promise<Record<string, unknown>> {
    while (this.messages.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const message = this.messages.shift() as Record<string, unknown>;
    if (message.type !== type) throw new Error(`expected ${type}, got ${JSON.stringify(message)}`);
    return message;
  }
}

/** A TCP connection that has made the websocket handshake; what is written to it are bare bytes. */
export async function bareWebsocket(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => {
    socket.destroy();
  });
  socket.write(
    'GET /graphql HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n' +
      'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: graphql-transport-ws\r\n\r\n',
  );
  await once(socket, 'data');
  return socket;
}
