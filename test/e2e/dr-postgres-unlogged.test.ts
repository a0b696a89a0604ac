import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backup } from '../../src/dr/backup.ts';
import { restore } from '../../src/dr/restore.ts';
import { type Mode, restoreUntilKilled } from '../support/killed-restores.ts';
import { type PostgresContents, PostgresDatabases } from '../support/postgres-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** Unlogged tables in a circle of keys, to themselves and to a table that is logged; a larger one below them, which is loaded first. */
const TABLES = `
CREATE TABLE kept (id int PRIMARY KEY);
CREATE UNLOGGED TABLE lost (id int PRIMARY KEY, up int REFERENCES lost, kept int REFERENCES kept, best int NOT NULL, v text);
CREATE UNLOGGED TABLE below (id int PRIMARY KEY, lost int NOT NULL REFERENCES lost, v text CHECK (v <> ''));
CREATE UNLOGGED TABLE empty (id int REFERENCES below);
CREATE UNLOGGED SEQUENCE numbers;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'a trigger fired'; END$$;`;
const ROWS = `
INSERT INTO kept SELECT generate_series(1, 2000);
INSERT INTO lost SELECT n, 2001 - n, n, n, repeat('x', 100) FROM generate_series(1, 2000) n;
INSERT INTO below SELECT n, n, repeat('y', 1000) FROM generate_series(1, 2000) n;
SELECT setval('numbers', 7);`;
const REST = `
ALTER TABLE lost ADD CONSTRAINT best FOREIGN KEY (best) REFERENCES below;
COMMENT ON CONSTRAINT best ON lost IS 'closes the circle';
CREATE TRIGGER fires BEFORE INSERT ON below FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER always AFTER INSERT ON lost FOR EACH STATEMENT EXECUTE FUNCTION refuse();
ALTER TABLE lost ENABLE ALWAYS TRIGGER always;`;

describeWith(
  'postgres',
  'what a crash of the server takes from unlogged tables and sequences',
  () => {
    let databases: PostgresDatabases;
    let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
    let archive: string;
    let expected: PostgresContents;
    beforeAll(async () => {
      directory = await temporaryDirectory();
      databases = await PostgresDatabases.start({ args: ['-c', 'max_connections=40'] });
      const source = await databases.create(TABLES + ROWS + REST);
      archive = join(directory.path, 'archive');
      await backup({ source, out: archive });
      expected = await databases.contents(source);
    });
    afterAll(async () => {
      await databases[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    });

    async function crash(): Promise<void> {
      await databases.server.kill();
      await databases.server.restart();
    }

    /** A target whose restore was killed there, and then the server. */
    async function lostAt(mode: Mode, failpoint: string): Promise<string> {
      const target = await databases.create(mode === 'data' ? TABLES + REST : '');
      expect(await restoreUntilKilled(archive, target, mode, failpoint)).toBe('SIGKILL');
      await crash();
      return target;
    }

    const places = (['full', 'data'] as const).flatMap((mode) =>
      ['restore.beforeFinish', 'restore.afterFinish'].map((failpoint) => [mode, failpoint] as const),
    );
    it.each(places)('is loaded again, in mode %s after %s, and no trigger fires', async (mode, failpoint) => {
      const target = await lostAt(mode, failpoint);
      expect((await restore({ from: archive, target, mode, resume: true })).state).toBe('resumed');
      expect(await databases.contents(target)).toEqual(expected);
      expect((await restore({ from: archive, target, mode, resume: true })).state).toBe('complete');
    });

    it.each(['full', 'data'] as const)(
      'is loaded again in mode %s when loading it again is broken off too',
      async (mode) => {
        const target = await lostAt(mode, 'restore.afterFinish');
        // Before rows are there, with some or all of them, while keys are put back, and when all but the marks is as it was.
        expect(await restoreUntilKilled(archive, target, mode, 'restore.beforeCommit')).toBe('SIGKILL');
        for (const failpoint of ['restore.afterCommit:1', 'restore.afterCommit:4', 'restore.beforeFinish']) {
          expect(await restoreUntilKilled(archive, target, mode, failpoint)).toBe('SIGKILL');
          await crash();
        }
        expect((await restore({ from: archive, target, mode, resume: true })).state).toBe('resumed');
        expect(await databases.contents(target)).toEqual(expected);
      },
    );
  },
  { killable: true },
);
