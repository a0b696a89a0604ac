import type { SqliteChangeLog } from '../src/changelog/sqlite-change-log.ts';
import { HoldfastError, isHoldfastError } from '../src/errors.ts';
import { GENESIS_CHAIN } from '../src/model/change.ts';
import { comparePositions, formatPosition, type Position } from '../src/model/position.ts';
import { CHAIN_PREFIX_DIGITS, decodeCursor, encodeCursor } from '../src/protocol/cursor.ts';
import type { Hello, Shape, SyncSource } from '../src/protocol/sync-source.ts';
import { waitForAdvance } from '../src/service/advance.ts';
import type { Promotion } from '../src/service/ops-service.ts';
import type { Database, Transaction } from '../src/sqlite/database.ts';
import type { Logger } from '../src/telemetry/logger.ts';
import { type Clock, systemClock } from '../src/util/clock.ts';
import { Applier, difference, MAX_GROUP_CHANGES } from './applier.ts';
import { Backoff } from './backoff.ts';
import { bootstrap } from './bootstrap.ts';
import { type Fork, locateFork } from './fork.ts';
import { gather } from './gather.ts';
import { guarded, requireOpen, until } from './guarded.ts';
import { type Incoming, Intake } from './incoming.ts';
import { Lag, type LagReport } from './lag.ts';
import { Lock } from './lock.ts';
import { type AdoptedSchema, LOAD_START, Progress, type Promoted } from './progress.ts';
import { Repair } from './repair.ts';
import { Reporter, type ReportFacts } from './reporter.ts';
import type { Prepare, Prepared } from './row-store.ts';
import { type Effect, type Event, initialState, Order, overrides, type State, type Task, transition } from './state.ts';
import { type Verdict, verify } from './verify.ts';
import { type LoadCounts, Work } from './work.ts';

/** One of the nodes a replica may follow. All of them are of one database: the same cursor is good for each. */
export interface SourceAddress {
  /** For logs and status, e.g. its URL without secrets. */
  readonly name: string;
  /** @throws PRIMARY_UNREACHABLE */
  connect(): Promise<SyncSource & { close?(): void }>;
}

export interface ReplicaOptions {
  /** Stable name, as the source lists it. */
  readonly name: string;
  /** Where it serves clients, once it does; told to the source. */
  readonly url?: (() => string | undefined) | undefined;
  /** At least one; the next is tried when one is lost. */
  readonly sources: readonly SourceAddress[];
  readonly database: Database;
  /** Of the same database; nothing else may append to it. */
  readonly log: SqliteChangeLog;
  readonly prepare: Prepare;
  /** The SDL to insist on; a source with another one is not followed. Default: the source's is adopted. */
  readonly schema?: AdoptedSchema | undefined;
  /**
   * Keeps the entries from `from` on, which the source does not have, where people find them; resolves with the place once that is durable. Called
   * when a fork was located, and again before an order gives them up. Default: nothing is kept.
   */
  readonly keepDivergent?: ((from: number) => Promise<string | null>) | undefined;
  readonly logger: Logger;
  readonly clock?: Clock | undefined;
  /** Wall clock in ms; for `asOf` only. */
  readonly wall?: (() => number) | undefined;
  readonly random?: (() => number) | undefined;
}

/** What a replica tells about itself. */
export interface ReplicaStatus extends LagReport {
  readonly state: State['name'];
  /** Was once equal to its source, so that it may be read. */
  readonly proven: boolean;
  readonly task: Task | null;
  /** Applied up to here, durably. */
  readonly position: string;
  /** Name of the source that is followed, or tried. */
  readonly source: string;
  /** Why it is not following, and what to do; null while it does. */
  readonly message: string | null;
  readonly sdlHash: string | null;
  /** Rows loaded by pages and documents repaired since the process started. */
  readonly loaded: Readonly<LoadCounts>;
}

const SHAPE: Shape = { collections: null };
const LIMITS = { maxBatch: 500, maxBytes: 512 * 1024 };
/** Pauses between tries: of a connection, when halted, between resyncs and between repairs. */
const CONNECT_PAUSE = { baseMs: 200, maxMs: 5_000 };
const HALTED_PAUSE = { baseMs: 15_000, maxMs: 30_000 };
const TASK_PAUSE = { baseMs: 500, maxMs: 60_000 };
/** A live replica this many changes behind is catching up. */
const BEHIND_CHANGES = 2_000;
/** Acknowledgements: at most this often, and at least. */
const ACK_MIN_MS = 500;
const ACK_MAX_MS = 5_000;
/** How often an idle replica notes when it was last at the head. */
const AS_OF_EVERY_MS = 30_000;

