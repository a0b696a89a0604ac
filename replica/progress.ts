import { comparePositions, type Position } from '../src/model/position.ts';
import type { Database, Transaction } from '../src/sqlite/database.ts';
import { createMeta, readMeta, writeMeta } from '../src/sqlite/meta.ts';
import type { Task } from './state.ts';

/** What is known for good about this replica. */
export interface Facts {
  /** The copied log is that of a source: there is a cursor to resume from. */
  readonly joined: boolean;
  readonly proven: boolean;
  readonly task: Task | null;
  readonly forked: boolean;
  /**
   * From this sequence on the documents are the source's at the applied position; before it some may be ahead. The epoch is that of the
   * history they may be ahead in.
   */
  readonly settled: Position;
}

/** How far a task has come. Collections are worked off in the order of their names. */
export interface Load {
  /** The collection being worked on; those with a smaller name are done. Empty at the start. */
  readonly collection: string;
  /** Token of its next page; null for its start. */
  readonly next: string | null;
  /** Every page of `collection` is in. */
  readonly paged: boolean;
}

/** The SDL this replica serves, as its source gave it. */
export interface AdoptedSchema {
  readonly sdl: string;
  readonly sdlHash: string;
}

/** What became of a replica that was promoted. Durable with the first entry of its epoch. */
export interface Promoted {
  readonly epoch: number;
  /** Wall clock, ms since 1970. */
  readonly at: number;
  /** URLs of the nodes it followed: former primaries, to be told of the new epoch. */
  readonly primaries: readonly string[];
}

/** A replica that knows nothing. */
export const NEW_FACTS: Facts = {
  joined: false,
  proven: false,
  task: null,
  forked: false,
  settled: { epoch: 0, sequence: 0 },
};
/** A task at its start. */
export const LOAD_START: Load = { collection: '', next: null, paged: false };

interface Stored {
  readonly facts: Facts;
  readonly load: Load;
  readonly schema: AdoptedSchema | null;
  readonly asOf: number | null;
  readonly promoted: Promoted | null;
}

const NOTHING: Stored = { facts: NEW_FACTS, load: LOAD_START, schema: null, asOf: null, promoted: null };

/**
 * The replica's own durable facts, beside those of the store and the log. Written inside the transaction of the rows they speak of;
 * what is in memory follows the transaction, also when it is taken back.
 */
export class Progress {
  #now: Stored;

  private constructor(stored: Stored) {
    this.#now = stored;
  }

  static async open(database: Database): Promise<Progress> {
    const stored = await database.transaction((transaction) => {
      createMeta(transaction);
      const names = Object.keys(NOTHING) as (keyof Stored)[];
      const found = names.map((name) => [name, readMeta(transaction, keyOf(name))] as const);
      return Object.fromEntries(
        found.filter(([, text]) => text !== undefined).map(([name, text]) => [name, JSON.parse(String(text))]),
      );
    });
    const { facts } = stored;
    // Files were written without its epoch.
    if (typeof facts?.settled === 'number') facts.settled = { epoch: 0, sequence: facts.settled };
    return new Progress({ ...NOTHING, ...stored });
  }

  get facts(): Facts {
    return this.#now.facts;
  }

  get load(): Load {
    return this.#now.load;
  }

  /** Null until a source's SDL was adopted. */
  get schema(): AdoptedSchema | null {
    return this.#now.schema;
  }

  /** When this replica last knew that it was at its source's head, ms since 1970 by the wall clock; null when never. */
  get asOf(): number | null {
    return this.#now.asOf;
  }

  /** Null unless this replica was promoted and is a primary since. */
  get promoted(): Promoted | null {
    return this.#now.promoted;
  }

  /** Changes facts; `settled` never goes back but by a reset. */
  saveFacts(transaction: Transaction, facts: Partial<Facts>): void {
    this.#save(transaction, 'facts', { ...this.#now.facts, ...facts });
  }

  /** Moves `settled` forward to `position`; nothing is written when it is there already. */
  settle(transaction: Transaction, position: Position): void {
    if (comparePositions(position, this.#now.facts.settled) > 0) this.saveFacts(transaction, { settled: position });
  }

  saveLoad(transaction: Transaction, load: Load): void {
    this.#save(transaction, 'load', load);
  }

  saveSchema(transaction: Transaction, schema: AdoptedSchema): void {
    this.#save(transaction, 'schema', schema);
  }

  saveAsOf(transaction: Transaction, asOf: number): void {
    this.#save(transaction, 'asOf', asOf);
  }

  savePromoted(transaction: Transaction, promoted: Promoted | null): void {
    this.#save(transaction, 'promoted', promoted);
  }

  #save<Name extends keyof Stored>(transaction: Transaction, name: Name, value: Stored[Name]): void {
    const before = this.#now;
    writeMeta(transaction, keyOf(name), JSON.stringify(value));
    transaction.onRollback(() => {
      this.#now = before;
    });
    this.#now = { ...before, [name]: value };
  }
}

function keyOf(name: keyof Stored): string {
  return `replica.${name}`;
}
