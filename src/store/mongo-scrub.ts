import { documentHash, type Hash } from '../model/change.ts';
import { type DocumentText, decodeValue, encodeValue } from '../model/document.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import { capture } from './mongo-batch.ts';
import { FIRST_VERSION, type Stored } from './mongo-document.ts';
import type { Draft } from './mongo-image.ts';
import { idsThere, readDocuments, readPage } from './mongo-rows.ts';
import type { MongoStore } from './mongo-store.ts';
import type { MongoTable } from './mongo-table.ts';
import type { RowPage } from './row-store.ts';

/** Documents, and characters of text, looked at in one step. */
const PAGE_ROWS = 200;
const PAGE_BYTES = 1024 * 1024;
/** How often documents are looked at again that others keep changing. */
const TRIES = 10;

/** What the log says is in the database: an embedded copy that follows it. */
export interface Baseline {
  page(collection: string, after: string | null, limit: number, maxBytes: number): RowPage;
  rowState(collection: string, id: DocumentText): { readonly version: number; readonly hash: Hash } | undefined;
}

export interface MongoScrubOptions {
  readonly store: MongoStore;
  /** Without it, only changes to documents that a gateway wrote before are found. */
  readonly baseline?: Baseline | undefined;
  /** Whether the baseline can be asked now: it holds everything up to the end of the log. Default: always. */
  readonly isSettled?: (() => boolean) | undefined;
  /** Resolves when the baseline holds what is known to be in the log; false when it does not soon. Default: it always does. */
  readonly caughtUp?: (() => Promise<boolean>) | undefined;
  /** Pause in ms between two scrubs. Default 60,000. */
  readonly everyMs?: number | undefined;
  /** Pause in ms between two pages of 200 documents. Default 100: 2,000 documents a second. */
  readonly pauseMs?: number | undefined;
  /** The time in ms since 1970. Default `Date.now`. */
  readonly clock?: (() => number) | undefined;
  readonly timers?: Pick<Clock, 'after' | 'every'> | undefined;
  /** Told of each complete scrub that the timer started. */
  readonly onScrubbed?: ((scrubbed: Scrubbed) => void) | undefined;
  /** Told when a scrub failed; the next one tries again. */
  readonly onTrouble: (error: unknown) => void;
}

/** What a scrub found and captured; what another primary captured first is not counted. */
export interface Scrubbed {
  /** When it began, in ms since 1970: every foreign write before it was seen by a complete one. */
  readonly asOf: number;
  /** Whether everything was compared: it was not stopped before its end, and the baseline could be asked all along. */
  readonly isComplete: boolean;
  /** Documents looked at. */
  readonly checked: number;
  readonly created: number;
  readonly updated: number;
  readonly deleted: number;
}

/**
 * Finds what writers beside the gateway did, and captures it: a document whose content does not hash to what its metadata says was
 * updated; one without metadata that the baseline does not have was created, one that the baseline has otherwise was updated;
 * one that is in the baseline only was deleted. Each becomes a version of its own by the steps W and L, whose compare-and-set
 * lets one of several scrubs win: it is captured once. Two foreign changes between two scrubs are one.
 */
export class MongoScrub implements AsyncDisposable {
  readonly #options: MongoScrubOptions;
  readonly #stopTimer: () => void;
  readonly #stop = new AbortController();
  #running: Promise<unknown> | undefined;

