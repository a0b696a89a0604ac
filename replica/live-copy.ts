import type { ChangeLog } from '../src/changelog/change-log.ts';
import type { LogOrigin, SqliteChangeLog } from '../src/changelog/sqlite-change-log.ts';
import { HoldfastError } from '../src/errors.ts';
import { GENESIS_CHAIN, type Hash, type LogEntry } from '../src/model/change.ts';
import type { DocumentText } from '../src/model/document.ts';
import type { Row } from '../src/protocol/sync-source.ts';
import type { Database, Transaction } from '../src/sqlite/database.ts';
import { createMeta, readMeta, writeMeta } from '../src/sqlite/meta.ts';
import { type Clock, systemClock } from '../src/util/clock.ts';
import { Backoff } from './backoff.ts';
import type { RowStore } from './row-store.ts';

/** The database that is copied: its log, and its documents a page at a time. */
export interface CopySource {
  readonly log: ChangeLog;
  /** Tells of entries as they become durable, whoever appended them, in order. Returns the function that ends it. */
  onEntries(listener: (entries: readonly LogEntry[]) => void): () => void;
  /** A page of a collection in id order; every version in it is in the log. `next` is null after the last. */
  page(
    collection: string,
    after: string | null,
    limit: number,
    maxBytes: number,
  ): Promise<{ readonly rows: readonly Row[]; readonly next: string | null }>;
  /** Those of `ids` that exist, at most 1,000. */
  existing(collection: string, ids: readonly DocumentText[]): Promise<ReadonlySet<DocumentText>>;
}

export interface LiveCopyOptions {
  readonly database: Database;
  /** Of `database`: the copied log. */
  readonly log: SqliteChangeLog;
  readonly store: RowStore;
  /** Collections to copy. */
  readonly collections: readonly string[];
  /** Told when the copy cannot go on, again when the reason is another one, and with null when it goes on. */
  readonly onProblem: (error: unknown) => void;
  readonly clock?: Clock;
}

/** What is durable about the copy besides rows and log. */
interface Stored {
  /** The log is that of the source. */
  readonly joined: boolean;
  /** Every collection was paged in once, and the log reached what the pages may have held. Never taken back. */
  readonly complete: boolean;
  /** Collections still to be paged in. */
  readonly loading: readonly string[];
  /** Token of the next page of the first of them. */
  readonly next: string | null;
  /** Rows here that the source has not must be removed after paging: there were rows before. */
  readonly over: boolean;
  /** From this sequence on the rows are those of the log's position. */
  readonly settled: number;
  /**
   * Collections of which it has all: those it was complete with, and what was added since; until it is complete, those that were paged
   * in. Null: all that it was opened for.
   */
  readonly known: readonly string[] | null;
}

const KEY = 'copy';
const NOTHING: Stored = {
  joined: false,
  complete: false,
  loading: [],
  next: null,
  over: false,
  settled: 0,
  known: null,
};
const PAGE_ROWS = 1_000;
const PAGE_BYTES = 4 * 1024 * 1024;
const READ_LIMITS = { maxChanges: 500, maxBytes: 4 * 1024 * 1024 };
/** Changes of the source's log that a new copy takes over for those who resume from it. */
const HISTORY_CHANGES = 100_000;
/** Entries told of and not yet applied that are kept in memory; past it they are read from the log. */
const MAX_QUEUED = 10_000;

/**
 * An embedded copy of a primary's own database, fed from its change log: what followers are served from, and what answers when the
 * database does not. SPEC.md, section "The live copy". Errors never leave `run`: it tries again until it is stopped.
 */
export class LiveCopy {
  readonly #options: LiveCopyOptions;
  readonly #clock: Clock;
  readonly #end = new AbortController();
  readonly #progressed = new Set<() => void>();
  #source: CopySource | undefined;
  #endEntries: () => void = () => undefined;
  /** Entries told of, dense; what they do not cover is read from the log. */
  #queue: LogEntry[] = [];
  #stored: Stored;
  #running: Promise<void> | undefined;
  /** What was told of last; null while nothing is wrong. */
  #problem: string | null = null;
  #diverged = 0;

  private constructor(options: LiveCopyOptions, stored: Stored) {
    this.#options = options;
    this.#stored = stored;
    this.#clock = options.clock ?? systemClock;
  }

