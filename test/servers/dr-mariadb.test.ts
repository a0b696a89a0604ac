import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readManifest } from '../../src/dr/archive/manifest-file.ts';
import { openStorage } from '../../src/dr/archive/open-storage.ts';
import { type BackupOptions, backup } from '../../src/dr/backup.ts';
import type { DrProgress } from '../../src/dr/progress.ts';
import { readGraph } from '../../src/dr/read-graph.ts';
import { type RestoreOptions, restore } from '../../src/dr/restore.ts';
import { verify } from '../../src/dr/verify.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { MariadbDatabases } from '../support/mariadb-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const EVERYTHING = readFileSync(join(import.meta.dirname, '../support/sql/everything-mariadb.sql'), 'utf8');
/** Two tables in a cycle, one that refers to itself, a composite key, a table of nobody; a trigger that must not fire on load. */
const SHOP = `
CREATE TABLE tenant (id int PRIMARY KEY, head int, KEY (head));
CREATE TABLE person (id int PRIMARY KEY, tenant int NOT NULL, boss int, CONSTRAINT employed FOREIGN KEY (tenant) REFERENCES tenant (id),
  CONSTRAINT led FOREIGN KEY (boss) REFERENCES person (id));
ALTER TABLE tenant ADD CONSTRAINT tenant_head FOREIGN KEY (head) REFERENCES person (id);
CREATE TABLE place (a int, b varchar(10), PRIMARY KEY (a, b));
CREATE TABLE sale (id int PRIMARY KEY, seller int, a int, b varchar(10), CONSTRAINT sold FOREIGN KEY (seller) REFERENCES person (id),
  CONSTRAINT happened FOREIGN KEY (a, b) REFERENCES place (a, b));
CREATE TABLE refund (sale int, CONSTRAINT refunded FOREIGN KEY (sale) REFERENCES sale (id));
CREATE TABLE lonely (v text);`;
const SHOP_ROWS = `
SET foreign_key_checks = 0;
INSERT INTO tenant SELECT seq, IF(seq = 1, 39, NULL) FROM seq_1_to_3;
INSERT INTO person SELECT seq, 1 + seq % 3, IF(seq < 39, seq + 1, NULL) FROM seq_10_to_39;
INSERT INTO place SELECT seq, CONCAT('p', seq) FROM seq_1_to_5;
INSERT INTO sale SELECT seq, 10 + seq, IF(seq % 2 = 0, 1 + seq % 5, NULL), CONCAT('p', 1 + seq % 5) FROM seq_1_to_20;
INSERT INTO refund SELECT seq FROM seq_16_to_20;
INSERT INTO lonely VALUES ('alone'), ('alone');`;
const SHOP_TRIGGERS = `CREATE TRIGGER b_refuses BEFORE INSERT ON sale FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'fired';
CREATE TRIGGER a_refuses BEFORE INSERT ON sale FOR EACH ROW FOLLOWS b_refuses SET NEW.seller = NULL;`;

