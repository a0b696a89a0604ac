import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { EncryptionKey } from '../../src/dr/archive/encryption-key.ts';
import { openStorage } from '../../src/dr/archive/open-storage.ts';
import { showArchive } from '../../src/dr/archives.ts';
import { backup } from '../../src/dr/backup.ts';
import { compareDatabase } from '../../src/dr/compare-database.ts';
import type { DrProgress } from '../../src/dr/progress.ts';
import { restore } from '../../src/dr/restore.ts';
import { ProgressTracker } from '../../src/dr/track-progress.ts';
import { verify } from '../../src/dr/verify.ts';
import { verifyRows } from '../../src/dr/verify-rows.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { type PostgresServer, startPostgres } from '../support/servers/postgres.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const SCHEMA = `
  CREATE TABLE author (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE, born date);
  CREATE TABLE book (id int PRIMARY KEY, author int NOT NULL REFERENCES author, title text, price numeric(10, 2));
  CREATE INDEX book_title ON book (title);
  INSERT INTO author (name, born) SELECT 'author ' || i, date '1900-01-01' + i FROM generate_series(1, 500) i;
  INSERT INTO book SELECT i, 1 + i % 500, 'title ' || i, i / 7.0 FROM generate_series(1, 3000) i;
`;

describeWith('postgres', 'a drill', () => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres();
    await server.createDatabase('library');
    await run('library', SCHEMA);
  });

  afterAll(() => server?.[Symbol.asyncDispose]());

  async function run(database: string, sql: string): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: server.urlOf(database) });
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  }

  async function databases(): Promise<unknown[]> {
    const rows = await run('postgres', `SELECT datname FROM pg_database WHERE datname LIKE 'holdfast_drill%'`);
    return rows.map(({ datname }) => datname);
  }

  it.each(['text', 'binary'] as const)(
    'of rows in %s restores, compares, measures, and leaves no database',
    async (format) => {
      await using directory = await temporaryDirectory();
      const from = join(directory.path, 'archive');
      const key = new EncryptionKey(randomBytes(32));
      await backup({ source: server.urlOf('library'), out: from, format, key });
      const told: DrProgress[] = [];
      const target = server.urlOf('postgres');
      const report = await verify({ from, level: 'DRILL', target, key, onProgress: (progress) => told.push(progress) });
      expect(report).toMatchObject({ result: 'PASSED', rows: 3_500, problems: [] });
      expect(report.recoveryMs).toBeGreaterThan(0);
      expect((await showArchive(from)).verified.DRILL).toEqual(report);
      expect(await databases()).toEqual([]);
      const percents = told.map(({ percent }) => percent);
      expect(percents).toEqual(percents.toSorted((a, b) => a - b));
      expect(percents.at(-1)).toBe(100);
    },
  );

  it('tells tables apart whose names hold dots', async () => {
    await using directory = await temporaryDirectory();
    const from = join(directory.path, 'archive');
    const source = await server.createDatabase('dots');
    await run(
      'dots',
      `CREATE SCHEMA "a"; CREATE SCHEMA "a.b"; CREATE TABLE a."b.c" (x int); CREATE TABLE "a.b".c (x int); INSERT INTO "a.b".c VALUES (1)`,
    );
    await backup({ source, out: from });
    await expect(verify({ from, level: 'DRILL', target: source })).resolves.toMatchObject({ result: 'PASSED' });
  });

  it('leaves no database of one that subscribes, and makes each table by its own access method', async () => {
    await using directory = await temporaryDirectory();
    const from = join(directory.path, 'archive');
    const source = await server.createDatabase('subscribes');
    await run(
      'subscribes',
      `CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler; CREATE TABLE a (x int) USING other; CREATE TABLE b (x int);
       CREATE SUBSCRIPTION s CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false, slot_name = 'kept')`,
    );
    await backup({ source, out: from });
    await expect(verify({ from, level: 'DRILL', target: source })).resolves.toMatchObject({ result: 'PASSED' });
    expect(await databases()).toEqual([]);
    await run('subscribes', 'ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s');
  });

  it('does not touch a database with a damaged archive', async () => {
    await using directory = await temporaryDirectory();
    const from = join(directory.path, 'archive');
    await backup({ source: server.urlOf('library'), out: from });
    const { manifest } = await showArchive(from);
    await rm(join(from, manifest.tables.flatMap(({ chunks }) => chunks)[0]?.file ?? ''));
    const drill = verify({ from, level: 'DRILL', target: server.urlOf('postgres') });
    await expect(drill).rejects.toMatchObject({
      code: 'DR_CHECKSUM_MISMATCH',
      message: expect.stringContaining('is missing'),
    });
    expect(await databases()).toEqual([]);
  });

  it('drops its database also when it is cancelled in the middle', async () => {
    await using directory = await temporaryDirectory();
    const from = join(directory.path, 'archive');
    await backup({ source: server.urlOf('library'), out: from });
    const controller = new AbortController();
    const onProgress = ({ percent }: DrProgress): void => {
      if (percent > 25) controller.abort();
    };
    const drill = verify({
      from,
      level: 'DRILL',
      target: server.urlOf('postgres'),
      onProgress,
      signal: controller.signal,
    });
    await expect(drill).rejects.toMatchObject({ code: 'DR_CANCELLED' });
    expect(await databases()).toEqual([]);
  });

  it.each([
    ['a changed value', `UPDATE book SET price = price + 0.01 WHERE id = 1234`, ['table public.book has other rows']],
    ['a lost row', 'DELETE FROM book WHERE id = 17', ['table public.book has 2999 rows instead of 3000']],
    ['a lost index', 'DROP INDEX book_title', ['index public.book_title is missing or differs']],
    ['a lost table', 'DROP TABLE book', ['table public.book is missing']],
    ['a moved sequence', `SELECT nextval('author_id_seq')`, ['value of public.author_id_seq is missing or differs']],
  ])('would find %s', async (_, change, expected) => {
    await using directory = await temporaryDirectory();
    const from = join(directory.path, 'archive');
    await backup({ source: server.urlOf('library'), out: from });
    const name = `copy_${randomBytes(4).toString('hex')}`;
    const target = await server.createDatabase(name);
    await restore({ from, target });
    const { manifest } = await showArchive(from);
    const tables = manifest.tables.map(({ id, bytes, chunks }) => ({
      id,
      name: `${id}`,
      chunks: chunks.length,
      bytes,
    }));
    const read = new ProgressTracker(() => undefined);
    read.plan(tables);
    const storage = await openStorage(from);
    const { digests } = await verifyRows(storage, manifest, { key: undefined, workers: 2, tracker: read });
    await storage.close();
    const compare = async (): Promise<string[]> => {
      const tracker = new ProgressTracker(() => undefined);
      tracker.plan(tables);
      const signal = new AbortController().signal;
      return compareDatabase(target, manifest, { workers: 2, digests, exemptKinds: new Set(), tracker, signal });
    };
    expect(await compare()).toEqual([]);
    await run(name, change);
    expect(await compare()).toEqual(expect.arrayContaining(expected));
  });
});