  /** Opens what there is of the copy; its source need not be there. */
  static async open(options: LiveCopyOptions): Promise<LiveCopy> {
    const stored = await options.database.transaction((transaction) => {
      createMeta(transaction);
      const text = readMeta(transaction, KEY);
      return text === undefined ? NOTHING : { ...NOTHING, ...(JSON.parse(String(text)) as Partial<Stored>) };
    });
    return new LiveCopy(options, stored);
  }

  /**
   * Joins the copy to its source, a new one from scratch, and follows until it is stopped.
   * @throws FORK when the source's log does not hold what the copy has: the database was restored from an older backup, or is another one
   */
  async follow(source: CopySource): Promise<void> {
    await this.#join(source);
    this.#source = source;
    this.#endEntries = source.onEntries((entries) => this.#enqueue(entries));
    this.#running = this.#run(source);
  }

  /** Whether it ever held the whole database; from then on it has what it has, through restarts and reloads. */
  get isComplete(): boolean {
    return this.#stored.complete;
  }

  /** Whether it has a collection whole: as {@link isComplete} for one that was not copied from the beginning. */
  holds(collection: string): boolean {
    const { complete, known } = this.#stored;
    return complete && (known ?? this.#options.collections).includes(collection);
  }

  /** Whether its rows are exactly those of its log's position. */
  get isSettled(): boolean {
    const { complete, loading, settled } = this.#stored;
    return complete && loading.length === 0 && this.#options.log.head().sequence >= settled;
  }

  /** Changes of the source it does not hold yet, as far as is known. */
  get lagChanges(): number {
    const head = this.#source?.log.head().sequence ?? 0;
    return Math.max(0, head - this.#options.log.head().sequence);
  }

  /** Changes whose document here was not the one they were made on: writers beside the gateway. Since the start. */
  get diverged(): number {
    return this.#diverged;
  }

  async stop(): Promise<void> {
    this.#end.abort();
    this.#endEntries();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Resolves when the copy holds `sequence`, or after `timeoutMs`, or when it is stopped. */
  async reached(sequence: number, timeoutMs: number): Promise<boolean> {
    const { log } = this.#options;
    const until = this.#clock.now() + timeoutMs;
    while (log.head().sequence < sequence && !this.#end.signal.aborted) {
      const leftMs = until - this.#clock.now();
      if (leftMs <= 0) return false;
      await this.#progress(leftMs);
    }
    return log.head().sequence >= sequence;
  }

  async #run(source: CopySource): Promise<void> {
    const backoff = new Backoff({ baseMs: 100, maxMs: 5_000 });
    const { signal } = this.#end;
    while (!signal.aborted) {
      try {
        await this.#join(source);
        await this.#fill(source);
        this.#mended();
        backoff.reset();
        while (!signal.aborted) await this.#applyNext(source);
      } catch (error) {
        if (signal.aborted) return;
        this.#failed(error);
        await this.#progress(backoff.next());
      }
    }
  }

  /** Makes the copied log a part of the source's, from scratch where it has to. */
  async #join(source: CopySource): Promise<void> {
    const { log } = this.#options;
    const { sequence, chain } = log.head();
    if (!this.#stored.joined) return this.#startOver(source, false);
    if (log.logId !== source.log.logId) {
      throw forked(`it is the history ${source.log.logId}, the copy is of ${log.logId}`);
    }
    if (sequence > source.log.head().sequence) {
      throw forked(`its last change is ${source.log.head().sequence}, the copy holds ${sequence}`);
    }
    if (sequence < source.log.floor() - 1) return this.#startOver(source, true);
    const theirs = await chainAt(source.log, sequence);
    // Trimmed between the two looks: the next try starts over.
    if (theirs !== undefined && theirs !== chain) throw forked(`change ${sequence} is not the one the copy holds`);
    await this.#addCollections();
  }

  /** Collections that were not copied before are to be paged in; those that are copied no more are not kept up, and forgotten. */
  async #addCollections(): Promise<void> {
    const { database, collections } = this.#options;
    const { loading, known } = this.#stored;
    const kept = (known ?? collections).filter((name) => collections.includes(name));
    const wanted = loading.filter((name) => collections.includes(name));
    const added = collections.filter((name) => !kept.includes(name) && !wanted.includes(name));
    if (known !== null && added.length === 0 && kept.length === known.length) return;
    await database.transaction((transaction) => {
      const next = wanted[0] === loading[0] ? this.#stored.next : null;
      // Rows may be left of a time when it was copied.
      const over = this.#stored.over || added.length > 0;
      this.#save(transaction, { loading: [...wanted, ...added], next, over, known: kept });
    });
  }

  /** Begins with a part of the source's history, and pages everything in; `over` what is here. */
  async #startOver(source: CopySource, over: boolean): Promise<void> {
    const { database, log, collections } = this.#options;
    const origin = await originOf(source.log);
    await database.transaction((transaction) => {
      log.reset(transaction, origin);
      const complete = this.#stored.complete && over;
      const known = complete ? (this.#stored.known ?? collections) : [];
      this.#save(transaction, { joined: true, complete, loading: collections, next: null, over, settled: 0, known });
    });
    this.#queue = [];
  }

  /** Pages in what is to be loaded while changes are applied; when one of the two fails, the other has ended too. */
  async #fill(source: CopySource): Promise<void> {
    const failed = new AbortController();
    const signal = AbortSignal.any([failed.signal, this.#end.signal]);
    const both = [this.#load(source, signal), this.#applyUntilLoaded(source, signal)];
    for (const part of both) part.catch((error: unknown) => failed.abort(error));
    await Promise.allSettled(both);
    await Promise.all(both);
  }

  async #load(source: CopySource, signal: AbortSignal): Promise<void> {
    const { database, store } = this.#options;
    for (let [collection] = this.#stored.loading; collection !== undefined; [collection] = this.#stored.loading) {
      const name = collection;
      for (let next = this.#stored.next, done = false; !done; ) {
        signal.throwIfAborted();
        const page = await source.page(name, next, PAGE_ROWS, PAGE_BYTES);
        next = page.next;
        done = next === null;
        // After the page: what it holds is in the log by now.
        const settled = source.log.head().sequence;
        await database.transaction((transaction) => {
          for (const row of page.rows) store.put(transaction, name, row, 0);
          this.#save(transaction, { next, settled });
        });
      }
      if (this.#stored.over) await this.#removeVanished(source, name, signal);
      await database.transaction((transaction) => {
        const { complete, known, loading } = this.#stored;
        // Of the first load it is remembered at once: a copy that is stopped before its end does not begin it again.
        this.#save(transaction, {
          ...{ loading: loading.slice(1), next: null },
          known: complete ? known : [...(known ?? []), name],
        });
      });
    }
  }

  /** Removes rows that went while the log was out of reach, tombstones and all. */
  async #removeVanished(source: CopySource, collection: string, signal: AbortSignal): Promise<void> {
    const { database, store } = this.#options;
    for (let after: string | null = null; ; ) {
      signal.throwIfAborted();
      const page: { readonly rows: Row[]; readonly next: string | null } = store.page(
        collection,
        after,
        PAGE_ROWS,
        PAGE_BYTES,
      );
      const ids = page.rows.map(({ id }) => id);
      const existing = ids.length === 0 ? new Set(ids) : await source.existing(collection, ids);
      await database.transaction((transaction) => {
        for (const { id, version } of page.rows) {
          if (existing.has(id) || store.rowState(collection, id)?.version !== version) continue;
          store.remove(transaction, collection, id, version, 0, true);
        }
      });
      if (page.next === null) return;
      after = page.next;
    }
  }

