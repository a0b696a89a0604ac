import { chownSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { accountFor } from './account.ts';
import { cached, runTool } from './cache.ts';
import { findProgram, run } from './process.ts';
import { type ServerOptions, startServer, type TestServer } from './server.ts';

/** A MariaDB or MySQL server; user `app` with password `pw` may do everything. */
export interface MariadbServer extends TestServer {
  /** The server's own program that prints a database as statements. */
  readonly dumpProgram: string;
  /** Creates an empty database and returns its URL. */
  createDatabase(name: string): Promise<string>;
}

/** What a server runs at its start. Each statement on a line of its own: of several on one line, only the first is run. */
export const INIT = `CREATE USER IF NOT EXISTS 'app'@'127.0.0.1' IDENTIFIED BY 'pw';
GRANT ALL ON *.* TO 'app'@'127.0.0.1' WITH GRANT OPTION;
CREATE DATABASE IF NOT EXISTS app;
`;

/** Starts MariaDB. Every commit is in the log file before it is answered, so that a kill loses none. */
export async function startMariadb(options: ServerOptions = {}): Promise<MariadbServer> {
  const account = accountFor('mysql');
  const server = await startServer(
    {
      kind: 'mariadb',
      account,
      prepare(directory) {
        writeFileSync(join(directory, 'init.sql'), INIT);
        const data = join(directory, 'data');
        if (existsSync(data)) return;
        runTool('cp', ['-a', template(), data]);
        if (account !== undefined) chownSync(data, account.uid, account.gid);
      },
      start: (port, directory) =>
        run({
          command: findProgram('mariadbd') ?? 'mariadbd',
          cwd: directory,
          account,
          args: [
            ...['--no-defaults', `--datadir=${join(directory, 'data')}`, `--port=${port}`, '--bind-address=127.0.0.1'],
            ...[
              `--socket=${join(directory, 'socket')}`,
              `--pid-file=${join(directory, 'pid')}`,
              `--tmpdir=${directory}`,
            ],
            ...[
              `--init-file=${join(directory, 'init.sql')}`,
              '--innodb-buffer-pool-size=32M',
              '--innodb-log-file-size=8M',
            ],
            `--innodb-flush-log-at-trx-commit=${options.fsync === true ? 1 : 2}`,
            ...['--skip-name-resolve', '--performance-schema=OFF', '--local-infile=1', '--skip-log-bin'],
            ...(options.args ?? []),
          ],
        }),
      isReady: (started) => started.output().includes('ready for connections'),
      url: (port, database = 'app') => `mariadb://app:pw@127.0.0.1:${port}/${database}`,
    },
    options,
  );
  return withDatabases(server, findProgram('mariadb-dump') ?? 'mariadb-dump');
}

export function withDatabases(server: TestServer, dumpProgram: string): MariadbServer {
  return Object.assign(server, {
    dumpProgram,
    async createDatabase(name: string) {
      const connection = await createConnection({ host: '127.0.0.1', port: server.port, user: 'app', password: 'pw' });
      try {
        await connection.query('CREATE DATABASE ??', [name]);
      } finally {
        await connection.end();
      }
      return server.urlOf(name);
    },
  });
}

/** A data directory with nothing in it, made once. */
function template(): string {
  const account = accountFor('mysql');
  const args = [
    '--no-defaults',
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    '--innodb-log-file-size=8M',
  ];
  const version = runTool(findProgram('mariadbd') ?? 'mariadbd', ['--version']);
  const directory = cached(
    'mariadb',
    [version, ...args],
    (building) => {
      const data = `--datadir=${join(building, 'data')}`;
      runTool('mariadb-install-db', [...args, data, `--tmpdir=${building}`], { account, cwd: building });
    },
    account,
  );
  return join(directory, 'data');
}
