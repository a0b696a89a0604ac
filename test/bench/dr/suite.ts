import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Rows, table } from '../table.ts';
import { alternate, type Contender, medianOf, medianOfPairs, type Sample, type Samples } from './measure.ts';

/** One of ours beside one of the peers, and what was promised. */
export interface Comparison {
  readonly ours: string;
  readonly theirs: string;
  /** Largest ratio of the times; for small databases the most seconds that ours may take more. */
  readonly goal: { readonly ratio: number } | { readonly extraSeconds: number };
}

/** Contenders that run in turn on one database. */
export interface Suite {
  readonly title: string;
  readonly contenders: readonly Contender[];
  readonly comparisons: readonly Comparison[];
}

/** What is measured, and how. */
export interface BenchOptions {
  /** Size of the large database. */
  readonly bytes: number;
  readonly workers: number;
  readonly rounds: number;
  /** Which parts: `backup`, `restore`, `small`. */
  readonly parts: ReadonlySet<string>;
  /** Directory for servers and archives. */
  readonly directory: string;
}

const BIN = resolve(import.meta.dirname, '../../../bin/holdfast.js');

/** `holdfast dr …` with this many workers, as a user starts it. */
export function holdfast(
  name: string,
  workers: number,
  args: readonly string[],
): Pick<Contender, 'name' | 'command' | 'args'> {
  return { name, command: process.execPath, args: [BIN, 'dr', ...args, '--workers', `${workers}`] };
}

/** Measures a suite and returns its two tables, and its figures. */
export async function runSuite(
  { title, contenders, comparisons }: Suite,
  serverPid: number,
  rounds: number,
): Promise<{ readonly text: string; readonly figures: unknown }> {
  process.stderr.write(`\n${title}\n`);
  const started = performance.now();
  const samples = await alternate(contenders, serverPid, { rounds, warmUp: rounds > 1 });
  process.stderr.write(`took ${((performance.now() - started) / 1000).toFixed(0)} s\n`);
  return {
    text: `### ${title}\n\n${table(runRows(contenders, samples))}\n\n${table(ratioRows(comparisons, samples))}\n`,
    figures: { title, comparisons, samples: Object.fromEntries(samples) },
  };
}

/** Bytes of a file, or of all files below a directory. */
export async function sizeOf(path: string): Promise<number> {
  const found = await stat(path);
  if (found.isFile()) return found.size;
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

function runRows(contenders: readonly Contender[], samples: Samples): Rows {
  const seconds = (name: string, figure: (sample: Sample) => number): string =>
    (medianOf(samples, name, figure) / 1000).toFixed(2);
  return [
    ['median', 'wall s', 'processor s, client', 'server', 'written MB', 'peak memory MB'],
    ...contenders.map(({ name }) => {
      const bytes = samples.get(name)?.[0]?.bytes;
      return [
        name,
        seconds(name, ({ wallMs }) => wallMs),
        seconds(name, ({ clientMs }) => clientMs),
        seconds(name, ({ serverMs }) => serverMs),
        bytes == null ? '' : (bytes / 1e6).toFixed(0),
        (medianOf(samples, name, ({ peakBytes }) => peakBytes) / 1e6).toFixed(0),
      ];
    }),
  ];
}

function ratioRows(comparisons: readonly Comparison[], samples: Samples): Rows {
  const processor = ({ clientMs, serverMs }: Sample): number => clientMs + serverMs;
  return [
    ['median of pairs', 'wall', 'processor', 'size', 'goal (wall)'],
    ...comparisons.map(({ ours, theirs, goal }) => {
      const pair = [ours, theirs] as const;
      const ratio = (figure: (sample: Sample) => number): string =>
        `${medianOfPairs(samples, pair, (a, b) => figure(a) / figure(b)).toFixed(2)}×`;
      const extra = (figure: (sample: Sample) => number): string =>
        `${(medianOfPairs(samples, pair, (a, b) => figure(a) - figure(b)) / 1000).toFixed(2)} s more`;
      const compare = 'ratio' in goal ? ratio : extra;
      const size = samples.get(ours)?.[0]?.bytes == null ? '' : ratio(({ bytes }) => bytes ?? Number.NaN);
      const promised = 'ratio' in goal ? `≤ ${goal.ratio.toFixed(2)}×` : `≤ ${goal.extraSeconds.toFixed(1)} s more`;
      return [`${ours} ÷ ${theirs}`, compare(({ wallMs }) => wallMs), compare(processor), size, promised];
    }),
  ];
}