  /** Applies beside the load, and after it until the rows are those of a position. */
  async #applyUntilLoaded(source: CopySource, signal: AbortSignal): Promise<void> {
    const { database, log } = this.#options;
    const isLoading = (): boolean => this.#stored.loading.length > 0;
    while (isLoading() || log.head().sequence < this.#stored.settled) {
      signal.throwIfAborted();
      if (log.head().sequence < source.log.head().sequence) await this.#applyNext(source);
      else await this.#progress(20);
    }
    const { complete, known } = this.#stored;
    const { collections } = this.#options;
    if (complete && collections.every((name) => known?.includes(name))) return;
    await database.transaction((transaction) => {
      this.#save(transaction, { complete: true, over: false, known: collections });
    });
  }

  async #applyNext(source: CopySource): Promise<void> {
    const { database, log } = this.#options;
    const after = log.head().sequence;
    const entries = this.#queued(after) ?? (await source.log.read(after, READ_LIMITS));
    if (entries.length === 0) return this.#advanced(source.log, after);
    await database.transaction((transaction) => {
      const exact = this.isSettled;
      for (const entry of entries) this.#apply(transaction, entry, exact);
    });
    for (const listener of [...this.#progressed]) listener();
  }

  #apply(transaction: Transaction, entry: LogEntry, exact: boolean): void {
    const { log, store, collections } = this.#options;
    const { collection, id, version, image, sequence } = entry;
    if (entry.operation !== 'EPOCH' && collections.includes(collection)) {
      const expected = exact ? entry.before : undefined;
      const applied =
        image === null
          ? store.remove(transaction, collection, id, version, sequence, false, expected)
          : store.put(
              transaction,
              collection,
              { id, version, text: image, hash: entry.after },
              sequence,
              false,
              expected,
            );
      if (applied === 'DIVERGED') this.#diverged += 1;
    }
    log.copy(transaction, entry);
  }

  #enqueue(entries: readonly LogEntry[]): void {
    const last = this.#queue.at(-1)?.sequence ?? this.#options.log.head().sequence;
    for (const entry of entries) if (entry.sequence > last) this.#queue.push(entry);
    if (this.#queue.length > MAX_QUEUED) this.#queue = [];
  }

  /** The entries after `after`, as far as they were told of without a gap; undefined when the log must be read. */
  #queued(after: number): LogEntry[] | undefined {
    const start = this.#queue.findIndex(({ sequence }) => sequence > after);
    if (start < 0 || this.#queue[start]?.sequence !== after + 1) return undefined;
    const taken: LogEntry[] = [];
    for (const entry of this.#queue.slice(start, start + READ_LIMITS.maxChanges)) {
      if (entry.sequence !== after + taken.length + 1) break;
      taken.push(entry);
    }
    this.#queue.splice(0, start + taken.length);
    return taken;
  }

  #save(transaction: Transaction, change: Partial<Stored>): void {
    const before = this.#stored;
    const settled = Math.max(before.settled, change.settled ?? 0);
    this.#stored = { ...before, ...change, settled: change.joined === true ? (change.settled ?? 0) : settled };
    writeMeta(transaction, KEY, JSON.stringify(this.#stored));
    transaction.onRollback(() => {
      this.#stored = before;
    });
  }

  #failed(error: unknown): void {
    const problem = error instanceof Error ? error.message : String(error);
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#options.onProblem(error);
  }

  #mended(): void {
    if (this.#problem === null) return;
    this.#problem = null;
    this.#options.onProblem(null);
  }

  /** Resolves when the source's head is past `sequence`, or when stopped. */
  #advanced(log: ChangeLog, sequence: number): Promise<void> {
    const { signal } = this.#end;
    return new Promise((resolve) => {
      const finish = (): void => {
        end();
        signal.removeEventListener('abort', finish);
        resolve();
      };
      const end = log.onAdvance(() => {
        if (log.head().sequence > sequence) finish();
      });
      signal.addEventListener('abort', finish, { once: true });
      if (signal.aborted || log.head().sequence > sequence) finish();
    });
  }

  /** Resolves at the next applied group, or after `ms`, or when stopped. */
  #progress(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        callOff();
        this.#progressed.delete(finish);
        this.#end.signal.removeEventListener('abort', finish);
        resolve();
      };
      const callOff = this.#clock.after(ms, finish);
      this.#progressed.add(finish);
      this.#end.signal.addEventListener('abort', finish, { once: true });
    });
  }
}

/** Where a copy of `log` begins: not too far before its head. */
async function originOf(log: ChangeLog): Promise<LogOrigin> {
  for (;;) {
    const sequence = Math.max(log.floor() - 1, log.head().sequence - HISTORY_CHANGES, 0);
    const chain = await chainAt(log, sequence);
    if (chain === undefined) continue;
    const epochs = log.epochs().filter(({ firstSequence }) => firstSequence <= Math.max(sequence, 1));
    return { logId: log.logId, epochs, sequence, chain };
  }
}

/** Chain hash at `sequence`; undefined when it was trimmed meanwhile. */
async function chainAt(log: ChangeLog, sequence: number): Promise<Hash | undefined> {
  if (sequence === 0) return GENESIS_CHAIN;
  if (sequence === log.floor() - 1) return log.floorChain();
  if (sequence === log.head().sequence) return log.head().chain;
  return (await log.entry(sequence))?.chain;
}

function forked(reason: string): HoldfastError {
  return new HoldfastError(
    'FORK',
    `the database does not continue the history of its local copy: ${reason}. Was it restored from an older backup? To go on with the database as it is, start with another data directory`,
  );
}
