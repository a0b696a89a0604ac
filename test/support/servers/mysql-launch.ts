import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cached, runTool } from './cache.ts';
import { findProgram } from './process.ts';

/** MySQL's `mysqld` and `mysqldump`, or why there is none. */
export type MysqlLaunch =
  | { readonly what: string; readonly server: string; readonly dump: string }
  | { readonly reason: string };

const WAYS = 'set MYSQL_BIN to a directory with mysqld and mysqldump of MySQL 8 or newer';
/** Debian has MySQL in its unstable suite alone: MariaDB is what the others install under the same names. */
const SUITE = 'sid';
const PACKAGES: readonly string[] = ['mysql-server-core', 'mysql-client-core'];
const ARCHIVE_KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg';
const DOWNLOAD_TIMEOUT_MS = 180_000;

let found: MysqlLaunch | undefined;

/**
 * MYSQL_BIN, else the programs that are installed, else on a Debian those of its unstable suite, fetched once into the user's cache
 * with every library they need: nothing is installed. Looked for once in a process.
 */
export function mysqlLaunch(): MysqlLaunch {
  found ??= launchIn(process.env.MYSQL_BIN) ?? launchOf(findProgram('mysqld'), findProgram('mysqldump')) ?? fetched();
  return found;
}

function launchIn(directory: string | undefined): MysqlLaunch | undefined {
  return directory ? launchOf(join(directory, 'mysqld'), join(directory, 'mysqldump')) : undefined;
}

function launchOf(server: string | undefined, dump: string | undefined): MysqlLaunch | undefined {
  if (server === undefined || dump === undefined) return undefined;
  const told = spawnSync(server, ['--no-defaults', '--version'], { encoding: 'utf8' }).stdout ?? '';
  const version = /\bVer ((?:[89]|\d\d)\.\d+\.\d+)/.exec(told)?.[1];
  if (version === undefined || /mariadb/i.test(told)) return undefined;
  return { what: `MySQL ${version} (${server})`, server, dump };
}

function fetched(): MysqlLaunch {
  const missing = ['apt-get', 'dpkg'].filter((name) => findProgram(name) === undefined);
  if (missing.length > 0 || !existsSync(ARCHIVE_KEYS)) return { reason: `no MySQL, and this is no Debian: ${WAYS}` };
  try {
    const directory = cached('mysql', [SUITE, ...PACKAGES], fetchPackages);
    return launchIn(join(directory, 'bin')) ?? { reason: `the MySQL in ${directory} does not run: ${WAYS}` };
  } catch (error) {
    return { reason: `no MySQL: ${(error as Error).message}; ${WAYS}` };
  }
}

/** Has apt fetch the packages for a machine on which nothing is installed, and unpacks them. */
function fetchPackages(directory: string): void {
  const apt = join(directory, 'apt');
  for (const part of ['state/lists/partial', 'cache/archives/partial']) mkdirSync(join(apt, part), { recursive: true });
  writeFileSync(join(apt, 'state/status'), '');
  writeFileSync(
    join(apt, 'sources.list'),
    `deb [signed-by=${ARCHIVE_KEYS}] http://deb.debian.org/debian ${SUITE} main\n`,
  );
  const settings = {
    'Dir::State': join(apt, 'state'),
    'Dir::State::status': join(apt, 'state/status'),
    'Dir::Cache': join(apt, 'cache'),
    'Dir::Etc::SourceList': join(apt, 'sources.list'),
    'Dir::Etc::SourceParts': '/dev/null',
    'Acquire::Languages': 'none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
    'Acquire::http::Timeout': '15',
    'APT::Get::Download-Only': 'true',
    'APT::Install-Recommends': 'false',
    'APT::Sandbox::User': '',
    'Debug::NoLocking': 'true',
  };
  const options = Object.entries(settings).map(([name, value]) => `-o${name}=${value}`);
  const run = (...args: readonly string[]) =>
    runTool('apt-get', [...options, '-qq', ...args], { timeoutMs: DOWNLOAD_TIMEOUT_MS });
  run('update');
  run('install', '-y', ...PACKAGES);
  const root = join(directory, 'root');
  for (const file of globSync(join(apt, 'cache/archives/*.deb'))) runTool('dpkg', ['-x', file, root]);
  rmSync(apt, { recursive: true });
  mkdirSync(join(directory, 'bin'));
  for (const [name, path] of [
    ['mysqld', 'usr/sbin/mysqld'],
    ['mysqldump', 'usr/bin/mysqldump'],
  ] as const) {
    const script = join(directory, 'bin', name);
    writeFileSync(script, loader(path));
    chmodSync(script, 0o755);
  }
}

/** Runs a program on the C library it was built for, which may be newer than this machine's. */
function loader(path: string): string {
  return `#!/bin/sh
root=$(cd "$(dirname "$0")/../root" && pwd)
exec "$root"/usr/lib/*-linux-gnu/ld-linux-*.so.* --library-path "$(echo "$root"/usr/lib/*-linux-gnu)" "$root/${path}" "$@"
`;
}
