import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { AdoptedSchema } from '../../replica/progress.ts';
import { Replica, type ReplicaOptions, type SourceAddress } from '../../replica/replica.ts';
import { SqliteChangeLog } from '../../src/changelog/sqlite-change-log.ts';
import { HoldfastError } from '../../src/errors.ts';
import type { Document } from '../../src/model/document.ts';
import type { SyncSource } from '../../src/protocol/sync-source.ts';
import { PrimarySource } from '../../src/replication/source.ts';
import { Database } from '../../src/sqlite/database.ts';
import { SqliteStore } from '../../src/store/sqlite-store.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { type Clock, systemClock } from '../../src/util/clock.ts';
import { eventually } from '../support/eventually.ts';

export const COLLECTIONS = [
  { name: 'teachers', indexes: [{ name: 'name', paths: ['name'], unique: false }] },
  { name: 'schools', indexes: [] },
] as const;
const NAMES = COLLECTIONS.map(({ name }) => name);
export const SCHEMA = { sdl: 'type Teacher @entity { id: ID! @id }', sdlHash: 'a'.repeat(32) };

/** A primary in a directory of its own. */
export class Primary {
  readonly database: Database;
  readonly log: SqliteChangeLog;
  readonly store: SqliteStore;
  readonly source: PrimarySource;

  private constructor(database: Database, log: SqliteChangeLog, store: SqliteStore) {
    this.database = database;
    this.log = log;
    this.store = store;
    this.source = new PrimarySource({ log, rows: store, schema: SCHEMA, collections: NAMES });
  }

  static async open(directory: string): Promise<Primary> {
    const database = Database.open({ directory: join(directory, 'primary') });
    const log = await SqliteChangeLog.open(database);
    const store = await SqliteStore.open({ database, outbox: log, collections: COLLECTIONS });
    return new Primary(database, log, store);
  }

  async write(id: number, fields: Document = {}, collection = 'teachers'): Promise<void> {
    const table = this.store.collection(collection);
    const result = await table.updateOne({ _id: id }, { $set: { name: `teacher ${id}`, ...fields } });
    if (result.matchedCount === 0) await table.insertOne({ _id: id, name: `teacher ${id}`, ...fields });
  }

  async insert(from: number, count: number, collection = 'teachers'): Promise<void> {
    const documents = Array.from({ length: count }, (_, n) => ({
      _id: from + n,
      name: `teacher ${from + n}`,
      pad: 'x'.repeat(100),
    }));
    for (let start = 0; start < count; start += 500)
      await this.store.collection(collection).insertMany(documents.slice(start, start + 500));
  }

  async delete(id: number, collection = 'teachers'): Promise<void> {
    await this.store.collection(collection).deleteOne({ _id: id });
  }

  async close(): Promise<void> {
    this.source.stop();
    await this.database.close();
  }
}

/** A source that can be cut, and counts. */
export class Wire {
  /** Makes pages and frames smaller than the replica asks for. */
  pageRows = 1_000;
  frameChanges = 500;
  /** Connections refused while true. */
  down = false;
  connects = 0;
  calls: Record<string, number> = {};
  /** Called before each call; may throw. */
  before: (call: string, args: readonly unknown[]) => unknown = () => undefined;
  /** Changes a source's answers on the way; null drops a frame. May be asynchronous. */
  alter: (call: string, answer: unknown) => unknown = (_call, answer) => answer;
  readonly #target: () => SyncSource;
  #cuts = new Set<() => void>();

  constructor(target: () => SyncSource) {
    this.#target = target;
  }

