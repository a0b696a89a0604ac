import { parseArgs } from 'node:util';
import { temporaryDirectory } from '../support/temporary.ts';
import { benchMariadb } from './dr/mariadb.ts';
import { benchPostgres } from './dr/postgres.ts';
import type { BenchOptions } from './dr/suite.ts';
import { machine, saveFigures } from './table.ts';

const SERVERS = ['postgres', 'mariadb'] as const;
const PARTS = ['backup', 'restore', 'small'] as const;
const USAGE = `usage: npm run bench -- dr [--size 1.5GB] [--workers 2] [--rounds 3] [${[...SERVERS, ...PARTS].join('|')}]…`;

/** Seconds that each part takes on two cores: once, with each gigabyte once, with each round, and with each gigabyte in each round. */
const TAKES: Readonly<Record<(typeof SERVERS)[number], Readonly<Record<(typeof PARTS)[number], readonly number[]>>>> = {
  postgres: { backup: [10, 40, 2, 50], restore: [10, 90, 5, 95], small: [80, 0, 90, 0] },
  mariadb: { backup: [10, 60, 2, 30], restore: [10, 80, 5, 65], small: [120, 0, 80, 0] },
};

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
  const seconds = servers
    .flatMap((server) => chosen(PARTS).map((part) => TAKES[server][part]))
    .reduce((sum, takes) => sum + secondsOf(takes, bytes, rounds), 0);
  process.stderr.write(
    `${servers.join(' and ')}, ${values.size}, ${rounds} rounds: about ${minutes(seconds)} on two quiet cores\n`,
  );
  const started = performance.now();
  const results = [
    ...(servers.includes('postgres') ? await benchPostgres(options) : []),
    ...(servers.includes('mariadb') ? await benchMariadb(options) : []),
  ];
  const path = await saveFigures('dr', { bytes, workers, rounds, suites: results.map(({ figures }) => figures) });
  const took = minutes((performance.now() - started) / 1000);
  process.stdout.write(
    `${machine()}\n\n${results.map(({ text }) => text).join('\n')}\n${took} in all; figures in ${path}\n`,
  );
}

function secondsOf(
  [once = 0, perGigabyte = 0, round = 0, roundPerGigabyte = 0]: readonly number[],
  bytes: number,
  rounds: number,
): number {
  // One round more than those that count warms up.
  const runs = rounds === 1 ? 1 : rounds + 1;
  return once + (perGigabyte * bytes) / 1e9 + runs * (round + (roundPerGigabyte * bytes) / 1e9);
}

function minutes(seconds: number): string {
  return `${Math.max(1, Math.round(seconds / 60))} min`;
}

/** `1.5GB`, `300MB`; NaN for anything else. */
function bytesOf(text: string): number {
  const [, number, unit] = /^([\d.]+)(MB|GB)$/i.exec(text) ?? [];
  return Number(number) * (unit?.toUpperCase() === 'GB' ? 1e9 : 1e6);
}
