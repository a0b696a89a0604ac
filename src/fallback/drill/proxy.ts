import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { type Clock, systemClock } from '../../util/clock.ts';
import { type Fault, FaultKind, meets } from './fault.ts';
import { resetSocket } from './reset.ts';
import { type Command, errorReply, MessageSplitter, readCommand, repliesTo, replyMessage } from './wire.ts';

const DELAY_MS = 1_000;
const DRIP_MS = 20;
/** ShutdownInProgress */
const DEFAULT_CODE = 91;

export interface DrillProxyOptions {
  /** The server behind. */
  readonly target: { readonly host: string; readonly port: number };
  /** Where clients connect. Default 127.0.0.1, any free port. */
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly clock?: Clock | undefined;
  /** Told of each command that a fault met. */
  readonly onHit?: ((fault: Fault, command: Command) => void) | undefined;
}

/**
 * A proxy between clients and a MongoDB server that makes the connection fail in chosen ways. Without faults it passes everything on. It
 * speaks the wire protocol only as far as to tell commands apart, so any driver and any server will do; connections must be neither
 * encrypted nor compressed. What a fault lets hang stays so until its connection ends, also after the fault is over.
 */
export class DrillProxy implements AsyncDisposable {
  readonly port: number;
  /** Commands that faults met so far. */
  hits = 0;
  readonly #server: Server;
  readonly #sessions: Set<Session>;
  #faults: { readonly fault: Fault; left: number }[] = [];

  private constructor(server: Server, sessions: Set<Session>, port: number) {
    this.#server = server;
    this.#sessions = sessions;
    this.port = port;
  }

  /** Resolves once clients can connect. @throws the error of the operating system when the port cannot be had */
  static async start(options: DrillProxyOptions): Promise<DrillProxy> {
    const { target, host = '127.0.0.1', port = 0, clock = systemClock, onHit } = options;
    const sessions = new Set<Session>();
    let proxy: DrillProxy | undefined;
    const server = createServer((client) => {
      if (proxy === undefined || proxy.#refuses()) {
        resetSocket(client);
        return;
      }
      const started = proxy;
      const session = new Session(client, dial(target), clock, (command) => {
        const fault = started.#hit(command);
        if (fault !== undefined) onHit?.(fault, command);
        return fault;
      });
      sessions.add(session);
      session.onEnd(() => sessions.delete(session));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
    const address = server.address();
    proxy = new DrillProxy(server, sessions, typeof address === 'object' ? (address?.port ?? 0) : 0);
    return proxy;
  }

  /** From now on these faults and no others; the first that meets a command counts. None: all is well. */
  set(...faults: readonly Fault[]): void {
    this.#faults = faults.map((fault) => ({ fault, left: fault.times ?? Number.POSITIVE_INFINITY }));
    if (this.#refuses()) this.reset();
  }

  /** Resets every connection. */
  reset(): void {
    for (const session of this.#sessions) session.reset();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.reset();
    await closed;
  }

  #refuses(): boolean {
    return this.#faults.some(({ fault, left }) => fault.kind === FaultKind.REFUSE && left > 0);
  }

  #hit(command: Command): Fault | undefined {
    const entry = this.#faults.find(({ fault, left }) => left > 0 && meets(fault, command));
    if (entry === undefined) return undefined;
    entry.left -= 1;
    this.hits += 1;
    return entry.fault;
  }
}

/** One connection of a client, and ours to the server for it. */
class Session {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #clock: Clock;
  readonly #faultOf: (command: Command) => Fault | undefined;
  /** By the id of the request, what is to happen to its answer. */
  readonly #answers = new Map<number, Fault>();
  /** Passed on one after the other, so that a delay keeps the order. */
  #sending: Promise<void> = Promise.resolve();
  #ended = false;
  readonly #callOffs = new Set<() => void>();

  constructor(client: Socket, server: Socket, clock: Clock, faultOf: (command: Command) => Fault | undefined) {
    this.#client = client;
    this.#server = server;
    this.#clock = clock;
    this.#faultOf = faultOf;
    const [requests, replies] = [new MessageSplitter(), new MessageSplitter()];
    client.on('data', (chunk: Buffer) => this.#each(requests, chunk, (message) => this.#request(message)));
    server.on('data', (chunk: Buffer) => this.#each(replies, chunk, (message) => this.#reply(message)));
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      // What happened to one side is shown to the other.
      socket.on('error', () => this.reset());
      socket.on('close', () => this.#end());
    }
  }

  onEnd(ended: () => void): void {
    this.#client.once('close', ended);
  }

  /** Ends both sides as a crash would. */
  reset(): void {
    resetSocket(this.#client);
    this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const callOff of this.#callOffs) callOff();
    this.#client.destroy();
    this.#server.destroy();
  }

  #each(splitter: MessageSplitter, chunk: Buffer, take: (message: Buffer) => void): void {
    try {
      for (const message of splitter.push(chunk)) take(message);
    } catch {
      // What is no message cannot be passed on one by one.
      this.reset();
    }
  }

  #request(message: Buffer): void {
    const command = readCommand(message);
    const fault = command && this.#faultOf(command);
    if (command === undefined || fault === undefined) {
      this.#pass(this.#server, message);
      return;
    }
    switch (fault.kind) {
      case FaultKind.HANG_BEFORE:
        return;
      case FaultKind.DROP:
      case FaultKind.REFUSE:
        this.reset();
        return;
      case FaultKind.ERROR:
        this.#pass(this.#client, replyMessage(command.requestId, errorReply(fault.code ?? DEFAULT_CODE, fault.labels)));
        return;
      case FaultKind.DELAY:
        this.#pass(this.#server, message, fault.delayMs ?? DELAY_MS);
        return;
      default:
        this.#answers.set(command.requestId, fault);
        this.#pass(this.#server, message);
    }
  }

  #reply(message: Buffer): void {
    const id = repliesTo(message);
    const fault = this.#answers.get(id);
    this.#answers.delete(id);
    switch (fault?.kind) {
      case undefined:
        this.#client.write(message);
        return;
      case FaultKind.HANG_AFTER:
        return;
      case FaultKind.RESET:
        // The half must leave before the reset does.
        this.#client.write(message.subarray(0, message.length / 2), () => this.reset());
        return;
      default:
        this.#drip(message, 0, fault?.delayMs ?? DRIP_MS);
    }
  }

  #pass(to: Socket, message: Buffer, delayMs = 0): void {
    this.#sending = this.#sending.then(async () => {
      if (delayMs > 0) await this.#pause(delayMs);
      if (!this.#ended) to.write(message);
    });
  }

  #drip(message: Buffer, at: number, delayMs: number): void {
    if (this.#ended || at === message.length) return;
    this.#client.write(message.subarray(at, at + 1));
    void this.#pause(delayMs).then(() => this.#drip(message, at + 1, delayMs));
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const callOff = this.#clock.after(ms, () => {
        this.#callOffs.delete(callOff);
        resolve();
      });
      this.#callOffs.add(callOff);
    });
  }
}
