import { HoldfastError } from '../errors.ts';
import { type Document, decodeDocument } from '../model/document.ts';
import { Database } from '../sqlite/database.ts';
import { failpoint } from '../util/failpoint.ts';
import {
  entryOf,
  type JournalDraft,
  type JournalEntry,
  type JournalReason,
  type JournalRow,
  JournalState,
  sizeOf,
} from './journal-entry.ts';
import { COUNT, INSERT_CALL, insertEntry, JOURNAL_SCHEMA, LIST, OPEN_STATES, readable } from './journal-table.ts';
import { Waiting, WaitingEntries } from './waiting.ts';

export interface JournalOptions {
  /** Directory of its own; created when missing. `:memory:` for one without files. */
  readonly directory: string;
  /** Entries that may be in it besides those that are done. Default 100,000. */
  readonly maxEntries?: number | undefined;
  /** Their size, about. Default 1 GiB. */
  readonly maxBytes?: number | undefined;
  /** Unique values of a document. Default: none. */
  readonly claimsOf?: ((collection: string, document: Document) => readonly string[]) | undefined;
  /** Milliseconds since 1970. Default Date.now. */
  readonly now?: (() => number) | undefined;
}

/** What a write by filter was answered; its documents are those of its entries. */
export interface JournalCall {
  readonly key: string;
  readonly digest: string;
  readonly answer: { readonly matched: number; readonly keys: readonly string[] };
}

/** What becomes of an entry that was waiting. */
export type Settlement =
  | { readonly state: 'REPLAYED'; readonly version: number | null; readonly moved?: boolean | undefined }
  | { readonly state: 'CONFLICT' | 'HELD'; readonly reason: JournalReason };

/** Entries on their way to the disk. */
export interface Appended {
  readonly entries: readonly JournalEntry[];
  /** @throws JOURNAL_FULL: nothing of them was kept */
  readonly durable: Promise<void>;
}

export interface JournalQuery {
  /** Default: all. */
  readonly state?: JournalState | undefined;
  readonly limit: number;
  /** Entries after this one. */
  readonly after?: number | undefined;
}

/** How full a journal is. */
export interface JournalCounts {
  readonly waiting: number;
  readonly conflicts: number;
  readonly held: number;
  /** Of these three. */
  readonly bytes: number;
  /** When the oldest of those that wait was written, ms since 1970; null when none does. */
  readonly oldestAt: number | null;
}

/** Answers are given again for seven days. */
export const KEEP_MS = 8 * 24 * 3_600_000;
const PRUNE_ROWS = 5_000;
/** What clients are told to wait. */
const RETRY_AFTER_MS = 5_000;
const MOVED: JournalReason = {
  code: 'MOVED',
  message: 'others had written the document since; this went together with it',
};

/**
 * Writes that wait for the database, on this process's own disk. What {@link append} resolved for survives kill -9; an entry leaves the
 * waiting ones only when its outcome is as durable. SPEC.md has states, invariants and what a crash leaves.
 */
export class Journal implements AsyncDisposable {
  readonly waiting = new WaitingEntries();
  readonly #database: Database;
  readonly #options: JournalOptions;
  readonly #now: () => number;
  /** Calls by filter that are not durable yet. */
  readonly #calls = new Map<string, JournalCall>();
  /** Entries that are not durable yet, and when they are. */
  readonly #drafts = new Map<string, { readonly entry: JournalEntry; readonly durable: Promise<void> }>();
  #next = 1;
  #entries = 0;
  #bytes = 0;

