import type { SourceAddress } from '../../../replica/replica.ts';
import { HoldfastError } from '../../../src/errors.ts';
import type { Frame, SyncSource } from '../../../src/protocol/sync-source.ts';
import type { Process } from './process.ts';
import { Lane, type Owner, type Scheduler } from './scheduler.ts';

/** What answers at the other end, in the run of its process. */
export interface Endpoint {
  readonly process: Process;
  /** What serves at the moment; undefined while nothing does. */
  readonly source: () => SyncSource | undefined;
}

/** How the way between two nodes behaves. */
export interface LinkFaults {
  /** Most changes of one frame, and rows of one page. */
  readonly frameChanges: number;
  readonly pageRows: number;
  /** Probability that a frame is dropped, sent twice, damaged, or changes places with the next. */
  readonly frameFaults: number;
  /** Probability that a call or an answer takes its time. */
  readonly slow: number;
}

/** Frames on their way at once. */
const WINDOW = 3;
/** Longest time a slow message takes, in ms. */
const SLOW_MS = 2_000;

interface Waiting {
  readonly resolve: (result: IteratorResult<Frame>) => void;
  readonly reject: (error: unknown) => void;
}

/** The way from a follower to one node: calls and answers are tasks of the scheduler, frames keep their order. */
export class Link {
  readonly name: string;
  /** Nothing gets through, and nobody is told. */
  partitioned = false;
  /** Faults happen; false once the simulation only waits for everything to settle. */
  faulty = true;
  readonly scheduler: Scheduler;
  readonly faults: LinkFaults;
  readonly #target: () => Endpoint | undefined;
  readonly #connections = new Set<Connection>();

  constructor(scheduler: Scheduler, name: string, faults: LinkFaults, target: () => Endpoint | undefined) {
    this.scheduler = scheduler;
    this.name = name;
    this.faults = faults;
    this.#target = target;
  }

  /** As a replica takes it, for one run of its process. */
  address(client: Process): SourceAddress {
    return { name: this.name, connect: () => this.#connect(client) };
  }

  /** Breaks every connection there is: calls under way are lost, with or without having had their effect. */
  cut(): void {
    this.cutLater()();
  }

  /** Breaks the connections of now when called: one side died, and the other notices at some time. */
  cutLater(): () => void {
    const connections = [...this.#connections];
    return () => {
      for (const connection of connections) connection.break();
    };
  }

  #connect(client: Process): Promise<SyncSource & { close(): void }> {
    return new Promise((resolve, reject) => {
      const arrive = (): void => {
        const endpoint = this.#target();
        if (endpoint?.source() === undefined || this.partitioned) {
          reject(lost('connection refused'));
          return;
        }
        const connection = new Connection(this, client, endpoint, () => this.#connections.delete(connection));
        this.#connections.add(connection);
        resolve(connection.source());
      };
      this.scheduler.add(`${this.name} connect`, arrive, client);
    });
  }
}

/** One connection; it ends on either side, or on the way. */
class Connection implements Owner {
  readonly link: Link;
  readonly server: Process;
  readonly client: Process;
  readonly #endpoint: Endpoint;
  readonly #closed: () => void;
  readonly #endings = new Set<(error: Error) => void>();
  #open = true;

  constructor(link: Link, client: Process, endpoint: Endpoint, closed: () => void) {
    this.link = link;
    this.client = client;
    this.server = endpoint.process;
    this.#endpoint = endpoint;
    this.#closed = closed;
  }

  /** Whether messages arrive: both processes run and nobody closed it. */
  get alive(): boolean {
    return this.#open && this.client.alive && this.server.alive;
  }

  /** Asked for with each call, as the ports of a process do: a promotion changes it while connections stay open. */
  get target(): SyncSource {
    const source = this.#endpoint.source();
    if (source === undefined) throw new HoldfastError('NOT_READY', 'nothing serves here at the moment');
    return source;
  }

  source(): SyncSource & { close(): void } {
    const { frameChanges, pageRows } = this.link.faults;
    return {
      hello: (...args) => this.#call('hello', () => this.target.hello(...args)),
      snapshot: (collection, after, limit) =>
        this.#call('snapshot', () => this.target.snapshot(collection, after, Math.min(limit, pageRows))),
      digests: (...args) => this.#call('digests', () => this.target.digests(...args)),
      buckets: (...args) => this.#call('buckets', () => this.target.buckets(...args)),
      bucketRows: (...args) => this.#call('bucketRows', () => this.target.bucketRows(...args)),
      rows: (...args) => this.#call('rows', () => this.target.rows(...args)),
      chain: (...args) => this.#call('chain', () => this.target.chain(...args)),
      ack: (...args) => this.#call('ack', () => this.target.ack(...args)),
      changes: (cursor, shape, limits, signal) => {
        const asked = { ...limits, maxBatch: Math.min(limits.maxBatch, frameChanges) };
        return new Subscription(this, (ended) => this.target.changes(cursor, shape, asked, ended), signal);
      },
      close: () => this.#end(),
    };
  }

  /** The connection is gone and both sides notice. */
  break(): void {
    this.#end(lost('connection lost'));
  }

  /** Calls `ending` when the connection ends, by whoever. Returns how to forget it. */
  onEnd(ending: (error: Error) => void): () => void {
    this.#endings.add(ending);
    return () => this.#endings.delete(ending);
  }

  /** Adds a message; a connection that is cut off keeps it until it breaks. */
  send(label: string, arrive: () => void, lane?: Lane): void {
    const deliver = (): void => {
      if (this.link.partitioned) return;
      arrive();
    };
    if (!this.alive) return;
    const { scheduler, name, faults, faulty } = this.link;
    const text = `${name} ${label}`;
    const isSlow = lane === undefined && faulty && scheduler.chance(faults.slow);
    if (isSlow) scheduler.after(scheduler.below(SLOW_MS), text, deliver, this);
    else scheduler.add(text, deliver, this, lane);
  }

  #call<T>(name: string, ask: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (!this.#open) return reject(lost('connection closed'));
      const forget = this.onEnd(reject);
      const answer = (settle: () => void): void =>
        this.send(`${name} answered`, () => {
          forget();
          settle();
        });
      this.send(`${name} asked`, () => {
        const asked = async () => ask();
        asked().then(
          (value) => answer(() => resolve(value)),
          (error: unknown) => answer(() => reject(error)),
        );
      });
    });
  }

  #end(error?: Error): void {
    if (!this.#open) return;
    this.#open = false;
    this.#closed();
    for (const ending of this.#endings) ending(error ?? lost('connection closed'));
    this.#endings.clear();
  }
}