/** One connection, or the attempt at one: from CONNECT to CLOSE. */
interface Session {
  readonly address: SourceAddress;
  readonly controller: AbortController;
  readonly signal: AbortSignal;
  /** Bound to `signal`; undefined until connected. */
  source?: SyncSource;
  hello?: Hello;
  /** Frames are being applied. */
  following?: boolean;
  /** A frame came: the source's head is known. */
  heard?: boolean;
  /** A difference was reported and is not repaired yet. */
  differs?: boolean;
  close?: () => void;
}

/**
 * Follows a source and keeps its documents: performs what the state machine says. Survives whatever the source does; ends
 * only by `stop`. SPEC.md describes steps, crashes and invariants.
 */
export class Replica {
  /** Resolves when this replica may be read for the first time: at once after a restart of one that was proven. */
  readonly ready: Promise<void>;
  readonly #options: ReplicaOptions;
  readonly #clock: Clock;
  readonly #progress: Progress;
  readonly #lag: Lag;
  readonly #lock = new Lock();
  readonly #applier: Applier;
  readonly #reporter: Reporter;
  readonly #repair = new Repair();
  readonly #counts: LoadCounts = { rows: 0, repaired: 0 };
  readonly #connectPause: Backoff;
  readonly #haltedPause: Backoff;
  readonly #resetPause: Backoff;
  readonly #repairPause: Backoff;
  readonly #becameReady = Promise.withResolvers<void>();
  /** Resolves when no task is under way any more. */
  #idle = Promise.withResolvers<void>();
  readonly #events: { readonly event: Event; readonly session: Session | undefined }[] = [];
  #wake = (): void => {};
  #state: State;
  #prepared: Prepared | undefined;
  /** Hash of the SDL it was prepared for. */
  #preparedFor: string | undefined;
  #session: Session | undefined;
  #cancelRetry = (): void => {};
  #turn = 0;
  #running: Promise<void> | undefined;
  #acked = { sequence: -1, at: Number.NEGATIVE_INFINITY };
  #asOfSavedAt: number;

  private constructor(options: ReplicaOptions, progress: Progress) {
    const { clock = systemClock, database, log, random, wall } = options;
    this.#options = options;
    this.#clock = clock;
    this.#progress = progress;
    this.#lag = new Lag({ clock, wall, storedAsOf: progress.asOf });
    this.#applier = new Applier({ database, log, progress, lag: this.#lag });
    this.#reporter = new Reporter(options.logger);
    this.#connectPause = new Backoff({ ...CONNECT_PAUSE, random });
    this.#haltedPause = new Backoff({ ...HALTED_PAUSE, random });
    this.#resetPause = new Backoff({ ...TASK_PAUSE, random });
    this.#repairPause = new Backoff({ ...TASK_PAUSE, random });
    this.#asOfSavedAt = clock.now();
    this.#state = initialState(progress.facts).state;
    this.ready = this.#becameReady.promise;
  }

  /**
   * Reads what is stored and prepares the store for the SDL known from before, so that reads can be served before the
   * source answers. @throws what `prepare` throws, SCHEMA_INVALID among it
   */
  static async open(options: ReplicaOptions): Promise<Replica> {
    const progress = await Progress.open(options.database);
    await adoptOwnLog(options, progress);
    const replica = new Replica(options, progress);
    const schema = options.schema ?? replica.#progress.schema;
    if (schema !== null) await replica.#prepare(schema);
    replica.#lag.applied(options.log.head().sequence);
    replica.#changed();
    return replica;
  }

  /** Follows until `stop`. Never rejects. May be called once. */
  run(): Promise<void> {
    this.#running ??= this.#loop();
    return this.#running;
  }

