import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backup } from '../../src/dr/backup.ts';
import { restore } from '../../src/dr/restore.ts';
import { type MariadbContents, MariadbDatabases } from '../support/mariadb-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const EVERYTHING = readFileSync(join(import.meta.dirname, '../support/sql/everything-mariadb.sql'), 'utf8');
const PROGRAM = join(import.meta.dirname, '../support/restore-until-killed.ts');
/** Several chunks a table, a cycle, a table that cannot roll back, triggers. */
const LIVE_SCHEMA = `CREATE TABLE a (id int PRIMARY KEY, b int NOT NULL, v text, KEY (b));
  CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL, CONSTRAINT forth FOREIGN KEY (a) REFERENCES a (id));
  ALTER TABLE a ADD CONSTRAINT back FOREIGN KEY (b) REFERENCES b (id);
  CREATE TABLE loose (id int) ENGINE = MyISAM;`;
const LIVE_ROWS = `SET foreign_key_checks = 0;
  INSERT INTO a SELECT seq, seq, REPEAT('x', 500) FROM seq_1_to_60000;
  INSERT INTO b SELECT seq, seq FROM seq_1_to_60000;
  INSERT INTO loose VALUES (1), (1), (2);
  ANALYZE TABLE a, b;`;
const LIVE_TRIGGER = `CREATE TRIGGER second BEFORE INSERT ON a FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'fired';
  CREATE TRIGGER first BEFORE INSERT ON a FOR EACH ROW PRECEDES second SET NEW.v = 'fired';`;

describeWith('mariadb', 'a restore of MariaDB that is killed', ({ killable }) => {
  let databases: MariadbDatabases;
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  const sources: Record<string, { archive: string; contents: MariadbContents }> = {};
  beforeAll(async () => {
    directory = await temporaryDirectory();
    databases = await MariadbDatabases.start();
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
    ...[1, 4, 18, 22, 26].map((count) => ['full', `restore.afterObject:${count}`] as const),
    ['data', 'restore.afterObject:1'] as const,
    ...[1, 3, 7, 10].map((count) => ['full', `restore.beforeCommit:${count}`] as const),
    ...[1, 3, 8].map((count) => ['full', `restore.afterCommit:${count}`] as const),
    ...[1, 6].map((count) => ['full', `restore.afterChunk:${count}`] as const),
    ...[1, 3, 4].map((count) => ['data', `restore.afterChunk:${count}`] as const),
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
