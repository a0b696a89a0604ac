import { HoldfastError } from '../errors.ts';
import type { Hash, LogEntry } from '../model/change.ts';
import { coded } from '../store/mongo-errors.ts';
import type { Clock } from '../util/clock.ts';
import type { LogHead, ReadLimits } from './change-log.ts';
import type { AppendedLog } from './log-appending.ts';
import type { LogCache } from './log-cache.ts';
import { continued, epochAt, imagesFit, type LogState } from './log-state.ts';
import type { LogStorage } from './log-storage.ts';
import { RecentEntries } from './recent-entries.ts';

/** Entries whose chain is verified when the log is opened. */
const VERIFIED_AT_OPEN = 100;

/** Entries read on at a time. */
const PAGE: ReadLimits = { maxChanges: 1_000, maxBytes: 8 * 1024 * 1024 };

/** What is known of the end of the log is verified before it is relied on when this long has passed. */
const FRESH_MS = 5_000;

/**
 * An append is believed when our head was the end of the log at most this long before its answer. Must be well below the time
 * that entries are kept at least.
 */
const BELIEVED_MS = 2 * FRESH_MS;

/** A cache that has not answered by then is passed over. */
const CACHE_MS = 50;

/** Entries that follow each other. */
export interface EntryBatch {
  readonly entries: readonly LogEntry[];
  /** Whether they are changes that were appended here. */
  readonly own: boolean;
}

export interface FollowingOptions {
  readonly storage: LogStorage;
  readonly clock: Clock;
  readonly cache: LogCache | undefined;
  readonly tailMs: number;
  /** Entries are kept until they were known here for this long. */
  readonly keepMs: number;
  /** Whether an entry that was read is a change on its way from here. */
  readonly claim: (entry: LogEntry) => boolean;
  /** Whether changes are on their way from here: then entries of others are found by them. */
  readonly busy: () => boolean;
  readonly onTrouble: (error: HoldfastError) => void;
  readonly onRecovered: () => void;
}

/** Reads what is needed to know a log, and verifies the chain of its newest entries. */
export async function loadState(storage: LogStorage, generation: number): Promise<LogState> {
  const { logId, epochs, floor, floorChain } = await storage.facts();
  const newest = (await storage.newest(VERIFIED_AT_OPEN)).filter(({ sequence }) => sequence >= floor);
  const [first] = newest;
  const base: LogHead = { epoch: epochAt(epochs, floor - 1), sequence: floor - 1, chain: floorChain, at: 0 };
  const whole = first === undefined || first.sequence === floor;
  // The entry before the first one read is not here to be chained to.
  const head = whole ? base : { epoch: first.epoch, sequence: first.sequence, chain: first.chain, at: first.at };
  const state = continued({ logId, generation, epochs: [], floor, floorChain, head }, whole ? newest : newest.slice(1));
  if (state === undefined) {
    throw damaged(`the newest entries of the change log in ${storage.name} do not continue each other`);
  }
  const begun = state.epochs.filter(({ epoch }) => epochs.every((known) => known.epoch !== epoch));
  return { ...state, epochs: [...epochs, ...begun] };
}

/**
 * What this process knows of a log that others append to as well, and how it learns the rest: by reading on when it appends,
 * when it is told of news, and every `tailMs` while anybody listens. Nothing enters that does not continue the chain.
 */
export class LogFollowing implements AppendedLog {
  /** The newest entries. */
  readonly recent = new RecentEntries();
  readonly #options: FollowingOptions;
  readonly #advanceListeners = new Set<() => void>();
  readonly #entryListeners = new Set<(batch: EntryBatch) => void>();
  #state: LogState;
  /** When the database was last seen to hold our head; undefined when that is in doubt. */
  #checkedMs: number | undefined;
  /** When our head was last known to be the end of the log. */
  #endMs = Number.NEGATIVE_INFINITY;
  /** Where our head was at some moments of the past, the oldest one at least `keepMs` ago if there is one. */
  #marks: { readonly ms: number; readonly sequence: number }[] = [];
  /** Ends with the step that runs; steps follow each other. */
  #lock: Promise<unknown> = Promise.resolve();
  #callOff: (() => void) | undefined;
  #looking: Promise<void> | undefined;
  /** The highest sequence that anybody told us of. */
  #told = 0;
  #troubled = false;
  #closed = false;

