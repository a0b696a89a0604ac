import { monitorEventLoopDelay } from 'node:perf_hooks';
import { MongoChangeLog } from '../../src/changelog/mongo-change-log.ts';
import { DrillProxy } from '../../src/fallback/drill/proxy.ts';
import { Fallback, type FallbackOptions } from '../../src/fallback/fallback.ts';
import type { Tier } from '../../src/fallback/tiers.ts';
import type { Document } from '../../src/model/document.ts';
import { connectMongo, type MongoConnectionOptions } from '../../src/store/mongo-connection.ts';
import { MongoStore } from '../../src/store/mongo-store.ts';
import type { Collection, CollectionSpec, FindCursor } from '../../src/store/store.ts';
import { databaseName } from './mongo-store.ts';
import type { TestServer } from './servers/server.ts';
import { openSqliteStore } from './sqlite-store.ts';

/** What the copy has, and the database. */
export const DOCUMENTS: readonly Document[] = Array.from({ length: 20 }, (_, _id) => ({ _id, name: `thing ${_id}` }));

export interface BenchOptions {
  /** Default: `things`. Each has {@link DOCUMENTS}. */
  readonly collections?: readonly string[];
  readonly connection?: MongoConnectionOptions;
  readonly fallback?: Partial<FallbackOptions>;
  /** Default true. */
  readonly hasCopy?: boolean;
}

/** A database behind a proxy that lets it fail, a copy of it, and the fallback between them. */
export interface FallbackBench extends AsyncDisposable {
  readonly fallback: Fallback;
  readonly proxy: DrillProxy;
  /** Of the database, through the proxy. */
  readonly url: string;
  /** The database's store without the fallback. */
  readonly store: MongoStore;
  /** A collection behind the fallback. Default `things`. */
  things(name?: string): Collection;
  /** A read of its own, and who answered it. */
  read(name?: string): Promise<Read>;
  /** Whether all of the database is kept from its callers, some operations, or nothing. */
  readonly state: string;
  /** Names of the scopes that are not closed. */
  readonly scopes: readonly string[];
}

/** One read. */
export interface Read {
  readonly source: 'DATABASE' | 'LIVE';
  readonly ms: number;
  /** How much of that the copy took itself. */
  readonly copyMs: number;
  readonly documents: number;
  /** By performance.now. */
  readonly endedMs: number;
}

export async function openBench(server: TestServer, options: BenchOptions = {}): Promise<FallbackBench> {
  const { collections = ['things'], hasCopy = true } = options;
  const specs: CollectionSpec[] = collections.map((name) => ({ name, indexes: [] }));
  await using parts = new AsyncDisposableStack();
  const url = new URL(server.urlOf(databaseName()));
  const target = { host: url.hostname, port: server.port };
  const proxy = parts.use(await DrillProxy.start({ target }));
  url.host = `127.0.0.1:${proxy.port}`;
  // Of a replica set too this one: the others are not behind the proxy.
  url.searchParams.set('directConnection', 'true');
  const connection = parts.use(await connectMongo(`${url}`, { reachMs: 5_000, ...options.connection }));
  const log = parts.use(await MongoChangeLog.open({ database: connection.database, keepMs: 0 }));
  const store = await MongoStore.open({ connection, log, collections: specs });
  parts.defer(() => store.close());
  const copy = parts.use(await openSqliteStore([{ name: 'things', indexes: [] }]));
  await copy.store.collection('things').insertMany(DOCUMENTS);
  for (const { name } of specs) await store.collection(name).insertMany(DOCUMENTS);
  // Its connections are made, and what it takes to make them is no fault.
  const [first = 'things'] = collections;
  await Promise.all(Array.from({ length: 50 }, () => store.collection(first).find({}).toArray()));
  const timed = new TimedCollection(copy.store.collection('things'));
  const live: Tier = {
    source: 'LIVE',
    store: { capabilities: copy.store.capabilities, collection: () => timed.collection, close: async () => {} },
    coverage: () => 'WHOLE',
    stalenessMs: () => 0,
    position: () => null,
  };
  const fallback = new Fallback({
    tiers: hasCopy ? [live] : [],
    rules: () => ({ entity: 'Thing', uniquePaths: [], requiredPaths: [], lists: 'REFUSE', masked: 'NULL' }),
    ...options.fallback,
  });
  parts.defer(() => fallback.stop());
  parts.defer(() => proxy.set());
  fallback.attach({ store, ping: (signal) => connection.ping(signal) });
  parts.defer(connection.onAway((reason) => fallback.lost(reason)));
  const owned = parts.move();
  return {
    ...{ fallback, proxy, url: `${url}`, store },
    things: (name = 'things') => fallback.store.collection(name),
    async read(name = 'things') {
      const request = fallback.request({}, () => {});
      timed.lastMs = 0;
      const since = performance.now();
      const { length } = await fallback.store.collection(name, request).find({}).toArray();
      const fromCopy = request.sources.summary(0, { epoch: 1, sequence: 0 }) !== undefined;
      const endedMs = performance.now();
      return {
        source: fromCopy ? 'LIVE' : 'DATABASE',
        ms: endedMs - since,
        copyMs: timed.lastMs,
        documents: length,
        endedMs,
      };
    },
    get state() {
      return fallback.status([]).state;
    },
    get scopes() {
      return fallback.status([]).scopes.flatMap(({ name, state }) => (state === 'CLOSED' ? [] : [name]));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A collection, and how long its last answer took: nothing comes between an answer and who looks. */
class TimedCollection {
  readonly collection: Collection;
  lastMs = 0;

  constructor(inner: Collection) {
    this.collection = Object.create(inner, {
      find: {
        value: (...args: Parameters<Collection['find']>): Pick<FindCursor, 'toArray'> => ({
          toArray: async () => {
            const since = performance.now();
            const found = await inner.find(...args).toArray();
            this.lastMs = performance.now() - since;
            return found;
          },
        }),
      },
    });
  }
}

/** Readers without pause. A read that fails, or finds other than all documents, fails {@link Readers.stop}. */
export interface Readers {
  readonly reads: readonly Read[];
  stop(): Promise<void>;
}

export function startReaders(bench: Pick<FallbackBench, 'read'>, count: number, pauseMs = 5): Readers {
  const reads: Read[] = [];
  let going = true;
  const reader = async (): Promise<void> => {
    while (going) {
      const read = await bench.read();
      if (read.documents !== DOCUMENTS.length) throw new Error(`a read found ${read.documents} documents`);
      reads.push(read);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  const all = Promise.all(Array.from({ length: count }, reader));
  all.catch(() => undefined);
  return {
    reads,
    async stop() {
      going = false;
      await all;
    },
  };
}

/** The value that `share` of the values do not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/**
 * How long this process stood still at most since then, in ms: a figure is a promise of the program, and not of a machine that is
 * busy with others.
 */
export class Standstill implements Disposable {
  readonly #delays = monitorEventLoopDelay({ resolution: 5 });

  constructor() {
    this.#delays.enable();
  }

  get ms(): number {
    return this.#delays.max / 1e6;
  }

  [Symbol.dispose](): void {
    this.#delays.disable();
  }
}
