import { expect, it, vi } from 'vitest';
import { HoldfastError } from '../../src/errors.ts';
import type { Collection } from '../../src/store/store.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { eventually } from '../support/eventually.ts';
import { openBench, Standstill, startReaders } from '../support/fallback-bench.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';
import { shared } from '../support/servers/shared.ts';

/** What came of a call: its error as a caller sees it. */
async function errorOf(call: Promise<unknown>): Promise<unknown> {
  try {
    return { answer: await call };
  } catch (error) {
    if (!(error instanceof HoldfastError)) return error;
    const { code, message, details, cause } = error;
    return { code, message, details, cause: String(cause) };
  }
}

/** Runs `call` so many times, 20 at once. */
async function repeatedly(times: number, call: () => Promise<unknown>): Promise<void> {
  let left = times;
  const run = async (): Promise<void> => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: 20 }, run));
}

const circular: Record<string, unknown> = { _id: 'circular' };
circular.self = circular;

/** With more time, so that a machine that is busy with others is no fault. */
const PATIENT = { fallback: { deadlineMs: { read: 5_000, write: 5_000 } } };

/** What a database that is well is not blamed for. Rows are those of the table of faults in SPEC.md. */
describeWith('mongodb', 'Fallback of a MongoDB server that is well', () => {
  const server = shared(startMongo);

  it.each([11_000, 121, 2, 9, 14, 40, 66])(
    'row 8: code %i of the server comes back as it does without the fallback, which answers nothing',
    async (code) => {
      await using bench = await openBench(server());
      bench.proxy.set({ kind: 'ERROR', code, commands: ['find', 'insert', 'update'] });
      const calls: ((collection: Collection) => Promise<unknown>)[] = [
        (collection) => collection.find({}).toArray(),
        (collection) => collection.insertOne({ _id: 'x' }),
        (collection) => collection.updateOne({ _id: 1 }, { $set: { name: 'y' } }),
      ];
      for (const call of calls) {
        const error = await errorOf(call(bench.things()));
        expect(error).toEqual(await errorOf(call(bench.store.collection('things'))));
        expect(error).toHaveProperty('code');
      }
      expect(bench.fallback.status([])).toMatchObject({ state: 'CLOSED', incidents: [] });
    },
  );

  it.each<[string, (collection: Collection) => Promise<unknown>]>([
    ['an update with no such operator', (things) => things.updateOne({ _id: 1 }, { $nope: { n: 1 } } as never)],
    ['a circular document', (things) => things.insertOne(circular)],
    ['a document of 17 MB', (things) => things.insertOne({ _id: 'large', text: 'x'.repeat(17 * 2 ** 20) })],
    ['a key with a null byte', (things) => things.insertOne({ _id: 'null', 'a\0b': 1 })],
    ['a filter with a null byte', (things) => things.findOne({ 'a\0b': 1 })],
    ['a filter with no such operator', (things) => things.findOne({ n: { $nope: 1 } })],
  ])('row 8: %s is refused as it is without the fallback, which answers nothing', async (_what, call) => {
    await using bench = await openBench(server());
    const error = await errorOf(call(bench.things()));
    expect(error).toEqual(await errorOf(call(bench.store.collection('things'))));
    expect(bench.fallback.status([])).toMatchObject({ state: 'CLOSED', incidents: [] });
  });

  it('row 8: 10,000 duplicate keys, failed validations and bad queries in a row never open anything', {
    timeout: 300_000,
  }, async () => {
    await using bench = await openBench(server(), PATIENT);
    const codes = new Set<unknown>();
    let n = 0;
    const count = (call: () => Promise<unknown>) => async () => {
      const { code } = (await errorOf(call())) as { readonly code?: unknown };
      codes.add(code);
    };
    await repeatedly(
      3_400,
      count(() => bench.things().insertOne({ _id: n++ % 20, name: 'again' })),
    );
    expect([...codes]).toEqual(['ALREADY_EXISTS']);
    bench.proxy.set({ kind: 'ERROR', code: 121, commands: ['insert', 'update'] });
    await repeatedly(
      3_300,
      count(() => bench.things().insertOne({ _id: 'x' })),
    );
    bench.proxy.set({ kind: 'ERROR', code: 2, commands: ['find'] });
    await repeatedly(
      3_300,
      count(() => bench.things().find({}).toArray()),
    );
    expect([...codes]).toEqual(['ALREADY_EXISTS', 'INTERNAL_SERVER_ERROR']);
    expect(bench.fallback.status([])).toMatchObject({ state: 'CLOSED', scopes: [{}], incidents: [] });
    bench.proxy.set();
    expect((await bench.read()).source).toBe('DATABASE');
  });

  it.each([13, 18])(
    'row 9: code %i, user or rights: is loud, not answered by the copy, and over when it works again',
    async (code) => {
      const lines: string[] = [];
      const logger = createLogger({
        pretty: false,
        level: 'error',
        destination: { write: (line: string) => void lines.push(line) },
      });
      await using bench = await openBench(server(), { fallback: { logger } });
      bench.proxy.set({ kind: 'ERROR', code, commands: ['find', 'insert'] });
      for (let times = 0; times < 5; times++) {
        await expect(bench.read()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
        await expect(bench.things().insertOne({ _id: 'x' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
      }
      expect(bench.state).toBe('CLOSED');
      expect(bench.fallback.problems()).toEqual([
        expect.stringMatching(/^the database refuses calls: correct user, password/),
      ]);
      expect(lines).toHaveLength(1);
      bench.proxy.set();
      expect((await bench.read()).source).toBe('DATABASE');
      expect(bench.fallback.problems()).toEqual([]);
    },
  );

  it('row 10: overload: each call is tried once, and what the server does not take the copy answers at once', async () => {
    await using bench = await openBench(server(), PATIENT);
    // Of 400 calls the server takes half.
    const label = { code: 462, labels: ['SystemOverloadedError', 'RetryableError'] };
    bench.proxy.set({ kind: 'ERROR', ...label, commands: ['find'], times: 200 });
    const sources: string[] = [];
    await repeatedly(400, async () => sources.push((await bench.read()).source));
    expect(bench.fallback.status([])).toMatchObject({ state: 'CLOSED', incidents: [] });
    expect(bench.proxy.hits).toBe(200);
    // Each call that it takes is an answer: none is spent on trying again.
    expect(sources.filter((source) => source === 'LIVE')).toHaveLength(200);
    expect(sources.filter((source) => source === 'DATABASE')).toHaveLength(200);
    expect(bench.state).toBe('CLOSED');
  });

  it('row 10: no free connection: nobody waits longer than the deadline, and nothing is tried twice', async () => {
    await using bench = await openBench(server(), { connection: { poolSize: 2 } });
    await bench.read();
    using standstill = new Standstill();
    bench.proxy.set({ kind: 'DELAY', delayMs: 300, commands: ['find'] });
    const reads = await Promise.all(Array.from({ length: 40 }, () => bench.read()));
    expect(Math.max(...reads.map(({ ms }) => ms))).toBeLessThan(450 + 2 * standstill.ms);
    expect(reads.some(({ source }) => source === 'LIVE')).toBe(true);
    expect(bench.proxy.hits).toBeLessThanOrEqual(44);
  });

  it('row 14: this process stands still for two seconds with calls under way: nothing opens', async () => {
    await using bench = await openBench(server(), { fallback: { deadlineMs: { read: 1_500 } } });
    const readers = startReaders(bench, 20);
    await eventually('the database answers', () => readers.reads.length > 200);
    bench.proxy.set({ kind: 'DELAY', delayMs: 50, commands: ['find'] });
    await eventually('calls are under way', () => bench.proxy.hits > 20);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_000);
    const before = readers.reads.length;
    await eventually('they go on', () => readers.reads.length > before + 100);
    await readers.stop();
    expect(bench.fallback.status([])).toMatchObject({ state: 'CLOSED', incidents: [] });
  });

  it.each([3_600_000, -3_600_000])('row 14: the clock jumps by %i ms: nothing opens', async (jumpMs) => {
    await using bench = await openBench(server(), PATIENT);
    const readers = startReaders(bench, 10);
    await eventually('the database answers', () => readers.reads.length > 100);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + jumpMs });
    try {
      const before = readers.reads.length;
      await eventually('they go on', () => readers.reads.length > before + 300);
      await readers.stop();
    } finally {
      vi.useRealTimers();
    }
    expect(new Set(readers.reads.map(({ source }) => source))).toEqual(new Set(['DATABASE']));
    expect(bench.fallback.status([])).toMatchObject({ state: 'CLOSED', incidents: [] });
  });
});
