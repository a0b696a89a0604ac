import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readManifest } from '../../src/dr/archive/manifest-file.ts';
import { openStorage } from '../../src/dr/archive/open-storage.ts';
import { type BackupOptions, backup } from '../../src/dr/backup.ts';
import { loadRows } from '../../src/dr/dialect/mariadb-load.ts';
import type { DrProgress } from '../../src/dr/progress.ts';
import { restore } from '../../src/dr/restore.ts';
import { verify } from '../../src/dr/verify.ts';
import { openSql } from '../../src/sql/connect.ts';
import { MysqlSession } from '../../src/sql/mysql-session.ts';
import { MariadbDatabases } from '../support/mariadb-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMysql } from '../support/servers/mysql.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const EVERYTHING = readFileSync(join(import.meta.dirname, '../support/sql/everything-mysql.sql'), 'utf8');
/** What MySQL 9 has besides; a key that refers to an index which is not unique is from before 8.4. */
const OF_NINE = `SET SESSION restrict_fk_on_non_standard_key = 0;
CREATE TABLE vectors (id int PRIMARY KEY, n int, v vector(3), KEY (n));
INSERT INTO vectors VALUES (1, 5, STRING_TO_VECTOR('[1,-2,3.5]')), (2, NULL, NULL), (3, 6, X'0a0d095c0000000027000000');
CREATE TABLE loose (n int, FOREIGN KEY (n) REFERENCES vectors (n));
INSERT INTO loose VALUES (5);
CREATE JSON DUALITY VIEW documents AS SELECT JSON_DUALITY_OBJECT('_id': id, 'n': n) FROM vectors;
CREATE LIBRARY tools LANGUAGE JAVASCRIPT AS $$ export function two() { return 2; } $$;
CREATE PROCEDURE shown() LANGUAGE JAVASCRIPT AS $$ console.log('é'); $$;
`;
const COUNTED = `WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 30000)
  SELECT n, REPEAT(CHAR(97 + n % 26), 900)`;

