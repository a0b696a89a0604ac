import { accessSync, constants, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backup } from '../../src/dr/backup.ts';
import { restore } from '../../src/dr/restore.ts';
import { verify } from '../../src/dr/verify.ts';
import { PostgresDatabases } from '../support/postgres-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const NAME = 'holdfast_configured';
const FILES = {
  [`${NAME}.control`]: "default_version = '1'\nrelocatable = false\nschema = public\n",
  // The child's name comes first.
  [`${NAME}--1.sql`]: `
    CREATE TABLE parent (id int PRIMARY KEY, own boolean DEFAULT false, v text); INSERT INTO parent VALUES (0, true, 'of the extension');
    CREATE TABLE a_child (id int, parent int REFERENCES parent); CREATE SEQUENCE jobs;
    SELECT pg_extension_config_dump('parent', 'WHERE NOT own'); SELECT pg_extension_config_dump('a_child', ''); SELECT pg_extension_config_dump('jobs', '');`,
};

describeWith('postgres', 'tables and sequences of an extension that hold what users entered', () => {
  let databases: PostgresDatabases;
  let directory: string | undefined;
  beforeAll(async () => {
    databases = await PostgresDatabases.start();
    const [row] = await databases.query(databases.server.url, "SELECT setting FROM pg_config WHERE name = 'SHAREDIR'");
    const found = join(row?.setting ?? '', 'extension');
    try {
      accessSync(found, constants.W_OK);
    } catch {
      return;
    }
    directory = found;
    for (const [name, text] of Object.entries(FILES)) writeFileSync(join(directory, name), text);
  });
  afterAll(async () => {
    if (directory !== undefined) for (const name of Object.keys(FILES)) rmSync(join(directory, name), { force: true });
    await databases?.[Symbol.asyncDispose]();
  });

  it.each(['pg_dump', 'catalog'] as const)(
    'keep that beside what the extension brings, by %s',
    async (schemaExporter) => {
      if (directory === undefined) return;
      const source = await databases.create(`CREATE EXTENSION ${NAME};
      INSERT INTO parent SELECT n, false, repeat('x', 500) FROM generate_series(1, 4000) n; INSERT INTO a_child SELECT n, n FROM generate_series(1, 4000) n;
      SELECT setval('jobs', 77)`);
      await using temporary = await temporaryDirectory();
      const out = join(temporary.path, 'archive');
      await backup({ source, out, schemaExporter });
      const target = await databases.create();
      await restore({ from: out, target });
      const question = `SELECT (SELECT count(*) FROM parent)::int AS parents, (SELECT v FROM parent WHERE own) AS own,
      (SELECT count(*) FROM a_child)::int AS children, nextval('jobs')::int AS next`;
      const found = [{ parents: '4001', own: 'of the extension', children: '4000', next: '78' }];
      expect(await databases.query(target, question)).toEqual(found);
      expect(await verify({ from: out, level: 'DRILL', target })).toMatchObject({ result: 'PASSED' });
    },
  );
});
