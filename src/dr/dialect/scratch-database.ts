import { openSql, type SqlConnections, type SqlSource } from '../../sql/connect.ts';

/** A database that exists for a while, beside another one. */
export interface ScratchDatabase extends AsyncDisposable {
  readonly source: SqlSource;
  readonly name: string;
}

/** How a database is created and dropped on one kind of server. */
export interface ScratchDialect {
  /** Creates an empty database. */
  create(sql: SqlConnections, name: string): Promise<unknown>;
  /**
   * Drops it with everything that is still done in it; nothing happens when there is none.
   * @param inside itself
   */
  drop(sql: SqlConnections, name: string, inside: SqlSource): Promise<unknown>;
}

/** Creates an empty database on the server that `beside` names; it is dropped when it is disposed of. @throws what the dialect throws */
export async function createScratchDatabase(
  beside: SqlSource,
  name: string,
  dialect: ScratchDialect,
): Promise<ScratchDatabase> {
  const sql = openBeside(beside);
  try {
    await dialect.create(sql, name);
  } catch (error) {
    await sql.close();
    throw error;
  }
  const source = withDatabase(beside, name);
  return {
    source,
    name,
    async [Symbol.asyncDispose]() {
      try {
        await dialect.drop(sql, name, source);
      } finally {
        await sql.close();
      }
    },
  };
}

/** The connection that creates and drops databases; nothing is connected yet. */
export function openBeside(beside: SqlSource): SqlConnections {
  return openSql(beside, { connections: 1, applicationName: 'holdfast drill' });
}

/** The same server and user, another database. */
export function withDatabase(beside: SqlSource, database: string): SqlSource {
  if (typeof beside !== 'string') return { ...beside, database };
  const url = new URL(beside);
  url.pathname = `/${encodeURIComponent(database)}`;
  return url.href;
}
