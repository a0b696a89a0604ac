import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backup } from '../../src/dr/backup.ts';
import { restore } from '../../src/dr/restore.ts';
import { restoreUntilKilled } from '../support/killed-restores.ts';
import { MariadbDatabases } from '../support/mariadb-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const SCHEMA = 'CREATE TABLE ticket (id int PRIMARY KEY)';
const ROWS = ';\nINSERT INTO ticket VALUES (1), (2)';
const SEQUENCES = 'CREATE SEQUENCE first_numbers;\nCREATE SEQUENCE second_numbers START WITH 7';
const LOST = { code: 'DR_INCOMPATIBLE', message: expect.stringMatching(/sequence \w+_numbers has lost its row/) };

/** MariaDB forgets the row of a sequence when it is killed within a second of its creation, and dies of the next look at it. */
describeWith(
  'mariadb',
  'a sequence whose row the server lost',
  () => {
    let databases: MariadbDatabases;
    let directory: Awaited<ReturnType<typeof temporaryDirectory>>;

    beforeAll(async () => {
      directory = await temporaryDirectory();
      databases = await MariadbDatabases.start();
    });
    afterAll(async () => {
      await databases[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    });

    const killServer = async (): Promise<void> => {
      await databases.server.kill();
      await databases.server.restart();
    };

    it('is refused by name in a source and in a live target, and the server lives on', async () => {
      const source = await databases.create(`${SCHEMA};\n${SEQUENCES}${ROWS}`);
      const archive = join(directory.path, 'live');
      await backup({ source, out: archive });
      const broken = await databases.create(SCHEMA);
      await databases.query(broken, SEQUENCES);
      await killServer();
      await expect(databases.query(broken, 'SELECT NEXTVAL(second_numbers)')).rejects.toThrow(/find record/);
      await expect(backup({ source: broken, out: join(directory.path, 'none') })).rejects.toMatchObject(LOST);
      await expect(restore({ from: archive, target: broken, mode: 'data' })).rejects.toMatchObject(LOST);
      expect(databases.server.output()).not.toMatch(/Assertion failure/);
      expect(await databases.query(broken, 'SELECT * FROM ticket')).toEqual([]);
    });

    it('is created again by a restore that goes on', async () => {
      const source = await databases.create(`${SCHEMA};\n${SEQUENCES}${ROWS}`);
      const archive = join(directory.path, 'full');
      await backup({ source, out: archive });
      const target = await databases.create();
      expect(await restoreUntilKilled(archive, target, 'full', 'restore.afterObject:2')).toBe('SIGKILL');
      await killServer();
      expect((await restore({ from: archive, target, resume: true })).state).toBe('resumed');
      expect(await databases.contents(target)).toEqual(await databases.contents(source));
      expect(databases.server.output()).not.toMatch(/Assertion failure/);
    });
  },
  { killable: true },
);
