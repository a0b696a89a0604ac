import { execFileSync } from 'node:child_process';
import { createConnection } from 'mysql2/promise';
import { type MariadbServer, startMariadb } from './servers/mariadb.ts';
import { findProgram } from './servers/process.ts';
import type { ServerOptions } from './servers/server.ts';

/** What a database holds, in a form in which two are equal when nothing can tell them apart. */
export interface MariadbContents {
  /** `mariadb-dump --no-data` with routines and events, without the database's own name. */
  readonly schema: string;
  /** A line for each table: its name, number of rows, checksum of their bytes, next number. */
  readonly rows: readonly string[];
}

/** A MariaDB server with databases of a test's own. */
export class MariadbDatabases implements AsyncDisposable {
  readonly server: MariadbServer;
  #made = 0;

  private constructor(server: MariadbServer) {
    this.server = server;
  }

  static async start(options: ServerOptions = {}): Promise<MariadbDatabases> {
    return new MariadbDatabases(await startMariadb(options));
  }

  /** A new database, with what `statements` make of it; returns its URL. */
  async create(statements = ''): Promise<string> {
    this.#made += 1;
    const url = await this.server.createDatabase(`test_${this.#made}`);
    if (statements !== '') await this.query(url, statements);
    return url;
  }

  /** Runs statements and returns the rows of the last one, every value as text. */
  async query(url: string, text: string): Promise<readonly Readonly<Record<string, string | null>>[]> {
    const { hostname, port, username, password, pathname } = new URL(url);
    const connection = await createConnection({
      ...{ host: hostname, port: Number(port), user: username, password, database: pathname.slice(1) },
      ...{ multipleStatements: true, dateStrings: true },
    });
    try {
      const typeCast = (field: { string(): string | null }): string | null => field.string();
      const [results] = await connection.query({ sql: text, typeCast } as never);
      const last = Array.isArray(results) && (results as unknown[]).some(Array.isArray) ? results.at(-1) : results;
      return (Array.isArray(last) ? last : []) as unknown as readonly Readonly<Record<string, string | null>>[];
    } finally {
      await connection.end();
    }
  }

  async contents(url: string): Promise<MariadbContents> {
    const { hostname, port, username, password, pathname } = new URL(url);
    const name = pathname.slice(1);
    const login = [`--host=${hostname}`, `--port=${port}`, `--user=${username}`, `--password=${password}`];
    const dump = execFileSync(
      findProgram('mariadb-dump') ?? 'mariadb-dump',
      ['--no-defaults', ...login, '--no-data', '--routines', '--triggers', '--events', '--skip-comments', name],
      { maxBuffer: 1 << 28 },
    ).toString('latin1');
    const schema = dump.replace(/ AUTO_INCREMENT=\d+/g, '').replaceAll(`\`${name}\``, '`database`');
    return { schema, rows: await this.#rows(url) };
  }

  async #rows(url: string): Promise<readonly string[]> {
    const tables = await this.query(
      url,
      `SELECT table_name AS name, table_type AS type, CAST(auto_increment AS CHAR) AS next FROM information_schema.tables
       WHERE table_schema = DATABASE() AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY table_name`,
    );
    const lines: string[] = [];
    for (const { name, type, next } of tables) {
      const quoted = `\`${name?.replaceAll('`', '``')}\``;
      const [checksum] = await this.query(url, `CHECKSUM TABLE ${quoted} EXTENDED`);
      const history = type === 'SYSTEM VERSIONED' ? ' FOR SYSTEM_TIME ALL' : '';
      const [count] = await this.query(url, `SELECT COUNT(*) AS n FROM ${quoted}${history}`);
      lines.push([name, count?.n, checksum?.Checksum, next].join(' '));
    }
    return lines;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }
}
