import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backup } from '../../src/dr/backup.ts';
import { restore } from '../../src/dr/restore.ts';
import { restoreUntilKilled } from '../support/killed-restores.ts';
import { type MariadbContents, MariadbDatabases } from '../support/mariadb-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const TABLES = `
CREATE TABLE kept (id int PRIMARY KEY);
CREATE TABLE cache (id int AUTO_INCREMENT PRIMARY KEY, v varchar(20)) ENGINE = MEMORY AUTO_INCREMENT = 1000;
CREATE TABLE empty (id int) ENGINE = MEMORY;
CREATE VIEW cached AS SELECT v FROM cache;`;
const ROWS = `
INSERT INTO kept SELECT seq FROM seq_1_to_500;
INSERT INTO cache SELECT seq, CONCAT('row ', seq) FROM seq_1_to_500;`;
const TRIGGERS = `
CREATE TRIGGER second BEFORE INSERT ON cache FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'fired';
CREATE TRIGGER first BEFORE INSERT ON cache FOR EACH ROW PRECEDES second SET NEW.v = 'fired';
CREATE TRIGGER other BEFORE INSERT ON kept FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'fired';`;

describeWith(
  'mariadb',
  'what a restart of the server takes from tables in memory',
  () => {
    let databases: MariadbDatabases;
    let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
    let archive: string;
    let expected: MariadbContents;
    beforeAll(async () => {
      directory = await temporaryDirectory();
      databases = await MariadbDatabases.start();
      const source = await databases.create(TABLES + ROWS + TRIGGERS);
      archive = join(directory.path, 'archive');
      await backup({ source, out: archive });
      expected = await databases.contents(source);
    });
    afterAll(async () => {
      await databases[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    });

    const places = (['full', 'data'] as const).flatMap((mode) =>
      ['restore.beforeFinish', 'restore.afterFinish'].map((failpoint) => [mode, failpoint] as const),
    );
    it.each(places)('is loaded again, in mode %s after %s, and no trigger fires', async (mode, failpoint) => {
      const target = await databases.create(mode === 'data' ? TABLES + TRIGGERS : '');
      expect(await restoreUntilKilled(archive, target, mode, failpoint)).toBe('SIGKILL');
      // Going on is broken off as well: after the marks were made or found, when rows are there, and when they are lost once more.
      for (const next of [
        'restore.afterMark',
        'restore.beforeCommit:1',
        'restore.afterCommit:1',
        'restore.beforeFinish',
      ]) {
        await databases.server.kill();
        await databases.server.restart();
        expect(await restoreUntilKilled(archive, target, mode, next)).toBe('SIGKILL');
      }
      await databases.server.kill();
      await databases.server.restart();
      expect((await restore({ from: archive, target, mode, resume: true })).state).toBe('resumed');
      expect(await databases.contents(target)).toEqual(expected);
      expect((await restore({ from: archive, target, mode, resume: true })).state).toBe('complete');
    });
  },
  { killable: true },
);