describeWith('mariadb', 'backing up and restoring MariaDB', () => {
  let databases: MariadbDatabases;
  let shop: string;
  beforeAll(async () => {
    databases = await MariadbDatabases.start({ args: ['--max-allowed-packet=128M'] });
    shop = await databases.create(`${SHOP}${SHOP_ROWS}${SHOP_TRIGGERS}`);
  }, 60_000);
  afterAll(() => databases[Symbol.asyncDispose]());

  async function expectEqual(source: string, target: string): Promise<void> {
    const [before, after] = [await databases.contents(source), await databases.contents(target)];
    expect(after.schema).toBe(before.schema);
    expect(after.rows).toEqual(before.rows);
  }

  /** Makes a backup, restores it into an empty database, and returns that. */
  async function moved(options: Omit<BackupOptions, 'out'>, more: Partial<RestoreOptions> = {}): Promise<string> {
    await using directory = await temporaryDirectory();
    const out = join(directory.path, 'archive');
    await backup({ ...options, out });
    const target = await databases.create();
    const { notices } = await restore({ from: out, target, ...more });
    expect(notices).toEqual([]);
    return target;
  }

  async function ids(url: string, table: string): Promise<string> {
    const rows = await databases.query(url, `SELECT * FROM ${table} ORDER BY 1`);
    return rows.map((row) => Object.values(row)[0]).join(' ');
  }

  it('makes an equal database of one with every kind of object and value', async () => {
    const everything = await databases.create(EVERYTHING);
    await using directory = await temporaryDirectory();
    const out = join(directory.path, 'archive');
    const summary = await backup({ source: everything, out });
    expect(summary.consistency).toEqual({
      grade: 'B',
      notes: ['tables that take no part in transactions were read as they were then: aria (Aria), isam (MyISAM)'],
    });
    const target = await databases.create();
    const progress: DrProgress[] = [];
    const restored = await restore({ from: out, target, onProgress: (told) => progress.push(told) });
    await expectEqual(everything, target);
    expect(restored).toMatchObject({ state: 'fresh', mode: 'full', notices: [] });
    expect(progress.at(-1)).toMatchObject({ percent: 100, rowsDone: restored.rows, bytesDone: restored.bytes });
    const [next] = await databases.query(target, 'SELECT NEXTVAL(numbers) AS next');
    const [{ lastValue } = { lastValue: '' }] = (await readManifest(await openStorage(out))).sequences;
    expect(next).toEqual({ next: lastValue });
    const question = 'SELECT holed + 0 AS member, f + 0e0 AS f, HEX(latin) AS latin FROM hard ORDER BY id';
    expect(await databases.query(target, question)).toEqual(await databases.query(everything, question));
    const history = 'SELECT id, v, row_start, row_end FROM history FOR SYSTEM_TIME ALL ORDER BY id, row_start';
    expect(await databases.query(target, history)).toEqual(await databases.query(everything, history));
    await expect(verify({ from: out, level: 'DRILL', target })).resolves.toMatchObject({ result: 'PASSED' });
  });

  it.each(['MyISAM', 'Aria', 'MEMORY', 'InnoDB'])('keeps the next number of a table of %s', async (engine) => {
    const source =
      await databases.create(`CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY) ENGINE = ${engine} AUTO_INCREMENT = 9;
      INSERT INTO t VALUES (1);`);
    await expectEqual(source, await moved({ source }));
  });

  it('inserts rows where the server takes no files', async () => {
    const everything = await databases.create(EVERYTHING);
    await databases.query(everything, 'SET GLOBAL local_infile = 0');
    try {
      await expectEqual(everything, await moved({ source: everything }));
    } finally {
      await databases.query(everything, 'SET GLOBAL local_infile = 1');
    }
  });

  it('cuts large tables by every kind of key, and builds their indexes afterwards', async () => {
    const wide = 'REPEAT(CHAR(97 + seq % 26), 900)';
    const source = await databases.create(`
      CREATE TABLE numbers (id bigint unsigned PRIMARY KEY, v text, n int, KEY (n), FULLTEXT KEY (v));
      INSERT INTO numbers SELECT 18446744073709551615 - seq * 7, ${wide}, seq % 100 FROM seq_1_to_40000;
      CREATE TABLE texts (k varchar(20) COLLATE utf8mb4_unicode_ci, n int, v text, PRIMARY KEY (k, n), UNIQUE KEY (n));
      INSERT INTO texts SELECT CONCAT(IF(seq % 2, 'ß', 'É'), seq DIV 100), seq, ${wide} FROM seq_1_to_80000;
      CREATE TABLE keyless (n int, v text);
      INSERT INTO keyless SELECT seq DIV 2, ${wide} FROM seq_1_to_20000;
      ANALYZE TABLE numbers, texts, keyless;`);
    await using directory = await temporaryDirectory();
    const out = join(directory.path, 'archive');
    await backup({ source, out });
    const { tables, objects } = await readManifest(await openStorage(out));
    const chunks = Object.fromEntries(tables.map((table) => [table.name, table.chunks.length]));
    expect(chunks).toMatchObject({ keyless: 1 });
    expect(chunks.numbers).toBeGreaterThan(1);
    expect(chunks.texts).toBeGreaterThan(1);
    expect(objects.filter(({ kind }) => kind === 'INDEX').map(({ name }) => name)).toEqual([
      'numbers: n',
      'numbers: v',
      'texts: n',
    ]);
    const target = await databases.create();
    await restore({ from: out, target });
    await expectEqual(source, target);
  });

  it('keeps rows that are larger than a packet, in bounded memory', async () => {
    const lengths = [16_777_210, 16_777_212, 20_000_000];
    const source = await databases.create(`CREATE TABLE large (id int PRIMARY KEY, v longblob, after int);
      ${lengths.map((length, i) => `INSERT INTO large VALUES (${i}, REPEAT(X'0041', ${length / 2}), ${i});`).join('\n')}`);
    await expectEqual(source, await moved({ source }));
  });

  it('tells the graph of its keys, with the cycle', async () => {
    const { graph, tables } = await readGraph(shop);
    const nameOf = (id: number): string | undefined => tables.find((table) => table.id === id)?.label;
    expect(graph.cycles.map((cycle) => cycle.map(nameOf).toSorted())).toEqual([['person', 'tenant']]);
    expect(graph.keys.find(({ name }) => name === 'happened')).toMatchObject({ childColumns: ['a', 'b'] });
  });

  describe('of chosen rows', () => {
    it('keeps them and every row they refer to, through cycles', async () => {
      const target = await moved({ source: shop, closure: true, suffixes: { sale: 'WHERE t.id >= 19' } });
      expect(await ids(target, 'sale')).toBe('19 20');
      expect(await ids(target, 'person')).toBe('29 30 31 32 33 34 35 36 37 38 39');
      expect(await ids(target, 'place')).toBe('1');
      expect(await ids(target, 'tenant')).toBe('1 2 3');
      expect(await ids(target, 'refund')).toBe('');
      expect(await ids(target, 'lonely')).toBe('');
    });

    it('keeps a row once however often a join finds it, and other tables whole', async () => {
      const target = await moved({
        source: shop,
        suffixes: {
          refund: 'INNER JOIN sale s ON s.id >= t.sale INNER JOIN person p ON p.id = s.seller WHERE p.tenant > 0',
        },
      });
      expect(await ids(target, 'refund')).toBe('16 17 18 19 20');
      expect(await ids(target, 'lonely')).toBe('alone alone');
    });

    it.each<[Record<string, string>, RegExp]>([
      [{ sale: 'WHERE t.id < 17' }, /refund refer by refunded to rows of sale/],
      [{ nobody: 'WHERE 1' }, /no table named nobody/],
      [{ sale: 'WHERE 1; DROP TABLE lonely' }, /semicolon/],
      [{ sale: 'WHERE t.nothing = 1' }, /refused.*nothing/],
      [{ sale: 'WHERE 1 LIMIT 1' }, /LIMIT/],
      [{ sale: 'WHERE /*! SLEEP(5) OR */ 1' }, /comment/],
    ])('refuses %o', async (suffixes, message) => {
      await using directory = await temporaryDirectory();
      const result = backup({ source: shop, out: join(directory.path, 'archive'), suffixes });
      await expect(result).rejects.toMatchObject({
        code: 'VALIDATION_FAILED',
        message: expect.stringMatching(message),
      });
    });

    it('keeps chosen tables with those they refer to', async () => {
      const target = await moved({ source: shop, tables: ['sale'] });
      const tables = await databases.query(target, 'SHOW TABLES');
      expect(tables.flatMap((row) => Object.values(row))).toEqual(['person', 'place', 'sale', 'tenant']);
    });

    it('keeps the properties of their database, so that a drill finds it as it was', async () => {
      const source = await databases.create(
        'ALTER DATABASE COLLATE latin1_bin; CREATE TABLE t (x int); CREATE TABLE u (x int); CREATE VIEW v AS SELECT * FROM u',
      );
      await using directory = await temporaryDirectory();
      const out = join(directory.path, 'archive');
      await backup({ source, out, tables: ['t'] });
      await expect(verify({ from: out, level: 'DRILL', target: source })).resolves.toMatchObject({ result: 'PASSED' });
      const target = await databases.create();
      await restore({ from: out, target, tables: ['t'] });
      expect(await databases.query(target, 'SELECT @@collation_database AS c')).toEqual([{ c: 'latin1_bin' }]);
    });
  });

  it('sees one moment in every table while money moves', async () => {
    const bank = await databases.create(`CREATE TABLE a (id int PRIMARY KEY, v int); CREATE TABLE b LIKE a;
      INSERT INTO a SELECT seq, 100 FROM seq_1_to_50; INSERT INTO b SELECT * FROM a;`);
    let isOver = false;
    const move = async (): Promise<void> => {
      for (let i = 0; !isOver; i++) {
        const from = 1 + (i % 50);
        await databases.query(
          bank,
          `BEGIN; UPDATE a SET v = v - 1 WHERE id = ${from}; UPDATE b SET v = v + 1 WHERE id = ${from}; COMMIT`,
        );
      }
    };
    const moving = Promise.all([move(), move()]);
    try {
      const target = await moved({ source: bank });
      const [sum] = await databases.query(target, 'SELECT (SELECT SUM(v) FROM a) + (SELECT SUM(v) FROM b) AS total');
      expect(sum?.total).toBe('10000');
    } finally {
      isOver = true;
      await moving;
    }
  });

  describe('rights', () => {
    async function as(user: string, grants: readonly string[]): Promise<string> {
      const name = new URL(shop).pathname.slice(1);
      const statements = grants.map((grant) => `GRANT ${grant.replace('$', `\`${name}\``)} TO ${user}@'127.0.0.1';`);
      await databases.query(shop, `CREATE USER ${user}@'127.0.0.1' IDENTIFIED BY 'pw'; ${statements.join('\n')}`);
      return shop.replace('app:pw', `${user}:pw`);
    }

    it('names those that are missing', async () => {
      const source = await as('partly', ['SELECT ON $.sale', 'SELECT, EVENT ON mysql.*']);
      await using directory = await temporaryDirectory();
      const result = backup({ source, out: join(directory.path, 'archive') });
      const message = expect.stringMatching(/no SELECT, SHOW VIEW, TRIGGER, EVENT on/);
      await expect(result).rejects.toMatchObject({ code: 'DR_PRIVILEGE_MISSING', message });
    });

    it('reads all in one session without RELOAD, and says so', async () => {
      const source = await as('modest', ['SELECT, SHOW VIEW, TRIGGER, EVENT ON $.*', 'SELECT ON mysql.proc']);
      await using directory = await temporaryDirectory();
      const out = join(directory.path, 'archive');
      const { consistency, rows } = await backup({ source, out, workers: 3 });
      expect(consistency).toMatchObject({ grade: 'C', notes: [expect.stringMatching(/without the right RELOAD/)] });
      expect(rows).toBe(65);
    });
  });

  it('fails by name for what it cannot keep', async () => {
    const source = await databases.create(
      `CREATE TABLE one (id int) ENGINE = MyISAM; CREATE TABLE merged (id int) ENGINE = MERGE UNION = (one)`,
    );
    await using directory = await temporaryDirectory();
    const out = join(directory.path, 'archive');
    const message = expect.stringMatching(/table merged/);
    await expect(backup({ source, out })).rejects.toMatchObject({ code: 'DR_UNSUPPORTED_OBJECT', message });
    await expect(backup({ source, out, allowUnsupported: true })).resolves.toMatchObject({
      tables: 1,
      unsupported: [expect.stringMatching(/^table merged/)],
    });
  });

  it('leaves out a table, with its trigger, that is made while the backup is planned', async () => {
    const source = await databases.create('CREATE TABLE there (id int PRIMARY KEY); INSERT INTO there VALUES (1)');
    const { port, username, password, pathname } = new URL(source);
    const made =
      'CREATE TABLE new (id int); INSERT INTO new VALUES (1); CREATE TRIGGER t BEFORE INSERT ON new FOR EACH ROW SET NEW.id = 2';
    const login = ['--no-defaults', '-h127.0.0.1', `-P${port}`, `-u${username}`, `-p${password}`];
    const onProgress = ({ phase }: DrProgress): void => {
      if (phase === 'planning') execFileSync('mariadb', [...login, pathname.slice(1), '-e', made]);
    };
    await using directory = await temporaryDirectory();
    const out = join(directory.path, 'archive');
    await expect(backup({ source, out, onProgress })).resolves.toMatchObject({ tables: 1, rows: 1 });
    const target = await databases.create();
    await restore({ from: out, target });
    expect(await databases.query(target, 'SHOW TABLES')).toHaveLength(1);
    expect(await databases.query(source, 'SHOW TABLES')).toHaveLength(2);
  });

  it('gives up on a table that somebody keeps to himself', async () => {
    const source = await databases.create('CREATE TABLE held (id int)');
    const held = databases.query(source, 'LOCK TABLES held WRITE; SELECT SLEEP(40)').catch(() => undefined);
    await using directory = await temporaryDirectory();
    const result = backup({ source, out: join(directory.path, 'archive') });
    await expect(result).rejects.toMatchObject({ code: 'DR_LOCKED' });
    const [sleeper] = await databases.query(
      source,
      "SELECT id FROM information_schema.processlist WHERE info = 'SELECT SLEEP(40)'",
    );
    await databases.query(source, `KILL ${sleeper?.id}`);
    await held;
  }, 60_000);

  describe('with an archive', () => {
    let archive: string;
    let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
    beforeAll(async () => {
      directory = await temporaryDirectory();
      archive = join(directory.path, 'archive');
      await backup({ source: shop, out: archive });
    });
    afterAll(() => directory[Symbol.asyncDispose]());

    async function expectRefused(options: Partial<RestoreOptions>, code: ErrorCode, message: RegExp): Promise<void> {
      const target = (options.target ?? (await databases.create())) as string;
      const before = await databases.contents(target);
      const refused = restore({ from: archive, target, ...options });
      await expect(refused).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
      expect(await databases.contents(target)).toEqual(before);
    }

    /** A target whose restore was cancelled as soon as some rows were in. */
    async function interrupted(mode: 'full' | 'data' = 'full'): Promise<string> {
      const target = await databases.create(mode === 'full' ? '' : `${SHOP}${SHOP_TRIGGERS}`);
      const stop = new AbortController();
      const onProgress = ({ rowsDone }: DrProgress): void => {
        if (rowsDone > 0) stop.abort();
      };
      const result = restore({ from: archive, target, mode, workers: 1, signal: stop.signal, onProgress });
      await expect(result).rejects.toMatchObject({ code: 'DR_CANCELLED' });
      return target;
    }

    it.each([
      'CREATE TABLE mine (id int)',
      'CREATE VIEW v AS SELECT 1',
      'CREATE PROCEDURE p() SELECT 1',
      'CREATE SEQUENCE s',
    ])('refuses a target after %s', async (statement) =>
      expectRefused({ target: await databases.create(statement) }, 'DR_TARGET_NOT_EMPTY', /contains/),
    );

    it('refuses the source as target', () => expectRefused({ target: shop }, 'DR_TARGET_IS_SOURCE', /taken of/));

    it('refuses other columns in mode data', async () => {
      const target = await databases.create(`${SHOP} ALTER TABLE lonely ADD more int`);
      await expectRefused({ target, mode: 'data' }, 'DR_INCOMPATIBLE', /lonely differs in column more/);
    });

    it('refuses tables with rows in mode data, and adds to them only when the database is named', async () => {
      const target = await databases.create(`${SHOP} INSERT INTO lonely VALUES ('mine')`);
      await expectRefused({ target, mode: 'data' }, 'DR_TARGET_NOT_EMPTY', /contains lonely/);
      const confirm = new URL(target).pathname.slice(1);
      await restore({ from: archive, target, mode: 'data', confirm });
      expect(await ids(target, 'lonely')).toBe('alone alone mine');
      await expectRefused({ target, mode: 'data', confirm, resume: true }, 'DR_TARGET_NOT_EMPTY', /had ended/);
    });

    it('loads into live tables with keys in place, and no trigger fires', async () => {
      const target = await databases.create(`${SHOP}${SHOP_TRIGGERS}`);
      await restore({ from: archive, target, mode: 'data' });
      await expectEqual(shop, target);
    });

    it.each([
      ['of another version', 'UPDATE _holdfast_dr_restore SET plan = plan + 1', /plan 5, this one has 4/],
      ['from before there were versions', 'ALTER TABLE _holdfast_dr_restore DROP plan', /plan 0, this one has 4/],
    ])('refuses marks %s before it writes anything', async (_, statement, message) => {
      const target = await interrupted();
      await databases.query(target, statement);
      await expectRefused({ target, resume: true }, 'DR_INCOMPATIBLE', message);
    });

    it.each(['full', 'data'] as const)('goes on with an interrupted restore in mode %s', async (mode) => {
      const target = await interrupted(mode);
      await expect(restore({ from: archive, target, mode })).rejects.toMatchObject({
        code: 'DR_TARGET_NOT_EMPTY',
        message: expect.stringMatching(/go on with --resume/),
      });
      await expect(restore({ from: archive, target, mode, resume: true })).resolves.toMatchObject({ state: 'resumed' });
      await expectEqual(shop, target);
      await expect(restore({ from: archive, target, mode, resume: true })).resolves.toMatchObject({
        state: 'complete',
      });
    });

    it('gives the database its collation again that a crash left with that of a routine', async () => {
      const target = await interrupted();
      await databases.query(target, 'ALTER DATABASE COLLATE latin1_bin');
      await restore({ from: archive, target, resume: true });
      const question = 'SELECT @@collation_database AS c';
      expect(await databases.query(target, question)).toEqual(await databases.query(shop, question));
    });

    it('tells of rows whose key refers to nothing, as in the source', async () => {
      const source = await databases.create(`${SHOP} SET foreign_key_checks = 0; INSERT INTO refund VALUES (77);`);
      const out = join(directory.path, 'orphans');
      await backup({ source, out });
      const target = await databases.create();
      const { notices } = await restore({ from: out, target });
      expect(notices).toEqual(['rows of refund refer by refunded to rows that sale does not have']);
      await expectEqual(source, target);
    });
  });
});
