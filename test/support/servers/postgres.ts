import { chownSync, existsSync, globSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { accountFor } from './account.ts';
import { cached, runTool } from './cache.ts';
import { findProgram, run } from './process.ts';
import { type ServerOptions, startServer, type TestServer } from './server.ts';

/** A PostgreSQL server; user `app` without a password is its superuser. */
export interface PostgresServer extends TestServer {
  /** Creates an empty database and returns its URL. */
  createDatabase(name: string): Promise<string>;
}

/** Directory of PostgreSQL's programs: the newest of Debian's, else what is on PATH. */
export function postgresPrograms(): string | undefined {
  const [newest] = globSync('/usr/lib/postgresql/*/bin').sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  return newest ?? findProgram('initdb')?.replace(/\/initdb$/, '');
}

export interface PostgresOptions extends ServerOptions {
  /** Directory of the programs to run. Default: {@link postgresPrograms}. */
  readonly programs?: string;
}

/** Starts PostgreSQL. `synchronous_commit` stays on: without it a kill loses what was acknowledged. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const programs = options.programs ?? postgresPrograms() ?? '';
  const account = accountFor('postgres');
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    shared_buffers: '32MB',
    wal_level: 'logical',
    ...(options.fsync === true ? {} : { fsync: 'off', full_page_writes: 'off' }),
  };
  const server = await startServer(
    {
      kind: 'postgres',
      account,
      prepare(directory) {
        const data = join(directory, 'data');
        if (existsSync(data)) return;
        runTool('cp', ['-a', template(programs), data]);
        if (account !== undefined) chownSync(data, account.uid, account.gid);
      },
      start: (port, directory) =>
        run({
          command: join(programs, 'postgres'),
          cwd: directory,
          account,
          stopSignal: 'SIGINT',
          args: [
            ...['-D', join(directory, 'data'), '-p', `${port}`],
            ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
            ...(options.args ?? []),
          ],
        }),
      isReady: (started) => started.output().includes('database system is ready to accept connections'),
      url: (port, database = 'postgres') => `postgres://app@127.0.0.1:${port}/${database}`,
    },
    options,
  );
  return Object.assign(server, {
    async createDatabase(name: string) {
      const client = new Client({ connectionString: server.url });
      await client.connect();
      try {
        await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
      } finally {
        await client.end();
      }
      return server.urlOf(name);
    },
  });
}

/** A cluster with nothing in it, made once. */
function template(programs: string): string {
  const account = accountFor('postgres');
  const args = ['-U', 'app', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
  const version = runTool(join(programs, 'postgres'), ['--version']);
  const directory = cached(
    'postgres',
    [version, ...args],
    (building) => {
      runTool(join(programs, 'initdb'), ['-D', join(building, 'data'), ...args], { account, cwd: building });
    },
    account,
  );
  return join(directory, 'data');
}
