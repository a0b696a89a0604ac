import { openSql, type SqlConnections, type SqlSource } from '../../sql/connect.ts';
import { literalPostgres, quotePostgres } from '../../sql/identifiers.ts';
import { PostgresSession } from '../../sql/postgres-session.ts';
import type { Manifest } from '../archive/manifest.ts';
import { targetError } from './postgres-errors.ts';

/** A database that exists for a while, beside another one. */
export interface ScratchDatabase extends AsyncDisposable {
  readonly source: SqlSource;
  readonly name: string;
}

/**
 * Creates an empty database in the encoding of the backup, on the server that `beside` names; it is dropped, with every session in it,
 * when it is disposed of.
 * @throws DR_PRIVILEGE_MISSING without the right to create databases, DATABASE_UNAVAILABLE, CONFIG_INVALID
 */
export async function createPostgresScratch(
  beside: SqlSource,
  name: string,
  { server }: Manifest,
): Promise<ScratchDatabase> {
  const sql = openSql(beside, { connections: 1, applicationName: 'holdfast drill' });
  try {
    await runIn(sql, `create database ${name}`, async (session) => {
      const [template] = await session.query(
        `SELECT pg_encoding_to_char(encoding) = ${literalPostgres(server.encoding)} AS same FROM pg_database WHERE datname = 'template0'`,
      );
      // A locale belongs to an encoding; C fits every one.
      const locale = template?.same === 't' ? '' : ` LC_COLLATE 'C' LC_CTYPE 'C'`;
      const encoding = literalPostgres(server.encoding);
      await session.query(`CREATE DATABASE ${quotePostgres(name)} TEMPLATE template0 ENCODING ${encoding}${locale}`);
    });
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

/** Drops a scratch database that a process left when it was killed; nothing happens when there is none. @throws as {@link createPostgresScratch} */
export async function dropPostgresScratch(beside: SqlSource, name: string): Promise<void> {
  await using sql = openSql(beside, { connections: 1, applicationName: 'holdfast drill' });
  await dropIn(sql, name);
}

function dropIn(sql: SqlConnections, name: string): Promise<unknown> {
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

/** The same server and user, another database. */
export function scratchSource(beside: SqlSource, database: string): SqlSource {
  if (typeof beside !== 'string') return { ...beside, database };
  const url = new URL(beside);
  url.pathname = `/${encodeURIComponent(database)}`;
  return url.href;
}
