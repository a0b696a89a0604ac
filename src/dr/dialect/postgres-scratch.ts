import type { SqlConnections, SqlSource } from '../../sql/connect.ts';
import { literalPostgres, quotePostgres } from '../../sql/identifiers.ts';
import { type PostgresRow, PostgresSession } from '../../sql/postgres-session.ts';
import { targetError } from './postgres-errors.ts';
import { openBeside, type ScratchDialect } from './scratch-database.ts';

/** Scratch databases in the encoding of a backup. */
export function postgresScratch(encoding: string): ScratchDialect {
  return {
    create: (sql, name) =>
      runIn(sql, `create database ${name}`, async (session) => {
        const [template] = await session.query(
          `SELECT pg_encoding_to_char(encoding) = ${literalPostgres(encoding)} AS same FROM pg_database WHERE datname = 'template0'`,
        );
        // A locale belongs to an encoding; C fits every one.
        const locale = template?.same === 't' ? '' : ` LC_COLLATE 'C' LC_CTYPE 'C'`;
        const options = `TEMPLATE template0 ENCODING ${literalPostgres(encoding)}${locale}`;
        await session.query(`CREATE DATABASE ${quotePostgres(name)} ${options}`);
      }),
    drop: dropPostgresDatabase,
  };
}

/** Drops a database with every session in it; nothing happens when there is none. See {@link ScratchDialect}. */
export function dropPostgresDatabase(sql: SqlConnections, name: string, inside: SqlSource): Promise<unknown> {
  return runIn(sql, `drop database ${name}`, async (session) => {
    const subscriptions = await session.query(
      `SELECT subname AS name FROM pg_subscription JOIN pg_database d ON d.oid = subdbid WHERE d.datname = ${literalPostgres(name)}`,
    );
    if (subscriptions.length > 0) await dropSubscriptions(inside, subscriptions);
    await session.query(`DROP DATABASE IF EXISTS ${quotePostgres(name)} WITH (FORCE)`);
  });
}

/** They keep a database from being dropped. Their slots belong to the database they were copied from: nobody is asked for them. */
async function dropSubscriptions(inside: SqlSource, subscriptions: readonly PostgresRow[]): Promise<void> {
  await using sql = openBeside(inside);
  await using session = await PostgresSession.open(sql);
  for (const { name } of subscriptions) {
    const quoted = quotePostgres(name ?? '');
    await session.query(
      `ALTER SUBSCRIPTION ${quoted} DISABLE; ALTER SUBSCRIPTION ${quoted} SET (slot_name = NONE); DROP SUBSCRIPTION ${quoted}`,
    );
  }
}

async function runIn<T>(sql: SqlConnections, what: string, work: (session: PostgresSession) => Promise<T>): Promise<T> {
  await using session = await PostgresSession.open(sql);
  try {
    return await work(session);
  } catch (error) {
    throw targetError(what, error);
  }
}
