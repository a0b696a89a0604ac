import { afterAll, beforeAll, expect, it } from 'vitest';
import { Fallback } from '../../src/fallback/fallback.ts';
import type { Tier } from '../../src/fallback/tiers.ts';
import type { Document } from '../../src/model/document.ts';
import { eventually } from '../support/eventually.ts';
import { databaseName, openMongoNode } from '../support/mongo-store.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { type MongoServer, startMongo } from '../support/servers/mongo.ts';
import { openSqliteStore } from '../support/sqlite-store.ts';

const READERS = 50;
const COLLECTIONS = [{ name: 'things', indexes: [] }];
const DOCUMENTS = Array.from({ length: 20 }, (_, _id) => ({ _id, name: `thing ${_id}` }));

/** The database that fails in these tests, a copy of it, and readers. */
async function setUp(server: MongoServer) {
  await using parts = new AsyncDisposableStack();
  const node = parts.use(await openMongoNode(server.urlOf(databaseName()), COLLECTIONS));
  const copy = parts.use(await openSqliteStore(COLLECTIONS));
  for (const { store } of [node, copy]) await store.collection('things').insertMany(DOCUMENTS);
  const live: Tier = {
    source: 'LIVE',
    store: copy.store,
    coverage: () => 'WHOLE',
    stalenessMs: () => 0,
    position: () => null,
  };
  const fallback = new Fallback({
    tiers: [live],
    rules: () => ({ entity: 'Thing', uniquePaths: [], requiredPaths: [], lists: 'REFUSE', masked: 'NULL' }),
  });
  parts.defer(() => fallback.stop());
  fallback.attach({ store: node.store, ping: (signal) => node.connection.ping(signal) });
  parts.defer(node.connection.onAway((reason) => fallback.lost(reason)));
  const owned = parts.move();
  return { node, fallback, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

interface Read {
  readonly source: 'DATABASE' | 'LIVE';
  readonly ms: number;
}

/** Reads without pause until it is stopped. A read that fails or is wrong fails the test. */
function startReaders(fallback: Fallback) {
  const reads: Read[] = [];
  let going = true;
  const reader = async (): Promise<void> => {
    while (going) {
      const request = fallback.request({}, () => {});
      const since = performance.now();
      const found: Document[] = await fallback.store.collection('things', request).find({}).toArray();
      expect(found).toHaveLength(DOCUMENTS.length);
      const fromCopy = request.sources.summary(0, { epoch: 1, sequence: 0 }) !== undefined;
      reads.push({ source: fromCopy ? 'LIVE' : 'DATABASE', ms: performance.now() - since });
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const all = Promise.all(Array.from({ length: READERS }, reader));
  all.catch(() => undefined);
  return {
    reads,
    stop: () => {
      going = false;
      return all;
    },
  };
}

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
      ['killed', () => server.kill(), () => server.restart()],
      ['suspended', () => server.suspend(), () => server.resume()],
    ])('fails no read of 50 readers when the server is %s, and goes back to it by itself', async (what, end, begin) => {
      await using bench = await setUp(server);
      const readers = startReaders(bench.fallback);
      const sources = (): string[] => readers.reads.map(({ source }) => source);
      await eventually('the database answers', () => sources().includes('DATABASE'));
      await end();
      const first = readers.reads.length;
      await eventually('everything is kept from it', () => bench.fallback.status([]).state === 'OPEN');
      const open = readers.reads.length;
      await eventually('the copy answers', () => readers.reads.length > open + 500);
      const later = readers.reads.slice(open + READERS);
      expect(new Set(later.map(({ source }) => source))).toEqual(new Set(['LIVE']));
      await expect(bench.fallback.store.collection('things').insertOne({ _id: 'x' })).rejects.toMatchObject({
        code: 'DATABASE_UNAVAILABLE',
      });
      await begin();
      const since = performance.now();
      const away = readers.reads.length;
      await eventually('it is back', () => sources().indexOf('DATABASE', away) > 0, 20_000);
      const backMs = performance.now() - since;
      await readers.stop();
      const { incidents } = bench.fallback.status([]);
      expect(incidents.reduce((sum, { reads }) => sum + reads.LIVE, 0)).toBeGreaterThan(500);
      const sorted = later.map(({ ms }) => ms).sort((a, b) => a - b);
      const worst = Math.max(...readers.reads.slice(first, away).map(({ ms }) => ms));
      console.info(
        `${what}: found out after ${incidents[0]?.detectedMs} ms, worst read ${worst.toFixed(0)} ms, then p50 ${sorted[Math.floor(sorted.length / 2)]?.toFixed(2)} p99 ${sorted[Math.floor(sorted.length * 0.99)]?.toFixed(2)} ms, back after ${backMs.toFixed(0)} ms`,
      );
      // A server that has just started may be too slow for the first ones.
      let writes = 0;
      await eventually('it is written to', () =>
        bench.fallback.store
          .collection('things')
          .insertOne({ _id: `after ${writes++}` })
          .catch(() => null),
      );
    });

    it('says of a write that was sent to a server that hangs that its outcome is not known', async () => {
      await using bench = await setUp(server);
      await server.suspend();
      try {
        const write = bench.fallback.store.collection('things').insertOne({ _id: 'x' });
        await expect(write).rejects.toMatchObject({ code: 'WRITE_OUTCOME_UNKNOWN' });
      } finally {
        await server.resume();
      }
      await eventually('it is back', () => bench.fallback.status([]).state === 'CLOSED');
    });
  },
  { killable: true },
);
