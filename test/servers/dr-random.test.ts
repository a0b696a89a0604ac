import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backup } from '../../src/dr/backup.ts';
import { restore } from '../../src/dr/restore.ts';
import { PostgresDatabases } from '../support/postgres-databases.ts';
import { copySchema, imageOf } from '../support/postgres-image.ts';
import { randomDatabase } from '../support/random-database.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** `HOLDFAST_RUNS=1000` for many, `HOLDFAST_SEED=N` for others or to see one again. */
const RUNS = Number(process.env.HOLDFAST_RUNS ?? 6);
const SEED = Number(process.env.HOLDFAST_SEED ?? 1);

describeWith('postgres', 'random databases of PostgreSQL', () => {
  let databases: PostgresDatabases;
  beforeAll(async () => {
    databases = await PostgresDatabases.start({ args: ['-c', 'max_connections=40'] });
  });
  afterAll(() => databases?.[Symbol.asyncDispose]());

  it('come back equal, into nothing and into live tables', { timeout: 60_000 + RUNS * 30_000 }, async () => {
    const options = fc.record({
      format: fc.constantFrom('text' as const, 'binary' as const, 'auto' as const),
      compression: fc.constantFrom('none' as const, { zstd: 1 }),
      workers: fc.integer({ min: 1, max: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(randomDatabase, options, async (statements, { workers, ...how }) => {
        await using directory = await temporaryDirectory();
        const out = join(directory.path, 'archive');
        const source = await databases.create(statements);
        const live = await databases.create();
        copySchema(source, live);
        await backup({ source, out, workers, ...how });
        const expected = await imageOf(databases, source);
        const target = await databases.create();
        await restore({ from: out, target, workers });
        expect(await imageOf(databases, target)).toEqual(expected);
        await restore({ from: out, target: live, workers, mode: 'data' });
        expect(await imageOf(databases, live)).toEqual(expected);
        for (const url of [source, target, live]) {
          await databases.query(databases.server.url, `DROP DATABASE ${new URL(url).pathname.slice(1)} WITH (FORCE)`);
        }
      }),
      { numRuns: RUNS, seed: SEED, endOnFailure: RUNS < 20 },
    );
  });
});
