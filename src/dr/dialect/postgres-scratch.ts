import type { SqlConnections } from '../../sql/connect.ts';
import { literalPostgres, quotePostgres } from '../../sql/identifiers.ts';
import { PostgresSession } from '../../sql/postgres-session.ts';
import { targetError } from './postgres-errors.ts';
import type { ScratchDialect } from './scratch-database.ts';

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

/** Drops a database with every session in it; nothing happens when there is none. */
export function dropPostgresDatabase(sql: SqlConnections, name: string): Promise<unknown> {
  return runIn(sql, `drop database ${name}`, (session) =>
    session.query(`DROP DATABASE IF EXISTS ${quotePostgres(name)} WITH (FORCE)`),
  );
}

async function runIn<T>(sql: SqlConnections, what: string, work: (session: PostgresSession) => Promise<T>): Promise<T> {
  await using session = await PostgresSession.open(sql);
  try {
    return await work(session);
  } catch (error) {
    throw targetError(what, error);
  }
}
