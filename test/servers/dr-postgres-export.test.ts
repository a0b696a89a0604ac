import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backup } from '../../src/dr/backup.ts';
import { restore } from '../../src/dr/restore.ts';
import { PostgresDatabases } from '../support/postgres-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const EVERYTHING = readFileSync(join(import.meta.dirname, '../support/sql/everything.sql'), 'utf8');
/** What of it only pg_dump keeps. */
const DROPPED = `
DROP EVENT TRIGGER no_ddl; DROP PUBLICATION news; DROP CAST (int AS mood); DROP OPERATOR === (int, int);`;

describeWith('postgres', 'reading the schema of PostgreSQL without pg_dump', () => {
  let databases: PostgresDatabases;
  beforeAll(async () => {
    databases = await PostgresDatabases.start({ args: ['-c', 'max_connections=40'] });
    await databases.query(databases.server.url, 'CREATE ROLE clerk; CREATE ROLE keeper');
  }, 60_000);
  afterAll(() => databases?.[Symbol.asyncDispose]());

  /** Backs up by the catalog, restores, and compares what pg_dump says of both. */
  async function expectEqual(source: string): Promise<void> {
    await using directory = await temporaryDirectory();
    const out = join(directory.path, 'archive');
    await backup({ source, out, schemaExporter: 'catalog' });
    const target = await databases.create();
    const { notices } = await restore({ from: out, target });
    const [before, after] = [await databases.contents(source), await databases.contents(target)];
    expect(after.schema).toBe(before.schema);
    expect(after.rows).toEqual(before.rows);
    expect(notices).toEqual([]);
  }

  it('makes an equal database of one with every kind of object', async () => {
    const statements = EVERYTHING.replace(/^CREATE ROLE .*$/gm, '');
    await expectEqual(await databases.create(`${statements}${DROPPED}`));
  });
});
