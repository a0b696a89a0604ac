import { chainAt } from '../src/changelog/chain-at.ts';
import type { ChangeLog } from '../src/changelog/change-log.ts';
import type { SqliteChangeLog } from '../src/changelog/sqlite-change-log.ts';
import { HoldfastError } from '../src/errors.ts';
import type { LogEntry } from '../src/model/change.ts';
import { waitForAdvance } from '../src/service/advance.ts';
import type { Database, Transaction } from '../src/sqlite/database.ts';
import type { RowPage } from '../src/store/row-store.ts';
import { type Clock, systemClock } from '../src/util/clock.ts';
import { Backoff } from './backoff.ts';
import { type CopyFacts, CopyProgress } from './copy-progress.ts';
import { type CopySource, originOf } from './copy-source.ts';
import type { RowStore } from './row-store.ts';
import { ToldEntries } from './told-entries.ts';

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

const PAGE_ROWS = 1_000;
const PAGE_BYTES = 4 * 1024 * 1024;
const READ_LIMITS = { maxChanges: 500, maxBytes: 4 * 1024 * 1024 };
/**
 * An embedded copy of a primary's own database, fed from its change log: what followers are served from, and what answers when the
 * database does not. SPEC.md, section "The live copy". Errors never leave `run`: it tries again until it is stopped.
 */
export class LiveCopy {
  readonly #options: LiveCopyOptions;
  readonly #clock: Clock;
  readonly #end = new AbortController();
  readonly #progressed = new Set<() => void>();
  readonly #progress: CopyProgress;
  readonly #told = new ToldEntries();
  #source: CopySource | undefined;
  /** Of the source's log when the copy was last found to be a part of it. */
  #generation: number | undefined;
  #endEntries: () => void = () => undefined;
  #running: Promise<void> | undefined;
  /** What was told of last; null while nothing is wrong. */
  #problem: string | null = null;
  #diverged = 0;

  private constructor(options: LiveCopyOptions, progress: CopyProgress) {
    this.#options = options;
    this.#progress = progress;
    this.#clock = options.clock ?? systemClock;
  }

  /** Opens what there is of the copy; its source need not be there. */
  static async open(options: LiveCopyOptions): Promise<LiveCopy> {
    return new LiveCopy(options, await CopyProgress.open(options.database));
  }

  /**
   * Joins the copy to its source, a new one from scratch, and follows until it is stopped.
   * @throws FORK when the source's log does not hold what the copy has: the database was restored from an older backup, or is another one
   */
  async follow(source: CopySource): Promise<void> {
    await this.#join(source);
    this.#source = source;
    this.#endEntries = source.onEntries((entries) => this.#told.add(entries, this.#options.log.head().sequence));
    this.#running = this.#run(source);
  }

  /** Whether it ever began to copy its source: what it pages in from then on was read after that. */
  get isJoined(): boolean {
    return this.#facts.joined;
  }

  /** Whether it ever held the whole database; from then on it has what it has, through restarts and reloads. */
  get isComplete(): boolean {
    return this.#facts.complete;
  }

