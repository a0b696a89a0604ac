import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { openBench, quantile, Standstill, startReaders } from '../support/fallback-bench.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { type MongoServer, startMongo } from '../support/servers/mongo.ts';

const READERS = 50;

/** Faults of a server itself; those of the way to it are in fallback-faults.test.ts. Rows are those of the table of faults in SPEC.md. */
describeWith(
  'mongodb',
  'Fallback of a MongoDB server',
  () => {
    let server: MongoServer;
    beforeAll(async () => {
      server = await startMongo();
    }, 60_000);
    afterAll(() => server[Symbol.asyncDispose]());

    it.each([
      ['row 2: killed', 150, () => server.kill(), () => server.restart()],
      ['row 3: suspended', 450, () => server.suspend(), () => server.resume()],
    ])(
      '%s under 50 readers: no read fails, none takes longer than %i ms, and it is gone back to',
      async (what, worstMs, end, begin) => {
        await using bench = await openBench(server);
        const readers = startReaders(bench, READERS);
        const { reads } = readers;
        await eventually('the database answers', () => reads.length > 500);
        using standstill = new Standstill();
        const failsMs = performance.now();
        await end();
        await eventually('everything is kept from it', () => bench.state === 'OPEN');
        const openMs = performance.now();
        await eventually('the copy answers', () => reads.length > 2_500);
        const stoodMs = standstill.ms;
        const during = reads.filter(({ endedMs }) => endedMs > failsMs);
        const later = during.filter(({ endedMs, ms }) => endedMs - ms > openMs);
        expect(new Set(later.map(({ source }) => source))).toEqual(new Set(['LIVE']));
        const worst = Math.max(...during.map(({ ms }) => ms));
        expect(worst).toBeLessThan(worstMs + stoodMs);
        // Only those that were under way waited.
        expect(during.filter(({ ms }) => ms > 100 + stoodMs).length).toBeLessThanOrEqual(READERS);
        await expect(bench.things().insertOne({ _id: 'x' })).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
        await begin();
        const since = performance.now();
        const back = await eventually(
          'it is back',
          () => reads.find(({ source, endedMs }) => source === 'DATABASE' && endedMs > since),
          20_000,
        );
        await readers.stop();
        const { incidents } = bench.fallback.status([]);
        expect(incidents.reduce((sum, { reads }) => sum + reads.LIVE, 0)).toBeGreaterThan(500);
        const times = later.map(({ ms }) => ms);
        console.info(
          `${what}: open after ${(openMs - failsMs).toFixed(0)} ms, worst read ${worst.toFixed(0)} ms (this process stood still for ${stoodMs.toFixed(0)} ms), then p50 ${quantile(times, 0.5).toFixed(2)} p99 ${quantile(times, 0.99).toFixed(2)} ms, back after ${(back.endedMs - since).toFixed(0)} ms`,
        );
        // A server that has just started may be too slow for the first ones.
        let writes = 0;
        await eventually('it is written to', () =>
          bench
            .things()
            .insertOne({ _id: `after ${writes++}` })
            .catch(() => null),
        );
      },
    );

    it('says of a write that was sent to a server that hangs that its outcome is not known', async () => {
      await using bench = await openBench(server);
      await server.suspend();
      try {
        const write = bench.things().insertOne({ _id: 'x' });
        await expect(write).rejects.toMatchObject({ code: 'WRITE_OUTCOME_UNKNOWN' });
      } finally {
        await server.resume();
      }
      await eventually('it is back', () => bench.state === 'CLOSED');
    });
  },
  { killable: true },
);