  get address(): SourceAddress {
    return { name: 'ws://primary', connect: async () => this.#connect() };
  }

  /** Breaks every connection. */
  cut(): void {
    for (const cut of this.#cuts) cut();
  }

  #connect(): SyncSource & { close(): void } {
    this.connects += 1;
    if (this.down) throw new HoldfastError('PRIMARY_UNREACHABLE', 'connection refused');
    const gone = new AbortController();
    const cut = (): void => gone.abort();
    this.#cuts.add(cut);
    const target = this.#target();
    const lost = (): HoldfastError => new HoldfastError('PRIMARY_UNREACHABLE', 'connection lost');
    const call = async (name: string, args: readonly unknown[], work: () => Promise<unknown>): Promise<never> => {
      this.calls[name] = (this.calls[name] ?? 0) + 1;
      await this.before(name, args);
      if (gone.signal.aborted) throw lost();
      const answer = await work();
      if (gone.signal.aborted) throw lost();
      return (await this.alter(name, answer)) as never;
    };
    const wire = this;
    return {
      hello: (...args) => call('hello', args, () => target.hello(...args)),
      async *changes(cursor, shape, limits, signal) {
        await wire.before('changes', [cursor]);
        for await (const frame of target.changes(
          cursor,
          shape,
          { ...limits, maxBatch: wire.frameChanges },
          AbortSignal.any([signal, gone.signal]),
        )) {
          await wire.before('frame', [frame]);
          const altered = (await wire.alter('frame', frame)) as typeof frame | null;
          if (altered !== null) yield altered;
        }
        throw lost();
      },
      snapshot: (collection, after) =>
        call('snapshot', [collection, after], () => target.snapshot(collection, after, this.pageRows)),
      digests: (...args) => call('digests', args, () => target.digests(...args)),
      buckets: (...args) => call('buckets', args, () => target.buckets(...args)),
      bucketRows: (...args) => call('bucketRows', args, () => target.bucketRows(...args)),
      rows: (...args) => call('rows', args, () => target.rows(...args)),
      chain: (...args) => call('chain', args, () => target.chain(...args)),
      ack: (...args) => call('ack', args, () => target.ack(...args)),
      close: () => {
        this.#cuts.delete(cut);
        gone.abort();
      },
    };
  }
}

/** A replica over its directory: opened, running. */
export class Follower {
  readonly database: Database;
  readonly log: SqliteChangeLog;
  readonly replica: Replica;
  readonly stores: SqliteStore[];

  private constructor(database: Database, log: SqliteChangeLog, replica: Replica, stores: SqliteStore[]) {
    this.database = database;
    this.log = log;
    this.replica = replica;
    this.stores = stores;
  }

  static async open(
    directory: string,
    sources: readonly SourceAddress[],
    options: Partial<ReplicaOptions> & { readonly admit?: (schema: AdoptedSchema) => void } = {},
  ): Promise<Follower> {
    const database = Database.open({ directory: join(directory, 'replica') });
    const log = await SqliteChangeLog.open(database);
    const stores: SqliteStore[] = [];
    const { admit = () => undefined, ...rest } = options;
    const replica = await Replica.open({
      name: 'r1',
      sources,
      database,
      log,
      logger: createLogger({ level: 'silent' }),
      random: () => 0,
      prepare: async (schema) => {
        admit(schema);
        const store = await SqliteStore.open({ database, outbox: log, collections: COLLECTIONS });
        stores.push(store);
        return { store, collections: NAMES };
      },
      ...rest,
    });
    void replica.run();
    return new Follower(database, log, replica, stores);
  }

  get store(): SqliteStore {
    return this.stores.at(-1) as SqliteStore;
  }

  /** Waits until it is live and has everything the primary has. */
  async caughtUp(primary: Primary, timeoutMs?: number): Promise<void> {
    const isThere = () => {
      const { state } = this.replica.status();
      return state === 'LIVE' && this.log.head().sequence === primary.log.head().sequence;
    };
    const what = `live at ${primary.log.head().sequence}; was ${JSON.stringify(this.replica.status())}`;
    await eventually(what, isThere, timeoutMs);
  }

  /** What a crash at this moment would leave on disk, in a directory of its own. Everything writes in this thread: nothing is half done. */
  static image(directory: string, copy: string): string {
    mkdirSync(join(copy, 'replica'), { recursive: true });
    for (const file of ['holdfast.db', 'holdfast.db-wal']) {
      const path = join(directory, 'replica', file);
      if (existsSync(path)) copyFileSync(path, join(copy, 'replica', file));
    }
    return copy;
  }

  async close(): Promise<void> {
    await this.replica.stop();
    await this.database.close();
  }
}

/** A primary with `count` teachers, a wire to it, and a replica that caught up. */
export async function pair(directory: string, count: number, options: Partial<ReplicaOptions> = {}) {
  const primary = await Primary.open(directory);
  if (count > 0) await primary.insert(0, count);
  const wire = new Wire(() => primary.source);
  const follower = await Follower.open(directory, [wire.address], options);
  await follower.replica.ready;
  await follower.caughtUp(primary);
  return { primary, wire, follower };
}

/** Every document with its version, as the store holds it. */
export function contents(store: SqliteStore): Record<string, string> {
  const all: Record<string, string> = {};
  for (const name of NAMES) {
    for (let after: string | null = null, done = false; !done; ) {
      const page: ReturnType<SqliteStore['page']> = store.page(name, after, 1_000, 4_000_000);
      for (const { id, version, text } of page.rows) all[`${name} ${id}`] = `${version} ${text}`;
      after = page.next;
      done = after === null;
    }
  }
  return all;
}

/** The machine's clock, fifty times as impatient. */
export const impatientClock: Clock = { ...systemClock, after: (ms, task) => systemClock.after(ms / 50, task) };
