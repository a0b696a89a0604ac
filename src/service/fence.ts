import type { SqliteChangeLog } from '../changelog/sqlite-change-log.ts';
import { HoldfastError } from '../errors.ts';
import type { Database } from '../sqlite/database.ts';
import { createMeta, readMeta, writeMeta } from '../sqlite/meta.ts';

/** What a former primary knows about its successor. Durable. */
export interface Fenced {
  /** The higher epoch. */
  readonly epoch: number;
  /** When it was heard of, wall clock in ms since 1970. */
  readonly at: number;
  /** First sequence of the epoch after ours: changes here from there on are in no other history. */
  readonly from: number;
}

export interface FenceOptions {
  /** In the data directory. */
  readonly database: Database;
  /** The log of record, when it is in `database`: sealed together with the fact. */
  readonly log?: SqliteChangeLog | undefined;
  /** Wall clock in ms. Default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

const KEY = 'primary.fenced';

/**
 * Whether this primary was replaced: a higher epoch of its database was seen. For good: only a new epoch of its own, or following
 * the new primary, ends it. src/replication/SPEC.md section 8.
 */
export class Fence {
  readonly #options: FenceOptions;
  #state: Fenced | undefined;
  /** As it is on the disk. */
  #stored: Fenced | undefined;
  /** Writes under way, and when the last of them ends. */
  #writes = 0;
  #ended = Promise.withResolvers<void>();

  private constructor(options: FenceOptions, state: Fenced | undefined) {
    this.#options = options;
    this.#state = state;
    this.#stored = state;
  }

  /** Reads what is stored. */
  static async open(options: FenceOptions): Promise<Fence> {
    const { database, log } = options;
    const text = await database.transaction((transaction) => {
      createMeta(transaction);
      return readMeta(transaction, KEY);
    });
    const state = text === undefined ? undefined : (JSON.parse(String(text)) as Fenced);
    // A log that began an epoch of its own since has no fence any more.
    const isOver = state !== undefined && log !== undefined && log.sealedBy() === null;
    return new Fence(options, isOver ? undefined : state);
  }

  /** Undefined while this node is a primary like any other. */
  get state(): Fenced | undefined {
    return this.#state;
  }

  /**
   * A higher epoch was seen. From the call on writes are refused; what was begun before is in the log when the promise resolves, and
   * nothing comes after it. Resolves with whether anything new was learnt.
   */
  async raise(epoch: number, from: number): Promise<boolean> {
    const before = this.#stored;
    if (before !== undefined && before.epoch >= epoch) return false;
    const { database, log, now = Date.now } = this.#options;
    const state: Fenced = {
      epoch: Math.max(before?.epoch ?? 0, epoch),
      at: before?.at ?? now(),
      from: Math.min(before?.from ?? from, from),
    };
    this.#state = state;
    await database.transaction((transaction) => {
      writeMeta(transaction, KEY, JSON.stringify(state));
      log?.seal(transaction, state.epoch);
    });
    this.#stored = state;
    return true;
  }

  /** Begins a write, which ends when what is returned is disposed of. @throws FENCED */
  begin(): Disposable {
    this.requireOpen();
    if (this.#writes++ === 0) this.#ended = Promise.withResolvers();
    return {
      [Symbol.dispose]: () => {
        if (--this.#writes === 0) this.#ended.resolve();
      },
    };
  }

  /** Resolves when no write is under way. Once fenced none begins any more: what was acknowledged is in the log then. */
  async idle(): Promise<void> {
    while (this.#writes > 0) await this.#ended.promise;
  }

  /** @throws FENCED */
  requireOpen(): void {
    if (this.#state === undefined) return;
    const { epoch } = this.#state;
    throw new HoldfastError(
      'FENCED',
      `this node is a former primary, fenced by epoch ${epoch}: nothing was written; send the write to the primary of that epoch`,
      { details: { epoch } },
    );
  }
}
