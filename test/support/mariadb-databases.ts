import { execFileSync } from 'node:child_process';
import { createConnection } from 'mysql2/promise';
import { type MariadbServer, startMariadb } from './servers/mariadb.ts';
import type { ServerOptions } from './servers/server.ts';

/** What a database holds, in a form in which two are equal when nothing can tell them apart. */
export interface MariadbContents {
  /** What the server's own program prints with `--no-data`, with routines and events, without the database's own name. */
  readonly schema: string;
  /** A line for each table: its name, number of rows, sum of their digests, next number. */
  readonly rows: readonly string[];
}

/** A MariaDB or MySQL server with databases of a test's own. */
export class MariadbDatabases implements AsyncDisposable {
  readonly server: MariadbServer;
  #made = 0;

  private constructor(server: MariadbServer) {
    this.server = server;
  }

  static async start(options: ServerOptions = {}, start = startMariadb): Promise<MariadbDatabases> {
    return new MariadbDatabases(await start(options));
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
      let last: unknown;
      // Of several statements in one, MySQL takes what ends the text of a routine for a part of it.
      for (const sql of text.split(/;\n/).filter((part) => part.trim() !== '')) {
        const [results] = await connection.query({ sql, typeCast } as never);
        last = Array.isArray(results) && (results as unknown[]).some(Array.isArray) ? results.at(-1) : results;
      }
      return (Array.isArray(last) ? last : []) as unknown as readonly Readonly<Record<string, string | null>>[];
    } finally {
      await connection.end();
    }
  }

  async contents(url: string): Promise<MariadbContents> {
    const { hostname, port, username, password, pathname } = new URL(url);
    const name = pathname.slice(1);
    const login = [`--host=${hostname}`, `--port=${port}`, `--user=${username}`];
    const dump = execFileSync(
      this.server.dumpProgram,
      ['--no-defaults', ...login, '--no-data', '--routines', '--triggers', '--events', '--skip-comments', name],
      { maxBuffer: 1 << 28, stdio: 'pipe', env: { ...process.env, MYSQL_PWD: password } },
    ).toString('latin1');
    const schema = dump
      .replace(/ AUTO_INCREMENT=\d+/g, '')
      // MySQL names the character set only of a column that was not left with its table's, which a dump has no words for.
      .replace(/ CHARACTER SET \w+ COLLATE/g, ' COLLATE')
      .replaceAll(`\`${name}\``, '`database`');
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
      const history = type === 'SYSTEM VERSIONED' ? ' FOR SYSTEM_TIME ALL' : '';
      const [sum] = await this.query(
        url,
        `SELECT COUNT(*) AS n, ${await this.#digest(url, name ?? '')} AS digest FROM ${quoted}${history}`,
      );
      lines.push([name, sum?.n, sum?.digest, next].join(' '));
    }
    return lines;
  }

  /** The sum of digests of rows: CHECKSUM TABLE of MySQL tells equal values of JSON apart. */
  async #digest(url: string, table: string): Promise<string> {
    const columns = await this.query(
      url,
      `SELECT column_name AS name, data_type AS type FROM information_schema.columns
       WHERE table_schema = DATABASE() AND table_name = '${table.replaceAll("'", "''")}' ORDER BY ordinal_position`,
    );
    const values = columns.map(({ name, type }) => {
      const column = `\`${name?.replaceAll('`', '``')}\``;
      const exact = type === 'float' ? `${column} + 0e0` : column;
      return `COALESCE(HEX(CAST(${exact} AS BINARY)), '-')`;
    });
    return `SUM(CONV(LEFT(SHA2(CONCAT_WS(',', ${values.join(', ')}), 256), 8), 16, 10))`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }
}