describeWith('mysql', 'backing up and restoring MySQL', ({ what }) => {
  const [, major, minor] = /MySQL (\d+)\.(\d+)/.exec(what) ?? [];
  const isNine = Number(major) * 100 + Number(minor) >= 907;
  let databases: MariadbDatabases;
  beforeAll(async () => {
    databases = await MariadbDatabases.start({ args: ['--cte-max-recursion-depth=100000'] }, startMysql);
  }, 60_000);
  afterAll(() => databases[Symbol.asyncDispose]());

  async function expectEqual(source: string, target: string): Promise<void> {
    const [before, after] = [await databases.contents(source), await databases.contents(target)];
    expect(after.schema).toBe(before.schema);
    expect(after.rows).toEqual(before.rows);
  }

  /** Makes a backup, restores it into an empty database, and returns that. */
  async function moved(options: Omit<BackupOptions, 'out'>): Promise<string> {
    await using directory = await temporaryDirectory();
    const out = join(directory.path, 'archive');
    await backup({ ...options, out });
    const target = await databases.create();
    const { notices } = await restore({ from: out, target });
    expect(notices).toEqual([]);
    return target;
  }

  /** Sets a variable of the server while `work` runs. */
  async function withSetting(name: string, value: 0 | 1, work: () => Promise<void>): Promise<void> {
    const set = (to: number) => databases.query(databases.server.url, `SET GLOBAL ${name} = ${to}`);
    await set(value);
    try {
      await work();
    } finally {
      await set(1 - value);
    }
  }

  it('makes an equal database of one with every kind of object and value', async () => {
    const everything = await databases.create(`${EVERYTHING}${isNine ? OF_NINE : ''}`);
    await using directory = await temporaryDirectory();
    const out = join(directory.path, 'archive');
    const { consistency } = await backup({ source: everything, out });
    expect(consistency).toMatchObject({ grade: 'B', notes: [expect.stringMatching(/: isam \(MyISAM\)$/)] });
    const target = await databases.create();
    const restored = await restore({ from: out, target });
    expect(restored).toMatchObject({ state: 'fresh', mode: 'full', notices: [] });
    await expectEqual(everything, target);
    const question =
      'SELECT holed + 0 AS member, hidden, JSON_TYPE(doc) AS type, ST_SRID(place) AS srid FROM hard ORDER BY id';
    expect(await databases.query(target, question)).toEqual(await databases.query(everything, question));
    await expect(verify({ from: out, level: 'DRILL', target })).resolves.toMatchObject({ result: 'PASSED' });
  });

  it('makes each view after those that it reads, so that it takes the same changes', async () => {
    const source = await databases.create(
      `CREATE TABLE t (x int); CREATE VIEW c AS SELECT * FROM t; CREATE VIEW b AS SELECT * FROM c a;
      CREATE VIEW a AS SELECT * FROM b WHERE x > 1 WITH CHECK OPTION`,
    );
    const target = await moved({ source });
    await expectEqual(source, target);
    const question = 'SELECT table_name, is_updatable FROM information_schema.views WHERE table_schema = DATABASE()';
    expect(await databases.query(target, question)).toEqual(await databases.query(source, question));
    await databases.query(target, 'INSERT INTO a VALUES (2)');
    expect(await databases.query(target, 'SELECT x FROM t')).toEqual([{ x: '2' }]);
  });

  it('keeps the collation that the database had when routines and triggers were created', async () => {
    const source = await databases.create(`ALTER DATABASE COLLATE latin1_swedish_ci;
      CREATE TABLE t (v text CHARACTER SET utf8mb4);
      CREATE FUNCTION f(x varchar(10)) RETURNS text DETERMINISTIC RETURN CHARSET(x);
      CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW BEGIN DECLARE x varchar(10) DEFAULT ''; SET NEW.v = COLLATION(x); END;
      ALTER DATABASE COLLATE utf8mb4_bin;`);
    const target = await moved({ source });
    await expectEqual(source, target);
    await databases.query(target, 'INSERT INTO t VALUES (1)');
    expect(await databases.query(target, "SELECT f('a') AS f, v, @@collation_database AS c FROM t")).toEqual([
      { f: 'latin1', v: 'latin1_swedish_ci', c: 'utf8mb4_bin' },
    ]);
  });

  it('inserts rows where the server takes no files, which is how it is delivered', async () => {
    const everything = await databases.create(EVERYTHING);
    await withSetting('local_infile', 0, async () => expectEqual(everything, await moved({ source: everything })));
  });

  it.each([0, 1] as const)('refuses rows that the server bends, with local_infile = %i', async (localInfile) => {
    const url = await databases.create('CREATE TABLE small (n tinyint)');
    await databases.query(url, `SET GLOBAL local_infile = ${localInfile}`);
    await using sql = openSql(url, { connections: 1, applicationName: 'test' });
    await using session = await MysqlSession.open(sql);
    const column = { name: 'n', type: 'tinyint', generated: false, transform: null, masked: null };
    const packets = Readable.from([Buffer.from('\x04\0\0\x01\x03999\x02\0\0\x02\x015', 'latin1')]);
    const loading = loadRows(session, { name: 'small', columns: [column] }, { packets, rows: 2, of: 'the file' });
    const message = expect.stringMatching(/not taken as it is: Out of range value for column 'n'/);
    await expect(loading).rejects.toMatchObject({ code: 'DR_CHECKSUM_MISMATCH', message });
    await databases.query(url, 'SET GLOBAL local_infile = 1');
  });

  it.each(['SELECT SLEEP(30)', 'DO 1'])(
    'takes a session that somebody ended for a lost one, at %s',
    async (statement) => {
      await using sql = openSql(databases.server.url, { connections: 2, applicationName: 'test' });
      await using ended = await MysqlSession.open(sql);
      await using other = await MysqlSession.open(sql);
      const asked = statement === 'DO 1' ? null : ended.query(statement).catch((error: unknown) => error);
      await other.run(`KILL ${ended.id}`);
      const told = await (asked ?? ended.run(statement).catch((error: unknown) => error));
      expect(told).toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    },
  );

  it('cuts large tables by their keys, and builds their indexes afterwards', async () => {
    const source = await databases.create(`
      CREATE TABLE numbers (id bigint unsigned PRIMARY KEY, v text, n int, KEY ((n + 1), id DESC), KEY unseen (n) INVISIBLE, FULLTEXT KEY (v));
      INSERT INTO numbers ${COUNTED}, n % 100 FROM counted;
      CREATE TABLE texts (k varchar(20) COLLATE utf8mb4_0900_ai_ci, n int, v text, PRIMARY KEY (k, n), UNIQUE KEY (n));
      INSERT INTO texts SELECT CONCAT(IF(id % 2, 'ß', 'É'), id DIV 100), id, v FROM numbers;
      ANALYZE TABLE numbers, texts`);
    await using directory = await temporaryDirectory();
    const out = join(directory.path, 'archive');
    await backup({ source, out });
    const { tables, objects } = await readManifest(await openStorage(out));
    expect(tables.find(({ name }) => name === 'numbers')?.chunks.length).toBeGreaterThan(1);
    expect(objects.filter(({ kind }) => kind === 'INDEX').map(({ name }) => name)).toEqual([
      'numbers: unseen, functional_index',
      'numbers: v',
      'texts: n',
    ]);
    const target = await databases.create();
    await restore({ from: out, target });
    await expectEqual(source, target);
  });

  it('keeps a primary key that the server made, shown or not, and makes none where there was none', async () => {
    const source = await databases.create(`SET sql_generate_invisible_primary_key = 1;
CREATE TABLE made (v int);
INSERT INTO made VALUES (1), (1);
SET sql_generate_invisible_primary_key = 0;
CREATE TABLE keyless (v int);
INSERT INTO keyless VALUES (2), (2);`);
    let target = '';
    await withSetting('show_gipk_in_create_table_and_information_schema', 0, () =>
      withSetting('sql_generate_invisible_primary_key', 1, async () => {
        target = await moved({ source });
      }),
    );
    await expectEqual(source, target);
  });

  it.each(['full', 'data'] as const)('goes on with an interrupted restore in mode %s', async (mode) => {
    const trigger = `CREATE TRIGGER refuses BEFORE INSERT ON child FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'fired';`;
    const tables = `CREATE TABLE parent (id int PRIMARY KEY, v text);
      CREATE TABLE child (id int PRIMARY KEY, parent int NOT NULL, FOREIGN KEY (parent) REFERENCES parent (id));`;
    const source = await databases.create(`${tables}
      INSERT INTO parent ${COUNTED} FROM counted;
      INSERT INTO child SELECT id, id FROM parent;
      ${trigger}`);
    await using directory = await temporaryDirectory();
    const from = join(directory.path, 'archive');
    await backup({ source, out: from });
    const target = await databases.create(mode === 'full' ? '' : `${tables}\n${trigger}`);
    const stop = new AbortController();
    const onProgress = ({ rowsDone }: DrProgress): void => {
      if (rowsDone > 0) stop.abort();
    };
    const begun = restore({ from, target, mode, workers: 1, signal: stop.signal, onProgress });
    await expect(begun).rejects.toMatchObject({ code: 'DR_CANCELLED' });
    await expect(restore({ from, target, mode, resume: true })).resolves.toMatchObject({ state: 'resumed' });
    await expectEqual(source, target);
    await expect(restore({ from, target, mode, resume: true })).resolves.toMatchObject({ state: 'complete' });
  });

  describe('rights', () => {
    let source: string;
    beforeAll(async () => {
      source = await databases.create('CREATE TABLE t (id int PRIMARY KEY);\nCREATE PROCEDURE p() SELECT 1;');
    });

    async function as(user: string, ...statements: readonly string[]): Promise<string> {
      const name = `\`${new URL(source).pathname.slice(1)}\``;
      const granted = statements.map((statement) => statement.replace('$', name).replace('@', `${user}@'127.0.0.1'`));
      await databases.query(source, `CREATE USER ${user}@'127.0.0.1' IDENTIFIED BY 'pw';\n${granted.join(';\n')}`);
      return source.replace('app:pw', `${user}:pw`);
    }

    async function backedUp(url: string) {
      await using directory = await temporaryDirectory();
      return await backup({ source: url, out: join(directory.path, 'archive') });
    }

    it('come from roles as well', async () => {
      const role = ['CREATE ROLE reader', 'GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON $.* TO reader'];
      const user = ['GRANT reader TO @', 'SET DEFAULT ROLE ALL TO @', 'GRANT RELOAD, SHOW_ROUTINE ON *.* TO @'];
      await expect(backedUp(await as('by_role', ...role, ...user))).resolves.toMatchObject({
        consistency: { grade: 'A' },
      });
    });

    it('without RELOAD one session reads all, and says so', async () => {
      const url = await as(
        'modest',
        'GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON $.* TO @',
        'GRANT SHOW_ROUTINE ON *.* TO @',
      );
      const notes = [expect.stringMatching(/without the right RELOAD/)];
      await expect(backedUp(url)).resolves.toMatchObject({ consistency: { grade: 'C', notes } });
    });

    it('to see the text of a routine are told of', async () => {
      const url = await as('blind', 'GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE ON $.* TO @');
      const message = expect.stringMatching(/procedure p are hidden.*SHOW_ROUTINE/);
      await expect(backedUp(url)).rejects.toMatchObject({ code: 'DR_PRIVILEGE_MISSING', message });
    });

    it('that are taken back for the database are missing', async () => {
      await withSetting('partial_revokes', 1, async () => {
        const grant = 'GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE ON *.* TO @';
        const url = await as('partly', grant, 'REVOKE TRIGGER ON $.* FROM @');
        const message = expect.stringMatching(/no TRIGGER on/);
        await expect(backedUp(url)).rejects.toMatchObject({ code: 'DR_PRIVILEGE_MISSING', message });
        await databases.query(source, "DROP USER partly@'127.0.0.1'");
      });
    });
  });
});
