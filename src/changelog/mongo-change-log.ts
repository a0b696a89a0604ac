import { randomBytes } from 'node:crypto';
import type { Db } from 'mongodb';
import { HoldfastError } from '../errors.ts';
import type { Hash, LogEntry } from '../model/change.ts';
import type { Position } from '../model/position.ts';
import { coded } from '../store/mongo-errors.ts';
import type { KeyedChange, KeyedEntry, LogAppender } from '../store/outbox.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import { failpoint } from '../util/failpoint.ts';
import type { ChangeLog, EpochStart, LogHead, ReadLimits } from './change-log.ts';
import { LogAppending } from './log-appending.ts';
import type { LogCache } from './log-cache.ts';
import { damaged, type EntryBatch, LogFollowing, loadState } from './log-following.ts';
import { cursorExpired, type LogState } from './log-state.ts';
import type { LogStorage } from './log-storage.ts';
import { MongoLogStorage } from './mongo-log-storage.ts';

/** Entries trimmed at a time. */
const TRIM_SLICE = 1_000;

/** Idempotency keys looked up in one command. */
const KEYS_AT_ONCE = 500;

export interface LogOptions {
  readonly clock?: Clock;
  /** In [0, 1), for pauses. */
  readonly random?: () => number;
  /** Asked first for entries that others appended. */
  readonly cache?: LogCache;
  /** Pause in ms between two looks for entries of others while anybody listens; {@link MongoChangeLog.poke} is faster. Default 100. */
  readonly tailMs?: number;
  /** How long in ms a change is tried to be appended while nothing goes into the log from here. Default 5,000. */
  readonly appendMs?: number;
  /**
   * Entries are not trimmed before this process knew them for this long, in ms, so that nobody is still about to append them,
   * or what comes after them. Must be longer than a sweep of pending changes takes, and than 20 s. Default 60,000.
   */
  readonly keepMs?: number;
  /** Called when the database does not answer or the log turns out damaged; once until `onRecovered`. */
  readonly onTrouble?: (error: HoldfastError) => void;
  readonly onRecovered?: () => void;
}

export interface MongoChangeLogOptions extends LogOptions {
  /** Its client must not retry writes by itself: that hides outcomes. */
  readonly database: Db;
  /** Deadline of one command in ms. Default 2,000. */
  readonly commandMs?: number;
}

/**
 * The change log of a database that several primaries write to. See ../store/SPEC.md. Head, floor and epochs are what this
 * process knows: where it appends it knows the end, elsewhere it follows within `tailMs` while anybody listens.
 */
export class MongoChangeLog implements ChangeLog, LogAppender, AsyncDisposable {
  readonly #storage: LogStorage;
  readonly #following: LogFollowing;
  readonly #appending: LogAppending;
  #closed = false;

