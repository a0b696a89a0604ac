import { HoldfastError, isHoldfastError } from '../errors.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import { failpoint } from '../util/failpoint.ts';
import { isOfDatabase } from './calls.ts';
import { classify } from './classify.ts';
import type { Journal, Settlement } from './journal.ts';
import { type JournalEntry, type JournalReason, JournalState } from './journal-entry.ts';
import { isWithin, type Scope } from './scope.ts';
import type { Waiting } from './waiting.ts';

/** What an entry was made on, as it came into the database. */
export interface ReplayBase {
  /** Null: no document. */
  readonly version: number | null;
  /** Others had written the document by then, with what goes together with the entry that it was made on. */
  readonly moved: boolean;
  /** It did not come there: why the entry cannot be made. */
  readonly broken?: HoldfastError | undefined;
}

/** What a write came to in the database. */
export interface ReplayedWrite {
  /** Of the document after it. */
  readonly version: number | null;
  /** Others had written the document since its base. Default false. */
  readonly moved?: boolean | undefined;
}

export interface ReplayOptions {
  readonly journal: Journal;
  /**
   * Makes the write of an entry in the database, under its key; resolves when it is durable there, with the version the document has
   * then. @throws the store's errors; `details.conflict` names the conflict that was listed
   */
  readonly write: (entry: JournalEntry, base: ReplayBase) => Promise<ReplayedWrite>;
  /** Whether writes to a collection may go to the database now. */
  readonly admits: (collection: string) => boolean;
  /** Epoch of the database. */
  readonly epoch: () => number;
  readonly hasCollection: (collection: string) => boolean;
  /** Told why the replay cannot go on, and null when it does. */
  readonly onTrouble?: ((error: unknown) => void) | undefined;
  /** Called after an entry came to its end. */
  readonly onSettled?: ((state: 'REPLAYED' | 'CONFLICT' | 'HELD') => void) | undefined;
  /** Documents at once. Default 16. */
  readonly concurrency?: number | undefined;
  /** Entries a second at most, so that the recovery is no second outage. Default 2,000. */
  readonly perSecond?: number | undefined;
  /** Age past which only an operator replays an entry: its key may be forgotten. Default seven days. */
  readonly maxAgeMs?: number | undefined;
  readonly clock?: Clock | undefined;
  /** Milliseconds since 1970. Default Date.now. */
  readonly now?: (() => number) | undefined;
}

const WEEK_MS = 7 * 24 * 3_600_000;
/** Longest that the closing of a breaker waits for the replay; what is left is replayed after. */
const RECOVER_MS = 1_000;
const RETRY_MS = 250;
const MAX_RETRY_MS = 2_000;

/** A run of the replay: it ends when nobody has anything to do. */
interface Pass extends PromiseWithResolvers<void> {
  workers: number;
  failure: { readonly error: unknown } | undefined;
}

/**
 * Brings the entries of a journal to the database: those of one document in their order, those of others meanwhile. An entry that is made
 * again after a crash is recognised there by its key. SPEC.md, section "The replay".
 */
