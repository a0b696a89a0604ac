import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { Client, type QueryResult } from 'pg';
import { type PostgresOptions, type PostgresServer, postgresPrograms, startPostgres } from './servers/postgres.ts';

/** What a database holds, in a form in which two are equal when nothing can tell them apart. */
export interface PostgresContents {
  /** `pg_dump --schema-only`, with owners and grants, without what differs from run to run. */
  readonly schema: string;
  /** A line for each table, materialized view, sequence and for the large objects: numbers and hashes. */
  readonly rows: readonly string[];
}

/** A PostgreSQL server with databases of a test's own. */
export class PostgresDatabases implements AsyncDisposable {
  readonly server: PostgresServer;
  #made = 0;

  private constructor(server: PostgresServer) {
    this.server = server;
  }

  static async start(options: PostgresOptions = {}): Promise<PostgresDatabases> {
    return new PostgresDatabases(await startPostgres(options));
  }

  /** A new database, with what `statements` make of it; returns its URL. */
  async create(statements = '', encoding = 'UTF8'): Promise<string> {
    this.#made += 1;
    const name = `test_${this.#made}`;
    await this.query(this.server.url, `CREATE DATABASE ${name} TEMPLATE template0 ENCODING '${encoding}'`);
    const url = this.server.urlOf(name);
    if (statements !== '') await this.query(url, statements);
    return url;
  }

  /** Runs statements and returns the rows of the last one, every value as text. */
  async query(url: string, text: string): Promise<readonly Readonly<Record<string, string | null>>[]> {
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      const types = { getTypeParser: () => (value: string) => value };
      const result = (await client.query({ text, types } as never)) as unknown as QueryResult | QueryResult[];
      return (Array.isArray(result) ? result.at(-1) : result)?.rows ?? [];
    } finally {
      await client.end();
    }
  }

  async contents(url: string): Promise<PostgresContents> {
    const dump = execFileSync(join(postgresPrograms() ?? '', 'pg_dump'), ['--schema-only', url], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    const lines = dump.split('\n').filter((line) => !/^(--|\\(un)?restrict|\s*$)/.test(line));
    return { schema: lines.join('\n'), rows: await this.rows(url) };
  }

  /** As {@link PostgresContents.rows}; needs no pg_dump. */
  async rows(url: string): Promise<readonly string[]> {
    const relations = await this.query(
      url,
      `SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relkind::text AS kind
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind IN ('r', 'm', 'S') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
         AND (c.relkind <> 'm' OR c.relispopulated) ORDER BY 1`,
    );
    const questions = relations.map(({ name, kind }) => {
      const label = `'${name?.replaceAll("'", "''")}'`;
      if (kind === 'S') return `SELECT concat_ws(' ', ${label}, last_value, is_called) AS line FROM ${name}`;
      const hash = `coalesce(sum(hashtextextended(row::text, 0)::numeric), 0)`;
      return `SELECT concat_ws(' ', ${label}, count(*), ${hash}) AS line FROM ${kind === 'r' ? 'ONLY' : ''} ${name} AS row`;
    });
    questions.push(
      `SELECT concat_ws(' ', 'large objects', count(*), sum(hashtextextended(concat(loid, ' ', pageno, ' ', data), 0)::numeric)) AS line FROM pg_largeobject`,
    );
    const settings = `SET row_security = off; SET timezone = 'UTC'; SET extra_float_digits = 3; SET bytea_output = hex;`;
    const answers = await this.query(url, `${settings} ${questions.join(' UNION ALL ')}`);
    return answers.map(({ line }) => line ?? '').sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }
}
