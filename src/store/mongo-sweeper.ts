import type { Document } from '../model/document.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import { READ_OPTIONS } from './mongo-bson.ts';
import { METADATA, storedOf } from './mongo-document.ts';
import { coded } from './mongo-errors.ts';
import type { MongoStore } from './mongo-store.ts';
import type { MongoTable } from './mongo-table.ts';
import { inTurns } from './mongo-turns.ts';

/** Documents looked at in one step. */
const SLICE = 500;
/** How long what repetitions are answered from is kept, in ms: eight days, so that seven are promised whatever the clock. */
const MEMORY_MS = 8 * 24 * 3_600_000;
/** Younger tombstones stay in any case, in ms: no clock of a primary is that far behind, so a version given later is above theirs. */
const TOMBSTONE_MS = 3_600_000;

export interface MongoSweeperOptions {
  readonly store: MongoStore;
  /** How long a version may be pending before its writer is taken for dead, in ms. Default 5,000. */
  readonly pendingMs?: number | undefined;
  /** Pause between two sweeps in ms. Default 5,000. */
  readonly everyMs?: number | undefined;
  /** The time in ms since 1970. Default `Date.now`. */
  readonly clock?: (() => number) | undefined;
  readonly timers?: Pick<Clock, 'soon' | 'every'> | undefined;
  /** Told when a sweep failed; the next one tries again. */
  readonly onTrouble: (error: unknown) => void;
}

/**
 * Finishes what killed writers left behind, at once and from then on: versions that are pending for long are appended to the log in the
 * order of their time, and cleared. Any number of sweepers may run on one database.
 */
export class MongoSweeper implements AsyncDisposable {
  readonly #options: Pick<MongoSweeperOptions, 'store' | 'onTrouble'> & {
    readonly pendingMs: number;
    readonly clock: () => number;
  };
  readonly #stopTimer: () => void;
  #running: Promise<unknown> | undefined;
  #stopped = false;

  constructor(options: MongoSweeperOptions) {
    const { store, pendingMs = 5_000, everyMs = 5_000, clock = Date.now, timers = systemClock, onTrouble } = options;
    this.#options = { store, pendingMs, clock, onTrouble };
    timers.soon(() => this.#tick());
    this.#stopTimer = timers.every(everyMs, () => this.#tick());
  }

  /** Appends and clears what has been pending for too long; how many versions it were. */
  async sweep(): Promise<number> {
    const { store } = this.#options;
    let swept = 0;
    for (const name of store.collections()) swept += await this.#sweepTable(store.table(name));
    return swept;
  }

  /**
   * Removes tombstones whose entry has left the log (`logFloor` is the sequence of the oldest entry kept), and what was
   * remembered for repetitions that come no more.
   */
  async prune({ logFloor }: { readonly logFloor: number }): Promise<void> {
    const { store, clock } = this.#options;
    await store.writer.parts.memory.prune(clock() - MEMORY_MS);
    if (logFloor <= 1) return;
    for (const name of store.collections()) await this.#pruneTable(store.table(name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#stopTimer();
    await this.#running;
  }

  #tick(): void {
    if (this.#stopped) return;
    this.#running ??= this.sweep()
      .catch((error: unknown) => this.#options.onTrouble(error))
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #sweepTable(table: MongoTable): Promise<number> {
    const { store, clock, pendingMs } = this.#options;
    const { writer } = store;
    const path = `${METADATA}.pending.at`;
    let last: string | undefined;
    for (let swept = 0; !this.#stopped; ) {
      const filter: Document = { [path]: { $lt: clock() - pendingMs } };
      const found = await read(table, filter, path);
      const documents = found.map((raw) => storedOf(table.name, raw));
      const first = documents[0] && `${documents[0].id} ${documents[0].version}`;
      // What could not be cleared is found again: then there is nothing more to be done now.
      if (first === undefined || first === last) return swept;
      last = first;
      await writer.logging.help(table, documents);
      await writer.parts.clearer.flush();
      swept += documents.length;
      if (documents.length < SLICE) return swept;
    }
    return 0;
  }

  async #pruneTable(table: MongoTable): Promise<void> {
    const { store, clock } = this.#options;
    const path = `${METADATA}.deletedAt`;
    while (!this.#stopped) {
      const before = clock() - TOMBSTONE_MS;
      const filter: Document = { [path]: { $lt: before }, [`${METADATA}.pending`]: { $exists: false } };
      const tombstones = (await read(table, filter, path)).map((raw) => storedOf(table.name, raw));
      const { log } = store.writer.parts;
      const entries = await inTurns(tombstones, ({ id, version }) => log.entryOfVersion(table.name, id, version));
      const gone = tombstones.filter(({ version }, place) => entries[place] === undefined && version < before);
      if (gone.length === 0) return;
      const deletions = gone.map(({ _id, version }) => ({
        deleteOne: { filter: { _id, [`${METADATA}.version`]: version, [`${METADATA}.deleted`]: true } as Document },
      }));
      try {
        await table.raw.bulkWrite(deletions, { ordered: false });
      } catch (error) {
        throw coded(error, `remove tombstones of "${table.name}"`, 'READ');
      }
      // The oldest entries leave the log first: where one of these is there, so are those of younger ones.
      if (gone.length < tombstones.length || tombstones.length < SLICE) return;
    }
  }
}

/** The first documents that match, in the order of a path of the metadata. */
async function read(table: MongoTable, filter: Document, path: string): Promise<Document[]> {
  try {
    return await table.raw.find(filter, { ...READ_OPTIONS, sort: { [path]: 1 }, limit: SLICE }).toArray();
  } catch (error) {
    throw coded(error, `look through "${table.name}"`, 'READ');
  }
}
