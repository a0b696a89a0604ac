import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readChunk } from '../../src/dr/archive/chunk-reader.ts';
import type { Manifest, ManifestTable } from '../../src/dr/archive/manifest.ts';
import { readManifest } from '../../src/dr/archive/manifest-file.ts';
import { openStorage } from '../../src/dr/archive/open-storage.ts';
import { type BackupOptions, backup } from '../../src/dr/backup.ts';
import { type PostgresCatalog, readCatalog } from '../../src/dr/dialect/postgres-catalog.ts';
import { findPgDump } from '../../src/dr/dialect/postgres-pg-dump.ts';
import { takeSnapshot } from '../../src/dr/dialect/postgres-snapshot.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { openSql } from '../../src/sql/connect.ts';
import { PostgresSession } from '../../src/sql/postgres-session.ts';
import { PostgresDatabases } from '../support/postgres-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** Two tables in a cycle, one that refers to itself, a composite key, a partitioned table, a table of nobody. */
const SHOP = `
CREATE TABLE tenant (id int PRIMARY KEY, head int);
CREATE TABLE person (id int PRIMARY KEY, tenant int NOT NULL REFERENCES tenant, boss int REFERENCES person);
ALTER TABLE tenant ADD CONSTRAINT tenant_head FOREIGN KEY (head) REFERENCES person;
CREATE TABLE place (a int, b text, PRIMARY KEY (a, b));
CREATE TABLE sale (id int, day date, seller int REFERENCES person, a int, b text, PRIMARY KEY (id, day),
  FOREIGN KEY (a, b) REFERENCES place) PARTITION BY RANGE (day);
CREATE TABLE sale_old PARTITION OF sale FOR VALUES FROM (MINVALUE) TO ('2024-01-01');
CREATE TABLE sale_new PARTITION OF sale FOR VALUES FROM ('2024-01-01') TO (MAXVALUE);
CREATE TABLE refund (sale int, day date, FOREIGN KEY (sale, day) REFERENCES sale);
CREATE TABLE lonely (v text);
INSERT INTO tenant SELECT n FROM generate_series(1, 3) n;
-- The boss of 10 is 11, of 11 is 12, …; each tenant has ten of thirty people.
INSERT INTO person SELECT n, 1 + n % 3, CASE WHEN n < 39 THEN n + 1 END FROM generate_series(39, 10, -1) n;
UPDATE tenant SET head = 39 WHERE id = 1;
INSERT INTO place SELECT n, 'p' || n FROM generate_series(1, 5) n;
INSERT INTO sale SELECT n, date '2023-12-20' + n, 10 + n, CASE WHEN n % 2 = 0 THEN 1 + n % 5 END, 'p' || 1 + n % 5 FROM generate_series(1, 20) n;
INSERT INTO refund SELECT id, day FROM sale WHERE id > 15;
INSERT INTO lonely VALUES ('alone');`;