  private constructor(database: Database, options: JournalOptions) {
    this.#database = database;
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Opens what there is. An entry that is not what was written is held, as DAMAGED. @throws DATA_LOCKED, DATA_UNWRITABLE */
  static async open(options: JournalOptions): Promise<Journal> {
    const database = Database.open({ directory: options.directory, file: 'journal.db' });
    const journal = new Journal(database, options);
    try {
      await database.transaction((transaction) => transaction.exec(JOURNAL_SCHEMA));
      await journal.#load();
      return journal;
    } catch (error) {
      await database.close();
      throw error;
    }
  }

  /**
   * Enters writes, in their order, with the answer of the call they come from. They count at once for who looks at {@link waiting}, and are
   * taken back when they cannot be made durable; `durable` tells. Entries that arrive together are made durable together.
   * @throws JOURNAL_FULL
   */
  append(drafts: readonly JournalDraft[], call?: JournalCall): Appended {
    const bytes = drafts.reduce((sum, draft) => sum + sizeOf(draft), 0);
    this.#requireRoom(drafts.length, bytes);
    const entries = drafts.map((draft) => waitingEntry(this.#next++, draft));
    const added = entries.map((entry) => this.#wait(entry));
    if (call !== undefined) this.#calls.set(call.key, call);
    this.#count(drafts.length, bytes);
    const forget = (): void => {
      for (const { key } of entries) this.#drafts.delete(key);
      if (call !== undefined) this.#calls.delete(call.key);
    };
    const durable = this.#database.transaction((transaction) => {
      failpoint('journal.beforeAppend');
      for (const entry of entries) insertEntry(transaction, entry);
      if (call !== undefined) {
        transaction.prepare(INSERT_CALL).run(call.key, call.digest, JSON.stringify(call.answer), this.#now());
      }
      transaction.onCommit(() => {
        forget();
        for (const entry of added) this.waiting.durable(entry);
        failpoint('journal.afterAppend');
      });
    });
    const written = durable.catch((cause: unknown) => {
      forget();
      for (const entry of added) this.waiting.remove(entry);
      this.#count(-drafts.length, -bytes);
      throw unwritten(cause);
    });
    for (const entry of entries) this.#drafts.set(entry.key, { entry, durable: written });
    return { entries, durable: written };
  }

  /** Resolves when those of these keys that are on their way are on disk; undefined when none is. @throws JOURNAL_FULL */
  durable(keys: readonly string[]): Promise<unknown> | undefined {
    if (this.#drafts.size === 0) return undefined;
    const underWay = keys.flatMap((key) => this.#drafts.get(key)?.durable ?? []);
    return underWay.length === 0 ? undefined : Promise.all(underWay);
  }

  /** The entry made under a key; also one that is not durable yet. */
  entryOfKey(key: string): JournalEntry | undefined {
    const row = this.#row('SELECT * FROM entries WHERE key = ?', key);
    return row === undefined ? this.#drafts.get(key)?.entry : readable(row);
  }

  /** What a call by filter was answered under a key; also one that is not durable yet. */
  callOfKey(key: string): JournalCall | undefined {
    const row = this.#database.reader.prepare('SELECT digest, answer FROM calls WHERE key = ?').get(key);
    if (row === undefined) return this.#calls.get(key);
    return { key, digest: String(row.digest), answer: JSON.parse(String(row.answer)) as JournalCall['answer'] };
  }

  /** @throws NOT_FOUND */
  entry(seq: number): JournalEntry {
    const row = this.#row('SELECT * FROM entries WHERE seq = ?', seq);
    if (row === undefined) throw new HoldfastError('NOT_FOUND', `there is no entry ${seq} in the journal`);
    return readable(row);
  }

  /** In the order they were written. */
  list({ state, limit, after = 0 }: JournalQuery): JournalEntry[] {
    const rows = this.#database.reader.prepare(LIST).all(after, state ?? null, state ?? null, limit);
    return (rows as unknown as JournalRow[]).map(readable);
  }

  counts(): JournalCounts {
    const rows = this.#database.reader.prepare(COUNT).all();
    const of = (state: JournalState) => rows.find((row) => row.state === state);
    const { WAITING, CONFLICT, HELD } = JournalState;
    const oldest = of(WAITING)?.oldest ?? null;
    return {
      ...{ waiting: Number(of(WAITING)?.n ?? 0), conflicts: Number(of(CONFLICT)?.n ?? 0) },
      ...{ held: Number(of(HELD)?.n ?? 0), bytes: rows.reduce((sum, row) => sum + Number(row.bytes), 0) },
      oldestAt: oldest === null ? null : Number(oldest),
    };
  }

  /** Notes what became of a waiting entry; durable when the promise resolves, and only then it waits no more. */
  async settle(waiting: Waiting, settlement: Settlement): Promise<void> {
    const { state } = settlement;
    const version = settlement.state === 'REPLAYED' ? settlement.version : null;
    const reason = settlement.state === 'REPLAYED' ? (settlement.moved === true ? MOVED : null) : settlement.reason;
    await this.#end(waiting, state, version, reason && JSON.stringify(reason));
  }

  /** Lets an entry that is held or in conflict wait again, by order of an operator. @throws NOT_FOUND; CONFLICT for any other entry */
  async approve(seq: number): Promise<JournalEntry> {
    const { state, reason } = this.entry(seq);
    if (state === JournalState.WAITING) return this.entry(seq);
    if (reason?.code === 'DAMAGED' || (state !== JournalState.HELD && state !== JournalState.CONFLICT)) {
      throw new HoldfastError(
        'CONFLICT',
        `entry ${seq} of the journal is ${reason?.code ?? state}: it is not replayed`,
      );
    }
    const changed = await this.#database.transaction((transaction) => {
      const sql = `UPDATE entries SET state = 'WAITING', approved = 1, reason = NULL, endedAt = NULL
        WHERE seq = ? AND state IN ('HELD', 'CONFLICT')`;
      return transaction.prepare(sql).run(seq).changes;
    });
    const entry = this.entry(seq);
    if (Number(changed) > 0) this.waiting.durable(this.#wait(entry));
    return entry;
  }

  /** Gives an entry up for good. @throws NOT_FOUND; CONFLICT when it was replayed or given up before, or waits again by now */
  async discard(seq: number): Promise<JournalEntry> {
    const entry = this.entry(seq);
    if (entry.state === JournalState.REPLAYED || entry.state === JournalState.DISCARDED) throw already(entry);
    const waiting = this.waiting.ofKey(entry.key);
    if (waiting !== undefined) {
      await this.#end(waiting, JournalState.DISCARDED, null, null);
    } else {
      const changed = await this.#database.transaction((transaction) => {
        const sql = `UPDATE entries SET state = 'DISCARDED', endedAt = ? WHERE seq = ? AND state IN ('HELD', 'CONFLICT')`;
        return transaction.prepare(sql).run(this.#now(), seq).changes;
      });
      if (Number(changed) > 0) this.#count(-1, -sizeOf(entry));
    }
    const ended = this.entry(seq);
    // Somebody else's order came first.
    if (ended.state !== JournalState.DISCARDED) throw already(ended);
    return ended;
  }

  /** Ends an entry whose conflict somebody decided; nothing happens when there is none. */
  async resolved(conflict: string): Promise<void> {
    const sql = "SELECT seq FROM entries WHERE state = 'CONFLICT' AND reason ->> 'conflict' = ?";
    for (const { seq } of this.#database.reader.prepare(sql).all(conflict)) await this.discard(Number(seq));
  }

  /** Forgets what ended eight days ago; in steps. */
  async prune(): Promise<void> {
    const before = this.#now() - KEEP_MS;
    for (let changes = 1; changes > 0; ) {
      changes = await this.#database.transaction((transaction) => {
        const entries = transaction
          .prepare(
            `DELETE FROM entries WHERE seq IN (SELECT seq FROM entries
             WHERE state IN ('REPLAYED', 'DISCARDED') AND endedAt < ?
               AND seq NOT IN (SELECT after FROM entries WHERE after IS NOT NULL AND state IN ${OPEN_STATES})
             LIMIT ${PRUNE_ROWS})`,
          )
          .run(before);
        transaction.prepare('DELETE FROM calls WHERE at < ?').run(before);
        return Number(entries.changes);
      });
    }
  }

  /** Makes durable what is under way, then frees the directory. */
  close(): Promise<void> {
    return this.#database.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #load(): Promise<void> {
    const { reader } = this.#database;
    this.#next = Number(reader.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'entries'").get()?.seq ?? 0) + 1;
    const damaged: number[] = [];
    const rows = reader.prepare("SELECT * FROM entries WHERE state = 'WAITING' ORDER BY seq").iterate();
    for (const row of rows as Iterable<unknown> as Iterable<JournalRow>) {
      const entry = entryOf(row);
      if (entry === null) damaged.push(row.seq);
      else this.waiting.durable(this.#wait(entry));
    }
    if (damaged.length > 0) await this.#hold(damaged);
    const { waiting, conflicts, held, bytes } = this.counts();
    this.#count(waiting + conflicts + held, bytes);
  }

  #hold(damaged: readonly number[]): Promise<void> {
    const reason: JournalReason = { code: 'DAMAGED', message: 'it is not what was written: its checksum differs' };
    return this.#database.transaction((transaction) => {
      const sql = "UPDATE entries SET state = 'HELD', reason = ?, endedAt = ? WHERE seq = ?";
      for (const seq of damaged) transaction.prepare(sql).run(JSON.stringify(reason), this.#now(), seq);
    });
  }

  #wait(entry: JournalEntry): Waiting {
    const { claimsOf } = this.#options;
    const { collection, image } = entry;
    const claims = image === null || claimsOf === undefined ? [] : claimsOf(collection, decodeDocument(image));
    const before = entry.after === null ? undefined : this.waiting.ofSeq(entry.after);
    const waiting = new Waiting(entry.seq, entry, claims, before);
    this.waiting.add(waiting);
    return waiting;
  }

