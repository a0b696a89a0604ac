import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backup } from '../../src/dr/backup.ts';
import { readMariadbCatalog } from '../../src/dr/dialect/mariadb-catalog.ts';
import { closeSubset, resolveMariadbSuffixes } from '../../src/dr/dialect/mariadb-subset.ts';
import { restore } from '../../src/dr/restore.ts';
import { openSql } from '../../src/sql/connect.ts';
import { MysqlSession } from '../../src/sql/mysql-session.ts';
import { MariadbDatabases } from '../support/mariadb-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMariadb } from '../support/servers/mariadb.ts';
import { startMysql } from '../support/servers/mysql.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** A type of a key, and values of it. */
const KEYS: readonly (readonly [type: string, values: string])[] = [
  ['float', '(0.1), (16777217), (-0.0)'],
  ['double', '(0.1), (5e-324), (1.7e308)'],
  ['decimal(20,5)', '(1.5), (-123456789012345.12345)'],
  ['bigint unsigned', '(0), (18446744073709551615)'],
  ["enum('ä','','b')", "('ä'), (''), ('b')"],
  ["set('x','y')", "('x,y'), ('')"],
  ['bit(10)', "(b'1010101010'), (0)"],
  ['binary(3)', "(X'000102'), (X'5c090a')"],
  ['varbinary(9)', "(X''), (X'5c4e'), (X'ff00')"],
  ['varchar(9) CHARACTER SET latin1', "('é'), (''), ('tab\\t')"],
  ['varchar(9) COLLATE utf8mb4_unicode_ci', "('Straße'), ('\\\\N')"],
  ['datetime(6)', "('2024-01-02 03:04:05.678901')"],
  ['timestamp', "('2024-01-02 03:04:05')"],
  ['time(3)', "('-838:59:58.123')"],
  ['year', '(2155)'],
];

describe.each([
  ['mariadb', startMariadb],
  ['mysql', startMysql],
] as const)('a closure on %s', (kind, start) => {
  describeWith(kind, 'of rows that are referred to', () => {
    let databases: MariadbDatabases;
    beforeAll(async () => {
      databases = await MariadbDatabases.start({}, start);
    }, 60_000);
    afterAll(() => databases[Symbol.asyncDispose]());

    it('is of the moment of the snapshot, and locks no row', async () => {
      const url = await databases.create(`CREATE TABLE parent (id int PRIMARY KEY, v int);
        CREATE TABLE child (id int PRIMARY KEY, parent int, FOREIGN KEY (parent) REFERENCES parent (id));
        INSERT INTO parent VALUES (1, 0), (2, 0), (3, 0);
        INSERT INTO child VALUES (10, 1), (20, 2);`);
      await using sql = openSql(url, { connections: 2, applicationName: 'test' });
      await using reader = await MysqlSession.open(sql);
      await using writer = await MysqlSession.open(sql);
      await writer.set('innodb_lock_wait_timeout = 1');
      await reader.run('START TRANSACTION WITH CONSISTENT SNAPSHOT');
      for (const change of [
        'DELETE FROM child',
        'DELETE FROM parent WHERE id < 3',
        'INSERT INTO child VALUES (30, 3)',
      ]) {
        await writer.run(change);
      }
      const catalog = await readMariadbCatalog(reader);
      const database = new URL(url).pathname.slice(1);
      const selections = resolveMariadbSuffixes(catalog, database, { child: 'WHERE 1' });
      const subset = await closeSubset(reader, catalog, selections, database);
      const kept = catalog.tables.map(async ({ id, name }) => {
        const rows = await reader.query(
          `SELECT CAST(t.id AS CHAR) AS id FROM ${name} t ${subset.get(id)} ORDER BY t.id`,
        );
        return [name, rows.map((row) => row.id)];
      });
      expect(await Promise.all(kept)).toEqual([
        ['child', ['10', '20']],
        ['parent', ['1', '2']],
      ]);
      await writer.run('UPDATE parent SET v = 1');
      await writer.run('DELETE FROM child');
    });

    it.each([1, 0])('follows keys of every type, with local_infile = %i', async (localInfile) => {
      const tables = KEYS.map(
        ([type, values], i) => `CREATE TABLE p${i} (k ${type} PRIMARY KEY) CHARACTER SET utf8mb4;
        CREATE TABLE c${i} (n int AUTO_INCREMENT PRIMARY KEY, k ${type}, FOREIGN KEY (k) REFERENCES p${i} (k)) CHARACTER SET utf8mb4;
        INSERT INTO p${i} VALUES ${values};
        INSERT INTO c${i} (k) SELECT k FROM p${i};`,
      );
      const source = await databases.create(`SET sql_mode = '', NAMES utf8mb4;\n${tables.join('\n')}`);
      await databases.query(source, `SET GLOBAL local_infile = ${localInfile}`);
      await using directory = await temporaryDirectory();
      const out = join(directory.path, 'archive');
      const suffixes = Object.fromEntries(KEYS.map((_, i) => [`c${i}`, 'WHERE 1']));
      await backup({ source, out, suffixes, closure: true });
      const target = await databases.create();
      const { notices } = await restore({ from: out, target });
      expect(notices).toEqual([]);
      expect((await databases.contents(target)).rows).toEqual((await databases.contents(source)).rows);
    });
  });
});