  constructor(state: LogState, options: FollowingOptions) {
    this.#state = state;
    this.#options = options;
    this.#checkedMs = options.clock.now();
    this.#mark();
  }

  get state(): LogState {
    return this.#state;
  }

  /** When our head was last known to be the end of the log; -Infinity: never. */
  get endMs(): number {
    return this.#endMs;
  }

  get fresh(): boolean {
    return this.#checked && this.#options.clock.now() - this.#endMs < FRESH_MS;
  }

  /** The floor that the log may have: what lies below was known here for `keepMs`. */
  get highestFloor(): number {
    const { clock, keepMs } = this.#options;
    const known = this.#marks.findLast(({ ms }) => clock.now() - ms >= keepMs);
    return Math.min(this.#state.head.sequence, known === undefined ? 0 : known.sequence + 1);
  }

  exclusive<T>(step: () => Promise<T>): Promise<T> {
    const result = this.#lock.then(step);
    this.#lock = result.catch(() => undefined);
    return result;
  }

  async catchUp(): Promise<void> {
    if (!this.#checked) await this.check();
    for (;;) {
      const begunMs = this.#options.clock.now();
      const { sequence } = this.#state.head;
      const { entries, isCut } = await this.#options.storage.read(sequence, Number.MAX_SAFE_INTEGER, PAGE);
      if (entries.length > 0 && !this.#take(entries, this.#options.claim)) {
        const { generation } = this.#state;
        await this.check();
        if (this.#state.generation !== generation || this.#state.head.sequence !== sequence) return;
        throw damaged(`entry ${sequence + 1} of the change log in ${this.#options.storage.name} does not continue it`);
      }
      if (entries.length === 0) {
        this.#endMs = begunMs;
        break;
      }
      // Probably all; only that nothing comes proves it.
      if (!isCut && this.fresh) break;
    }
    this.#recovered();
  }

  async accept(entries: readonly LogEntry[], begunMs: number): Promise<boolean> {
    const [first] = entries;
    if (first === undefined) return true;
    const { storage, clock } = this.#options;
    // A process that was stopped between its look and its append may have taken a place that was trimmed meanwhile.
    if (clock.now() - this.#endMs >= BELIEVED_MS) {
      const { floor } = await storage.facts();
      if (floor > first.sequence) {
        this.doubt();
        await storage.removeBelow(floor);
        return false;
      }
    }
    this.#take(entries, () => true);
    this.#endMs = begunMs;
    this.#recovered();
    return true;
  }

  doubt(): void {
    this.#checkedMs = undefined;
  }

  failed(error: HoldfastError): void {
    if (this.#troubled) return;
    this.#troubled = true;
    this.#options.onTrouble(error);
  }

  /** Verifies that the database still holds the head known here, and learns the floor. When it does not, this is another history. */
  async check(): Promise<void> {
    const { storage, clock } = this.#options;
    const { head, logId, generation } = this.#state;
    // In this order: an entry that is not there because it was trimmed lies below the floor read afterwards.
    const chain = await storage.chainAt(head.sequence);
    const facts = await storage.facts();
    const known = facts.logId === logId;
    // Trimmed beyond our head: what comes next does not follow, but it is the same history.
    const outrun = known && facts.floor - 1 > head.sequence;
    const held = chain ?? (facts.floor - 1 === head.sequence ? facts.floorChain : undefined);
    if (known && !outrun && held === head.chain) {
      this.raised(facts.floor, facts.floorChain);
    } else {
      this.#state = await loadState(storage, outrun ? generation : generation + 1);
      this.recent.clear();
      this.#marks = [];
      this.#announce();
    }
    this.#checkedMs = clock.now();
    this.#mark();
  }

  /** Follows a floor that was raised, here or elsewhere. */
  raised(floor: number, floorChain: Hash): void {
    if (floor <= this.#state.floor) return;
    this.#state = { ...this.#state, floor, floorChain };
  }

  onAdvance(listener: () => void): () => void {
    this.#advanceListeners.add(listener);
    this.#schedule();
    return () => this.#advanceListeners.delete(listener);
  }

  onEntries(listener: (batch: EntryBatch) => void): () => void {
    this.#entryListeners.add(listener);
    this.#schedule();
    return () => this.#entryListeners.delete(listener);
  }

  /** Tells that the log reaches `sequence` at least. */
  poke(sequence: number): void {
    this.#told = Math.max(this.#told, sequence);
    if (this.#news && this.#followed) this.#look();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#callOff?.();
    await this.#looking;
  }

  get #followed(): boolean {
    return !this.#closed && this.#advanceListeners.size + this.#entryListeners.size > 0;
  }

  get #news(): boolean {
    return this.#told > this.#state.head.sequence;
  }

  get #checked(): boolean {
    return this.#checkedMs !== undefined && this.#options.clock.now() - this.#checkedMs < FRESH_MS;
  }

  /** Remembers where our head is, now and then. */
  #mark(): void {
    const { clock, keepMs } = this.#options;
    const now = clock.now();
    if (now - (this.#marks.at(-1)?.ms ?? Number.NEGATIVE_INFINITY) < keepMs / 10) return;
    this.#marks.push({ ms: now, sequence: this.#state.head.sequence });
    while (now - (this.#marks[1]?.ms ?? now) > keepMs) this.#marks.shift();
  }

  /** Sees to it that somebody looks for entries of others in a while. */
  #schedule(): void {
    if (this.#callOff !== undefined || !this.#followed) return;
    this.#callOff = this.#options.clock.after(this.#options.tailMs, () => {
      this.#callOff = undefined;
      this.#look();
    });
  }

  #look(): void {
    if (this.#looking !== undefined) return;
    if (this.#options.busy()) {
      this.#schedule();
      return;
    }
    const before = this.#state.head.sequence;
    this.#looking = this.exclusive(() => this.#lookOnce())
      .catch((error: unknown) => this.failed(coded(error, 'follow the change log', 'READ')))
      .then(() => {
        this.#looking = undefined;
        // Somebody rang meanwhile. Without progress there is nothing to hurry for.
        if (this.#news && this.#followed && this.#state.head.sequence !== before) this.#look();
        else this.#schedule();
      });
  }

  async #lookOnce(): Promise<void> {
    const { cache } = this.#options;
    if (cache !== undefined && this.#news && this.#checked && (await this.#readCache(cache))) return;
    await this.catchUp();
  }

  /** Takes what the cache holds after our head, when the database has it too. Whether that is all we were told of. */
  async #readCache(cache: LogCache): Promise<boolean> {
    const { storage } = this.#options;
    const entries = await this.#inTime(cache.read(this.#state.head.sequence, PAGE));
    const last = entries?.at(-1);
    if (entries === undefined || last === undefined) return false;
    if (continued(this.#state, entries) === undefined || !imagesFit(entries)) return false;
    // A cache may remember what the database was before it was restored. The chain of the last entry vouches for all.
    if ((await storage.chainAt(last.sequence)) !== last.chain) return false;
    this.#take(entries, this.#options.claim);
    return !this.#news;
  }

  /** `undefined` when `answer` fails or takes too long. */
  #inTime<T>(answer: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve) => {
      const callOff = this.#options.clock.after(CACHE_MS, () => resolve(undefined));
      answer.then(resolve, () => resolve(undefined)).finally(callOff);
    });
  }

  /** Takes over entries and hands them on. Whether they continue what is known; otherwise nothing happens. */
  #take(entries: readonly LogEntry[], claim: (entry: LogEntry) => boolean): boolean {
    const state = continued(this.#state, entries);
    if (state === undefined) return false;
    this.#state = state;
    this.recent.add(entries);
    this.#mark();
    for (const batch of batchesOf(entries, claim)) for (const listener of [...this.#entryListeners]) listener(batch);
    this.#announce();
    return true;
  }

  #announce(): void {
    for (const listener of [...this.#advanceListeners]) listener();
  }

  #recovered(): void {
    if (!this.#troubled) return;
    this.#troubled = false;
    this.#options.onRecovered();
  }
}

/** The code for a log that is not whole. */
export function damaged(message: string): HoldfastError {
  return new HoldfastError('INTERNAL_SERVER_ERROR', `${message}: restore the database from a backup`);
}

/** Runs of entries that are ours, or not. */
function batchesOf(entries: readonly LogEntry[], claim: (entry: LogEntry) => boolean): EntryBatch[] {
  const batches: { entries: LogEntry[]; own: boolean }[] = [];
  for (const entry of entries) {
    const own = claim(entry);
    const last = batches.at(-1);
    if (last?.own === own) last.entries.push(entry);
    else batches.push({ entries: [entry], own });
  }
  return batches;
}