export class Replay implements AsyncDisposable {
  readonly #options: ReplayOptions;
  readonly #clock: Clock;
  readonly #now: () => number;
  /** Places of the documents that are being written. */
  readonly #busy = new Set<string>();
  /** Scopes that wait for this before they close. */
  readonly #recovering = new Set<Scope>();
  #pass: Pass | undefined;
  #callOff: (() => void) | undefined;
  #retryMs = RETRY_MS;
  #nextMs = 0;
  /** Entries that came to their end. */
  #settled = 0;
  #ended = false;

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#now = options.now ?? Date.now;
  }

  /** Goes on in the background, as far as the database is there; tries again when that ends. */
  wake(): void {
    if (this.#pass !== undefined) this.#more(this.#pass);
    else if (this.#callOff === undefined && this.#next() !== undefined) this.#drain().catch(() => this.#later());
  }

  /**
   * Replays what waits for a scope. When that takes long, the rest goes on in the background: what waits holds back only writes to the same
   * documents. @throws what the database failed with
   */
  async recover(scope: Scope): Promise<void> {
    if (scope.operation === 'READ') return;
    this.#recovering.add(scope);
    const before = this.#settled;
    try {
      const drained = this.#drain().then(
        () => true,
        (error: unknown) => {
          if (isAway(error)) throw error;
          return true;
        },
      );
      const patience = (): Promise<boolean> =>
        new Promise((resolve) => this.#clock.after(RECOVER_MS, () => resolve(this.#settled > before)));
      while (!(await Promise.race([drained, patience()])));
    } finally {
      this.#recovering.delete(scope);
      this.#clock.soon(() => this.wake());
    }
  }

  /** Does `work` while no entry of a document is being written. @throws CONFLICT when one is now */
  async keepOff<T>(place: string, work: () => Promise<T>): Promise<T> {
    if (this.#busy.has(place))
      throw new HoldfastError('CONFLICT', 'an entry of the same document is being replayed now');
    this.#busy.add(place);
    try {
      return await work();
    } finally {
      this.#busy.delete(place);
      this.wake();
    }
  }

  /** Begins nothing new, and resolves when what is under way has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    this.#callOff?.();
    await this.#pass?.promise.catch(() => undefined);
  }

  #later(): void {
    if (this.#ended) return;
    this.#callOff = this.#clock.after(this.#retryMs, () => {
      this.#callOff = undefined;
      this.wake();
    });
    this.#retryMs = Math.min(this.#retryMs * 2, MAX_RETRY_MS);
  }

  /** Replays until nothing is left that may be, or the database fails. One pass at a time. */
  #drain(): Promise<void> {
    this.#pass ??= { ...Promise.withResolvers<void>(), workers: 0, failure: undefined };
    const { promise } = this.#pass;
    this.#more(this.#pass);
    return promise;
  }

  /** Sets as many to work as there is work for. */
  #more(pass: Pass): void {
    const { concurrency = 16 } = this.#options;
    while (pass.workers < concurrency && pass.failure === undefined) {
      const head = this.#take();
      if (head === undefined) break;
      pass.workers += 1;
      void this.#work(pass, head);
    }
    if (pass.workers === 0) this.#finish(pass);
  }

  async #work(pass: Pass, first: Waiting): Promise<void> {
    for (let head: Waiting | undefined = first; head !== undefined; ) {
      try {
        await this.#turn();
        await this.#replay(head);
      } catch (error) {
        pass.failure ??= { error };
      }
      this.#busy.delete(head.place);
      head = pass.failure === undefined ? this.#take() : undefined;
    }
    pass.workers -= 1;
    if (pass.workers === 0) this.#finish(pass);
  }

  #finish(pass: Pass): void {
    if (this.#pass !== pass) return;
    this.#pass = undefined;
    const { failure } = pass;
    this.#options.onTrouble?.(failure === undefined ? null : failure.error);
    if (failure === undefined) {
      this.#retryMs = RETRY_MS;
      pass.resolve();
    } else {
      pass.reject(failure.error);
    }
  }

  /** {@link #next}, which is somebody's from now on. */
  #take(): Waiting | undefined {
    const head = this.#next();
    if (head !== undefined) this.#busy.add(head.place);
    return head;
  }

  /** The oldest entry of a document that nobody is at. */
  #next(): Waiting | undefined {
    if (this.#ended) return undefined;
    for (const head of this.#options.journal.waiting.heads()) {
      if (head.isDurable && !this.#busy.has(head.place) && this.#isWanted(head.collection)) return head;
    }
    return undefined;
  }

  #isWanted(collection: string): boolean {
    for (const scope of this.#recovering) if (isWithin(scope, collection, 'WRITE')) return true;
    return this.#options.admits(collection);
  }

  /** Waits for its turn at the rate. */
  async #turn(): Promise<void> {
    const { perSecond = 2_000 } = this.#options;
    const now = this.#clock.now();
    this.#nextMs = Math.max(this.#nextMs, now) + 1_000 / perSecond;
    // Timers are coarse: a few entries ahead of time do no harm.
    if (this.#nextMs - now > 10) await new Promise<void>((resolve) => this.#clock.after(this.#nextMs - now, resolve));
  }

  /** @throws when the database is not there: then the entry waits on */
  async #replay(waiting: Waiting): Promise<void> {
    const { journal, write } = this.#options;
    const entry = journal.entry(waiting.seq);
    if (entry.state !== JournalState.WAITING) return;
    const held = this.#holdFor(entry);
    if (held !== undefined) {
      await this.#settle(waiting, { state: 'HELD', reason: held });
      return;
    }
    failpoint('replay.beforeWrite');
    let made: ReplayedWrite;
    try {
      made = await write(entry, this.#baseOf(entry));
    } catch (error) {
      const reason = reasonOf(error);
      if (reason === undefined) throw error;
      failpoint('replay.beforePark');
      await this.#settle(waiting, { state: 'CONFLICT', reason });
      return;
    }
    failpoint('replay.afterWrite');
    await this.#settle(waiting, { state: 'REPLAYED', ...made });
    failpoint('replay.afterSettle');
  }

  async #settle(waiting: Waiting, settlement: Settlement): Promise<void> {
    await this.#options.journal.settle(waiting, settlement);
    this.#settled += 1;
    this.#options.onSettled?.(settlement.state);
  }

  #holdFor({ approved, reason, epoch, at, collection }: JournalEntry): JournalReason | undefined {
    const { hasCollection, epoch: present, maxAgeMs = WEEK_MS } = this.#options;
    if (reason?.code === 'DAMAGED') return reason;
    if (!hasCollection(collection)) {
      return { code: 'COLLECTION', message: `the schema has no collection "${collection}" any more` };
    }
    if (approved) return undefined;
    if (epoch !== present()) {
      return { code: 'EPOCH', message: `it was written in epoch ${epoch}, the database is in ${present()}` };
    }
    if (this.#now() - at > maxAgeMs) return { code: 'AGE', message: 'it is older than idempotency keys are kept' };
    return undefined;
  }

  #baseOf({ seq, baseVersion, after }: JournalEntry): ReplayBase {
    if (after === null) return { version: baseVersion, moved: false };
    const { state, version, reason } = this.#options.journal.entry(after);
    if (state === JournalState.REPLAYED) return { version, moved: reason?.code === 'MOVED' };
    const broken = new HoldfastError('CONFLICT', `entry ${seq} was made on entry ${after}, which is ${state}`);
    return { version: null, moved: false, broken };
  }
}

