import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { resolveConfig } from '../../src/config.ts';
import { DrillProxy } from '../../src/fallback/drill/proxy.ts';
import { createGateway, type Gateway } from '../../src/gateway.ts';
import { eventually } from '../support/eventually.ts';
import { openBench, quantile, Standstill, startReaders } from '../support/fallback-bench.ts';
import { post } from '../support/graphql.ts';
import { databaseName } from '../support/mongo-store.ts';
import { create, names, THING } from '../support/nodes.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';
import { shared } from '../support/servers/shared.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const READERS = 50;

/** Faults of a server itself; those of the way to it are in fallback-faults.test.ts. Rows are those of the table of faults in SPEC.md. */
describeWith(
  'mongodb',
  'Fallback of a MongoDB server',
  () => {
    const server = shared(startMongo);

    it('row 1: gone at the start: the gateway is ready within 500 ms, and answers from its copy', async () => {
      await using directory = await temporaryDirectory();
      const schema = join(directory.path, 'schema');
      await mkdir(schema);
      await writeFile(join(schema, 'thing.graphql'), THING);
      await using proxy = await DrillProxy.start({ target: { host: '127.0.0.1', port: server().port } });
      const data = join(directory.path, 'data');
      const url = `mongodb://127.0.0.1:${proxy.port}/${databaseName()}`;
      const ports = { port: 0, opsPort: 0 };
      const config = resolveConfig({ schema, server: ports, store: { url, data }, telemetry: { level: 'silent' } }, {});
      const read = (gateway: Gateway) => post(gateway.url, '{ thingsCount things { name } }');
      const before = await createGateway(config);
      await create(before.url, names('thing', 5));
      const coverage = '{ fallbackStatus { tiers { collections { coverage } } } }';
      await eventually('the copy is there', async () =>
        JSON.stringify(await post(before.opsUrl, coverage)).includes('WHOLE'),
      );
      proxy.set({ kind: 'REFUSE' });
      await eventually('the copy has them', async () => (await read(before)).data?.thingsCount === 5);
      await before.stop();
      using standstill = new Standstill();
      const since = performance.now();
      const gateway = await createGateway(config);
      const readyMs = performance.now() - since;
      const { data: answer, extensions } = await read(gateway);
      await gateway.stop();
      expect(readyMs).toBeLessThan(500 + standstill.ms);
      expect(answer).toMatchObject({ thingsCount: 5 });
      expect(extensions?.holdfast).toMatchObject({ source: 'LIVE', degraded: true });
    });

    it.each([
      ['row 2: killed', 150, () => server().kill(), () => server().restart()],
      ['row 3: suspended', 450, () => server().suspend(), () => server().resume()],
    ])(
      '%s under 50 readers: no read fails, none takes longer than %i ms, and it is gone back to',
      async (what, worstMs, end, begin) => {
        await using bench = await openBench(server());
        const readers = startReaders(bench, READERS);
        const { reads } = readers;
        await eventually('the database answers', () => reads.length > 500);
        using standstill = new Standstill();
        const failsMs = performance.now();
        await end();
        await eventually('everything is kept from it', () => bench.state === 'OPEN');
        const openMs = performance.now();
        const seen = reads.length;
        await eventually('the copy answers', () => reads.length > seen + 1_500);
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
      await using bench = await openBench(server());
      await server().suspend();
      try {
        const write = bench.things().insertOne({ _id: 'x' });
        await expect(write).rejects.toMatchObject({ code: 'WRITE_OUTCOME_UNKNOWN' });
      } finally {
        await server().resume();
      }
      await eventually('it is back', () => bench.state === 'CLOSED');
    });
  },
  { killable: true },
);
