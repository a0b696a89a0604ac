import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/errors.ts';
import { Fallback, type FallbackOptions } from '../../src/fallback/fallback.ts';
import type { Tier } from '../../src/fallback/tiers.ts';
import type { RefusedWrite } from '../../src/fallback/write-fallback.ts';
import type { Collection, FindCursor, Store, WriteResult } from '../../src/store/store.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { openSqliteStore } from '../support/sqlite-store.ts';

const ADA = { _id: 'a', name: 'Ada' };
const RULES = { entity: 'Thing', uniquePaths: [], requiredPaths: [], lists: 'REFUSE', masked: 'NULL' } as const;

const never = <T>(): Promise<T> => new Promise(() => {});

/** A database that can be away. */
class Database implements Store {
  readonly #inner: Store;
  /** What befalls calls of a collection; undefined: nothing. */
  fault: (collection: string) => Promise<never> | undefined = () => undefined;
  calls = 0;
  /** Of the last write. */
  options: unknown;

  constructor(inner: Store) {
    this.#inner = inner;
  }

  get capabilities() {
    return this.#inner.capabilities;
  }

  collection(name: string): Collection {
    const inner = this.#inner.collection('things');
    const call = <T>(run: () => Promise<T>): Promise<T> => {
      this.calls += 1;
      return this.fault(name) ?? run();
    };
    const write = <T>(args: readonly unknown[], run: () => Promise<T>): Promise<T> => {
      this.options = args.at(-1);
      return call(run);
    };
    return {
      name,
      findOne: (...args) => call(() => inner.findOne(...args)),
      find: (...args): FindCursor => ({
        toArray: () => call(() => inner.find(...args).toArray()),
        [Symbol.asyncIterator]: () => inner.find(...args)[Symbol.asyncIterator](),
      }),
      findGrouped: (...args) => call(() => inner.findGrouped(...args)),
      countDocuments: (...args) => call(() => inner.countDocuments(...args)),
      insertOne: (...args) => write(args, () => inner.insertOne(...args)),
      insertMany: (...args) => write(args, () => inner.insertMany(...args)),
      updateOne: (...args) => write(args, () => inner.updateOne(...args)),
      updateMany: (...args) => write(args, () => inner.updateMany(...args)),
      replaceOne: (...args) => write(args, () => inner.replaceOne(...args)),
      deleteOne: (...args) => write(args, () => inner.deleteOne(...args)),
      deleteMany: (...args) => write(args, () => inner.deleteMany(...args)),
    };
  }