/** Why an entry cannot be made, whenever it is tried; undefined when only the database is to blame. */
function reasonOf(error: unknown): JournalReason | undefined {
  if (isPassing(error)) return undefined;
  if (!isHoldfastError(error)) return { code: 'INTERNAL_SERVER_ERROR', message: String(error) };
  const { conflict } = error.details;
  return { code: error.code, message: error.message, conflict: typeof conflict === 'string' ? conflict : undefined };
}

/** Whether another try may go better. */
function isPassing(error: unknown): boolean {
  return isHoldfastError(error) ? PASSING.has(error.code) : isOfDatabase(error) || classify(error).class === 'CONFIG';
}

const PASSING: ReadonlySet<string> = new Set([
  ...['DATABASE_UNAVAILABLE', 'WRITE_OUTCOME_UNKNOWN', 'WRITE_CONTENTION', 'REQUEST_TIMEOUT', 'SHUTTING_DOWN'],
  ...['FENCED', 'CONFIG_INVALID', 'DATA_UNWRITABLE'],
]);

/** Whether the database failed, and nothing of this process. */
function isAway(error: unknown): boolean {
  if (!isHoldfastError(error)) return isOfDatabase(error);
  return error.code === 'DATABASE_UNAVAILABLE' || error.code === 'WRITE_OUTCOME_UNKNOWN';
}