  async #end(waiting: Waiting, state: JournalState, version: number | null, reason: string | null): Promise<void> {
    const done = state === JournalState.REPLAYED || state === JournalState.DISCARDED;
    await this.#database.transaction((transaction) => {
      const sql =
        "UPDATE entries SET state = ?, version = ?, reason = ?, endedAt = ? WHERE seq = ? AND state = 'WAITING'";
      const { changes } = transaction.prepare(sql).run(state, version, reason, this.#now(), waiting.seq);
      transaction.onCommit(() => {
        this.waiting.remove(waiting);
        if (done && Number(changes) > 0) this.#count(-1, -waiting.bytes);
      });
    });
  }

  #row(sql: string, value: string | number): JournalRow | undefined {
    return this.#database.reader.prepare(sql).get(value) as unknown as JournalRow | undefined;
  }

  #count(entries: number, bytes: number): void {
    this.#entries += entries;
    this.#bytes += bytes;
  }

  #requireRoom(entries: number, bytes: number): void {
    const { maxEntries = 100_000, maxBytes = 2 ** 30 } = this.#options;
    if (this.#entries + entries > maxEntries) throw full(`it has ${this.#entries} of at most ${maxEntries} entries`);
    if (this.#bytes + bytes > maxBytes) throw full(`it has ${this.#bytes} of at most ${maxBytes} bytes`);
  }
}

function already({ seq, state }: JournalEntry): HoldfastError {
  return new HoldfastError('CONFLICT', `entry ${seq} of the journal is ${state} already`);
}

function waitingEntry(seq: number, draft: JournalDraft): JournalEntry {
  const { WAITING: state } = JournalState;
  return { ...draft, ...{ seq, state, approved: false, version: null, reason: null, endedAt: null } };
}

/** Refuses a write because the journal cannot take it: nothing of it is kept. */
export function full(reason: string, cause?: unknown): HoldfastError {
  return new HoldfastError('JOURNAL_FULL', `the journal takes no more writes: ${reason}`, {
    cause,
    details: { retryAfterMs: RETRY_AFTER_MS },
  });
}

function unwritten(cause: unknown): HoldfastError {
  if (cause instanceof HoldfastError && cause.code === 'JOURNAL_FULL') return cause;
  return full(cause instanceof Error ? cause.message : String(cause), cause);
}
