import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backup } from '../../src/dr/backup.ts';
import { restore } from '../../src/dr/restore.ts';
import { type PostgresContents, PostgresDatabases } from '../support/postgres-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const EVERYTHING = readFileSync(join(import.meta.dirname, '../support/sql/everything.sql'), 'utf8');
const PROGRAM = join(import.meta.dirname, '../support/restore-until-killed.ts');
/** Several chunks a table, a cycle, a trigger. */
const LIVE_SCHEMA = `CREATE TABLE a (id int PRIMARY KEY, b int NOT NULL, v text);
  CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL REFERENCES a);
  ALTER TABLE a ADD CONSTRAINT back FOREIGN KEY (b) REFERENCES b;
  CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'a trigger fired'; END$$;`;
const LIVE_ROWS = `ALTER TABLE a DROP CONSTRAINT back;
  INSERT INTO a SELECT n, n, repeat('x', 500) FROM generate_series(1, 60000) n;
  INSERT INTO b SELECT n, n FROM generate_series(1, 60000) n;
  ALTER TABLE a ADD CONSTRAINT back FOREIGN KEY (b) REFERENCES b;`;
const LIVE_TRIGGER = 'CREATE TRIGGER fires BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION refuse();';

describeWith('postgres', 'a restore of PostgreSQL that is killed', ({ killable }) => {
  let databases: PostgresDatabases;
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  const sources: Record<string, { archive: string; contents: PostgresContents }> = {};
  beforeAll(async () => {
    directory = await temporaryDirectory();
    databases = await PostgresDatabases.start({ args: ['-c', 'max_connections=40'] });
    for (const [mode, sql] of Object.entries({ full: EVERYTHING, data: LIVE_SCHEMA + LIVE_ROWS + LIVE_TRIGGER })) {
      const source = await databases.create(sql);
      const archive = join(directory.path, mode);
      await backup({ source, out: archive });
      sources[mode] = { archive, contents: await databases.contents(source) };
    }
  });
  afterAll(async () => {
    await databases[Symbol.asyncDispose]();
    await directory[Symbol.asyncDispose]();
  });

  async function restoreUntilKilled(target: string, mode: string, failpoint: string): Promise<string | number> {
    const child = spawn(process.execPath, [PROGRAM, sources[mode]?.archive ?? '', target, mode, failpoint]);
    const [code, signal] = await once(child, 'exit');
    return signal ?? code;
  }

  it.each([
    ...['full', 'data'].flatMap((mode) => [[mode, 'restore.afterMark'] as const]),
    ...[1, 2, 5, 9, 20].map((count) => ['full', `restore.beforeCommit:${count}`] as const),
    ...[1, 3, 8, 16].map((count) => ['full', `restore.afterCommit:${count}`] as const),
    ...[1, 4, 12].map((count) => ['full', `restore.afterChunk:${count}`] as const),
    ...[1, 3].map((count) => ['data', `restore.afterChunk:${count}`] as const),
    ...[2, 4].map((count) => ['data', `restore.beforeCommit:${count}`] as const),
    ...['full', 'data'].flatMap((mode) => [[mode, 'restore.beforeFinish'] as const]),
    ['full', 'restore.afterFinish'] as const,
  ])('in mode %s at %s goes on, and nothing is lost or there twice', async (mode, failpoint) => {
    const target = await databases.create(mode === 'data' ? LIVE_SCHEMA + LIVE_TRIGGER : '');
    expect(await restoreUntilKilled(target, mode, failpoint)).toBe('SIGKILL');
    const { archive = '', contents } = sources[mode] ?? {};
    await restore({ from: archive, target, mode: mode === 'data' ? 'data' : 'full', resume: true });
    const restored = await databases.contents(target);
    expect(restored.schema).toBe(contents?.schema);
    expect(restored.rows).toEqual(contents?.rows);
  });

  it.skipIf(!killable)('loads again what a crash of the server takes from unlogged tables and sequences', async () => {
    const source = await databases.create(`CREATE UNLOGGED TABLE lost (id int PRIMARY KEY); CREATE TABLE kept (id int);
      CREATE UNLOGGED SEQUENCE numbers; SELECT setval('numbers', 7);
      ALTER TABLE lost ADD v text, ADD up int REFERENCES lost;
      INSERT INTO lost SELECT n, repeat('x', 1000), 2001 - n FROM generate_series(1, 2000) n; INSERT INTO kept SELECT id FROM lost;`);
    const expected = await databases.contents(source);
    const archive = join(directory.path, 'unlogged');
    await backup({ source, out: archive });
    sources.unlogged = { archive, contents: expected };
    const target = await databases.create();
    expect(await restoreUntilKilled(target, 'unlogged', 'restore.beforeFinish')).toBe('SIGKILL');
    await databases.server.kill();
    await databases.server.restart();
    await restore({ from: archive, target, resume: true });
    expect(await databases.contents(target)).toEqual(expected);
  });

  it.skipIf(!killable)('goes on after the server was killed in its middle', async () => {
    const { archive = '', contents } = sources.full ?? {};
    const target = await databases.create();
    let killed: Promise<void> | undefined;
    const result = restore({
      from: archive,
      target,
      onProgress: ({ rowsDone }) => {
        if (rowsDone > 0) killed ??= databases.server.kill();
      },
    });
    await expect(result).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE', details: { resumable: true } });
    await killed;
    await databases.server.restart();
    const { state } = await restore({ from: archive, target, resume: true });
    expect(state).toBe('resumed');
    expect(await databases.contents(target)).toEqual(contents);
  });
});
