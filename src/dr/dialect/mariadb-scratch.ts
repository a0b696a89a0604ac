import type { SqlConnections } from '../../sql/connect.ts';
import { quoteMysql } from '../../sql/identifiers.ts';
import { MysqlSession } from '../../sql/mysql-session.ts';
import { mariadbError } from './mariadb-errors.ts';
import type { ScratchDialect } from './scratch-database.ts';

/** Scratch databases of MariaDB and MySQL. */
export const MARIADB_SCRATCH: ScratchDialect = {
  create: (sql, name) =>
    runIn(sql, `create database ${name}`, (session) => session.run(`CREATE DATABASE ${quoteMysql(name)}`)),

  drop: (sql, name) =>
    runIn(sql, `drop database ${name}`, async (session) => {
      // What is still done in it is ended first: dropping would wait for it.
      const left = await session.query(
        'SELECT CAST(id AS CHAR) AS id FROM information_schema.processlist WHERE db = ?',
        [name],
      );
      for (const { id } of left) await session.run(`KILL ${Number(id)}`).catch(() => undefined);
      await session.run(`DROP DATABASE IF EXISTS ${quoteMysql(name)}`);
    }),
};

async function runIn(
  sql: SqlConnections,
  what: string,
  work: (session: MysqlSession) => Promise<unknown>,
): Promise<void> {
  await using session = await MysqlSession.open(sql);
  try {
    await work(session);
  } catch (error) {
    throw mariadbError(what, error);
  }
}
