import { parseArgs } from 'node:util';
import { temporaryDirectory } from '../support/temporary.ts';
import { benchMariadb } from './dr/mariadb.ts';
import { benchPostgres } from './dr/postgres.ts';
import type { BenchOptions } from './dr/suite.ts';
import { machine, saveFigures } from './table.ts';

const SERVERS = ['postgres', 'mariadb'] as const;
const PARTS = ['backup', 'restore', 'small'] as const;
const USAGE = `usage: npm run bench -- dr [--size 1.5GB] [--workers 2] [--rounds 3] [${[...SERVERS, ...PARTS].join('|')}]…`;

/**
 * Backups and restores beside those of the databases' own tools, on databases with many tenants, with many small tables and with many
 * tiny ones. Everything is a process that starts, does its work until it is on disk, and ends. The contenders take turns; a
 * ratio is the median over the rounds of the ratios of runs side by side. Wall times need a quiet machine; processor times
 * (of the command and of the server, together) suffer less. Without names all is measured.
 */
export async function run(): Promise<void> {
  const { values, positionals } = parseArgs({
    args: process.argv.slice(3),
    options: {
      size: { type: 'string', default: '1.5GB' },
      workers: { type: 'string', default: '2' },
      rounds: { type: 'string', default: '3' },
    },
    allowPositionals: true,
  });
  const unknown = positionals.find((name) => ![...SERVERS, ...PARTS].includes(name as never));
  const [workers, rounds, bytes] = [Number(values.workers), Number(values.rounds), bytesOf(values.size)];
  if (unknown !== undefined || !(workers >= 1) || !(rounds >= 1) || !(bytes > 0)) throw new Error(USAGE);

  const chosen = <T extends string>(all: readonly T[]): readonly T[] => {
    const named = all.filter((name) => positionals.includes(name));
    return named.length === 0 ? all : named;
  };
  await using directory = await temporaryDirectory();
  const options: BenchOptions = {
    ...{ bytes, workers, rounds, directory: directory.path },
    parts: new Set(chosen(PARTS)),
  };
  const servers = chosen(SERVERS);
  const results = [
    ...(servers.includes('postgres') ? await benchPostgres(options) : []),
    ...(servers.includes('mariadb') ? await benchMariadb(options) : []),
  ];
  const path = await saveFigures('dr', { bytes, workers, rounds, suites: results.map(({ figures }) => figures) });
  process.stdout.write(`${machine()}\n\n${results.map(({ text }) => text).join('\n')}\nfigures in ${path}\n`);
}

/** `1.5GB`, `300MB`; NaN for anything else. */
function bytesOf(text: string): number {
  const [, number, unit] = /^([\d.]+)(MB|GB)$/i.exec(text) ?? [];
  return Number(number) * (unit?.toUpperCase() === 'GB' ? 1e9 : 1e6);
}
