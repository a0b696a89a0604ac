import { expect, it } from 'vitest';
import type { Fault } from '../../src/fallback/drill/fault.ts';
import { connectMongo } from '../../src/store/mongo-connection.ts';
import { eventually } from '../support/eventually.ts';
import { type FallbackBench, openBench, quantile, Standstill, startReaders } from '../support/fallback-bench.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';
import { shared } from '../support/servers/shared.ts';

const READERS = 50;
const KEY = { key: '0'.repeat(32), digest: 'args' };
const NOT_PRIMARY: Omit<Fault, 'kind'> = { code: 10_107, labels: ['RetryableWriteError'], monitoring: true };

/** How long it takes until `run` is over, in ms. */
async function timed(run: () => Promise<unknown>): Promise<number> {
  const since = performance.now();
  await run();
  return performance.now() - since;
}

/** Ends when reads come from the database again; after how many ms. */
function back(bench: FallbackBench): Promise<number> {
  return timed(() => eventually('it is back', async () => (await bench.read()).source === 'DATABASE', 20_000));
}

/** What is on the way to a server. Rows are those of the table of faults in SPEC.md. */
describeWith('mongodb', 'Fallback of a MongoDB server that cannot be reached well', () => {
  const server = shared(startMongo);

  it('row 4: operations hang and the heartbeat is well: nobody waits longer than the deadline, and only who is under way', async () => {
    await using bench = await openBench(server());
    const readers = startReaders(bench, READERS);
    await eventually('the database answers', () => readers.reads.length > 500);
    using standstill = new Standstill();
    bench.proxy.set({ kind: 'HANG_BEFORE', commands: ['find', 'aggregate', 'insert', 'update'] });
    const since = performance.now();
    await eventually('reads are kept from it', () => bench.scopes.includes('things:READ') || bench.state === 'OPEN');
    const seen = readers.reads.length;
    await eventually('the copy answers', () => readers.reads.length > seen + 1_000);
    const stoodMs = standstill.ms;
    await readers.stop();
    bench.proxy.set();
    const backMs = await back(bench);
    const during = readers.reads.slice(0, seen + 1_000).filter(({ endedMs }) => endedMs > since);
    expect(Math.max(...during.map(({ ms }) => ms))).toBeLessThan(450 + stoodMs);
    expect(during.filter(({ ms }) => ms > 200 + stoodMs).length).toBeLessThanOrEqual(READERS);
    expect(backMs).toBeLessThan(2_000 + 2 * stoodMs);
  });

  it('row 5: a connection reset in the middle of an answer: the read comes from the copy within 50 ms', async () => {
    await using bench = await openBench(server());
    using standstill = new Standstill();
    const times: number[] = [];
    const connects: number[] = [];
    for (let resets = 0; resets < 5; resets++) {
      connects.push(await timed(async () => (await connectMongo(bench.url)).close()));
      await back(bench);
      // The driver reads once more by itself, on a new connection; it asks a server for it twice a second at most.
      await new Promise((resolve) => setTimeout(resolve, 600));
      bench.proxy.set({ kind: 'RESET', commands: ['find'], times: 2 });
      const { source, ms } = await bench.read();
      expect(source).toBe('LIVE');
      times.push(ms);
    }
    // At their best: how long a server that is busy otherwise takes for a connection is not ours.
    expect(Math.min(...times)).toBeLessThan(50 + Math.min(...connects));
    expect(Math.max(...times)).toBeLessThan(450 + standstill.ms);
  });

  it('row 5: a write whose answer never comes: its outcome is not known, and by its key it is there once', async () => {
    await using bench = await openBench(server());
    const insert = () => bench.things().insertOne({ _id: 'new', name: 'new' }, { idempotency: KEY });
    bench.proxy.set({ kind: 'HANG_AFTER', commands: ['insert'], collections: ['things'] });
    await expect(insert()).rejects.toMatchObject({ code: 'WRITE_OUTCOME_UNKNOWN' });
    bench.proxy.set();
    await back(bench);
    expect(await eventually('it is settled', () => insert().catch(() => null))).toMatchObject({ repeated: true });
    expect(await bench.store.collection('things').countDocuments({ name: 'new' })).toBe(1);
  });

  it('row 5: a write whose connection is reset after it was sent: it is looked up, and there once', async () => {
    await using bench = await openBench(server());
    const insert = () => bench.things().insertOne({ _id: 'new', name: 'new' }, { idempotency: KEY });
    bench.proxy.set({ kind: 'RESET', commands: ['insert'], collections: ['things'], times: 1 });
    const first = await insert().catch(({ code }) => ({ code }));
    expect(first).toSatisfy((end) => 'matchedCount' in end || end.code === 'WRITE_OUTCOME_UNKNOWN');
    expect(await eventually('it is settled', () => insert().catch(() => null))).toMatchObject({ repeated: true });
    expect(await bench.store.collection('things').countDocuments({ name: 'new' })).toBe(1);
  });

  it.each([5_000, 12_000])(
    'row 6: an election of %i ms: reads go on, writes are refused within their deadline, and it is back a second after',
    async (lastsMs) => {
      await using bench = await openBench(server());
      const readers = startReaders(bench, 5, 20);
      await eventually('the database answers', () => readers.reads.length > 20);
      using standstill = new Standstill();
      bench.proxy.set({ kind: 'ERROR', ...NOT_PRIMARY });
      const since = performance.now();
      let refused = 0;
      while (performance.now() - since < lastsMs) {
        // One that is under way when the election begins may lose its connection; nobody knows of it then whether it was done.
        const isKnown = bench.state === 'OPEN';
        let error: unknown;
        const ms = await timed(async () => {
          error = await bench
            .things()
            .insertOne({ _id: `during ${refused}` })
            .then(() => 'COMMITTED', Object);
        });
        const refusal = { code: 'DATABASE_UNAVAILABLE', details: { retryAfterMs: 1_000 } };
        expect(error).toMatchObject(isKnown ? refusal : { retryable: true });
        // Deadlines are looked at every 10 ms, and what ends there has its way to go.
        expect(ms).toBeLessThan(850 + standstill.ms);
        refused += 1;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      bench.proxy.set();
      const backMs = await back(bench);
      await readers.stop();
      expect(Math.max(...readers.reads.map(({ ms }) => ms))).toBeLessThan(450 + standstill.ms);
      expect(refused).toBeGreaterThan(10);
      expect(backMs).toBeLessThan(1_000 + 2 * standstill.ms);
      expect(await bench.store.collection('things').countDocuments({ name: { $exists: false } })).toBe(0);
    },
  );

  it.each([10_107, 13_435, 13_436, 189, 91, 11_600, 11_602])(
    'row 7: code %i, not the primary or on its way out: reads come from the copy, writes are refused',
    async (code) => {
      await using bench = await openBench(server());
      bench.proxy.set({ kind: 'ERROR', code });
      for (let reads = 0; reads < 3; reads++) expect((await bench.read()).source).toBe('LIVE');
      await eventually('it is found out', () => bench.state === 'OPEN');
      const { code: refusal } = await bench
        .things()
        .insertOne({ _id: 'x' })
        .then(
          () => ({ code: 'COMMITTED' }),
          (error) => error,
        );
      expect(refusal).toBe('DATABASE_UNAVAILABLE');
      bench.proxy.set();
      await back(bench);
    },
  );

  it.each<[string, Fault]>([
    ['every answer takes ten times as long', { kind: 'DELAY', delayMs: 30 }],
    // Of some hundred in a quarter of a second.
    ['one answer in a hundred stalls', { kind: 'HANG_AFTER', times: 1 }],
    ['answers drip', { kind: 'DRIP', delayMs: 5, commands: ['find'] }],
  ])('row 11: %s: p99 stays below twice the deadline, and no read fails', async (_what, fault) => {
    await using bench = await openBench(server());
    const readers = startReaders(bench, 10, 5);
    const { reads } = readers;
    await eventually('the database answers', () => reads.length > 200);
    using standstill = new Standstill();
    const before = reads.length;
    const inject = (): void => bench.proxy.set(fault);
    inject();
    const again = setInterval(inject, 250);
    await eventually('there were reads', () => reads.length > before + 500, 30_000);
    clearInterval(again);
    bench.proxy.set();
    await readers.stop();
    const times = reads.slice(before).map(({ ms }) => ms);
    expect(quantile(times, 0.99)).toBeLessThan(800 + standstill.ms);
    expect(Math.max(...times)).toBeLessThan(450 + standstill.ms);
    expect(bench.proxy.hits).toBeGreaterThan(0);
    await back(bench);
  });

  it('row 12: one collection of 200 hangs: the other 199 stay on the database, and it alone comes from the copy', async () => {
    const collections = Array.from({ length: 200 }, (_, number) => `c${number}`);
    await using bench = await openBench(server(), { collections, fallback: { deadlineMs: { read: 1_000 } } });
    using standstill = new Standstill();
    bench.proxy.set({ kind: 'HANG_BEFORE', collections: ['c7'], commands: ['find', 'aggregate'] });
    const others = collections.filter((name) => name !== 'c7');
    for (let round = 0; round < 5; round++) {
      const hanging = bench.read('c7');
      for (const name of others) {
        expect((await bench.read(name)).source).toBe('DATABASE');
      }
      expect((await hanging).source).toBe('LIVE');
    }
    expect(bench.scopes).toEqual(['c7:READ']);
    expect(bench.state).toBe('PARTLY');
    expect((await bench.read('c7')).ms).toBeLessThan(50 + standstill.ms);
    bench.proxy.set();
    await eventually('it is back too', async () => (await bench.read('c7')).source === 'DATABASE');
  });

  it('row 13: it comes and goes sixty times: it changes at most once in five of its turns after three, and loses no write', async () => {
    const turnMs = 200;
    // A turn of 200 ms stands for one of a second: what is measured in seconds is a fifth too.
    const breaker = { calmMs: 1_000, holdMs: 2_000, probeMs: 20, maxProbeMs: 90, goodProbeMs: 10 };
    const changes: number[] = [];
    await using bench = await openBench(server(), { fallback: { breaker } });
    const acknowledged: string[] = [];
    let going = true;
    let state = 'CLOSED';
    const reading = (async () => {
      while (going) {
        await bench.read();
        if (bench.state !== state) changes.push(performance.now());
        state = bench.state;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    const writing = (async () => {
      for (let n = 0; going; n++) {
        const id = `write ${n}`;
        await bench
          .things()
          .insertOne({ _id: id, name: 'new' })
          .then(
            () => acknowledged.push(id),
            () => undefined,
          );
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    for (let turn = 0; turn < 60; turn++) {
      bench.proxy.set(...(turn % 2 === 0 ? [{ kind: 'REFUSE' } as const] : []));
      await new Promise((resolve) => setTimeout(resolve, turnMs));
    }
    bench.proxy.set();
    going = false;
    await Promise.all([reading, writing]);
    const damped = changes.slice(8);
    const spanMs = (damped.at(-1) ?? 0) - (damped[0] ?? 0);
    expect(damped.length <= 1 || spanMs / (damped.length - 1) >= 5 * turnMs).toBe(true);
    await back(bench);
    const found = await bench.store.collection('things').find({ name: 'new' }).toArray();
    const ids = new Set(found.map(({ _id }) => _id));
    expect(acknowledged.filter((id) => !ids.has(id))).toEqual([]);
  });
});
