import type { Database, Transaction } from '../src/sqlite/database.ts';
import { createMeta, readMeta, writeMeta } from '../src/sqlite/meta.ts';

/** What is known for good about a live copy. */
export interface CopyFacts {
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

const NOTHING: CopyFacts = {
  joined: false,
  complete: false,
  loading: [],
  next: null,
  over: false,
  settled: 0,
  known: null,
};
const KEY = 'copy';

/** The durable facts of a live copy, beside its rows and its log. Written inside the transaction of the rows they speak of, and taken back with it. */
export class CopyProgress {
  #facts: CopyFacts;

  private constructor(facts: CopyFacts) {
    this.#facts = facts;
  }

  static async open(database: Database): Promise<CopyProgress> {
    const text = await database.transaction((transaction) => {
      createMeta(transaction);
      return readMeta(transaction, KEY);
    });
    return new CopyProgress(
      text === undefined ? NOTHING : { ...NOTHING, ...(JSON.parse(String(text)) as Partial<CopyFacts>) },
    );
  }

  get facts(): CopyFacts {
    return this.#facts;
  }

  /** Changes facts; `settled` goes back only for a copy that joins its source. */
  save(transaction: Transaction, change: Partial<CopyFacts>): void {
    const before = this.#facts;
    const settled = Math.max(before.settled, change.settled ?? 0);
    this.#facts = { ...before, ...change, settled: change.joined === true ? (change.settled ?? 0) : settled };
    writeMeta(transaction, KEY, JSON.stringify(this.#facts));
    transaction.onRollback(() => {
      this.#facts = before;
    });
  }
}
