import { hash } from 'node:crypto';
import { HoldfastError } from '../errors.ts';
import type { DocumentText } from '../model/document.ts';
import type { Database, Transaction } from '../sqlite/database.ts';

/** How a conflict came about. */
export const ConflictKind = {
  /** A write that was made on an older version of its document. */
  WRITE: 'WRITE',
  /** A document that a former primary changed after another node was promoted. */
  DIVERGED: 'DIVERGED',
} as const;
export type ConflictKind = (typeof ConflictKind)[keyof typeof ConflictKind];

/** What was stored in the end. */
export const ConflictOutcome = {
  /** Nobody has decided: the current document stands. */
  OPEN: 'OPEN',
  /** The current document stays. */
  KEPT: 'KEPT',
  /** The proposed one took its place. */
  APPLIED: 'APPLIED',
  /** Another one did. */
  REPLACED: 'REPLACED',
} as const;
export type ConflictOutcome = (typeof ConflictOutcome)[keyof typeof ConflictOutcome];

/** Two states of a document of which one had to give way. Images are document text; null means that there was, or would be, no document. */
export interface Conflict {
  /** 32 hexadecimal digits, from what is in conflict: the same conflict is listed once. */
  readonly id: string;
  readonly kind: ConflictKind;
  readonly collection: string;
  /** Document text of the `_id`. */
  readonly document: DocumentText;
  /** When it was found, ms since 1970. */
  readonly at: number;
  /** The document that the write was made on; null when it is not known. */
  readonly base: DocumentText | null;
  readonly baseVersion: number | null;
  /** The document that was there; null for DIVERGED: it is at the new primary. */
  readonly current: DocumentText | null;
  /** Of DIVERGED the version that the former primary gave. */
  readonly currentVersion: number | null;
  /** What the write would have made of its base; null for a deletion. */
  readonly proposed: DocumentText | null;
  readonly outcome: ConflictOutcome;
  /** When it was decided, ms since 1970. */
  readonly resolvedAt: number | null;
}

/** A conflict as whoever meets it knows it. */
export type NewConflict = Omit<Conflict, 'id' | 'at' | 'outcome' | 'resolvedAt'> & {
  /** Default OPEN. */
  readonly outcome?: ConflictOutcome;
};

const SCHEMA = `CREATE TABLE IF NOT EXISTS conflicts (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  collection TEXT NOT NULL,
  document TEXT NOT NULL,
  at INTEGER NOT NULL,
  base TEXT,
  baseVersion INTEGER,
  current TEXT,
  currentVersion INTEGER,
  proposed TEXT,
  outcome TEXT NOT NULL,
  resolvedAt INTEGER
) STRICT`;
const COLUMNS =
  'id, kind, collection, document, at, base, baseVersion, current, currentVersion, proposed, outcome, resolvedAt';
const INSERT = `INSERT OR IGNORE INTO conflicts (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const LIST = `SELECT ${COLUMNS} FROM conflicts WHERE (outcome = 'OPEN' OR ?) AND number > coalesce((SELECT number FROM conflicts WHERE id = ?), 0)
  ORDER BY number LIMIT +?`;

/** The conflicts that this node met, kept in its data directory until somebody has decided, and after. They are not replicated. */
export class Conflicts {
  readonly #database: Database;
  readonly #now: () => number;

  private constructor(database: Database, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  static async open(database: Database, now: () => number = Date.now): Promise<Conflicts> {
    await database.transaction((transaction) => transaction.exec(SCHEMA));
    return new Conflicts(database, now);
  }

  /** Lists a conflict; durable when the promise resolves, with its id. Listing it again changes nothing. */
  add(conflict: NewConflict): Promise<string> {
    return this.#database.transaction((transaction) => this.addWithin(transaction, conflict));
  }

  /** {@link add} within a transaction of the database. */
  addWithin(transaction: Transaction, conflict: NewConflict): string {
    const { kind, collection, document, base, baseVersion, current, currentVersion, proposed } = conflict;
    const facts = JSON.stringify([kind, collection, document, baseVersion, currentVersion, proposed]);
    const id = hash('sha256', facts, 'hex').slice(0, 32);
    const { outcome = ConflictOutcome.OPEN } = conflict;
    const resolvedAt = outcome === ConflictOutcome.OPEN ? null : this.#now();
    transaction
      .prepare(INSERT)
      .run(
        ...[id, kind, collection, document, this.#now(), base, baseVersion],
        ...[current, currentVersion, proposed, outcome, resolvedAt],
      );
    return id;
  }

  /** Takes back what was listed before a write that then was not made. */
  async withdraw(id: string): Promise<void> {
    await this.#database.transaction((transaction) =>
      transaction.prepare('DELETE FROM conflicts WHERE id = ?').run(id),
    );
  }

  /** Oldest first: the open ones, or with `all` the decided ones too; at most `limit` after the one with the id `after`. */
  list(options: { readonly all: boolean; readonly limit: number; readonly after: string | null }): Conflict[] {
    const { all, limit, after } = options;
    return this.#database.reader.prepare(LIST).all(Number(all), after ?? '', limit) as unknown as Conflict[];
  }

  /** @throws NOT_FOUND */
  get(id: string): Conflict {
    const found = this.#database.reader.prepare(`SELECT ${COLUMNS} FROM conflicts WHERE id = ?`).get(id);
    if (found === undefined) throw new HoldfastError('NOT_FOUND', `there is no conflict with id ${id.slice(0, 64)}`);
    return found as unknown as Conflict;
  }

  /** Notes what was decided, and returns the conflict. @throws NOT_FOUND */
  async resolve(id: string, outcome: Exclude<ConflictOutcome, 'OPEN'>): Promise<Conflict> {
    await this.#database.transaction((transaction) =>
      transaction
        .prepare('UPDATE conflicts SET outcome = ?, resolvedAt = ? WHERE id = ?')
        .run(outcome, this.#now(), id),
    );
    return this.get(id);
  }
}
