import { HoldfastError } from '../src/errors.ts';
import type { Position } from '../src/model/position.ts';
import type { Promotion } from '../src/service/ops-service.ts';
import { perform } from './effects.ts';
import type { LagReport } from './lag.ts';
import { LocalCopy } from './local-copy.ts';
import { joinParts, type Parts, type ReplicaOptions } from './parts.ts';
import { beginEpoch, type PromoteOptions, requirePromotable } from './promotion.ts';
import type { SourceAddress } from './session.ts';
import { Order, type State, type Task } from './state.ts';
import { type Verdict, verify } from './verify.ts';
import type { LoadCounts } from './work.ts';

export type { ReplicaOptions, SourceAddress };

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

/**
 * Follows a source and keeps its documents: has performed what the state machine says. Survives whatever the source does; ends
 * only by `stop`. SPEC.md describes steps, crashes and invariants.
 */
export class Replica {
  /** Resolves when this replica may be read for the first time: at once after a restart of one that was proven. */
  readonly ready: Promise<void>;
  readonly #options: ReplicaOptions;
  readonly #parts: Parts;
  #running: Promise<void> | undefined;

  private constructor(options: ReplicaOptions, copy: LocalCopy) {
    this.#options = options;
    this.#parts = joinParts(options, copy, (effect, session) => perform(this.#parts, effect, session));
    this.ready = this.#parts.readiness.ready;
  }

  /**
   * Reads what is stored and prepares the store for the SDL known from before, so that reads can be served before the
   * source answers. @throws what `prepare` throws, SCHEMA_INVALID among it
   */
  static async open(options: ReplicaOptions): Promise<Replica> {
    const replica = new Replica(options, await LocalCopy.open(options));
    replica.#parts.lag.applied(options.log.head().sequence);
    replica.#parts.readiness.changed();
    return replica;
  }

  /** Follows until `stop`. Never rejects. May be called once. */
  run(): Promise<void> {
    this.#running ??= this.#parts.machine.run().then(() => this.#parts.following.saveAsOf().catch(() => {}));
    return this.#running;
  }

  /** Ends the connection and resolves when nothing of this replica writes any more. The database stays open. */
  async stop(): Promise<void> {
    this.#parts.machine.post({ type: 'STOP' });
    this.#parts.sessions.current?.abort();
    await this.#running;
    await this.#parts.copy.lock.run(async () => {});
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  status(): ReplicaStatus {
    const { name, proven, task } = this.#parts.machine.state;
    return {
      state: name,
      proven,
      task,
      position: this.#parts.copy.positionText(),
      source: this.#parts.sessions.sourceName,
      message: this.#parts.reporter.message,
      sdlHash: this.#parts.copy.sdlHash,
      loaded: { ...this.#parts.loading.counts },
      ...this.#parts.lag.report(),
    };
  }

  /** Applied up to here, durably. */
  position(): Position {
    return this.#parts.copy.position();
  }

  /** Whether documents may be read here. */
  isReady(): boolean {
    return this.#parts.readiness.isReady();
  }

  /** Whether the documents here are those of {@link position}, so that others may copy them. */
  isEqual(): boolean {
    return this.#parts.readiness.isEqual();
  }

  /** How old the documents here are. */
  lag(): LagReport {
    return this.#parts.lag.report();
  }

  /**
   * Whether every document here is at least as new as `position`. While a task is under way nobody knows: a resync begins with
   * a log at the head of the source and the documents of before.
   */
  has(position: Position): boolean {
    return this.#parts.readiness.has(position);
  }

  /** Whether this replica {@link has} `position`, waiting for it `timeoutMs` at most. Rejects with the signal's reason. */
  waitFor(position: Position, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    return this.#parts.readiness.waitFor(position, timeoutMs, signal);
  }

  /**
   * Compares with the source at one exact position; see {@link verify}. What differs is then repaired.
   * @throws PRIMARY_UNREACHABLE when none is followed now
   */
  async verify(options: { readonly deep?: boolean } = {}): Promise<Verdict> {
    const session = this.#parts.sessions.current;
    if (session?.following !== true) {
      throw new HoldfastError(
        'PRIMARY_UNREACHABLE',
        this.#parts.reporter.message ?? 'the replica is not following its source now',
      );
    }
    const verdict = await verify(this.#parts.loading.work(session), () => this.position(), options.deep ?? false);
    const wrong = verdict.collections.find(({ equal }) => !equal);
    if (wrong !== undefined) {
      this.#parts.following.differs(session, `collection ${wrong.collection} differs, as a comparison found`);
    }
    return verdict;
  }

  /**
   * Orders a resync by bucket difference: it begins with the next connection, which is made at once; what is here is served meanwhile.
   * With `force` also out of FORKED and FENCED: changes that only this replica has are given up for those of the source.
   * @throws FORK, FENCED without `force` in those states
   */
  resync(options: { readonly force?: boolean } = {}): void {
    const { name } = this.#parts.machine.state;
    if (options.force !== true && (name === 'FORKED' || name === 'FENCED')) {
      const code = name === 'FORKED' ? 'FORK' : 'FENCED';
      throw new HoldfastError(
        code,
        `${this.#parts.reporter.message ?? name}; a resync would give up what only this replica has: force it`,
      );
    }
    this.#parts.machine.post({ type: 'ORDERED', order: options.force === true ? Order.FORCED : Order.RESYNC });
  }

  /**
   * Ends the following for good, in one transaction with the first entry of the next epoch: `prepare` runs in it and makes the
   * store ready to be written to. When it throws, nothing has changed and the replica goes on following. Everything of this process
   * waits meanwhile, some seconds for a million documents.
   * @throws NOT_READY without `force` when documents may be missing; FORK without `force` while a fork is undecided; what `prepare` throws
   */
  async promote(options: PromoteOptions): Promise<Promotion> {
    if (!options.force) requirePromotable(this.#parts.machine.state, this.#parts.copy);
    const { wall = Date.now } = this.#options;
    const { head, lagChanges } = this.#parts.lag.report();
    const { epoch } = await beginEpoch(this.#parts.copy, options, wall, (transaction) => {
      // What else comes in this turn of the database, and later, is no longer to be written.
      const session = this.#parts.sessions.current;
      session?.abort();
      transaction.onRollback(() => this.#parts.machine.post({ type: 'LOST' }, session));
    });
    await this.stop();
    this.#parts.readiness.changed();
    return { position: this.position(), epoch, lostChanges: head === 0 ? null : lagChanges };
  }
}
