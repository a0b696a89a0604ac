import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/errors.ts';
import { Journal } from '../../src/fallback/journal.ts';
import type { JournalEntry } from '../../src/fallback/journal-entry.ts';
import { Replay, type ReplayBase, type ReplayedWrite, type ReplayOptions } from '../../src/fallback/replay.ts';
import { journalDraft } from '../support/journal-draft.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { seededRandom } from '../support/random.ts';

const away = (): HoldfastError => new HoldfastError('DATABASE_UNAVAILABLE', 'away');

async function setUp(options: Partial<ReplayOptions> = {}) {
  const journal = await Journal.open({ directory: ':memory:' });
  const clock = new ManualClock();
  const tried: string[] = [];
  const bench = {
    ...{ journal, clock, tried },
    isOpen: true,
    write: async (_entry: JournalEntry, _base: ReplayBase): Promise<ReplayedWrite> => ({ version: 1 }),
  };
  const trouble: unknown[] = [];
  const replay = new Replay({
    ...{ journal, clock, epoch: () => 1, now: () => 0, hasCollection: () => true, admits: () => bench.isOpen },
    write(entry, base) {
      tried.push(`${JSON.parse(entry.id)}${entry.seq}`);
      return bench.write(entry, base);
    },
    onTrouble: (error) => trouble.push(error),
    ...options,
  });
  return Object.assign(bench, {
    ...{ replay, trouble },
    /** Lets everything happen that needs no time. */
    async settle() {
      for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setImmediate(resolve));
      await clock.advance(0);
    },
    async [Symbol.asyncDispose]() {
      await replay[Symbol.asyncDispose]();
      await journal.close();
    },
  });
}

