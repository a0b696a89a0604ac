import { HoldfastError } from '../errors.ts';
import type { LogEntry } from '../model/change.ts';
import { coded, faultOf, MongoFault } from '../store/mongo-errors.ts';
import type { KeyedChange } from '../store/outbox.ts';
import type { Clock } from '../util/clock.ts';
import { failpoint } from '../util/failpoint.ts';
import { type LogState, numbered } from './log-state.ts';
import type { LogStorage } from './log-storage.ts';
import { messageBytes } from './mongo-log-documents.ts';

/** Bounds of one group; a single change may be larger. */
const GROUP_CHANGES = 1_000;
const GROUP_BYTES = 4 * 1024 * 1024;

/** The pause after tries that moved nothing grows from the first to the second. */
const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 250;

/** What the appender needs of the log that it appends to. */
export interface AppendedLog {
  readonly state: LogState;
  /** Whether its end was known a short time ago, and nothing went wrong since. */
  readonly fresh: boolean;
  /** Runs `step` while nobody else reads on or appends here. */
  exclusive<T>(step: () => Promise<T>): Promise<T>;
  /** Reads on to the end of the log in the database; what it finds is offered to {@link LogAppending.claim}. */
  catchUp(): Promise<void>;
  /** Verifies what is known, and learns the floor. */
  check(): Promise<void>;
  /**
   * Takes over what was appended here after `begunMs`; `false` when it does not count and was removed, because its place had
   * been trimmed before.
   */
  accept(entries: readonly LogEntry[], begunMs: number): Promise<boolean>;
  /** What is known may be wrong: the next step looks first. */
  doubt(): void;
  /** The database cannot be reached. */
  failed(error: HoldfastError): void;
}

export interface AppendingOptions {
  readonly log: AppendedLog;
  readonly storage: LogStorage;
  readonly clock: Clock;
  readonly random: () => number;
  /** How long a change is tried, in ms from its arrival or from the last group that went in before it. */
  readonly deadlineMs: number;
}

/** One call of append. */
interface Call {
  readonly waiting: readonly Waiting[];
  readonly resolve: (entries: readonly LogEntry[]) => void;
  readonly reject: (error: HoldfastError) => void;
  left: number;
}

/** One change on its way into the log. */
interface Waiting {
  readonly change: KeyedChange;
  readonly bytes: number;
  /** When it is given up, by the clock. */
  untilMs: number;
  /** It was sent and no answer came: the server may append it even after we looked. */
  uncertain: boolean;
  entry?: LogEntry;
  failure?: HoldfastError;
}

/**
 * Group commit by compare-and-append: everything that came while the last group was written is the next group. The same
 * change may be sent many times; the unique indexes of the log let it in once, and whoever is refused finds it there.
 */
export class LogAppending {
  readonly #options: AppendingOptions;
  #queue: Waiting[] = [];
  /** The group being appended, by document and version. */
  #group = new Map<string, Waiting>();
  readonly #calls = new Map<Waiting, Call>();
  #running: Promise<void> | undefined;

  constructor(options: AppendingOptions) {
    this.#options = options;
  }

  /** Whether anything is on its way. */
  get busy(): boolean {
    return this.#running !== undefined;
  }

  /** See LogAppender. */
  append(changes: readonly KeyedChange[]): Promise<readonly LogEntry[]> {
    if (changes.length === 0) return Promise.resolve([]);
    const untilMs = this.#options.clock.now() + this.#options.deadlineMs;
    const waiting = changes.map(
      (change): Waiting => ({ change, bytes: messageBytes(change.image), untilMs, uncertain: false }),
    );
    return new Promise((resolve, reject) => {
      const call: Call = { waiting, resolve, reject, left: waiting.length };
      for (const one of waiting) {
        this.#queue.push(one);
        this.#calls.set(one, call);
      }
      this.#running ??= this.#run();
    });
  }

  /** Resolves when nothing is on its way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /** Tells that `entry` was found in the log. Whether it is a change of ours that was on its way. */
  claim(entry: LogEntry): boolean {
    const one = this.#group.get(nameOf(entry));
    if (one === undefined) return false;
    one.entry ??= entry;
    return true;
  }

