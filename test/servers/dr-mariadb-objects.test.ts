import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backup } from '../../src/dr/backup.ts';
import { restore } from '../../src/dr/restore.ts';
import { verify } from '../../src/dr/verify.ts';
import { MariadbDatabases } from '../support/mariadb-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** Each but the last reads one with a later name, one of them by an alias that is another's name. */
const READING_VIEWS = `CREATE TABLE t (x int);
CREATE VIEW c AS SELECT * FROM t;
CREATE VIEW b AS SELECT * FROM c a;
CREATE VIEW a AS SELECT * FROM b WHERE x > 1 WITH CHECK OPTION;`;

const SEQUENCES = ['before', 'wrapped', 'ended', 'downwards', 'down_before', 'down_ended', 'lowest', 'never'];
/** Before their start, in another round, at the end of what they give, in both directions. */
const STANDING_SEQUENCES = `CREATE SEQUENCE \`before\` START WITH 100 MINVALUE 1;
ALTER SEQUENCE \`before\` RESTART 5;
CREATE SEQUENCE wrapped START WITH 100 MINVALUE 1 MAXVALUE 101 CACHE 1 CYCLE;
SELECT NEXTVAL(wrapped), NEXTVAL(wrapped), NEXTVAL(wrapped);
CREATE SEQUENCE ended START WITH 2 INCREMENT BY 10 MAXVALUE 15;
SELECT NEXTVAL(ended), NEXTVAL(ended);
CREATE SEQUENCE downwards START WITH -5 INCREMENT BY -3 MINVALUE -100 MAXVALUE 0 CACHE 2;
SELECT NEXTVAL(downwards);
CREATE SEQUENCE down_before START WITH -5 INCREMENT BY -3 MINVALUE -100 MAXVALUE 0;
ALTER SEQUENCE down_before RESTART -1;
CREATE SEQUENCE down_ended START WITH -5 INCREMENT BY -3 MINVALUE -10 MAXVALUE 0;
SELECT NEXTVAL(down_ended), NEXTVAL(down_ended);
CREATE SEQUENCE lowest INCREMENT BY -1 MAXVALUE 10;
SELECT SETVAL(lowest, -9223372036854775807);
CREATE SEQUENCE never START WITH 7;`;