describeWith('postgres', 'backing up PostgreSQL', () => {
  let databases: PostgresDatabases;
  let shop: string;
  beforeAll(async () => {
    databases = await PostgresDatabases.start({ args: ['-c', 'max_connections=40'] });
    shop = await databases.create(SHOP);
  }, 60_000);
  afterAll(() => databases[Symbol.asyncDispose]());

  /** Makes a backup and returns its manifest and its rows as lines of COPY, by table. */
  async function taken(
    options: Omit<BackupOptions, 'out'>,
  ): Promise<{ manifest: Manifest; rows: Record<string, string[]> }> {
    await using directory = await temporaryDirectory();
    const out = join(directory.path, 'archive');
    await backup({ ...options, out });
    const storage = await openStorage(out);
    const manifest = await readManifest(storage);
    const rows: Record<string, string[]> = {};
    for (const table of manifest.tables) {
      let text = '';
      for (const chunk of table.chunks)
        for await (const bytes of readChunk(storage, chunk, { manifest })) text += bytes.toString();
      rows[table.name] = text.split('\n').slice(0, -1);
    }
    return { manifest, rows };
  }

  /** What a backup that must fail throws; nothing is left of it. */
  async function refused(options: Omit<BackupOptions, 'out'>): Promise<{ code: ErrorCode; message: string }> {
    await using directory = await temporaryDirectory();
    const out = join(directory.path, 'archive');
    const error = await backup({ ...options, out }).then(
      () => null,
      (caught: unknown) => caught as { code: ErrorCode; message: string },
    );
    expect(existsSync(out)).toBe(false);
    expect(error).not.toBeNull();
    return error!;
  }

  const ids = (rows: readonly string[] | undefined): number[] =>
    (rows ?? []).map((row) => Number(row.split('\t')[0])).sort((a, b) => a - b);
  const table = (manifest: Manifest, name: string): ManifestTable => manifest.tables.find((one) => one.name === name)!;

  describe('chosen rows', () => {
    it('keeps every row that a kept row refers to, through cycles and self references, and no other', async () => {
      const { manifest, rows } = await taken({
        source: shop,
        closure: true,
        suffixes: { refund: 'WHERE t.sale = 20 -- one' },
      });
      expect(ids(rows.refund)).toEqual([20]);
      expect(ids([...rows.sale_old!, ...rows.sale_new!])).toEqual([20]);
      // The seller of 20 is 30; the bosses follow to 39; their tenants, and the head of one of these.
      expect(ids(rows.person)).toEqual([30, 31, 32, 33, 34, 35, 36, 37, 38, 39]);
      expect(ids(rows.tenant)).toEqual([1, 2, 3]);
      expect(ids(rows.place)).toEqual([1]);
      expect(rows.lonely).toEqual([]);
      expect(table(manifest, 'person').suffix).toBe('closure');
      expect(table(manifest, 'refund').suffix).toBe('WHERE t.sale = 20 -- one');
    });

    it('lets a key with a NULL refer to nothing', async () => {
      const { rows } = await taken({ source: shop, closure: true, suffixes: { sale: 'WHERE t.id = 1' } });
      expect(ids([...rows.sale_old!, ...rows.sale_new!])).toEqual([1]);
      expect(rows.place).toEqual([]);
    });

    it('selects a row once however a join fans out, and keeps true duplicates', async () => {
      const source = await databases.create(
        `CREATE TABLE twice (v int); INSERT INTO twice VALUES (1), (1), (2); CREATE TABLE many (v int); INSERT INTO many VALUES (1), (1), (1)`,
      );
      const { rows } = await taken({ source, suffixes: { twice: 'INNER JOIN many m ON m.v = t.v' } });
      expect(rows.twice).toEqual(['1', '1']);
    });

    it('fails by the name of a key that would dangle', async () => {
      const error = await refused({ source: shop, suffixes: { sale: 'WHERE t.id < 18' } });
      expect(error).toMatchObject({
        code: 'VALIDATION_FAILED',
        message: expect.stringContaining('refund_sale_day_fkey'),
      });
    });

    it('accepts a suffix that leaves nothing dangling', async () => {
      const { rows } = await taken({
        source: shop,
        suffixes: { sale: 'WHERE t.id > 10', refund: 'WHERE t.sale > 18' },
      });
      expect(ids(rows.refund)).toEqual([19, 20]);
      expect(ids([...rows.sale_old!, ...rows.sale_new!])).toEqual([11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
      expect(rows.person).toHaveLength(30);
    });

    it.each([
      ['a second statement', 'WHERE true; DROP TABLE lonely'],
      ['a parenthesis that closes ours', 'WHERE true) OR (true'],
      ['a column that does not exist', 'WHERE t.nope = 1'],
      ['a mistake', 'WHERE WHERE'],
      ['a limit', 'WHERE true LIMIT 1'],
      ['what fails on a row', 'WHERE 1 / (t.id - 20) = 0'],
    ])('refuses %s', async (_, suffix) => {
      expect(await refused({ source: shop, suffixes: { sale: suffix } })).toMatchObject({ code: 'VALIDATION_FAILED' });
      expect(await databases.query(shop, 'SELECT count(*) AS n FROM lonely')).toEqual([{ n: '1' }]);
    });

    it('refuses tables that do not exist, and a closure of nothing', async () => {
      expect(await refused({ source: shop, suffixes: { nope: 'WHERE true' } })).toMatchObject({
        code: 'VALIDATION_FAILED',
      });
      expect(await refused({ source: shop, tables: ['nope'] })).toMatchObject({ code: 'VALIDATION_FAILED' });
      expect(await refused({ source: shop, closure: true })).toMatchObject({ code: 'VALIDATION_FAILED' });
    });

    it('keeps chosen tables with those they refer to, and their objects only', async () => {
      const { manifest } = await taken({ source: shop, tables: ['refund'] });
      expect(manifest.tables.map(({ name }) => name)).toEqual([
        'person',
        'place',
        'refund',
        'sale',
        'sale_new',
        'sale_old',
        'tenant',
      ]);
      expect(manifest.objects.some(({ name }) => name === 'lonely')).toBe(false);
    });
  });

  describe('chunks', () => {
    it('cuts a large table into ranges of pages that hold every row once', async () => {
      const source = await databases.create(
        `CREATE TABLE large (id int, v text); INSERT INTO large SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, 60000) n; DELETE FROM large WHERE id BETWEEN 20000 AND 21000`,
      );
      const { manifest, rows } = await taken({ source, format: 'text' });
      expect(table(manifest, 'large').chunks.length).toBeGreaterThan(2);
      expect(table(manifest, 'large').rows).toBe(58_999);
      expect(new Set(ids(rows.large)).size).toBe(58_999);
    });

    it('takes binary only where every type allows it', async () => {
      const source = await databases.create(
        `CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE plain (id int); CREATE TABLE odd (m mood); INSERT INTO plain VALUES (1); INSERT INTO odd VALUES ('sad')`,
      );
      const { manifest } = await taken({ source, format: 'binary' });
      expect([table(manifest, 'plain').format, table(manifest, 'odd').format]).toEqual(['binary', 'text']);
    });

    it('takes binary by itself for tables of a megabyte whose rows it does not make larger', async () => {
      const source = await databases.create(
        `CREATE TABLE keys (key uuid); INSERT INTO keys SELECT md5(n::text)::uuid FROM generate_series(1, 60000) n;
         CREATE TABLE counters (id int, v text); INSERT INTO counters SELECT n, repeat('x', 30) FROM generate_series(1, 60000) n;
         CREATE TABLE digits (a int, b int); INSERT INTO digits SELECT n % 9, n % 7 FROM generate_series(1, 60000) n;
         CREATE TABLE pages (id int, at timestamptz, v text); INSERT INTO pages SELECT n, timestamptz '2024-01-01' + n * interval '1 min', repeat(md5(n::text), 3) FROM generate_series(1, 12000) n;
         CREATE TABLE few (at timestamptz); INSERT INTO few SELECT now() FROM generate_series(1, 1000) n`,
      );
      const formats = async (compression: BackupOptions['compression']): Promise<object> => {
        const { manifest } = await taken({ source, ...(compression && { compression }) });
        return Object.fromEntries(manifest.tables.map(({ name, format }) => [name, format]));
      };
      const plain = { keys: 'binary', pages: 'binary', counters: 'text', digits: 'text', few: 'text' };
      expect(await formats('none')).toEqual(plain);
      // Compressed, a table has to be larger.
      expect(await formats({ zstd: 1 })).toEqual({ ...plain, keys: 'text', pages: 'text' });
    });

    it('gives no chunk for tables without rows, and one for rows without columns', async () => {
      const source = await databases.create(
        `CREATE TABLE none (id int); CREATE TABLE blank (); INSERT INTO blank DEFAULT VALUES; CREATE TABLE gone (id int); INSERT INTO gone VALUES (1); DELETE FROM gone`,
      );
      const { manifest, rows } = await taken({ source });
      expect([table(manifest, 'none').chunks, table(manifest, 'gone').chunks]).toEqual([[], []]);
      expect(rows.blank).toEqual(['']);
    });
  });

  describe('consistency', () => {
    it('shows one moment to all workers while money moves', async () => {
      const source = await databases.create(
        `CREATE TABLE a (id int PRIMARY KEY, v int); CREATE TABLE b (id int PRIMARY KEY, v int); INSERT INTO a SELECT n, 100 FROM generate_series(1, 50) n; INSERT INTO b SELECT * FROM a`,
      );
      const stop = new AbortController();
      const load = (async () => {
        for (let n = 0; !stop.signal.aborted; n++) {
          const id = 1 + (n % 50);
          await databases.query(
            source,
            `BEGIN; UPDATE a SET v = v - 1 WHERE id = ${id}; UPDATE b SET v = v + 1 WHERE id = ${51 - id}; COMMIT`,
          );
        }
      })();
      try {
        for (let round = 0; round < 5; round++) {
          const { rows } = await taken({ source });
          const sum = [...rows.a!, ...rows.b!].reduce((total, row) => total + Number(row.split('\t')[1]), 0);
          expect(sum).toBe(10_000);
        }
      } finally {
        stop.abort();
        await load;
      }
    });

    /** Takes a snapshot; `meanwhile` runs after the catalog was read and before any lock, at each attempt. */
    async function snapshotWhile(
      source: string,
      meanwhile: (attempt: number) => Promise<unknown>,
    ): Promise<PostgresCatalog> {
      await using sql = openSql(source, { connections: 4, applicationName: 'test' });
      let attempt = 0;
      await using snapshot = await takeSnapshot(sql, {
        ...{ workers: 2, lockWaitMs: 100, signal: new AbortController().signal },
        check: async () => void (await meanwhile(++attempt)),
      });
      return snapshot.catalog;
    }

    it('sees a table that was created, dropped or rewritten just before the locks as it is then', async () => {
      const source = await databases.create('CREATE TABLE one (id int); INSERT INTO one VALUES (1)');
      const names = async (sql: string): Promise<string[]> => {
        const catalog = await snapshotWhile(source, async (attempt) => attempt === 1 && databases.query(source, sql));
        return catalog.tables.map(({ name }) => name);
      };
      expect(await names('CREATE TABLE two (id int)')).toEqual(['one', 'two']);
      expect(await names('DROP TABLE two')).toEqual(['one']);
      expect(await names('DROP TABLE one; CREATE TABLE one (id text)')).toEqual(['one']);
    });

    it.each([0, 1])('gives up while another session alters a table, also from attempt %i on', async (from) => {
      const source = await databases.create('CREATE TABLE busy (id int)');
      await using sql = openSql(source, { connections: 1, applicationName: 'blocker' });
      await using blocker = await PostgresSession.open(sql);
      const block = async (attempt: number): Promise<unknown> =>
        attempt === from && blocker.query('BEGIN; LOCK TABLE public.busy IN ACCESS EXCLUSIVE MODE');
      await block(0);
      await expect(snapshotWhile(source, block)).rejects.toMatchObject({ code: 'DR_LOCKED' });
      // Nothing of ours is left that the other would have to wait for, and the other way round.
      await blocker.query('ALTER TABLE public.busy ADD more int; COMMIT');
      expect((await snapshotWhile(source, async () => {})).tables).toHaveLength(1);
    });

    it('blocks TRUNCATE and ALTER while a snapshot is held', async () => {
      const source = await databases.create('CREATE TABLE kept (id int)');
      await using sql = openSql(source, { connections: 4, applicationName: 'test' });
      await using _snapshot = await takeSnapshot(sql, {
        workers: 2,
        signal: new AbortController().signal,
        check: async () => {},
      });
      for (const statement of ['TRUNCATE kept', 'ALTER TABLE kept ADD more int', 'DROP TABLE kept']) {
        await expect(databases.query(source, `SET lock_timeout = 100; ${statement}`)).rejects.toMatchObject({
          code: '55P03',
        });
      }
    });
  });

  describe('rights', () => {
    it('names every table and sequence that may not be read, before anything is locked', async () => {
      const source = await databases.create(
        'CREATE TABLE "Open" (id int); CREATE TABLE closed (id serial); CREATE ROLE clerk LOGIN; GRANT SELECT ON "Open" TO clerk',
      );
      const error = await refused({ source: source.replace('app@', 'clerk@') });
      expect(error).toMatchObject({
        code: 'DR_PRIVILEGE_MISSING',
        message: expect.stringContaining('"public"."closed", "public"."closed_id_seq"'),
      });
      expect(error.message).not.toContain('Open');
    });

    it('refuses to leave out rows that a policy hides', async () => {
      const source = await databases.create(
        'CREATE TABLE secret (id int); ALTER TABLE secret ENABLE ROW LEVEL SECURITY; CREATE ROLE guest LOGIN; GRANT SELECT ON secret TO guest',
      );
      const error = await refused({ source: source.replace('app@', 'guest@') });
      expect(error).toMatchObject({ code: 'DR_PRIVILEGE_MISSING', message: expect.stringContaining('BYPASSRLS') });
    });
  });

  describe('what fails', () => {
    it('writes nothing into a place that is not empty', async () => {
      await using directory = await temporaryDirectory();
      await writeFile(join(directory.path, 'mine'), 'x');
      await expect(backup({ source: shop, out: directory.path })).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
      expect(existsSync(join(directory.path, 'mine'))).toBe(true);
    });

    it('takes an empty directory', async () => {
      await using directory = await temporaryDirectory();
      await mkdir(join(directory.path, 'archive'));
      expect(await backup({ source: shop, out: join(directory.path, 'archive') })).toMatchObject({
        tables: 8,
        consistency: { grade: 'A' },
      });
    });

    it('leaves nothing when it is cancelled in the middle, here and in the server', async () => {
      const stop = new AbortController();
      const error = await refused({
        ...{ source: shop, signal: stop.signal },
        onProgress: ({ phase }) => phase === 'reading rows' && stop.abort(),
      });
      expect(error.code).toBe('DR_CANCELLED');
      await expect
        .poll(() =>
          databases.query(shop, `SELECT count(*) AS n FROM pg_stat_activity WHERE application_name LIKE 'holdfast%'`),
        )
        .toEqual([{ n: '0' }]);
    });

    it('says so when the server ends its sessions', async () => {
      const source = await databases.create(
        `CREATE TABLE t (v text); INSERT INTO t SELECT repeat(md5(n::text), 100) FROM generate_series(1, 20000) n`,
      );
      let ended: Promise<unknown> | null = null;
      const error = await refused({
        source,
        onProgress: ({ phase }) => {
          if (phase !== 'reading rows') return;
          ended ??= databases.query(
            shop,
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'holdfast%'`,
          );
        },
      });
      await ended;
      expect(error.code).toBe('DATABASE_UNAVAILABLE');
    });

    it('names what is needed where no pg_dump is new enough', async () => {
      await expect(findPgDump(990_000)).rejects.toMatchObject({
        code: 'DR_INCOMPATIBLE',
        message: expect.stringContaining('pg_dump 99'),
      });
    });
  });

  it('lists keys with the operators that compare their columns', async () => {
    await using sql = openSql(shop, { connections: 1, applicationName: 'test' });
    await using session = await PostgresSession.open(sql);
    const { keys } = await readCatalog(session);
    expect(keys.find(({ name }) => name === 'sale_a_b_fkey')).toMatchObject({
      ...{ childColumns: ['a', 'b'], parentColumns: ['a', 'b'] },
      operators: ['OPERATOR(pg_catalog.=)', 'OPERATOR(pg_catalog.=)'],
    });
  });
});