/** The frames of one subscription: at most a few on their way, in order but for the faults of the way. */
class Subscription implements AsyncIterableIterator<Frame> {
  readonly #connection: Connection;
  readonly #server = new AbortController();
  readonly #lane = new Lane();
  readonly #arrived: Frame[] = [];
  #frames: AsyncIterator<Frame> | undefined;
  readonly #waiting: Waiting[] = [];
  #ended: { readonly error: unknown } | undefined;
  #under = 0;
  #pulling = false;
  #held: Frame | undefined;

  constructor(connection: Connection, open: (signal: AbortSignal) => AsyncIterable<Frame>, signal: AbortSignal) {
    this.#connection = connection;
    connection.onEnd((error) => {
      this.#end(error);
      this.#server.abort();
    });
    signal.addEventListener('abort', () => void this.return(), { once: true });
    connection.send('changes asked', () => {
      if (this.#server.signal.aborted) return;
      this.#frames = open(this.#server.signal)[Symbol.asyncIterator]();
      this.#pull();
    });
  }

  next(): Promise<IteratorResult<Frame>> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#give();
    });
  }

  return(): Promise<IteratorResult<Frame>> {
    this.#end(undefined);
    this.#connection.send('changes ended', () => this.#server.abort());
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The source's side: asks for the next frame while few are on their way. */
  #pull(): void {
    if (this.#pulling || this.#under >= WINDOW || this.#frames === undefined || !this.#connection.alive) return;
    this.#pulling = true;
    this.#frames.next().then(
      (result) => {
        this.#pulling = false;
        if (result.done === true) return this.#send('changes over', () => this.#end(undefined));
        this.#under += 1;
        this.#mangle(result.value);
        this.#pull();
      },
      (error: unknown) => this.#send('changes failed', () => this.#end(error)),
    );
  }

  #mangle(frame: Frame): void {
    const { scheduler, faults, faulty } = this.#connection.link;
    const held = this.#held;
    this.#held = undefined;
    const wrong = faulty && scheduler.chance(faults.frameFaults);
    const kind = wrong ? scheduler.pick(['drop', 'twice', 'damage', 'late'] as const) : 'none';
    if (kind === 'drop') this.#under -= 1;
    else if (kind === 'late') this.#held = frame;
    else this.#deliver(kind === 'damage' ? damaged(frame, scheduler) : frame);
    if (kind === 'twice') {
      this.#under += 1;
      this.#deliver(frame);
    }
    if (held !== undefined) this.#deliver(held);
  }

  #deliver(frame: Frame): void {
    this.#send(`frame ${frame.from}-${frame.to}`, () => {
      this.#arrived.push(frame);
      this.#give();
    });
  }

  #send(label: string, arrive: () => void): void {
    this.#connection.send(label, arrive, this.#lane);
  }

  #give(): void {
    while (this.#waiting.length > 0 && (this.#arrived.length > 0 || this.#ended !== undefined)) {
      const { resolve, reject } = this.#waiting.shift() as Waiting;
      const frame = this.#arrived.shift();
      if (frame !== undefined) {
        resolve({ done: false, value: frame });
        this.#under -= 1;
        this.#pull();
      } else if (this.#ended?.error !== undefined) reject(this.#ended.error);
      else resolve({ done: true, value: undefined });
    }
  }

  #end(error: unknown): void {
    this.#ended ??= { error };
    this.#give();
  }
}

/** `frame` with one bit or field wrong. */
function damaged(frame: Frame, scheduler: Scheduler): Frame {
  const flip = (text: string): string => {
    const at = scheduler.below(text.length);
    const code = text.charCodeAt(at) ^ (1 << scheduler.below(6));
    return text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1);
  };
  switch (scheduler.below(6)) {
    case 0:
      return { ...frame, checksum: frame.checksum ^ (1 << scheduler.below(31)) };
    case 1:
      return { ...frame, previous: flip(frame.previous) };
    case 2:
      return { ...frame, chain: flip(frame.chain) };
    case 3:
      return { ...frame, to: frame.to + 1 };
    default:
      return frame.body === '' ? { ...frame, from: frame.from + 1 } : { ...frame, body: flip(frame.body) };
  }
}

function lost(message: string): HoldfastError {
  return new HoldfastError('PRIMARY_UNREACHABLE', message);
}