  private constructor(storage: LogStorage, state: LogState, options: LogOptions) {
    const { clock = systemClock, random = Math.random, cache, tailMs = 100, appendMs: deadlineMs = 5_000 } = options;
    const { keepMs = 60_000, onTrouble = () => {}, onRecovered = () => {} } = options;
    this.#storage = storage;
    const claim = (entry: LogEntry): boolean => this.#appending.claim(entry);
    const busy = (): boolean => this.#appending.busy;
    this.#following = new LogFollowing(state, {
      ...{ storage, clock, cache, tailMs, keepMs, claim, busy, onTrouble, onRecovered },
    });
    this.#appending = new LogAppending({ log: this.#following, storage, clock, random, deadlineMs });
  }

  /**
   * Opens the log of a database, and makes it when there is none: several primaries may do so at once.
   * @throws DATABASE_UNAVAILABLE; CONFIG_INVALID when the user is refused or may not write; INTERNAL_SERVER_ERROR when the
   * newest entries do not continue each other
   */
  static open({ database, commandMs = 2_000, ...options }: MongoChangeLogOptions): Promise<MongoChangeLog> {
    const newLogId = randomBytes(16).toString('hex');
    return MongoChangeLog.over(new MongoLogStorage({ database, timeoutMs: commandMs, newLogId }), options);
  }

  /** {@link MongoChangeLog.open} over any storage. */
  static async over(storage: LogStorage, options: LogOptions = {}): Promise<MongoChangeLog> {
    try {
      await storage.prepare();
      return new MongoChangeLog(storage, await loadState(storage, 0), options);
    } catch (error) {
      throw coded(error, `open the change log in ${storage.name}`, 'READ');
    }
  }

  get logId(): string {
    return this.#state.logId;
  }

  get generation(): number {
    return this.#state.generation;
  }

  head(): LogHead {
    return this.#state.head;
  }

  floor(): number {
    return this.#state.floor;
  }

  floorChain(): Hash {
    return this.#state.floorChain;
  }

  epochs(): readonly EpochStart[] {
    return this.#state.epochs;
  }

  position(): Position {
    const { epoch, sequence } = this.#state.head;
    return { epoch, sequence };
  }

  append(changes: readonly KeyedChange[]): Promise<readonly LogEntry[]> {
    if (this.#closed) return Promise.reject(new HoldfastError('SHUTTING_DOWN', 'the change log is closed'));
    return this.#appending.append(changes);
  }

  async entryOfKey(key: string): Promise<KeyedEntry | undefined> {
    return (await this.entriesOfKeys([key]))[0];
  }

  entriesOfKeys(keys: readonly string[]): Promise<readonly KeyedEntry[]> {
    return reading('look up idempotency keys', async () => {
      const found: KeyedEntry[] = [];
      for (let next = 0; next < keys.length; next += KEYS_AT_ONCE) {
        const some = keys.slice(next, next + KEYS_AT_ONCE);
        // A key is kept before its entry goes: asked in this order, one of the two has it.
        const logged = (await this.#storage.ofKeys(some)).filter(({ position }) => position.sequence >= this.floor());
        const known = new Set(logged.map(({ key }) => key));
        const others = some.filter((key) => !known.has(key));
        found.push(...logged, ...(others.length === 0 ? [] : await this.#storage.keptKeys(others)));
      }
      return found;
    });
  }

  entryOfVersion(collection: string, id: string, version: number): Promise<LogEntry | undefined> {
    return reading('look up a version in the change log', async () => {
      const entry = await this.#storage.ofVersion(collection, id, version);
      return entry !== undefined && entry.sequence >= this.floor() ? entry : undefined;
    });
  }

  async read(after: number, limits: ReadLimits): Promise<readonly LogEntry[]> {
    this.#requireKept(after);
    const { head, generation } = this.#state;
    if (after >= head.sequence) return [];
    const recent = this.#following.recent.from(after + 1, limits);
    if (recent !== undefined) return recent;
    return reading('read the change log', async () => {
      const { entries } = await this.#storage.read(after, head.sequence, limits);
      if (entries.length > 0 && entries.every(({ sequence }, place) => sequence === after + 1 + place)) return entries;
      // Another process trimmed them, or the database was restored.
      await this.#check();
      this.#requireKept(after);
      if (this.generation !== generation) return [];
      throw damaged(`entry ${after + 1} of the change log in ${this.#storage.name} is missing`);
    });
  }

  async entry(sequence: number): Promise<LogEntry | undefined> {
    if (sequence < this.floor() || sequence > this.head().sequence) return undefined;
    const one = { maxChanges: 1, maxBytes: 0 };
    const [recent] = this.#following.recent.from(sequence, one) ?? [];
    if (recent !== undefined) return recent;
    return reading(
      'read the change log',
      async () => (await this.#storage.read(sequence - 1, sequence, one)).entries[0],
    );
  }

  /** When what is known here was last known to be the end of the log, by the log's clock; -Infinity: never. */
  get endKnownMs(): number {
    return this.#following.endMs;
  }

  /**
   * Reads on to the end of the log, and returns it: what others appended before the call is known here then.
   * @throws DATABASE_UNAVAILABLE; INTERNAL_SERVER_ERROR when the entries do not continue what is known
   */
  end(): Promise<LogHead> {
    return reading('read the change log', async () => {
      await this.#following.exclusive(() => this.#following.catchUp());
      return this.head();
    });
  }

  /** Whether the database holds exactly this entry, known here or not. The chain binds everything else of it. */
  holds({ sequence, chain }: Pick<LogEntry, 'sequence' | 'chain'>): Promise<boolean> {
    return reading('read the change log', async () => (await this.#storage.chainAt(sequence)) === chain);
  }

  /** See ChangeLog. What is too young for it stays until a later call. */
  trim(floor: number): Promise<number> {
    return reading('trim the change log', async () => {
      await this.#check();
      const { generation } = this;
      const target = Math.min(floor, this.#following.highestFloor);
      // What was left by a trim that was stopped after it had raised the floor.
      await this.#storage.removeBelow(this.floor());
      let removed = 0;
      while (this.floor() < target && this.generation === generation) {
        removed += await this.#trimSlice(Math.min(target, this.floor() + TRIM_SLICE));
      }
      return removed;
    });
  }

  /** Forgets the idempotency keys of trimmed entries with `at < before` (ms since 1970). Returns how many. */
  pruneKeys(before: number): Promise<number> {
    return reading('remove old idempotency keys', () => this.#storage.removeKeys(before));
  }

  onAdvance(listener: () => void): () => void {
    return this.#following.onAdvance(listener);
  }

  /**
   * Gives every entry from now on once, in order, whoever appended it, and each before its append is answered. A batch that does
   * not continue the one before comes after entries that were trimmed unseen, or when the log became another history.
   * `listener` must neither wait nor throw; who is slower reads by {@link MongoChangeLog.read}.
   */
  onEntries(listener: (batch: EntryBatch) => void): () => void {
    return this.#following.onEntries(listener);
  }

  /** Tells that the log reaches `sequence` at least: somebody rang. */
  poke(sequence: number): void {
    this.#following.poke(sequence);
  }

  /** Ends following, and waits for what is being appended. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#appending.idle();
    await this.#following.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #state(): LogState {
    return this.#following.state;
  }

  #check(): Promise<void> {
    return this.#following.exclusive(() => this.#following.check());
  }

  /** Keys first, then the floor, then the entries: whatever a crash leaves out, the next trim does. */
  async #trimSlice(floor: number): Promise<number> {
    const from = this.floor();
    await this.#storage.keepKeys(from, floor);
    failpoint('log.afterKeys');
    const chain = await this.#storage.chainAt(floor - 1);
    const raised = chain !== undefined && (await this.#storage.raiseFloor(floor, chain));
    failpoint('log.afterFloor');
    if (raised) this.#following.raised(floor, chain);
    // Another process trims too: its floor counts.
    else await this.#check();
    if (this.floor() === from)
      throw damaged(`entry ${floor - 1} of the change log in ${this.#storage.name} is missing`);
    await this.#storage.removeBelow(this.floor());
    failpoint('log.afterRemoval');
    return raised ? floor - from : 0;
  }

  #requireKept(after: number): void {
    const { floor, epochs } = this.#state;
    if (after < floor - 1) throw cursorExpired(after, floor, epochs);
  }
}

/** Errors of the driver as coded ones. What is done may be repeated, so that an unknown end is just unavailable. */
async function reading<T>(doing: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw coded(error, doing, 'READ');
  }
}
