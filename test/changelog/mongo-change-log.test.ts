import { describe, expect, it } from 'vitest';
import type { LogCache } from '../../src/changelog/log-cache.ts';
import type { EntryBatch } from '../../src/changelog/log-following.ts';
import { MongoChangeLog } from '../../src/changelog/mongo-change-log.ts';
import { chainHash, GENESIS_CHAIN, type LogEntry } from '../../src/model/change.ts';
import type { KeyedChange } from '../../src/store/outbox.ts';
import { chained, change } from '../support/entries.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';
import { MemoryLogServer, MemoryLogStorage } from '../support/memory-log-storage.ts';

const ALL = { maxChanges: 1_000, maxBytes: 1e9 };

const changes = [1, 2, 3, 4].map((number) => ({ ...change({ id: `"${number}"`, version: number }), digest: null }));

/** A log that somebody else writes to, and one here that follows it with `read` as its cache; nothing is read before it is told. */
async function follow(read: (real: readonly LogEntry[]) => ReturnType<LogCache['read']>) {
  const server = new MemoryLogServer();
  const counts = { reads: 0 };
  const storage = () => new MemoryLogStorage(server, () => Promise.resolve());
  const writer = await MongoChangeLog.over(storage());
  const clock = new ManualClock();
  const own = storage();
  const fromDatabase = own.read.bind(own);
  own.read = (...args) => {
    counts.reads += 1;
    return fromDatabase(...args);
  };
  const cache: LogCache = { offer: () => {}, close: async () => {}, read: () => read(server.history) };
  const log = await MongoChangeLog.over(own, { cache, clock });
  const batches: EntryBatch[] = [];
  log.onEntries((batch) => batches.push(batch));
  return { server, writer, log, clock, counts, seen: () => batches.flatMap(({ entries }) => entries) };
}

it('knows the end when it is asked for it, whoever appended and though nobody told', async () => {
  const { writer, log, seen } = await follow(async () => undefined);
  const entries = await writer.append(changes);
  expect(log.head().sequence).toBe(0);
  expect(await log.end()).toMatchObject({ sequence: 4, chain: entries.at(-1)?.chain });
  expect(log.head().sequence).toBe(4);
  expect(seen()).toEqual(entries);
  expect(await writer.end()).toEqual(log.head());
});

it('knows the end also behind changes that do not fit into one page', async () => {
  const { writer, log } = await follow(async () => undefined);
  await log.end();
  const image = JSON.stringify('x'.repeat(5 * 1024 * 1024));
  for (const id of ['"a"', '"b"', '"c"']) await writer.append([{ ...change({ id, image }), digest: null }]);
  expect(await log.end()).toMatchObject({ sequence: 3 });
});

describe('following by a cache', () => {
  it('takes what the cache has, when the database knows it', async () => {
    const { writer, log, clock, counts, seen } = await follow(async (real) => real);
    const entries = await writer.append(changes);
    log.poke(4);
    await clock.advance(1);
    expect([seen(), counts.reads]).toEqual([entries, 0]);
  });

  it('takes the first of it, and the rest from the database', async () => {
    const { writer, log, clock, seen } = await follow(async (real) => real.slice(0, 2));
    const entries = await writer.append(changes);
    log.poke(4);
    await clock.advance(1);
    expect(seen()).toEqual(entries);
  });

  const lies: Record<string, (real: readonly LogEntry[]) => ReturnType<LogCache['read']>> = {
    'is empty': async () => undefined,
    'has nothing new': async () => [],
    fails: async () => Promise.reject(new Error('gone')),
    'never answers': () => new Promise(() => {}),
    'begins too late': async (real) => real.slice(1),
    'has a gap': async (real) => real.filter(({ sequence }) => sequence !== 2),
    'has another order': async (real) => real.toReversed(),
    'has a wrong chain': async (real) => real.map((entry) => ({ ...entry, chain: 'f'.repeat(32) })),
    'has another field': async (real) => real.map((entry) => ({ ...entry, at: entry.at + 1 })),
    'has a wrong image': async (real) => real.map((entry) => ({ ...entry, image: '{"_id":"eve"}' })),
    'has lost an image': async (real) => real.map((entry) => ({ ...entry, image: null })),
    'has an older epoch': async () => chained(changes, 1, GENESIS_CHAIN, 0),
    'has a newer epoch that nobody began': async () => chained(changes, 1, GENESIS_CHAIN, 2),
    'remembers the database before it was restored': async () => chained(changes.toReversed()),
    'knows more than the database': async (real) => {
      const { chain = GENESIS_CHAIN } = real.at(-1) ?? {};
      const more = { ...change({ id: '"5"', version: 5 }), epoch: 1, sequence: 5 };
      return [...real, { ...more, chain: chainHash(chain, 1, 5, more) }];
    },
  };

  it.each(Object.entries(lies))('follows the database when the cache %s', async (_, read) => {
    const { writer, log, clock, seen } = await follow(read);
    const entries = await writer.append(changes);
    log.poke(4);
    await settle();
    await clock.advance(60);
    expect(seen()).toEqual(entries);
    expect(await log.read(0, ALL)).toEqual(entries);
    expect(log.head()).toEqual(writer.head());
  });
});

