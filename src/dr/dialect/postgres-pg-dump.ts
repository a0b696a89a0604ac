import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HoldfastError, isHoldfastError } from '../../errors.ts';
import type { SqlEndpoint } from '../../sql/connect.ts';
import type { SchemaExporter } from './backup-source.ts';
import { PROGRESS_SCHEMA } from './postgres-catalog.ts';

/** A pg_dump that can read the server. */
export interface PgDump {
  readonly path: string;
  readonly major: number;
}

/** Where Debian, Red Hat and Homebrew put the tools of each major version, besides PATH: below directories with these names. */
const PLACES = [
  { directory: '/usr/lib/postgresql', name: /^\d+$/ },
  { directory: '/usr', name: /^pgsql-\d+$/ },
  { directory: '/opt/homebrew/opt', name: /^postgresql@\d+$/ },
];

/**
 * The pg_dump of the oldest major version that is not older than the server: an older one refuses, and a newer one may write for
 * newer servers only.
 * @param serverVersion `server_version_num`
 * @throws DR_INCOMPATIBLE when there is none
 */
export async function findPgDump(serverVersion: number, signal?: AbortSignal): Promise<PgDump> {
  const server = Math.floor(serverVersion / 10_000);
  const found: PgDump[] = [];
  const installed = PLACES.flatMap(({ directory, name }) =>
    namesIn(directory).flatMap((found) => (name.test(found) ? [join(directory, found, 'bin/pg_dump')] : [])),
  );
  const likely = installed.filter((path) => path.includes(`${server}/`));
  for (const path of new Set([...likely, 'pg_dump', ...installed])) {
    const major = await majorOf(path, signal);
    if (major === null) continue;
    found.push({ path, major });
    // None can be a better choice.
    if (major === server) break;
  }
  const fitting = found.filter(({ major }) => major >= server).sort((a, b) => a.major - b.major);
  if (fitting[0] !== undefined) return fitting[0];
  const seen = found.length === 0 ? 'none was found' : `found: ${found.map(({ major }) => major).join(', ')}`;
  throw new HoldfastError(
    'DR_INCOMPATIBLE',
    `The schema is read by pg_dump, and a PostgreSQL ${server} server needs pg_dump ${server} or newer (${seen}): install postgresql-client-${server}.`,
  );
}

/**
 * The pg_dump that is to read the schema; null when the catalog is to be read instead.
 * @param serverVersion `server_version_num`
 * @throws DR_INCOMPATIBLE when it must be pg_dump and none fits
 */
export async function choosePgDump(
  serverVersion: number,
  exporter: SchemaExporter | 'auto',
  signal?: AbortSignal,
): Promise<PgDump | null> {
  if (exporter === 'catalog') return null;
  try {
    return await findPgDump(serverVersion, signal);
  } catch (error) {
    if (exporter === 'auto' && isHoldfastError(error, 'DR_INCOMPATIBLE')) return null;
    throw error;
  }
}

/** Empty for a directory that is not there. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

async function majorOf(path: string, signal: AbortSignal | undefined): Promise<number | null> {
  try {
    const output = await run(path, ['--version'], signal);
    const major = /\(PostgreSQL\) (\d+)/.exec(output.toString())?.[1];
    return major === undefined ? null : Number(major);
  } catch {
    return null;
  }
}

/**
 * The schema as an archive of pg_dump, read in an exported snapshot.
 * @returns the bytes of the archive, for `readDumpFile`
 * @throws Error with what pg_dump said
 */
export async function dumpSchema(
  tool: PgDump,
  endpoint: SqlEndpoint,
  options: {
    readonly snapshot: string;
    readonly lockWaitMs: number;
    /** Of the archive's text. */
    readonly encoding: 'UTF8' | 'SQL_ASCII';
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-dump-'));
  try {
    const connection = await connectionString(endpoint, directory);
    return await run(
      tool.path,
      [
        ...['--schema-only', '--format=custom', '--compress=0', '--no-password', `--snapshot=${options.snapshot}`],
        ...[
          `--encoding=${options.encoding}`,
          `--lock-wait-timeout=${options.lockWaitMs}`,
          `--exclude-schema=${PROGRESS_SCHEMA}`,
          `--dbname=${connection}`,
        ],
      ],
      options.signal,
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** A connection string without secrets: those are in files that only we can read, not in the list of processes. */
async function connectionString(endpoint: SqlEndpoint, directory: string): Promise<string> {
  const { host, port, username, password, database, ssl } = endpoint;
  const parts: Record<string, string> = {
    host,
    port: String(port),
    dbname: database,
    application_name: 'holdfast backup',
  };
  if (username !== null) parts.user = username;
  if (password !== null) {
    const escaped = password.replace(/[\\:]/g, '\\$&');
    parts.passfile = join(directory, 'pass');
    await writeFile(parts.passfile, `*:*:*:*:${escaped}\n`, { mode: 0o600 });
  }
  if (ssl !== null) {
    const checked = ssl === true || ssl.rejectUnauthorized !== false;
    parts.sslmode = checked ? 'verify-full' : 'require';
    for (const [key, name] of [
      ['ca', 'sslrootcert'],
      ['cert', 'sslcert'],
      ['key', 'sslkey'],
    ] as const) {
      const value = ssl === true ? undefined : ssl[key];
      if (typeof value !== 'string' && !Buffer.isBuffer(value)) continue;
      parts[name] = join(directory, key);
      await writeFile(parts[name], value, { mode: 0o600 });
    }
  }
  return Object.entries(parts)
    .map(([key, value]) => `${key}='${value.replace(/[\\']/g, '\\$&')}'`)
    .join(' ');
}

function run(path: string, args: readonly string[], signal: AbortSignal | undefined): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child: ChildProcess = spawn(path, args, { stdio: ['ignore', 'pipe', 'pipe'], ...(signal ? { signal } : {}) });
    const output: Buffer[] = [];
    let said = '';
    child.stdout?.on('data', (bytes: Buffer) => output.push(bytes));
    child.stderr?.on('data', (bytes: Buffer) => {
      if (said.length < 10_000) said += bytes.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(output));
      else reject(new Error(said.trim() || `${path} ended with exit code ${code}`));
    });
  });
}