  /** Ends the connection and resolves when nothing of this replica writes any more. The database stays open. */
  async stop(): Promise<void> {
    this.#post({ type: 'STOP' });
    this.#session?.controller.abort();
    await this.#running;
    await this.#lock.run(async () => {});
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  status(): ReplicaStatus {
    const { name, proven, task } = this.#state;
    return {
      state: name,
      proven,
      task,
      position: formatPosition(this.position()),
      source: this.#session?.address.name ?? this.#address().name,
      message: this.#reporter.message,
      sdlHash: (this.#options.schema ?? this.#progress.schema)?.sdlHash ?? null,
      loaded: { ...this.#counts },
      ...this.#lag.report(),
    };
  }

  /** Applied up to here, durably. */
  position(): Position {
    const { epoch, sequence } = this.#options.log.head();
    return { epoch, sequence };
  }

  /** Whether documents may be read here. */
  isReady(): boolean {
    return this.#progress.facts.proven && this.#prepared !== undefined;
  }

  /** Whether the documents here are those of {@link position}, so that others may copy them. */
  isEqual(): boolean {
    const { settled } = this.#progress.facts;
    return this.isReady() && !this.#isBusy() && !this.#isHalted() && this.position().sequence >= settled;
  }

  /** How old the documents here are. */
  lag(): LagReport {
    return this.#lag.report();
  }

  /**
   * Whether every document here is at least as new as `position`. While a task is under way nobody knows: a resync begins with
   * a log at the head of the source and the documents of before.
   */
  has(position: Position): boolean {
    return !this.#isBusy() && comparePositions(this.position(), position) >= 0;
  }

  /** Whether this replica {@link has} `position`, waiting for it `timeoutMs` at most. Rejects with the signal's reason. */
  async waitFor(position: Position, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.has(position)) return true;
    const timeout = new AbortController();
    const cancel = this.#clock.after(timeoutMs, () => timeout.abort());
    const ended = AbortSignal.any([signal, timeout.signal]);
    try {
      while (!this.has(position) && !ended.aborted) {
        if (this.#isBusy()) await until(ended, () => this.#idle.promise).catch(() => {});
        else await waitForAdvance(this.#options.log, this.position().sequence, ended);
      }
    } finally {
      cancel();
    }
    signal.throwIfAborted();
    return this.has(position);
  }

  /**
   * Compares with the source at one exact position; see {@link verify}. What differs is then repaired.
   * @throws PRIMARY_UNREACHABLE when none is followed now
   */
  async verify(options: { readonly deep?: boolean } = {}): Promise<Verdict> {
    const session = this.#session;
    if (session?.following !== true) {
      throw new HoldfastError(
        'PRIMARY_UNREACHABLE',
        this.#reporter.message ?? 'the replica is not following its source now',
      );
    }
    const verdict = await verify(this.#work(session), () => this.position(), options.deep ?? false);
    const wrong = verdict.collections.find(({ equal }) => !equal);
    if (wrong !== undefined) this.#differs(session, `collection ${wrong.collection} differs, as a comparison found`);
    return verdict;
  }

  /**
   * Orders a resync by bucket difference: it begins with the next connection, which is made at once; what is here is served meanwhile.
   * With `force` also out of FORKED and FENCED: changes that only this replica has are given up for those of the source.
   * @throws FORK, FENCED without `force` in those states
   */
  resync(options: { readonly force?: boolean } = {}): void {
    const { name } = this.#state;
    if (options.force !== true && (name === 'FORKED' || name === 'FENCED')) {
      const code = name === 'FORKED' ? 'FORK' : 'FENCED';
      throw new HoldfastError(
        code,
        `${this.#reporter.message ?? name}; a resync would give up what only this replica has: force it`,
      );
    }
    this.#post({ type: 'ORDERED', order: options.force === true ? Order.FORCED : Order.RESYNC });
  }

  /**
   * Ends the following for good, in one transaction with the first entry of the next epoch: `prepare` runs in it and makes the
   * store ready to be written to. When it throws, nothing has changed and the replica goes on following. Everything of this process
   * waits meanwhile, some seconds for a million documents.
   * @throws NOT_READY without `force` when documents may be missing; FORK without `force` while a fork is undecided; what `prepare` throws
   */
  async promote(options: {
    readonly force: boolean;
    readonly primaries: readonly string[];
    readonly prepare: (transaction: Transaction) => void;
  }): Promise<Promotion> {
    if (!options.force) this.#requirePromotable();
    const { database, log, wall = Date.now } = this.#options;
    const { head, lagChanges } = this.#lag.report();
    const promoted = await database.transaction((transaction) => {
      if (this.#progress.promoted !== null) {
        throw new HoldfastError('NOT_READY', 'this replica was promoted already, and is a primary now');
      }
      options.prepare(transaction);
      const at = Math.round(wall());
      const { epoch } = log.beginEpoch(transaction, at);
      const fact: Promoted = { epoch, at, primaries: options.primaries };
      this.#progress.saveFacts(transaction, { proven: true, task: null, forked: false });
      this.#progress.savePromoted(transaction, fact);
      // What else comes in this turn of the database, and later, is no longer to be written.
      const session = this.#session;
      session?.controller.abort();
      transaction.onRollback(() => this.#post({ type: 'LOST' }, session));
      return fact;
    });
    await this.stop();
    this.#changed();
    return { position: this.position(), epoch: promoted.epoch, lostChanges: head === 0 ? null : lagChanges };
  }

  #requirePromotable(): void {
    const { name, proven, task, forked } = this.#state;
    if (forked || name === 'FORKED') {
      throw new HoldfastError(
        'FORK',
        'this replica holds changes that its source does not have, and nobody has decided: promote it with force to keep them',
      );
    }
    if (proven && task === null && this.position().sequence >= this.#progress.facts.settled && this.isReady()) return;
    throw new HoldfastError(
      'NOT_READY',
      `this replica may lack documents (${name}): promote another one, or this one with force`,
      { details: { state: name } },
    );
  }

  async #loop(): Promise<void> {
    await this.#perform(initialState(this.#progress.facts).effects, undefined, this.#state);
    while (this.#state.name !== 'STOPPED') {
      const next = this.#events.shift();
      if (next === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      if (next.session !== undefined && next.session !== this.#session) continue;
      const { state, effects } = transition(this.#state, next.event);
      const before = this.#state;
      this.#state = state;
      this.#changed();
      if (before.name !== state.name) this.#reporter.entered(state, before, this.#facts(), this.#counts);
      await this.#perform(effects, next.session, before);
      if (this.#session !== undefined) this.#lookForHead(this.#session);
    }
    await this.#saveAsOf().catch(() => {});
  }

  #post(event: Event, session?: Session): void {
    this.#events.push({ event, session });
    this.#wake();
  }

  /** Performs effects in order. A failure ends them and the connection; what could not be made durable is not so. */
  async #perform(effects: readonly Effect[], session: Session | undefined, before: State): Promise<void> {
    for (const effect of effects) {
      try {
        await this.#effect(effect, session);
      } catch (error) {
        if (effect === 'SAVE' || effect === 'RESET') {
          const { proven, task, forked, order } = before;
          this.#state = { ...this.#state, proven, task, forked, order };
        }
        this.#failed(session ?? this.#session, error);
        return;
      }
    }
  }

  async #effect(effect: Effect, session: Session | undefined): Promise<void> {
    switch (effect) {
      case 'CONNECT':
        this.#connect();
        break;
      case 'CLOSE':
        this.#close();
        break;
      case 'BACK_OFF':
        this.#backOff();
        break;
      case 'SAVE':
        await this.#save();
        break;
      case 'ALARM':
        this.#reporter.alarm(this.#state.repairs, this.#facts());
        break;
      default:
        if (session !== undefined) await this.#sessionEffect(effect, session);
    }
  }

  async #sessionEffect(effect: Effect, session: Session): Promise<void> {
    switch (effect) {
      case 'GREET':
        this.#spawn(session, () => this.#greet(session));
        break;
      case 'RESET':
        await this.#reset(session);
        break;
      case 'FOLLOW':
        session.following = true;
        this.#spawn(session, () => this.#follow(session));
        break;
      case 'LOAD':
        this.#spawn(session, () => this.#load(session));
        break;
      case 'PROVE':
        this.#spawn(session, () => this.#prove(session));
        break;
      case 'LOCATE_FORK':
        await this.#locateFork(session);
        break;
    }
  }

  /** Runs work of a session beside the loop; its failure ends the session, unless that has ended already. */
  #spawn(session: Session, work: () => Promise<void>): void {
    work().catch((error: unknown) => this.#failed(session, error));
  }

  #failed(session: Session | undefined, error: unknown): void {
    if (session === undefined || session !== this.#session || session.signal.aborted) return;
    if (session.following === true && isHoldfastError(error) && (error.code === 'FORK' || error.code === 'FENCED')) {
      this.#post({ type: error.code }, session);
    } else {
      this.#reporter.troubled(error, this.isReady(), this.#facts());
      this.#post({ type: 'LOST' }, session);
    }
  }

  #address(): SourceAddress {
    const { sources } = this.#options;
    return sources[this.#turn % sources.length] as SourceAddress;
  }

  #connect(): void {
    if (this.#session !== undefined) return;
    const controller = new AbortController();
    const session: Session = { address: this.#address(), controller, signal: controller.signal };
    this.#session = session;
    this.#spawn(session, async () => {
      const source = await session.address.connect();
      if (session.signal.aborted) return source.close?.();
      session.close = () => source.close?.();
      session.source = guarded(source, session.signal);
      this.#post({ type: 'CONNECTED' }, session);
    });
  }

  #close(): void {
    this.#cancelRetry();
    const session = this.#session;
    this.#session = undefined;
    session?.controller.abort();
    session?.close?.();
  }

  #backOff(): void {
    // The next source may be the one that is right.
    this.#turn += 1;
    const pauseMs = (this.#isHalted() ? this.#haltedPause : this.#connectPause).next();
    this.#cancelRetry = this.#clock.after(pauseMs, () => this.#post({ type: 'RETRY' }));
  }

  /** What the state says for good. A task begun by it starts from its start. */
  async #save(): Promise<void> {
    const { proven, task, forked } = this.#state;
    await this.#options.database.transaction((transaction) => {
      this.#progress.saveFacts(transaction, { proven, task, forked });
      this.#progress.saveLoad(transaction, LOAD_START);
    });
    this.#changed();
  }

