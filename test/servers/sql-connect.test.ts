import { describe, expect, it } from 'vitest';
import { openSql, type SqlSource } from '../../src/sql/connect.ts';
import { MysqlSession } from '../../src/sql/mysql-session.ts';
import { PostgresSession } from '../../src/sql/postgres-session.ts';
import { MariadbDatabases } from '../support/mariadb-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startPostgres } from '../support/servers/postgres.ts';
import { shared } from '../support/servers/shared.ts';

const OPTIONS = { connections: 2, applicationName: 'holdfast test' };

/** The parts of a URL as options of sequelize. */
function optionsOf(url: string, dialect: 'postgres' | 'mariadb') {
  const { hostname, port, username, password, pathname } = new URL(url);
  return {
    ...{ dialect, host: hostname, port: Number(port), database: pathname.slice(1) },
    ...(username !== '' && { username }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
  };
}

describeWith('postgres', 'connections to PostgreSQL', () => {
  const server = shared(() => startPostgres());

  describe.each([
    ['a URL', () => server().urlOf('postgres')],
    ['options of sequelize', () => optionsOf(server().urlOf('postgres'), 'postgres')],
  ] as readonly (readonly [string, () => SqlSource])[])('by %s', (_, source) => {
    it('are named, and gone when they are released', async () => {
      await using sql = openSql(source(), OPTIONS);
      const first = await PostgresSession.open(sql);
      const second = await PostgresSession.open(sql);
      const names = `SELECT pid::text FROM pg_stat_activity WHERE application_name = 'holdfast test' ORDER BY pid`;
      const pids = [first.pid, second.pid].sort((a, b) => a - b).map(String);
      expect((await first.query(names)).map(({ pid }) => pid)).toEqual(pids);
      await second.release();
      await expect
        .poll(async () => (await first.query(names)).map(({ pid }) => pid), { timeout: 10_000 })
        .toEqual([String(first.pid)]);
      await first.release();
    });

    it('that the server cuts fail the next statement, and nothing else', async () => {
      await using sql = openSql(source(), OPTIONS);
      await using cut = await PostgresSession.open(sql);
      await using other = await PostgresSession.open(sql);
      await other.query(`SELECT pg_terminate_backend(${cut.pid})`);
      await expect(cut.query('SELECT 1')).rejects.toThrow();
      expect(await other.query('SELECT 1 AS one')).toEqual([{ one: '1' }]);
    });

    it('are refused by name when there is no such database', async () => {
      const given = source();
      const absent = typeof given === 'string' ? server().urlOf('absent') : { ...given, database: 'absent' };
      await using sql = openSql(absent, OPTIONS);
      await expect(sql.raw()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    });
  });
});

describeWith('mariadb', 'connections to MariaDB', () => {
  const databases = shared(() => MariadbDatabases.start());

  describe.each(['a URL', 'options of sequelize'])('by %s', (way) => {
    async function sourceOf(): Promise<SqlSource> {
      const url = await databases().create('CREATE TABLE one (v int)');
      return way === 'a URL' ? url : optionsOf(url, 'mariadb');
    }

    it('take statements, and are gone when they are released', async () => {
      await using sql = openSql(await sourceOf(), OPTIONS);
      await using first = await MysqlSession.open(sql);
      const second = await MysqlSession.open(sql);
      await first.run('INSERT INTO one VALUES (1)');
      expect((await second.run('UPDATE one SET v = 1')).affectedRows).toBe(0);
      const alive = (): Promise<unknown[]> =>
        first.query('SELECT id FROM information_schema.processlist WHERE id = ?', [second.id]);
      expect(await alive()).toHaveLength(1);
      await second.release();
      await expect.poll(alive, { timeout: 10_000 }).toEqual([]);
    });

    it('that the server cuts fail the next statement, and nothing else', async () => {
      await using sql = openSql(await sourceOf(), OPTIONS);
      await using cut = await MysqlSession.open(sql);
      await using other = await MysqlSession.open(sql);
      await other.run(`KILL ${cut.id}`);
      await expect(cut.query('SELECT 1')).rejects.toThrow();
      expect(await other.query('SELECT 1 AS one')).toEqual([{ one: '1' }]);
    });
  });
});