  async #run(): Promise<void> {
    const { log, clock } = this.#options;
    // Whoever calls in the same turn joins the first group.
    await Promise.resolve();
    let fruitless = 0;
    while (this.#queue.length > 0) {
      const before = this.#queue.length;
      const { sequence } = log.state.head;
      try {
        await log.exclusive(() => this.#appendGroup());
      } catch (error) {
        this.#fail(error);
      }
      this.#settle();
      const moved = this.#queue.length < before || log.state.head.sequence !== sequence;
      fruitless = moved ? 0 : fruitless + 1;
      if (fruitless > 0 && this.#queue.length > 0) await this.#pause(fruitless, clock);
    }
    this.#running = undefined;
  }

  /** One try with the changes that wait longest. */
  async #appendGroup(): Promise<void> {
    const { log, storage, clock, deadlineMs } = this.#options;
    let group = this.#nextGroup();
    if (!log.fresh) {
      await log.catchUp();
      if (group.some(({ entry }) => entry !== undefined)) return;
      // It may have taken long.
      group = this.#nextGroup();
    }
    if (group.length === 0) return;
    const changes = group.map(({ change }) => change);
    const entries = numbered(log.state.head, changes);
    const begunMs = clock.now();
    failpoint('log.beforeAppend');
    const refusal = await storage
      .append(
        entries,
        changes.map(({ digest }) => digest),
      )
      .catch((error: unknown) => {
        log.doubt();
        if (faultOf(error) === MongoFault.UNKNOWN) for (const one of group) one.uncertain = true;
        throw error;
      });
    failpoint('log.afterAppend');
    const taken = refusal === undefined ? entries : entries.slice(0, refusal.index);
    for (const one of group.slice(0, taken.length)) one.uncertain = true;
    if (await log.accept(taken, begunMs)) {
      for (const [place, entry] of taken.entries()) (group[place] as Waiting).entry = entry;
      // Who waits behind many others is not late as long as it goes on.
      if (taken.length > 0) for (const one of this.#queue) one.untilMs = Math.max(one.untilMs, begunMs + deadlineMs);
    } else for (const one of group.slice(0, taken.length)) one.failure = outcomeUnknown(undefined);
    if (refusal !== undefined) await this.#refused(group[refusal.index] as Waiting, refusal.error);
  }

  /** `one` was not taken. The usual reason: its place, its version or its key was there already. */
  async #refused(one: Waiting, error: unknown): Promise<void> {
    const { log, storage } = this.#options;
    const fault = faultOf(error);
    if (fault === MongoFault.UNAVAILABLE || fault === MongoFault.UNKNOWN) throw error;
    if (fault !== MongoFault.DUPLICATE) {
      one.failure = coded(error, 'append to the change log', 'WRITE');
      return;
    }
    const { head } = log.state;
    await log.catchUp();
    // Somebody else has the place, and perhaps appended ours as well: on to the next one.
    if (one.entry !== undefined || log.state.head !== head) return;
    const { collection, id, version, key } = one.change;
    const found = await storage.ofVersion(collection, id, version);
    const [rival] = found === undefined && key !== null ? await storage.ofKeys([key]) : [];
    const sequence = found?.sequence ?? rival?.position.sequence;
    // When it has neither, the place was taken a moment ago, and we will see by whom.
    if (sequence === undefined) return;
    await log.check();
    const { floor } = log.state;
    // What lies below the floor is not in the log: a trim left it, or somebody who was stopped for as long as the log is kept.
    if (sequence < floor) await storage.removeBelow(floor);
    else if (found !== undefined) one.entry = found;
    else if (rival !== undefined) one.failure = keyTaken(rival.collection, rival.id);
  }

  /** The try failed as a whole. What passes is tried again until the deadline of each change. */
  #fail(error: unknown): void {
    const { log } = this.#options;
    const fault = faultOf(error);
    const reason = coded(error, 'append to the change log', 'WRITE');
    log.failed(reason);
    if (fault === MongoFault.UNAVAILABLE || fault === MongoFault.UNKNOWN) return;
    for (const one of this.#group.values()) one.failure = one.uncertain ? outcomeUnknown(error) : reason;
  }

  /**
   * What waits longest and has time left. A change out of time must not be sent: when this process was stopped for long, others
   * may have helped it into the log, and trimmed it since.
   */
  #nextGroup(): readonly Waiting[] {
    const now = this.#options.clock.now();
    const group: Waiting[] = [];
    let bytes = 0;
    for (const one of this.#queue) {
      if (now >= one.untilMs) {
        one.failure ??= one.uncertain ? outcomeUnknown(undefined) : notAppended();
        continue;
      }
      bytes += one.bytes;
      if (group.length > 0 && (bytes > GROUP_BYTES || group.length === GROUP_CHANGES)) break;
      group.push(one);
    }
    this.#group = new Map(group.map((one) => [nameOf(one.change), one]));
    return group;
  }

  /** Takes what has its answer from the queue; answers calls that have all of theirs. */
  #settle(): void {
    this.#group = new Map();
    this.#queue = this.#queue.filter((one) => {
      if (one.entry === undefined && one.failure === undefined) return true;
      const call = this.#calls.get(one) as Call;
      this.#calls.delete(one);
      call.left -= 1;
      if (call.left === 0) answer(call);
      return false;
    });
  }

  #pause(fruitless: number, clock: Clock): Promise<void> {
    const longestMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(fruitless, 10));
    return new Promise((resolve) => clock.after(longestMs * (0.5 + this.#options.random() / 2), resolve));
  }
}

function answer({ waiting, resolve, reject }: Call): void {
  const failure = waiting.find(({ entry }) => entry === undefined)?.failure;
  if (failure === undefined) resolve(waiting.map(({ entry }) => entry as LogEntry));
  // The call as a whole: what is true of one change is not true of all.
  else if (failure.retryable && waiting.some(({ entry, uncertain }) => entry ?? uncertain))
    reject(outcomeUnknown(failure));
  else reject(failure);
}

/** One version of one document, as a key. */
function nameOf({ collection, id, version }: { collection: string; id: string; version: number }): string {
  return `${collection}\0${id}\0${version}`;
}

function outcomeUnknown(cause: unknown): HoldfastError {
  return new HoldfastError(
    'WRITE_OUTCOME_UNKNOWN',
    'append to the change log: MongoDB did not answer in time; the change may be in the log',
    cause === undefined ? {} : { cause },
  );
}

function notAppended(): HoldfastError {
  return new HoldfastError(
    'DATABASE_UNAVAILABLE',
    'append to the change log: MongoDB did not take the change in time; it is not in the log',
    { details: { retryAfterMs: 1_000 } },
  );
}

function keyTaken(collection: string, id: string): HoldfastError {
  return new HoldfastError(
    'VALIDATION_FAILED',
    `the idempotency key belongs to a write of document ${id.slice(0, 100)} in ${collection}; use a new key`,
  );
}
