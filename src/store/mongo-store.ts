import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../errors.ts';
import type { Document } from '../model/document.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import { failpoint } from '../util/failpoint.ts';
import { HybridClock } from './hybrid-clock.ts';
import { MongoClearer } from './mongo-clearer.ts';
import { MongoCollection } from './mongo-collection.ts';
import type { MongoConnection } from './mongo-connection.ts';
import { MongoDurable } from './mongo-durable.ts';
import { prepareIndexes } from './mongo-indexes.ts';
import { MongoMemory } from './mongo-memory.ts';
import type { MongoTable } from './mongo-table.ts';
import { MongoWriter } from './mongo-writer.ts';
import type { LogAppender } from './outbox.ts';
import type { Collection, CollectionSpec, Store, StoreCapabilities } from './store.ts';

export interface MongoStoreOptions {
  /** Stays its opener's: closing the store does not close it. */
  readonly connection: MongoConnection;
  /** The log of the same database; stays its opener's too. */
  readonly log: LogAppender;
  readonly collections: readonly CollectionSpec[];
  /** The time in ms since 1970. Default `Date.now`. */
  readonly clock?: (() => number) | undefined;
  /** Where clearing later is put off. Default: the machine's. */
  readonly timers?: Pick<Clock, 'after'> | undefined;
  /** Bound of each command of a write in ms; bulk writes get 10 ms more per document. Default 800. */
  readonly writeMs?: number | undefined;
  /** Deletions leave their tombstone only until they are in the log: see SPEC.md. Default false. */
  readonly briefTombstones?: boolean | undefined;
  /** Pause in ms before versions that were logged are cleared in their documents. Default 1,000. */
  readonly clearMs?: number | undefined;
  /**
   * Called after each step of a write, by name: `write.afterRead`, `write.afterHelp`, `write.afterWrite`, `write.afterAppend`, and the same
   * for `bulk`. What it throws ends the write there, as a crash would. Default: {@link failpoint}.
   */
  readonly step?: ((name: string) => void) | undefined;
  /** Called when an index that only makes reads faster could not be built. Default: nothing. */
  readonly onTrouble?: ((error: unknown) => void) | undefined;
}

/** The store on MongoDB, by the steps of SPEC.md: no transactions, no change streams, any number of primaries on one database. */
export class MongoStore implements Store {
  readonly capabilities: StoreCapabilities;
  readonly #writer: MongoWriter;
  readonly #tables: ReadonlyMap<string, MongoTable>;
  readonly #collections: ReadonlyMap<string, MongoCollection>;
  readonly #building: Promise<unknown>;

  private constructor(
    capabilities: StoreCapabilities,
    writer: MongoWriter,
    tables: readonly MongoTable[],
    building: Promise<unknown>,
  ) {
    this.capabilities = capabilities;
    this.#writer = writer;
    this.#tables = new Map(tables.map((table) => [table.name, table]));
    this.#collections = new Map(tables.map((table) => [table.name, new MongoCollection(table, writer)]));
    this.#building = building;
  }

  /**
   * Opens the store and creates the indexes that are missing. Collections that hold data already are taken as they are: a document
   * has version 1 until it is first written.
   * @throws ALREADY_EXISTS when documents break a new unique index (`collection`, `index`, `fields`, `values`); DATABASE_UNAVAILABLE
   */
  static async open(options: MongoStoreOptions): Promise<MongoStore> {
    const { connection, log, collections, clock = Date.now, timers = systemClock, step = failpoint } = options;
    const { writeMs = 800, clearMs = 1_000, briefTombstones: brief = false, onTrouble = () => {} } = options;
    const { database, capabilities } = connection;
    const memory = new MongoMemory(database, clock);
    await memory.prepare();
    const tables: MongoTable[] = [];
    const building: Promise<void>[] = [];
    for (const spec of collections) {
      const raw = database.collection<Document>(spec.name);
      const prepared = await prepareIndexes(raw, spec);
      building.push(prepared.building.catch(onTrouble));
      const uniquePaths = spec.indexes.filter(({ unique }) => unique).flatMap(({ paths }) => paths);
      tables.push({
        name: spec.name,
        raw,
        uniquePaths: uniquePaths.filter((path) => path !== '_id'),
        uniqueIndexes: prepared.uniqueIndexes,
        tombstones: { brief, filled: prepared.filled },
      });
    }
    const clearer = new MongoClearer((ms, task) => timers.after(ms, task), clearMs);
    // A forgotten tombstone is the only version that `max(previous + 1, now)` could fall behind: see the sweeper.
    const versions = new HybridClock(clock, () => 0);
    const parts = {
      log,
      memory,
      durable: new MongoDurable(database, connection.durableLevel),
      clearer,
      clock: versions,
      deadlineMs: writeMs,
      step,
      pause: (ms: number) => sleep(ms),
    };
    return new MongoStore(capabilities, new MongoWriter(parts), tables, Promise.all(building));
  }

  collection(name: string): Collection {
    const collection = this.#collections.get(name);
    if (collection === undefined) throw unknownCollection(name);
    return collection;
  }

  /** Names of the collections, in the order they were given. */
  collections(): readonly string[] {
    return [...this.#tables.keys()];
  }

  /** What the sweeper, the scrub and the rows work with. */
  get writer(): MongoWriter {
    return this.#writer;
  }

  /** @throws INTERNAL_SERVER_ERROR for a name that was not given at the start */
  table(name: string): MongoTable {
    const table = this.#tables.get(name);
    if (table === undefined) throw unknownCollection(name);
    return table;
  }

  /** Versions given from now on are above `version`, which somebody else gave. */
  raise(version: number): void {
    this.#writer.parts.clock.raise(version);
  }

  /** Waits for indexes under construction, and clears what was logged. */
  async close(): Promise<void> {
    await this.#building;
    await this.#writer.parts.clearer.close();
  }
}

function unknownCollection(name: string): HoldfastError {
  return new HoldfastError('INTERNAL_SERVER_ERROR', `the store was opened without a collection "${name}"`);
}