  /** Begins with the first pause. */
  constructor(options: MongoScrubOptions) {
    this.#options = options;
    const { timers = systemClock, everyMs = 60_000, onScrubbed, onTrouble } = options;
    this.#stopTimer = timers.every(everyMs, () => {
      this.#running ??= this.scrub()
        .then((scrubbed) => {
          if (scrubbed.isComplete) onScrubbed?.(scrubbed);
        })
        .catch(onTrouble)
        .finally(() => {
          this.#running = undefined;
        });
    });
  }

  /** Walks collections once; left out: all. Resolves also when it is stopped before its end. @throws DATABASE_UNAVAILABLE, WRITE_OUTCOME_UNKNOWN */
  async scrub(names?: readonly string[]): Promise<Scrubbed> {
    const { store, clock = Date.now } = this.#options;
    const total = { asOf: clock(), isComplete: true, checked: 0, created: 0, updated: 0, deleted: 0 };
    for (const name of names ?? store.collections()) {
      if (this.#stop.signal.aborted) break;
      const table = store.table(name);
      await this.#walkDocuments(table, total);
      await this.#walkBaseline(table, total);
    }
    return { ...total, isComplete: total.isComplete && !this.#stop.signal.aborted };
  }

  /**
   * Captures what others did to some documents, now. False when that cannot be told yet, or others keep changing them: then the
   * next scrub finds it. @throws DATABASE_UNAVAILABLE, WRITE_OUTCOME_UNKNOWN
   */
  async capture(collection: string, ids: readonly unknown[]): Promise<boolean> {
    const table = this.#options.store.table(collection);
    for (let next = 0; next < ids.length; next += PAGE_ROWS) {
      if (!(await this.#captureSome(table, ids.slice(next, next + PAGE_ROWS)))) return false;
    }
    return true;
  }

  async #captureSome(table: MongoTable, ids: readonly unknown[]): Promise<boolean> {
    const { store, caughtUp = async () => true } = this.#options;
    const { writer } = store;
    const texts = ids.map(encodeValue);
    for (let tries = 0; tries < TRIES; tries++) {
      const helped = await writer.logging.help(table, await readDocuments(table, ids));
      const found = helped.filter((stored) => stored !== null);
      const there = new Set(found.map(({ id }) => id));
      const missing = texts.filter((id) => !there.has(id));
      // What they were before is asked of the baseline.
      const isNeeded = missing.length > 0 || found.some(({ touched }) => !touched);
      if (isNeeded && !((await caughtUp()) && this.#baseline() !== undefined)) return false;
      const drafts = [
        ...found.flatMap((stored) => this.#examined(table, { ...stored, pending: undefined }) ?? []),
        ...missing.flatMap((id) => this.#missing(table, id) ?? []),
      ];
      const captured = await capture(writer, table, drafts);
      // Who deleted a document may insert it again at once.
      const hasTombstones = found.some(({ document }) => document === null);
      if (hasTombstones || drafts.some(({ operation }) => operation === 'DELETED')) await writer.parts.clearer.flush();
      if (captured === drafts.length) return true;
    }
    return false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopTimer();
    this.#stop.abort();
    await this.#running;
  }

  async #walkDocuments(table: MongoTable, total: Mutable<Scrubbed>): Promise<void> {
    const { writer } = this.#options.store;
    let after: string | null = null;
    do {
      const { documents, next }: Awaited<ReturnType<typeof readPage>> = await readPage(
        table,
        after,
        PAGE_ROWS,
        PAGE_BYTES,
      );
      // Without it, what nobody touched is not compared.
      if (this.#baseline() === undefined) total.isComplete = false;
      const drafts = documents.flatMap((stored) => this.#examined(table, stored) ?? []);
      total.checked += documents.length;
      const created = drafts.filter(({ operation }) => operation === 'CREATED');
      total.created += await capture(writer, table, created);
      total.updated += await capture(
        writer,
        table,
        drafts.filter((draft) => !created.includes(draft)),
      );
      after = next;
      await this.#pause();
    } while (after !== null && !this.#stop.signal.aborted);
  }

  /** The change that a document shows; undefined when it is as it should be, or on its way. */
  #examined(table: MongoTable, stored: Stored): Draft | undefined {
    const { _id, id, document, text, version, hash, touched, pending } = stored;
    // Whoever helps a pending version into the log does so with the content it has.
    if (document === null || text === null || pending !== undefined) return undefined;
    const found = { base: stored, _id, id, document, text };
    if (touched) {
      return documentHash(table.name, id, version, text) === hash ? undefined : { operation: 'UPDATED', ...found };
    }
    const baseline = this.#baseline();
    if (baseline === undefined) return undefined;
    const known = baseline.rowState(table.name, id);
    if (known === undefined) return { operation: 'CREATED', ...found, previous: { version: 0, hash: null } };
    if (known.version === FIRST_VERSION && known.hash === hash) return undefined;
    return { operation: 'UPDATED', ...found, previous: known };
  }

  async #walkBaseline(table: MongoTable, total: Mutable<Scrubbed>): Promise<void> {
    const { writer } = this.#options.store;
    let after: string | null = null;
    do {
      const page: ReturnType<Baseline['page']> | undefined = this.#baseline()?.page(
        table.name,
        after,
        PAGE_ROWS,
        PAGE_BYTES,
      );
      const ids = page?.rows.map(({ id }) => id) ?? [];
      const there = ids.length === 0 ? new Set(ids) : await idsThere(table, ids);
      if (page === undefined || this.#baseline() === undefined) {
        total.isComplete = false;
        return;
      }
      const drafts = ids.filter((id) => !there.has(id)).flatMap((id) => this.#missing(table, id) ?? []);
      total.deleted += await capture(writer, table, drafts);
      after = page.next;
      await this.#pause();
    } while (after !== null && !this.#stop.signal.aborted);
  }

  /** The deletion of a document that is neither there nor a tombstone, unless the baseline learnt better meanwhile. */
  #missing(table: MongoTable, id: DocumentText): Draft | undefined {
    const known = this.#baseline()?.rowState(table.name, id);
    if (known === undefined) return undefined;
    const nothing = { base: null, document: null, text: null };
    return { operation: 'DELETED', ...nothing, _id: decodeValue(id), id, previous: known };
  }

  #baseline(): Baseline | undefined {
    const { baseline, isSettled = () => true } = this.#options;
    return baseline !== undefined && isSettled() ? baseline : undefined;
  }

  #pause(): Promise<void> {
    const { timers = systemClock, pauseMs = 100 } = this.#options;
    const { signal } = this.#stop;
    if (signal.aborted || pauseMs === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = (): void => {
        cancel();
        signal.removeEventListener('abort', finish);
        resolve();
      };
      const cancel = timers.after(pauseMs, finish);
      signal.addEventListener('abort', finish, { once: true });
    });
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
