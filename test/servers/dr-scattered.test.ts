import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backup } from '../../src/dr/backup.ts';
import { restore } from '../../src/dr/restore.ts';
import { verify } from '../../src/dr/verify.ts';
import { PostgresDatabases } from '../support/postgres-databases.ts';
import { copySchema, imageOf } from '../support/postgres-image.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** Spread over partitions by the hash of an enum: into which one a row falls depends on oids. */
const SOURCE = `CREATE TYPE colour AS ENUM (${Array.from({ length: 12 }, (_, n) => `'colour ${n}'`).join(', ')});
CREATE TABLE thing (id int, c colour, v text, PRIMARY KEY (id, c)) PARTITION BY HASH (c);
CREATE TABLE thing_0 PARTITION OF thing FOR VALUES WITH (MODULUS 2, REMAINDER 0) PARTITION BY RANGE (id);
CREATE TABLE thing_00 PARTITION OF thing_0 FOR VALUES FROM (0) TO (5000);
CREATE TABLE thing_0d PARTITION OF thing_0 DEFAULT;
CREATE TABLE thing_1 (v text, c colour NOT NULL, id int NOT NULL);
ALTER TABLE thing ATTACH PARTITION thing_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE about (id int, c colour, FOREIGN KEY (id, c) REFERENCES thing);
CREATE INDEX ON thing (v);`;
const ROWS = `INSERT INTO thing SELECT n, ('colour ' || n % 12)::colour, repeat('x', 200) FROM generate_series(1, 9000) n;
INSERT INTO about SELECT id, c FROM thing WHERE id % 100 = 0;`;

describeWith('postgres', 'a table whose rows are in other partitions in each database', () => {
  let databases: PostgresDatabases;
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let source: string;
  let from: string;
  beforeAll(async () => {
    directory = await temporaryDirectory();
    databases = await PostgresDatabases.start();
    source = await databases.create(SOURCE);
    await databases.query(source, ROWS);
    from = join(directory.path, 'archive');
    await backup({ source, out: from });
  });
  afterAll(async () => {
    await databases?.[Symbol.asyncDispose]();
    await directory?.[Symbol.asyncDispose]();
  });

  it('comes back, and a finished restore is known as finished', async () => {
    const target = await databases.create();
    await restore({ from, target });
    expect(await imageOf(databases, target)).toEqual(await imageOf(databases, source));
    expect(await restore({ from, target, resume: true })).toMatchObject({ state: 'complete' });
    await databases.query(target, 'DELETE FROM thing WHERE id = 77');
    await expect(restore({ from, target, resume: true })).rejects.toMatchObject({ code: 'DR_TARGET_NOT_EMPTY' });
  });

  it('comes back into live tables, and into none with rows', async () => {
    const target = await databases.create();
    copySchema(source, target);
    await restore({ from, target, mode: 'data' });
    expect(await imageOf(databases, target)).toEqual(await imageOf(databases, source));
    await expect(restore({ from, target, mode: 'data' })).rejects.toMatchObject({ code: 'DR_TARGET_NOT_EMPTY' });
  });

  it('passes a drill', async () => {
    await expect(verify({ from, level: 'DRILL', target: source })).resolves.toMatchObject({ result: 'PASSED' });
  });

  it.each([['thing'], ['thing_00'], ['thing_1'], ['about']])('comes back whole when %s is chosen', async (table) => {
    const target = await databases.create();
    await restore({ from, target, tables: [table] });
    expect(await databases.query(target, 'SELECT count(*) AS rows FROM thing')).toEqual([{ rows: '9000' }]);
  });

  it('gives the rows that a suffix selects', async () => {
    const out = join(directory.path, 'some');
    await backup({ source, out, closure: true, suffixes: { about: 'WHERE t.id <= 1000' } });
    const target = await databases.create();
    await restore({ from: out, target });
    expect(await databases.query(target, 'SELECT count(*) AS rows FROM thing')).toEqual([{ rows: '10' }]);
  });
});
