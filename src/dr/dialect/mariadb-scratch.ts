import { openSql, type SqlConnections, type SqlSource } from '../../sql/connect.ts';
import { quoteMysql } from '../../sql/identifiers.ts';
import { MysqlSession } from '../../sql/mysql-session.ts';
import { mariadbError } from './mariadb-errors.ts';
import { type ScratchDatabase, scratchSource } from './postgres-scratch.ts';

/**
 * Creates an empty database on the server that `beside` names; it is dropped when it is disposed of.
 * @throws DR_PRIVILEGE_MISSING without the right to create databases, DATABASE_UNAVAILABLE, CONFIG_INVALID
 */
export async function createMariadbScratch(beside: SqlSource, name: string): Promise<ScratchDatabase> {
  const sql = openSql(beside, { connections: 1, applicationName: 'holdfast drill' });
  try {
    await runIn(sql, `create database ${name}`, `CREATE DATABASE ${quoteMysql(name)}`);
  } catch (error) {
    await sql.close();
    throw error;
  }
  return {
    source: scratchSource(beside, name),
    name,
    async [Symbol.asyncDispose]() {
      try {
        await dropIn(sql, name);
      } finally {
        await sql.close();
      }
    },
  };
}

/** Drops a scratch database that a process left when it was killed; nothing happens when there is none. @throws as {@link createMariadbScratch} */
export async function dropMariadbScratch(beside: SqlSource, name: string): Promise<void> {
  await using sql = openSql(beside, { connections: 1, applicationName: 'holdfast drill' });
  await dropIn(sql, name);
}

/** What is still done in it is ended first: dropping would wait for it. */
async function dropIn(sql: SqlConnections, name: string): Promise<void> {
  await using session = await MysqlSession.open(sql);
  const left = await session.query('SELECT CAST(id AS CHAR) AS id FROM information_schema.processlist WHERE db = ?', [
    name,
  ]);
  for (const { id } of left) await session.run(`KILL ${Number(id)}`).catch(() => undefined);
  await runIn(sql, `drop database ${name}`, `DROP DATABASE IF EXISTS ${quoteMysql(name)}`, session);
}

async function runIn(sql: SqlConnections, what: string, statement: string, opened?: MysqlSession): Promise<void> {
  const session = opened ?? (await MysqlSession.open(sql));
  try {
    await session.run(statement);
  } catch (error) {
    throw mariadbError(what, error);
  } finally {
    if (opened === undefined) await session.release();
  }
}
