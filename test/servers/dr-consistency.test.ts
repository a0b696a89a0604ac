import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backup } from '../../src/dr/backup.ts';
import { restore } from '../../src/dr/restore.ts';
import { PostgresDatabases } from '../support/postgres-databases.ts';
import { seededRandom } from '../support/random.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** `HOLDFAST_RUNS=50` for more backups. */
const BACKUPS = Number(process.env.HOLDFAST_RUNS ?? 5);
const ACCOUNTS = 200;
const WRITERS = 3;

/** Accounts in two tables and a partitioned one; each transfer is written into the ledger as well. */
const BANK = `
CREATE TABLE giro (id int PRIMARY KEY, amount int NOT NULL, moves int NOT NULL DEFAULT 0);
CREATE TABLE savings (LIKE giro INCLUDING ALL);
CREATE TABLE stock (LIKE giro INCLUDING ALL) PARTITION BY HASH (id);
CREATE TABLE stock_0 PARTITION OF stock FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE stock_1 PARTITION OF stock FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE ledger (id bigserial PRIMARY KEY, giro int REFERENCES giro, amount int);
INSERT INTO giro SELECT n, 1000 FROM generate_series(1, ${ACCOUNTS}) n; INSERT INTO savings SELECT * FROM giro; INSERT INTO stock SELECT * FROM giro;`;
const INVARIANT = `SELECT (SELECT sum(amount) FROM (SELECT amount FROM giro UNION ALL SELECT amount FROM savings UNION ALL SELECT amount FROM stock) x)::text AS amount,
  (SELECT sum(moves) FROM giro) = (SELECT count(*) FROM ledger) AS noted,
  (SELECT coalesce(max(id), 0) FROM ledger) <= (SELECT last_value FROM ledger_id_seq) AS numbered`;

describeWith('postgres', 'a backup of PostgreSQL under load', () => {
  let databases: PostgresDatabases;
  beforeAll(async () => {
    databases = await PostgresDatabases.start({ args: ['-c', 'max_connections=40'] });
  });
  afterAll(() => databases?.[Symbol.asyncDispose]());

  /** Sends statements, one after the other, until `stop`; each waits at most 30 s for a lock. */
  async function repeat(url: string, stop: AbortSignal, statement: (n: number) => string): Promise<number> {
    const client = new Client({ connectionString: url });
    await client.connect();
    let sent = 0;
    try {
      await client.query(`SET lock_timeout = '30s'; SET statement_timeout = '30s'`);
      for (; !stop.aborted; sent++) await client.query(statement(sent));
    } finally {
      await client.end();
    }
    return sent;
  }

  it('holds one moment: no transfer is half in it', { timeout: 60_000 + BACKUPS * 30_000 }, async () => {
    const source = await databases.create(BANK);
    const stop = new AbortController();
    const writers = Array.from({ length: WRITERS }, (_, seed) => {
      const random = seededRandom(seed);
      const account = (): number => 1 + Math.floor(random() * ACCOUNTS);
      return repeat(source, stop.signal, () => {
        const [from, to] = [account(), account()];
        const other = random() < 0.5 ? 'savings' : 'stock';
        return `BEGIN; UPDATE giro SET amount = amount - 7, moves = moves + 1 WHERE id = ${from};
          INSERT INTO ledger (giro, amount) VALUES (${from}, 7); UPDATE ${other} SET amount = amount + 7 WHERE id = ${to}; COMMIT`;
      });
    });
    const load = Promise.all(writers);
    try {
      for (let n = 0; n < BACKUPS; n++) {
        await using directory = await temporaryDirectory();
        const out = join(directory.path, 'archive');
        await Promise.race([backup({ source, out, workers: 1 + (n % 3) }), load]);
        const target = await databases.create();
        await restore({ from: out, target });
        expect(await databases.query(target, INVARIANT)).toEqual([
          { amount: `${3 * 1000 * ACCOUNTS}`, noted: 't', numbered: 't' },
        ]);
      }
    } finally {
      stop.abort();
    }
    expect(Math.min(...(await load))).toBeGreaterThan(10);
  });

  it.each([
    ['emptied and filled', 'TRUNCATE busy; INSERT INTO busy SELECT n, n FROM generate_series(1, 500) n'],
    [
      'dropped and made again',
      'DROP TABLE busy; CREATE TABLE busy AS SELECT n AS id, n AS v FROM generate_series(1, 500) n',
    ],
    ['rewritten', 'ALTER TABLE busy ALTER v TYPE bigint USING v + 1; ALTER TABLE busy ALTER v TYPE int'],
  ])('is complete, or fails clearly, while a table is %s, and others wait only while it lasts', async (_, ddl) => {
    const source = await databases.create(
      'CREATE TABLE busy AS SELECT n AS id, n AS v FROM generate_series(1, 500) n; CREATE TABLE calm AS TABLE busy;',
    );
    const stop = new AbortController();
    const load = Promise.all([
      repeat(source, stop.signal, () => `BEGIN; ${ddl}; COMMIT`),
      repeat(source, stop.signal, () => 'SELECT count(*) FROM calm'),
      repeat(source, stop.signal, () => `INSERT INTO calm SELECT 0, 0 WHERE false; SELECT count(*) FROM pg_class`),
    ]);
    const outcomes: string[] = [];
    try {
      for (let n = 0; n < Math.max(3, BACKUPS / 5); n++) {
        await using directory = await temporaryDirectory();
        const out = join(directory.path, 'archive');
        const outcome = await backup({ source, out }).then(
          () => 'complete',
          (error: { code?: string }) => error.code ?? `${error}`,
        );
        outcomes.push(outcome);
        if (outcome !== 'complete') continue;
        const target = await databases.create();
        await restore({ from: out, target });
        const counts = 'SELECT (SELECT count(*) FROM busy) AS busy, (SELECT count(*) FROM calm) AS calm';
        expect(await databases.query(target, counts)).toEqual([{ busy: '500', calm: '500' }]);
      }
    } finally {
      stop.abort();
    }
    // None of them waited longer than its limit.
    await load;
    expect(outcomes.filter((outcome) => outcome !== 'complete' && outcome !== 'DR_LOCKED')).toEqual([]);
  });
});
