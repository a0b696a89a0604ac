import type { EpochStart } from '../src/model/position.ts';
import type { CursorText, Hello, Shape, SyncSource } from '../src/protocol/sync-source.ts';
import type { Clock } from '../src/util/clock.ts';
import { Backoff } from './backoff.ts';
import { guarded, requireOpen, until } from './guarded.ts';

/** One of the nodes a replica may follow. All of them are of one database: the same cursor is good for each. */
export interface SourceAddress {
  /** For logs and status, e.g. its URL without secrets. */
  readonly name: string;
  /** @throws PRIMARY_UNREACHABLE */
  connect(): Promise<SyncSource & { close?(): void }>;
}

/** What a replica follows: everything that replicates. */
export const SHAPE: Shape = { collections: null };

/** Pauses between tries of a connection, and when halted. */
const CONNECT_PAUSE = { baseMs: 200, maxMs: 5_000 };
const HALTED_PAUSE = { baseMs: 15_000, maxMs: 30_000 };

/** One connection, or the attempt at one: from CONNECT to CLOSE. */
export class Session {
  readonly address: SourceAddress;
  /** Frames are being applied. */
  following = false;
  /** A frame came: the source's head is known. */
  heard = false;
  /** A difference was reported and is not repaired yet. */
  differs = false;
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  #source: SyncSource | undefined;
  #hello: Hello | undefined;
  #close = (): void => {};

  constructor(address: SourceAddress, clock: Clock) {
    this.address = address;
    this.#clock = clock;
  }

  /** Aborted when the connection ends, or is given up. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Bound to {@link signal}. May be asked for once connected. */
  get source(): SyncSource {
    return this.#source as SyncSource;
  }

  /** What the source answered to {@link greet}; may be asked for after it. */
  get hello(): Hello {
    return this.#hello as Hello;
  }

  /** @throws PRIMARY_UNREACHABLE, also when the session was closed meanwhile */
  async connect(): Promise<void> {
    const source = await this.address.connect();
    if (this.signal.aborted) source.close?.();
    requireOpen(this.signal);
    this.#close = () => source.close?.();
    this.#source = guarded(source, this.signal);
  }

  /** Asks hello, and keeps the answer. */
  async greet(cursor: CursorText | null, epochs: readonly EpochStart[]): Promise<Hello> {
    this.#hello = await this.source.hello(cursor, SHAPE, epochs);
    return this.#hello;
  }

  /** Waits; PRIMARY_UNREACHABLE as soon as the session ends. */
  pause(pauseMs: number): Promise<void> {
    const pause = Promise.withResolvers<void>();
    const cancel = this.#clock.after(pauseMs, pause.resolve);
    return until(this.signal, () => pause.promise).finally(cancel);
  }

  /** Gives it up: what is under way rejects, and nothing more of it is written. */
  abort(): void {
    this.#controller.abort();
  }

  close(): void {
    this.abort();
    this.#close();
  }
}

export interface SessionsOptions {
  /** At least one; the next is tried when one is lost. */
  readonly sources: readonly SourceAddress[];
  readonly clock: Clock;
  readonly random?: (() => number) | undefined;
}

/** The sessions of a replica: one at a time, with each source in turn. */
export class Sessions {
  readonly #sources: readonly SourceAddress[];
  readonly #clock: Clock;
  readonly #connectPause: Backoff;
  readonly #haltedPause: Backoff;
  #current: Session | undefined;
  #turn = 0;
  #cancelRetry = (): void => {};

  constructor({ sources, clock, random }: SessionsOptions) {
    this.#sources = sources;
    this.#clock = clock;
    this.#connectPause = new Backoff({ ...CONNECT_PAUSE, random });
    this.#haltedPause = new Backoff({ ...HALTED_PAUSE, random });
  }

  get current(): Session | undefined {
    return this.#current;
  }

  /** Name of the source that is followed, or tried. */
  get sourceName(): string {
    return (this.#current?.address ?? this.#next()).name;
  }

  /** Begins a session with the source whose turn it is; undefined when there is one already. */
  open(): Session | undefined {
    if (this.#current !== undefined) return undefined;
    this.#current = new Session(this.#next(), this.#clock);
    return this.#current;
  }

  /** Ends the session, and a pause. */
  close(): void {
    this.#cancelRetry();
    this.#current?.close();
    this.#current = undefined;
  }

  /** Calls `retry` after a pause, longer from try to try; the next source may be the one that is right. */
  backOff(halted: boolean, retry: () => void): void {
    this.#turn += 1;
    this.#cancelRetry = this.#clock.after((halted ? this.#haltedPause : this.#connectPause).next(), retry);
  }

  /** It works: the next pause is the first one again. */
  recovered(): void {
    this.#connectPause.reset();
    this.#haltedPause.reset();
  }

  #next(): SourceAddress {
    return this.#sources[this.#turn % this.#sources.length] as SourceAddress;
  }
}