describe('trimming', () => {
  it.each(['before', 'after'])(
    'beyond the head of another process leaves it in the same history, %s the entries are removed',
    async (when) => {
      const server = new MemoryLogServer();
      const storage = new MemoryLogStorage(server, () => Promise.resolve());
      const clock = new ManualClock();
      const log = await MongoChangeLog.over(storage, { clock });
      const [first, second, third, fourth] = changes as [KeyedChange, KeyedChange, KeyedChange, KeyedChange];
      await log.append([first]);
      const other = await MongoChangeLog.over(storage, { clock });
      await other.append([second, third]);
      await storage.raiseFloor(3, (await storage.chainAt(2)) as string);
      if (when === 'after') await storage.removeBelow(3);
      await clock.advance(6_000);
      expect(await log.append([fourth])).toMatchObject([{ sequence: 4 }]);
      expect([log.generation, log.floor()]).toEqual([0, 3]);
      expect(await log.read(2, ALL)).toEqual(
        await other.read(2, ALL).then((entries) => [...entries, ...server.history.slice(3)]),
      );
    },
  );

  it('keeps what was not known for a while, whatever is asked for', async () => {
    const clock = new ManualClock();
    const log = await MongoChangeLog.over(new MemoryLogStorage(new MemoryLogServer(), () => Promise.resolve()), {
      clock,
    });
    const [first, second, third, fourth] = changes as [KeyedChange, KeyedChange, KeyedChange, KeyedChange];
    await log.append([first, second]);
    await clock.advance(30_000);
    await log.append([third]);
    expect(await log.trim(4)).toBe(0);
    await clock.advance(30_000);
    await log.append([fourth]);
    expect(await log.trim(4)).toBe(0);
    await clock.advance(10_000);
    expect(await log.trim(4)).toBe(0);
    await clock.advance(30_000);
    expect(await log.trim(4)).toBe(2);
    await clock.advance(60_000);
    expect(await log.trim(4)).toBe(1);
    expect([log.floor(), log.head().sequence]).toEqual([4, 4]);
  });
});

describe('a process that is stopped for as long as the log is kept', () => {
  it('does not believe an append whose place was trimmed meanwhile, and takes it away', async () => {
    const server = new MemoryLogServer();
    const storage = () => new MemoryLogStorage(server, () => Promise.resolve());
    const clock = new ManualClock();
    const [first, second, third, fourth] = changes as [KeyedChange, KeyedChange, KeyedChange, KeyedChange];
    const own = storage();
    const log = await MongoChangeLog.over(own, { clock, appendMs: 1e9 });
    const other = await MongoChangeLog.over(storage(), { clock, keepMs: 20_000 });
    await log.append([first]);
    const { promise: wakes, resolve: wake } = Promise.withResolvers<void>();
    const send = own.append.bind(own);
    own.append = async (...args) => {
      await wakes;
      return send(...args);
    };
    const unsure = log.append([second]);
    await clock.advance(4_000);
    await other.append([third]);
    await clock.advance(4_000);
    await other.append([fourth]);
    await clock.advance(30_000);
    expect(await other.trim(3)).toBe(2);
    wake();
    await expect(unsure).rejects.toMatchObject({ code: 'WRITE_OUTCOME_UNKNOWN' });
    expect([...server.entries.keys()]).toEqual([3]);
    expect(await log.append([second])).toMatchObject([{ sequence: 4 }]);
    expect(log.generation).toBe(0);
  });
});