describeWith('mariadb', 'what a restore makes of a MariaDB database, beside tables and rows', () => {
  let databases: MariadbDatabases;
  beforeAll(async () => {
    databases = await MariadbDatabases.start();
  }, 60_000);
  afterAll(() => databases[Symbol.asyncDispose]());

  /** Restores a backup of a database into an empty one, which is equal then, as a drill finds it to be; returns that one. */
  async function carried(source: string): Promise<string> {
    await using directory = await temporaryDirectory();
    const out = join(directory.path, 'archive');
    await backup({ source, out });
    const target = await databases.create();
    await expect(restore({ from: out, target })).resolves.toMatchObject({ notices: [] });
    expect(await databases.contents(target)).toEqual(await databases.contents(source));
    await expect(verify({ from: out, level: 'DRILL', target })).resolves.toMatchObject({ result: 'PASSED' });
    return target;
  }

  it('makes each view after those that it reads, so that it takes the same changes', async () => {
    const source = await databases.create(READING_VIEWS);
    const target = await carried(source);
    const question = 'SELECT table_name, is_updatable FROM information_schema.views WHERE table_schema = DATABASE()';
    expect(await databases.query(target, question)).toEqual(await databases.query(source, question));
    await databases.query(target, 'INSERT INTO a VALUES (2); UPDATE a SET x = 3 WHERE x = 2');
    await expect(databases.query(target, 'INSERT INTO a VALUES (1)')).rejects.toThrow(/CHECK OPTION/);
    expect(await databases.query(target, 'SELECT x FROM t')).toEqual([{ x: '3' }]);
  });

  it('keeps where each sequence stands and how often it began again', async () => {
    const source = await databases.create(STANDING_SEQUENCES);
    const target = await carried(source);
    for (const name of SEQUENCES) {
      const question = `SELECT * FROM \`${name}\``;
      expect({ name, rows: await databases.query(target, question) }).toEqual({
        name,
        rows: await databases.query(source, question),
      });
    }
  });

  it('sets sequences of live tables no lower, and tells which stood beyond those of the backup', async () => {
    const schema =
      'CREATE SEQUENCE beyond; CREATE SEQUENCE behind; CREATE SEQUENCE same; CREATE SEQUENCE wrapped MAXVALUE 9 CYCLE;';
    const source = await databases.create(
      `${schema} SELECT SETVAL(beyond, 5), SETVAL(behind, 5), SETVAL(same, 5), SETVAL(wrapped, 2, 1, 1);`,
    );
    await using directory = await temporaryDirectory();
    const out = join(directory.path, 'archive');
    await backup({ source, out });
    const target = await databases.create(
      `${schema} SELECT SETVAL(beyond, 50), SETVAL(behind, 3), SETVAL(same, 5), SETVAL(wrapped, 7);`,
    );
    const { notices } = await restore({ from: out, target, mode: 'data' });
    expect(notices).toEqual(['sequence beyond stands beyond 6, where the backup has it, and is left there']);
    const question = 'SELECT NEXTVAL(beyond) AS a, NEXTVAL(behind) AS b, NEXTVAL(same) AS c, NEXTVAL(wrapped) AS d';
    expect(await databases.query(target, question)).toEqual([{ a: '51', b: '6', c: '6', d: '3' }]);
  });

  it('keeps character set, collation and comment of the database', async () => {
    const source = await databases.create(
      "ALTER DATABASE CHARACTER SET latin2 COLLATE latin2_bin COMMENT 'it''s \\\\ é'",
    );
    const target = await carried(source);
    const question = `SELECT default_character_set_name, default_collation_name, schema_comment
      FROM information_schema.schemata WHERE schema_name = DATABASE()`;
    const properties = await databases.query(source, question);
    expect(Object.values(properties[0] ?? {})).toEqual(['latin2', 'latin2_bin', "it's \\ é"]);
    expect(await databases.query(target, question)).toEqual(properties);
  });

  it('keeps the collation that the database had when routines, triggers and events were created', async () => {
    const source = await databases.create(`ALTER DATABASE COLLATE latin1_swedish_ci;
      CREATE TABLE t (v text CHARACTER SET utf8mb4);
      CREATE FUNCTION f(x varchar(10)) RETURNS text DETERMINISTIC RETURN CHARSET(x);
      CREATE PROCEDURE p(x varchar(10)) SET @c = COLLATION(x);
      CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW BEGIN DECLARE x varchar(10); SET NEW.v = COLLATION(x); END;
      CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2020-01-01 03:00:00' DO INSERT INTO t VALUES ('e');
      ALTER DATABASE COLLATE utf8mb4_bin; CREATE FUNCTION g(x varchar(10)) RETURNS text DETERMINISTIC RETURN CHARSET(x)`);
    const target = await carried(source);
    const answers = "SELECT f('a') AS f, g('a') AS g, v, @@collation_database AS c FROM t";
    for (const url of [source, target]) {
      await databases.query(url, 'INSERT INTO t VALUES (1)');
      expect(await databases.query(url, answers)).toEqual([
        { f: 'latin1', g: 'utf8mb4', v: 'latin1_swedish_ci', c: 'utf8mb4_bin' },
      ]);
      expect(await databases.query(url, "CALL p('a');\nSELECT @c AS c")).toEqual([{ c: 'latin1_swedish_ci' }]);
      const [event] = await databases.query(url, 'SHOW CREATE EVENT e');
      expect(event?.['Database Collation']).toBe('latin1_swedish_ci');
    }
  });

  it('lets no event run in the database of a drill, and tells of those whose moment has passed', async () => {
    const source = await databases.create(`CREATE TABLE t (x int); SET timestamp = 1000000000;
      CREATE EVENT passed ON SCHEDULE AT '2001-09-10 00:00:00' COMMENT 'ON COMPLETION NOT PRESERVE ENABLE' DO INSERT INTO t VALUES (1);
      CREATE EVENT kept ON SCHEDULE AT '2001-09-10 00:00:00' ON COMPLETION PRESERVE DO INSERT INTO t VALUES (2);
      CREATE EVENT often ON SCHEDULE EVERY 1 SECOND DO INSERT INTO t VALUES (3);`);
    await using directory = await temporaryDirectory();
    const out = join(directory.path, 'archive');
    await backup({ source, out });
    const question =
      'SELECT event_name AS e, status AS s, event_comment AS c FROM information_schema.events WHERE event_schema = DATABASE()';
    const comment = 'ON COMPLETION NOT PRESERVE ENABLE';
    const drilled = await databases.create();
    await expect(restore({ from: out, target: drilled, isDrill: true })).resolves.toMatchObject({ notices: [] });
    expect(await databases.query(drilled, question)).toEqual([
      { e: 'kept', s: 'DISABLED', c: '' },
      { e: 'often', s: 'DISABLED', c: '' },
      { e: 'passed', s: 'DISABLED', c: comment },
    ]);
    await expect(verify({ from: out, level: 'DRILL', target: source })).resolves.toMatchObject({ result: 'PASSED' });
    const target = await databases.create();
    await expect(restore({ from: out, target })).resolves.toMatchObject({
      notices: ['event passed is not there: its last moment has passed'],
    });
    expect(await databases.query(target, question)).toEqual([
      { e: 'kept', s: 'DISABLED', c: '' },
      { e: 'often', s: 'ENABLED', c: '' },
    ]);
  });
});