  async ping(): Promise<void> {
    await this.fault('ping');
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  kill(): void {
    this.fault = () => Promise.reject(Object.assign(new Error('connection lost'), { name: 'MongoNetworkError' }));
  }

  hang(...collections: string[]): void {
    this.fault = (name) => (collections.length === 0 || collections.includes(name) ? never<never>() : undefined);
  }

  heal(): void {
    this.fault = () => undefined;
  }
}

async function setUp(options: Partial<FallbackOptions> = {}) {
  const fixture = await openSqliteStore([{ name: 'things', indexes: [] }]);
  const copy = await openSqliteStore([{ name: 'things', indexes: [] }]);
  for (const { store } of [fixture, copy]) await store.collection('things').insertOne(ADA);
  const database = new Database(fixture.store);
  const clock = new ManualClock();
  const live: Tier = {
    source: 'LIVE',
    store: {
      ...copy.store,
      capabilities: copy.store.capabilities,
      collection: () => copy.store.collection('things'),
      close: never,
    },
    coverage: () => 'WHOLE',
    stalenessMs: () => 70,
    position: () => ({ epoch: 1, sequence: 1 }),
  };
  const fallback = new Fallback({ tiers: [live], rules: () => RULES, clock, wallClock: () => clock.now(), ...options });
  const watched = { store: database, ping: () => database.ping() };
  const things = (name = 'things'): Collection => fallback.store.collection(name);
  return {
    ...{ database, clock, fallback, watched, things },
    async [Symbol.asyncDispose]() {
      fallback.stop();
      await Promise.all([fixture, copy].map((each) => each[Symbol.asyncDispose]()));
    },
  };
}

/** A call and how it ended, when it has. */
function watch<T>(call: Promise<T>) {
  const seen: { value?: T; error?: unknown; done: boolean } = { done: false };
  void call.then(
    (value) => Object.assign(seen, { value, done: true }),
    (error: unknown) => Object.assign(seen, { error, done: true }),
  );
  return seen;
}

describe('FallbackStore', () => {
  it('reads and writes in the database while that is well', async () => {
    await using bench = await setUp();
    bench.fallback.attach(bench.watched);
    expect(await bench.things().findOne({ _id: 'a' })).toEqual(ADA);
    expect(await bench.things().find({}).toArray()).toEqual([ADA]);
    expect(await bench.things().findGrouped('_id', ['a'], {})).toEqual([[ADA]]);
    expect(await bench.things().countDocuments({})).toBe(1);
    await bench.things().insertOne({ _id: 'b' });
    expect(bench.database.calls).toBe(5);
    expect(bench.fallback.status([])).toMatchObject({ state: 'CLOSED', incidents: [] });
  });

  it('answers a read that hangs from the copy at its deadline, and later ones at once', async () => {
    await using bench = await setUp();
    bench.fallback.attach(bench.watched);
    bench.database.hang();
    const first = watch(bench.things().countDocuments({}));
    await bench.clock.advance(390);
    expect(first.done).toBe(false);
    await bench.clock.advance(20);
    expect(first.value).toBe(1);
    // The database was asked at once, and did not answer either.
    await bench.clock.advance(420);
    expect(bench.fallback.status([]).state).toBe('OPEN');
    const { calls } = bench.database;
    expect(await bench.things().find({}).toArray()).toEqual([ADA]);
    expect(bench.database.calls).toBe(calls);
  });

  it('fails no read of 50 when the connections break, whatever they were doing', async () => {
    await using bench = await setUp();
    bench.fallback.attach(bench.watched);
    bench.database.hang();
    const hanging = Array.from({ length: 40 }, () => watch(bench.things().findOne({ _id: 'a' })));
    await bench.clock.advance(100);
    bench.database.kill();
    const broken = Array.from({ length: 10 }, () => watch(bench.things().findOne({ _id: 'a' })));
    await bench.clock.advance(0);
    // None waited for its own deadline: the breaker opened, and those in flight were rescued.
    expect([...hanging, ...broken].map(({ value }) => value)).toEqual(Array(50).fill(ADA));
    expect(bench.fallback.status([]).incidents[0]).toMatchObject({
      detectedMs: 0,
      reads: { LIVE: 50 },
      scopes: ['database'],
    });
  });

  it('is back on the database after a few probes, without a read having been one', async () => {
    await using bench = await setUp();
    bench.fallback.attach(bench.watched);
    bench.database.kill();
    for (let reads = 0; reads < 3; reads++) await bench.things().findOne({ _id: 'a' });
    const { calls } = bench.database;
    await bench.clock.advance(60_000);
    expect(bench.database.calls).toBe(calls);
    bench.database.heal();
    await bench.clock.advance(2_000);
    expect(bench.fallback.status([]).state).toBe('CLOSED');
    await bench.things().findOne({ _id: 'a' });
    expect(bench.database.calls).toBe(calls + 1);
    expect(bench.fallback.status([]).incidents[0]?.endedAt).not.toBeNull();
    expect(bench.clock.timers).toBeLessThanOrEqual(1);
  });

  it('keeps 199 collections on the database when one of 200 hangs', async () => {
    await using bench = await setUp();
    bench.fallback.attach(bench.watched);
    bench.database.hang('c7');
    const names = Array.from({ length: 200 }, (_, number) => `c${number}`);
    const read = (): ReturnType<typeof watch>[] => names.map((name) => watch(bench.things(name).findOne({ _id: 'a' })));
    for (let round = 0; round < 4; round++) {
      const reads = read();
      await bench.clock.advance(420);
      expect(reads.every(({ value }) => value === undefined)).toBe(false);
      expect(reads.filter(({ error }) => error !== undefined)).toEqual([]);
    }
    const { calls } = bench.database;
    const reads = read();
    await bench.clock.advance(0);
    expect(reads.every(({ done }) => done)).toBe(true);
    expect(bench.database.calls - calls).toBe(199);
    expect(bench.fallback.status([])).toMatchObject({ state: 'PARTLY', scopes: [{}, { name: 'c7:READ' }] });
    bench.database.heal();
    await bench.clock.advance(2_000);
    expect(bench.fallback.status([]).state).toBe('CLOSED');
  });

  it('gives back 10,000 mistakes of callers unchanged, and stays closed', async () => {
    await using bench = await setUp();
    bench.fallback.attach(bench.watched);
    const refusals = [
      Object.assign(new Error('E11000'), { name: 'MongoServerError', code: 11000 }),
      Object.assign(new Error('unknown operator'), { name: 'MongoServerError', code: 2 }),
      new HoldfastError('ALREADY_EXISTS', 'taken', { details: { fields: ['name'] } }),
      new HoldfastError('VALIDATION_FAILED', 'no'),
    ];
    for (let times = 0; times < 2_500; times++) {
      for (const refusal of refusals) {
        bench.database.fault = () => Promise.reject(refusal);
        await expect(bench.things().insertOne({ _id: 'x' })).rejects.toBe(refusal);
        if (times % 10 === 0) await expect(bench.things().findOne({})).rejects.toBe(refusal);
      }
    }
    expect(bench.fallback.status([])).toMatchObject({ state: 'CLOSED', incidents: [] });
  });

  it('gives one request one deadline for all its reads', async () => {
    await using bench = await setUp();
    bench.fallback.attach(bench.watched);
    bench.database.hang('slow');
    const request = bench.fallback.request({}, () => {});
    const first = watch(bench.fallback.store.collection('slow', request).findOne({ _id: 'a' }));
    await bench.clock.advance(410);
    expect(first.value).toEqual(ADA);
    const { calls } = bench.database;
    // Nothing is left: the copy answers at once, and the database is not blamed for it.
    expect(await bench.fallback.store.collection('slow', request).findOne({ _id: 'a' })).toEqual(ADA);
    expect(bench.database.calls).toBe(calls);
    expect(request.sources.summary(1_000, { epoch: 1, sequence: 5 })).toMatchObject({
      source: 'LIVE',
      stalenessMs: 70,
    });
  });

  it('waits longer for a read that nothing else can answer', async () => {
    await using bench = await setUp({ tiers: [] });
    bench.fallback.attach(bench.watched);
    bench.database.hang('things');
    const read = watch(bench.things().findOne({ _id: 'a' }));
    await bench.clock.advance(9_900);
    expect(read.done).toBe(false);
    await bench.clock.advance(200);
    expect(read.error).toMatchObject({ code: 'DATABASE_UNAVAILABLE', details: { retryAfterMs: 1_000 } });
  });

  it('ends a read with its request', async () => {
    await using bench = await setUp();
    bench.fallback.attach(bench.watched);
    bench.database.hang();
    const gone = new AbortController();
    const read = watch(bench.things().findOne({}, { signal: gone.signal }));
    gone.abort(new Error('client gone'));
    await bench.clock.advance(0);
    expect(read.error).toMatchObject({ message: 'client gone' });
    expect(bench.fallback.status([]).incidents).toEqual([]);
  });

  it('refuses writes at once while the database is away', async () => {
    await using bench = await setUp();
    bench.fallback.attach(bench.watched);
    bench.fallback.force({}, 'OPEN');
    const { calls } = bench.database;
    const refused = { code: 'DATABASE_UNAVAILABLE', details: { retryAfterMs: 1_000 } };
    await expect(bench.things().updateOne({ _id: 'a' }, { $set: { n: 1 } })).rejects.toMatchObject(refused);
    await expect(bench.things().insertMany([{ _id: 'b' }])).rejects.toMatchObject(refused);
    await expect(bench.things().deleteMany({})).rejects.toMatchObject(refused);
    expect(bench.database.calls).toBe(calls);
    expect(bench.fallback.status([]).incidents[0]).toMatchObject({ writesRefused: 3, endedAt: null });
    bench.fallback.release({});
    expect((await bench.things().deleteOne({ _id: 'a' })).matchedCount).toBe(1);
  });

  it('says of a write without an answer that its outcome is not known', async () => {
    await using bench = await setUp();
    bench.fallback.attach(bench.watched);
    bench.database.hang();
    const write = watch(bench.things().insertOne({ _id: 'b' }));
    await bench.clock.advance(790);
    expect(write.done).toBe(false);
    await bench.clock.advance(20);
    expect(write.error).toMatchObject({ code: 'WRITE_OUTCOME_UNKNOWN' });
  });

  it.each<[string, (things: Collection) => Promise<unknown>]>([
    ['insertOne', (things) => things.insertOne({ _id: 'b' })],
    ['insertMany', (things) => things.insertMany([{ _id: 'b' }])],
    ['updateOne', (things) => things.updateOne({ _id: 'a' }, { $set: { n: 2 } })],
    ['updateMany', (things) => things.updateMany({}, { $set: { n: 2 } })],
    ['replaceOne', (things) => things.replaceOne({ _id: 'a' }, { n: 2 })],
    ['deleteOne', (things) => things.deleteOne({ _id: 'a' })],
    ['deleteMany', (things) => things.deleteMany({})],
  ])('gives the store of %s the means to give up', async (_method, write) => {
    await using bench = await setUp();
    bench.fallback.attach(bench.watched);
    await write(bench.things());
    expect(bench.database.options).toMatchObject({ signal: expect.any(AbortSignal) });
  });

  it('adds to a refusal of the store when to come again', async () => {
    await using bench = await setUp();
    bench.fallback.attach(bench.watched);
    bench.database.fault = () => Promise.reject(new HoldfastError('DATABASE_UNAVAILABLE', 'nobody there'));
    await expect(bench.things().insertOne({ _id: 'b' })).rejects.toMatchObject({
      code: 'DATABASE_UNAVAILABLE',
      message: 'nobody there',
      details: { retryAfterMs: 1_000 },
    });
  });

  it('offers writes that the database did not take to who takes them', async () => {
    const offered: RefusedWrite[] = [];
    const result = { matchedCount: 1, repeated: false, journalId: '1' } as unknown as WriteResult;
    const take = (write: RefusedWrite) => {
      offered.push(write);
      return write.method === 'insertOne' ? Promise.resolve(result) : undefined;
    };
    await using bench = await setUp({ writes: { take } });
    bench.fallback.lost('not there');
    expect(await bench.things().insertOne({ _id: 'b' }, { ifVersion: 3 })).toBe(result);
    await expect(bench.things().deleteOne({ _id: 'b' })).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(offered[0]).toMatchObject({ collection: 'things', method: 'insertOne', arguments: [{ _id: 'b' }] });
    expect(bench.fallback.status([]).incidents[0]).toMatchObject({ writesJournaled: 1, writesRefused: 1 });
  });

  it('answers from the copy before the database was ever reached, and goes there once it is', async () => {
    await using bench = await setUp();
    bench.fallback.lost('the database could not be reached at the start');
    expect(await bench.things().find({}).toArray()).toEqual([ADA]);
    await expect(bench.things().insertOne({ _id: 'b' })).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(bench.fallback.store.capabilities.server).toMatch(/^SQLite/);
    await bench.clock.advance(30_000);
    bench.fallback.attach(bench.watched);
    await bench.clock.advance(1_000);
    await bench.things().insertOne({ _id: 'b' });
    expect(bench.fallback.problems()).toEqual([]);
  });

  it('brings to the database what waited for it before it writes there again', async () => {
    const recovered: unknown[] = [];
    let end: (() => void) | undefined;
    const recover = (scope: unknown): Promise<void> => {
      recovered.push(scope);
      return new Promise((done) => {
        end = done;
      });
    };
    await using bench = await setUp({ recover });
    bench.fallback.attach(bench.watched);
    bench.fallback.lost('away');
    await bench.clock.advance(1_000);
    expect(recovered).toEqual([{}]);
    await expect(bench.things().insertOne({ _id: 'b' })).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    end?.();
    await bench.clock.advance(0);
    await bench.things().insertOne({ _id: 'b' });
  });

  it('tells in a sentence what is wrong', async () => {
    await using bench = await setUp();
    bench.fallback.lost('it hangs');
    expect(bench.fallback.problems()).toEqual([
      'the database does not answer since 1970-01-01T00:00:00.000Z (database): it hangs',
    ]);
  });
});