  async #greet(session: Session): Promise<void> {
    const source = session.source as SyncSource;
    const { joined } = this.#progress.facts;
    const hello = await source.hello(joined ? this.#cursor() : null, SHAPE, joined ? this.#options.log.epochs() : []);
    session.hello = hello;
    if (hello.status === 'FORK' || hello.status === 'FENCED') {
      if (!overrides(this.#state, hello.status)) return this.#post({ type: hello.status }, session);
    }
    const { schema } = this.#options;
    const mismatched = schema !== undefined && schema.sdlHash !== hello.sdlHash;
    if (mismatched || hello.status === 'SCHEMA_MISMATCH') return this.#post({ type: 'MISMATCH' }, session);
    const adopted = await this.#adopt(session, hello);
    if (!this.#progress.facts.joined) this.#post({ type: 'NEW' }, session);
    else if (hello.status === 'OK') this.#post({ type: 'OK', adopted }, session);
    else this.#post({ type: hello.status as 'RESYNC' | 'FORK' | 'FENCED' }, session);
  }

  /** Prepares the store for the source's SDL when it is new here. Resolves with whether it took the place of another one. */
  async #adopt(session: Session, hello: Hello): Promise<boolean> {
    const { schema, database } = this.#options;
    if (schema !== undefined) return false;
    const before = this.#progress.schema;
    const isOther = before?.sdlHash !== hello.sdlHash;
    if (!isOther && this.#preparedFor === hello.sdlHash) return false;
    const adopted: AdoptedSchema = { sdl: hello.sdl, sdlHash: hello.sdlHash };
    await this.#prepare(adopted);
    await database.transaction((transaction) => {
      requireOpen(session.signal);
      this.#progress.saveSchema(transaction, adopted);
    });
    return before !== null && isOther;
  }

  /** What was prepared last is what is served: it is written to from now on, whatever becomes of the connection. */
  async #prepare(schema: AdoptedSchema): Promise<void> {
    this.#prepared = await this.#options.prepare(schema);
    this.#preparedFor = schema.sdlHash;
  }

  /** Makes the copied log that of the source, from its head on. Resyncs in a row come slower and slower. */
  async #reset(session: Session): Promise<void> {
    if (this.#resetPause.tries > 0) await this.#pause(session, this.#resetPause);
    else this.#resetPause.next();
    const source = session.source as SyncSource;
    const { logId, head, epochs, cursor } = session.hello as Hello;
    const chain = head === 0 ? GENESIS_CHAIN : ((await source.chain([head]))[0] ?? '');
    if (chain.slice(0, CHAIN_PREFIX_DIGITS) !== decodeCursor(cursor).chain) {
      throw new HoldfastError('CURSOR_EXPIRED', `the source no longer knows change ${head}, where it said it was`);
    }
    const { task } = this.#state;
    await this.#keepDivergent(session);
    await this.#lock.run(() =>
      this.#options.database.transaction((transaction) => {
        requireOpen(session.signal);
        this.#options.log.reset(transaction, { logId, epochs, sequence: head, chain });
        this.#progress.saveFacts(transaction, { joined: true, task, forked: false, settled: head });
        this.#progress.saveLoad(transaction, LOAD_START);
      }),
    );
    this.#lag.applied(head);
  }

  async #follow(session: Session): Promise<void> {
    const source = session.source as SyncSource;
    const { signal } = session;
    const prepared = this.#prepared as Prepared;
    const known = new Set(prepared.collections);
    const intake = new Intake({ source, isKnown: (name) => known.has(name), tail: this.#options.log.head() });
    const frames = source.changes(this.#cursor(), SHAPE, LIMITS, signal);
    this.#lag.forgetHead();
    const options = { maxChanges: MAX_GROUP_CHANGES, soon: (task: () => void) => this.#clock.soon(task), signal };
    for await (const group of gather(frames, options)) {
      const head = group.at(-1)?.head ?? 0;
      this.#lag.heard(head);
      session.heard = true;
      const parts: Incoming[] = [];
      try {
        for (const frame of group) {
          let count = 0;
          for await (const part of intake.take(frame)) {
            // Several parts of one frame hold large images: one at a time.
            if (count++ > 0) await this.#apply(session, parts.splice(0));
            parts.push(part);
          }
        }
      } finally {
        // Also when a later frame of the group is refused: what came before it is good.
        await this.#apply(session, parts);
      }
      this.#advanced(session, head);
    }
    requireOpen(signal);
    throw new HoldfastError('PRIMARY_UNREACHABLE', 'the source ended the subscription');
  }

  async #apply(session: Session, parts: readonly Incoming[]): Promise<void> {
    const { signal } = session;
    const differs = await this.#lock.run(() => this.#applier.apply(parts, this.#prepared as Prepared, signal));
    if (differs !== null) this.#differs(session, differs);
  }

  /** Says once that there is something to repair; a task that is under way finds it itself. */
  #differs(session: Session, differs: string): void {
    if (session.differs === true || this.#progress.facts.task !== null) return;
    session.differs = true;
    this.#reporter.differs(differs);
    this.#post({ type: 'DIFFERS' }, session);
  }

  /** A group was applied: tells the machine, the source and the log how things are. */
  #advanced(session: Session, head: number): void {
    const { sequence } = this.position();
    this.#recovered();
    this.#lookForHead(session);
    if (this.#state.name === 'LIVE' && head - sequence > BEHIND_CHANGES) this.#post({ type: 'BEHIND' }, session);
    this.#acknowledge(session, sequence);
    if (this.#clock.now() - this.#asOfSavedAt > AS_OF_EVERY_MS) this.#spawn(session, () => this.#saveAsOf());
  }

  /** Live as soon as everything heard of is applied: nothing needs to be said again for that. */
  #lookForHead(session: Session): void {
    const reached = session.heard === true && this.#lag.report().lagChanges === 0;
    if (reached && this.#state.name === 'CATCHING_UP') this.#post({ type: 'AT_HEAD' }, session);
  }

  #acknowledge(session: Session, applied: number): void {
    const since = this.#clock.now() - this.#acked.at;
    if (since < ACK_MIN_MS || (applied === this.#acked.sequence && since < ACK_MAX_MS)) return;
    this.#acked = { sequence: applied, at: this.#clock.now() };
    const { name } = this.#options;
    const url = this.#options.url?.() ?? null;
    const ack = { replica: name, applied, epoch: this.position().epoch, state: this.#state.name, url };
    // Only informs: what matters about the connection is seen by the subscription.
    (session.source as SyncSource).ack(ack).catch(() => {});
  }

  async #saveAsOf(): Promise<void> {
    this.#asOfSavedAt = this.#clock.now();
    const asOf = this.#lag.asOfMs();
    if (asOf !== null) {
      await this.#options.database.transaction((transaction) => this.#progress.saveAsOf(transaction, asOf));
    }
  }

  /** Fetches what the task wants, then waits until the log has reached it. */
  async #load(session: Session): Promise<void> {
    const { task, repairs } = this.#state;
    if (repairs > 1) await this.#pause(session, this.#repairPause);
    const work = this.#work(session);
    if (task === 'BOOTSTRAP') await bootstrap(work);
    else await this.#repair.run(work);
    // The rows may be newer than the positions told with them; not newer than the source is now.
    const { position } = await work.source.digests(null);
    await this.#options.database.transaction((transaction) => {
      requireOpen(session.signal);
      this.#progress.settle(transaction, position.sequence);
    });
    while (this.position().sequence < this.#progress.facts.settled) {
      await waitForAdvance(this.#options.log, this.position().sequence, session.signal);
      requireOpen(session.signal);
    }
    this.#post({ type: 'LOADED' }, session);
  }

  /** Compares digests at the position applied, while the applier stands still. */
  async #prove(session: Session): Promise<void> {
    const differs = await this.#lock.run(async () => {
      const { digests } = await (session.source as SyncSource).digests(this.position());
      return difference(digests, this.#prepared as Prepared);
    });
    this.#reporter.differs(differs);
    if (differs === null) {
      session.differs = false;
      this.#resetPause.reset();
      this.#repairPause.reset();
    }
    this.#post({ type: differs === null ? 'PROVEN' : 'DIFFERS' }, session);
  }

  async #locateFork(session: Session): Promise<void> {
    const source = session.source as SyncSource;
    const fork = await source
      .hello(this.#cursor(), SHAPE)
      .then((hello) => locateFork(this.#options.log, source, hello))
      .catch(() => undefined);
    this.#reporter.forked(fork, fork && (await this.#keep(fork)), this.#facts());
  }

  /** Before entries that only this replica has are given up. */
  async #keepDivergent(session: Session): Promise<void> {
    const hello = session.hello as Hello;
    if (!this.#progress.facts.proven || (hello.status !== 'FORK' && hello.status !== 'FENCED')) return;
    await this.#keep(await locateFork(this.#options.log, session.source as SyncSource, hello));
  }

  /** Where the entries from the fork on are kept; null when there are none, or the source is of another database. */
  async #keep({ from }: Fork): Promise<string | null> {
    const { keepDivergent } = this.#options;
    return from === null || keepDivergent === undefined ? null : keepDivergent(from);
  }

  #work(session: Session): Work {
    return new Work({
      source: session.source as SyncSource,
      signal: session.signal,
      database: this.#options.database,
      progress: this.#progress,
      prepared: this.#prepared as Prepared,
      lock: this.#lock,
      counts: this.#counts,
    });
  }

  #cursor(): string {
    const { log } = this.#options;
    const { epoch, sequence, chain } = log.head();
    return encodeCursor({ logId: log.logId, epoch, sequence, chain });
  }

  #pause(session: Session, backoff: Backoff): Promise<void> {
    const pause = Promise.withResolvers<void>();
    const cancel = this.#clock.after(backoff.next(), pause.resolve);
    return until(session.signal, () => pause.promise).finally(cancel);
  }

  /** Follows the state in what others read: readiness, and whether applying makes the data fresh. */
  #changed(): void {
    this.#lag.freeze(!this.#state.proven || this.#isBusy());
    if (this.isReady()) this.#becameReady.resolve();
    if (this.#isBusy()) return;
    this.#idle.resolve();
    this.#idle = Promise.withResolvers<void>();
  }

  /** A task is under way, or what is stored says so still. */
  #isBusy(): boolean {
    return this.#state.task !== null || this.#progress.facts.task !== null;
  }

  #isHalted(): boolean {
    const { name } = this.#state;
    return name === 'FORKED' || name === 'FENCED' || name === 'MISMATCHED';
  }

  #recovered(): void {
    this.#connectPause.reset();
    this.#haltedPause.reset();
    this.#reporter.recovered(this.#facts());
  }

  #facts(): ReportFacts {
    const source = this.#session?.address.name ?? this.#address().name;
    return { state: this.#state.name, source, position: formatPosition(this.position()) };
  }
}

/**
 * The directory of a primary begins to follow: its documents are those of its own log, which may go on at the source or part
 * from it. So does that of a promoted replica which was fenced.
 */
async function adoptOwnLog({ database, log }: ReplicaOptions, progress: Progress): Promise<void> {
  const { sequence } = log.head();
  if (progress.promoted === null && (progress.facts.joined || sequence === 0)) return;
  await database.transaction((transaction) => {
    progress.saveFacts(transaction, { joined: true, proven: true, task: null, forked: false, settled: sequence });
    progress.savePromoted(transaction, null);
  });
}