  /** Whether it has a collection whole: as {@link isComplete} for one that was not copied from the beginning. */
  holds(collection: string): boolean {
    const { complete, known } = this.#facts;
    return complete && (known ?? this.#options.collections).includes(collection);
  }

  /** Whether its rows are exactly those of its log's position, which its source has too. */
  get isSettled(): boolean {
    const { complete, loading, settled } = this.#facts;
    if (this.#source !== undefined && !this.#isPartOf(this.#source.log)) return false;
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
      await this.#nextGroup(leftMs);
    }
    return log.head().sequence >= sequence;
  }

  get #facts(): CopyFacts {
    return this.#progress.facts;
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
        await this.#nextGroup(backoff.next());
      }
    }
  }

  /** Makes the copied log a part of the source's, from scratch where it has to. */
  async #join(source: CopySource): Promise<void> {
    const { generation } = source.log;
    await this.#joinHistory(source);
    if (this.#generation !== generation) this.#told.clear();
    this.#generation = generation;
  }

  async #joinHistory(source: CopySource): Promise<void> {
    const { log } = this.#options;
    const { sequence, chain } = log.head();
    if (!this.#facts.joined) return this.#startOver(source, false);
    if (log.logId !== source.log.logId) {
      throw forked(`it is the history ${source.log.logId}, the copy is of ${log.logId}`);
    }
    // Of what was paged in ahead of the log, too.
    const held = Math.max(sequence, this.#facts.settled);
    if (held > source.log.head().sequence) {
      throw forked(`its last change is ${source.log.head().sequence}, the copy holds ${held}`);
    }
    if (sequence < source.log.floor() - 1) return this.#startOver(source, true);
    const theirs = await chainAt(source.log, sequence);
    // Trimmed between the two looks: the next try starts over.
    if (theirs !== null && theirs !== chain) throw forked(`change ${sequence} is not the one the copy holds`);
    await this.#addCollections();
  }

  /** Collections that were not copied before are to be paged in; those that are copied no more are not kept up, and forgotten. */
  async #addCollections(): Promise<void> {
    const { database, collections } = this.#options;
    const { loading, known } = this.#facts;
    const kept = (known ?? collections).filter((name) => collections.includes(name));
    const wanted = loading.filter((name) => collections.includes(name));
    const added = collections.filter((name) => !kept.includes(name) && !wanted.includes(name));
    if (known !== null && added.length === 0 && kept.length === known.length) return;
    await database.transaction((transaction) => {
      const next = wanted[0] === loading[0] ? this.#facts.next : null;
      // Rows may be left of a time when it was copied.
      const over = this.#facts.over || added.length > 0;
      this.#progress.save(transaction, { loading: [...wanted, ...added], next, over, known: kept });
    });
  }

  /** Begins with a part of the source's history, and pages everything in; `over` what is here. */
  async #startOver(source: CopySource, over: boolean): Promise<void> {
    const { database, log, collections } = this.#options;
    const origin = await originOf(source.log);
    await database.transaction((transaction) => {
      log.reset(transaction, origin);
      const complete = this.#facts.complete && over;
      const known = complete ? (this.#facts.known ?? collections) : [];
      this.#progress.save(transaction, {
        joined: true,
        complete,
        loading: collections,
        next: null,
        over,
        settled: 0,
        known,
      });
    });
    this.#told.clear();
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
    for (let [collection] = this.#facts.loading; collection !== undefined; [collection] = this.#facts.loading) {
      const name = collection;
      for (let next = this.#facts.next, done = false; !done; ) {
        signal.throwIfAborted();
        const page = await source.page(name, next, PAGE_ROWS, PAGE_BYTES);
        next = page.next;
        done = next === null;
        // After the page: what it holds is in the log by now.
        const settled = source.log.head().sequence;
        await database.transaction((transaction) => {
          for (const row of page.rows) store.put(transaction, name, row, 0);
          this.#progress.save(transaction, { next, settled });
        });
      }
      if (this.#facts.over) await this.#removeVanished(source, name, signal);
      await database.transaction((transaction) => {
        const { complete, known, loading } = this.#facts;
        // Of the first load it is remembered at once: a copy that is stopped before its end does not begin it again.
        this.#progress.save(transaction, {
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
      const page: RowPage = store.page(collection, after, PAGE_ROWS, PAGE_BYTES);
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
    const isLoading = (): boolean => this.#facts.loading.length > 0;
    while (isLoading() || log.head().sequence < this.#facts.settled) {
      signal.throwIfAborted();
      this.#requirePartOf(source.log);
      if (log.head().sequence < source.log.head().sequence) await this.#applyNext(source);
      else await this.#nextGroup(20);
    }
    const { complete, known } = this.#facts;
    const { collections } = this.#options;
    if (complete && collections.every((name) => known?.includes(name))) return;
    await database.transaction((transaction) => {
      this.#progress.save(transaction, { complete: true, over: false, known: collections });
    });
  }

  async #applyNext(source: CopySource): Promise<void> {
    const { database, log } = this.#options;
    const after = log.head().sequence;
    const entries = this.#told.take(after, READ_LIMITS.maxChanges) ?? (await source.log.read(after, READ_LIMITS));
    this.#requirePartOf(source.log);
    if (entries.length === 0) return waitForAdvance(source.log, after, this.#end.signal);
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

  /** Whether nothing came between the copied log and the source's since the one was found in the other. */
  #isPartOf(log: ChangeLog): boolean {
    return log.generation === this.#generation;
  }

  #requirePartOf(log: ChangeLog): void {
    if (!this.#isPartOf(log)) throw forked('its change log became another one meanwhile');
  }

  /** Resolves at the next applied group, or after `ms`, or when stopped. */
  #nextGroup(ms: number): Promise<void> {
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

function forked(reason: string): HoldfastError {
  return new HoldfastError(
    'FORK',
    `the database does not continue the history of its local copy: ${reason}. Was it restored from an older backup? To go on with the database as it is, start with another data directory`,
  );
}