describe('Replay', () => {
  it('keeps the order of each document, and brings others meanwhile', async () => {
    await using bench = await setUp();
    await bench.journal.append(['a', 'b', 'a', 'c', 'a', 'b'].map((id) => journalDraft(id))).durable;
    const random = seededRandom(3);
    const underWay = new Set<string>();
    let most = 0;
    bench.write = async (entry) => {
      expect(underWay.has(entry.id)).toBe(false);
      underWay.add(entry.id);
      most = Math.max(most, underWay.size);
      for (let turns = random() * 5; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      underWay.delete(entry.id);
      return { version: entry.seq };
    };
    bench.replay.wake();
    await bench.settle();
    expect(bench.journal.counts().waiting).toBe(0);
    const of = (id: string) => bench.tried.filter((each) => each.startsWith(id));
    expect([of('a'), of('b'), of('c')]).toEqual([['a1', 'a3', 'a5'], ['b2', 'b6'], ['c4']]);
    expect(most).toBe(3);
  });

  it('takes up what comes while it is at something else', async () => {
    await using bench = await setUp();
    await bench.journal.append([journalDraft('slow')]).durable;
    const gate = Promise.withResolvers<void>();
    bench.write = async ({ id }) => {
      if (id === '"slow"') await gate.promise;
      return { version: 1 };
    };
    bench.replay.wake();
    await bench.settle();
    await bench.journal.append([journalDraft('a'), journalDraft('b')]).durable;
    bench.replay.wake();
    await bench.settle();
    expect(bench.tried).toEqual(['slow1', 'a2', 'b3']);
    expect(bench.journal.waiting.size).toBe(1);
    gate.resolve();
    await bench.settle();
    expect(bench.journal.waiting.size).toBe(0);
  });

  it('gives an entry the version that the one before it came to, and breaks it when that did not come', async () => {
    await using bench = await setUp();
    const drafts = [
      journalDraft('a', { baseVersion: 7 }),
      journalDraft('a', { after: 1 }),
      journalDraft('b'),
      journalDraft('b', { after: 3 }),
    ];
    await bench.journal.append(drafts).durable;
    const bases: Record<number, ReplayBase> = {};
    bench.write = async (entry, base) => {
      bases[entry.seq] = base;
      if (base.broken !== undefined) throw base.broken;
      if (entry.seq === 3) throw new HoldfastError('ALREADY_EXISTS', 'taken', { details: { conflict: 'c' } });
      return { version: 8 };
    };
    bench.replay.wake();
    await bench.settle();
    expect(bases).toMatchObject({
      1: { version: 7 },
      2: { version: 8, moved: false },
      4: { broken: { code: 'CONFLICT' } },
    });
    expect(bench.journal.list({ limit: 9 }).map(({ state }) => state)).toEqual([
      ...['REPLAYED', 'REPLAYED', 'CONFLICT', 'CONFLICT'],
    ]);
    expect(bench.journal.entry(3).reason).toEqual({ code: 'ALREADY_EXISTS', message: 'taken', conflict: 'c' });
  });

  it.each(['DATABASE_UNAVAILABLE', 'WRITE_OUTCOME_UNKNOWN', 'WRITE_CONTENTION', 'FENCED'] as const)(
    'lets an entry wait that ended with %s, and tries again later',
    async (code) => {
      await using bench = await setUp();
      await bench.journal.append([journalDraft('a'), journalDraft('b')]).durable;
      const works = bench.write;
      bench.write = () => Promise.reject(new HoldfastError(code, 'not now'));
      bench.replay.wake();
      await bench.settle();
      expect(bench.journal.waiting.size).toBe(2);
      expect(bench.trouble.at(-1)).toMatchObject({ code });
      const { length } = bench.tried;
      bench.replay.wake();
      await bench.settle();
      expect(bench.tried).toHaveLength(length);
      bench.write = works;
      await bench.clock.advance(300);
      await bench.settle();
      expect(bench.journal.waiting.size).toBe(0);
      expect(bench.trouble.at(-1)).toBeNull();
    },
  );

  it("parks an entry that meets a mistake of our own, so that it stands in nobody's way", async () => {
    await using bench = await setUp();
    await bench.journal.append([journalDraft('a'), journalDraft('b')]).durable;
    bench.write = async ({ id }) => {
      if (id === '"a"') throw new TypeError('undefined is not a function');
      return { version: 1 };
    };
    bench.replay.wake();
    await bench.settle();
    expect(bench.journal.entry(1)).toMatchObject({ state: 'CONFLICT', reason: { code: 'INTERNAL_SERVER_ERROR' } });
    expect(bench.journal.entry(2).state).toBe('REPLAYED');
  });

  it('sends nothing while writes are kept from the database, but for a scope that recovers', async () => {
    await using bench = await setUp();
    await bench.journal.append([journalDraft('a'), journalDraft('b', { collection: 'others' })]).durable;
    bench.isOpen = false;
    bench.replay.wake();
    await bench.settle();
    await bench.replay.recover({ collection: 'things', operation: 'READ' });
    expect(bench.tried).toEqual([]);
    await bench.replay.recover({ collection: 'things' });
    expect(bench.tried).toEqual(['a1']);
    await bench.replay.recover({});
    expect(bench.tried).toEqual(['a1', 'b2']);
  });

  it('keeps a breaker open when the database fails again', async () => {
    await using bench = await setUp();
    await bench.journal.append([journalDraft('a')]).durable;
    bench.write = () => Promise.reject(away());
    bench.isOpen = false;
    await expect(bench.replay.recover({})).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
  });

  it('lets a breaker close after a second when it gets on, and goes on in the background', async () => {
    await using bench = await setUp({ concurrency: 1 });
    await bench.journal.append([journalDraft('a'), journalDraft('b'), journalDraft('c')]).durable;
    const gates: (() => void)[] = [];
    bench.write = () => new Promise((resolve) => gates.push(() => resolve({ version: 1 })));
    bench.isOpen = false;
    let closed = false;
    const recovered = bench.replay.recover({}).then(() => {
      closed = true;
    });
    await bench.settle();
    // Nothing came through yet: it may hang.
    await bench.clock.advance(1_000);
    expect(closed).toBe(false);
    gates[0]?.();
    await bench.settle();
    await bench.clock.advance(1_000);
    await recovered;
    bench.isOpen = true;
    for (const place of [1, 2]) {
      gates[place]?.();
      await bench.settle();
    }
    expect(bench.journal.waiting.size).toBe(0);
  });

  it('keeps to its rate', async () => {
    await using bench = await setUp({ perSecond: 100 });
    await bench.journal.append(Array.from({ length: 30 }, (_, i) => journalDraft(`d${i}`))).durable;
    bench.replay.wake();
    await bench.settle();
    expect(bench.tried.length).toBeLessThan(5);
    for (let step = 0; step < 15; step++) {
      await bench.clock.advance(10);
      await bench.settle();
    }
    expect(bench.tried.length).toBeGreaterThan(10);
    expect(bench.tried.length).toBeLessThan(20);
    for (let step = 0; step < 30; step++) {
      await bench.clock.advance(10);
      await bench.settle();
    }
    expect(bench.journal.waiting.size).toBe(0);
  });
});
