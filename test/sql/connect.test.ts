import { describe, expect, it } from 'vitest';
import { openSql, type SqlConnections, type SqlSource } from '../../src/sql/connect.ts';

const open = (source: SqlSource): SqlConnections => openSql(source, { connections: 1, applicationName: 'test' });

describe('openSql', () => {
  it('reads a URL, with what is escaped in it', async () => {
    await using sql = open('postgres://me%40x:p%2Fw%3A@db.example:6000/my%20data?sslmode=require');
    expect(sql.endpoint).toEqual({
      ...{ host: 'db.example', port: 6000, username: 'me@x', password: 'p/w:', database: 'my data' },
      ssl: { rejectUnauthorized: false },
    });
    expect(sql.driver).toBe('postgres');
    expect(sql.location).toBe('db.example:6000/my data');
  });

  it('fills in what a URL leaves out', async () => {
    await using sql = open('mariadb:///shop');
    expect(sql.endpoint).toMatchObject({ host: 'localhost', port: 3306, username: null, password: null, ssl: null });
    expect(sql.driver).toBe('mysql');
  });

  it('takes options of sequelize', async () => {
    await using sql = open({
      dialect: 'postgres',
      host: '::1',
      port: 5433,
      database: 'a',
      username: 'b',
      password: 'c',
    });
    expect(sql.location).toBe('::1:5433/a');
  });

  it.each([
    ['what is no URL', 'shop'],
    ['another kind of database', 'mssql://host/shop'],
    ['a URL without a database', 'postgres://host'],
    ['options without a dialect', { database: 'a' }],
  ])('refuses %s', (_, source) => {
    expect(() => open(source)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });

  it('never shows a password', async () => {
    await using sql = open('postgres://me:secret@127.0.0.1:1/shop');
    const error = await sql.raw().catch((caught: unknown) => caught as Error);
    expect(error).toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(String((error as Error).message)).not.toContain('secret');
    expect(() => open('postgres://me:secret@host')).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('secret') }),
    );
  });
});
