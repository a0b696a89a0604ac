import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { resolve } from 'node:path';

/** Rows of a table; the first row names the columns. */
export type Rows = readonly (readonly (string | number)[])[];

/** A table for terminals and Markdown alike. */
export function table(rows: Rows): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => String(row[column] ?? '').length)));
  const lines = rows.map(
    (row) => `| ${widths.map((width, column) => String(row[column] ?? '').padEnd(width)).join(' | ')} |`,
  );
  lines.splice(1, 0, `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`);
  return lines.join('\n');
}

/** Where the figures were measured: processor, cores, Node. */
export function machine(): string {
  const [first] = cpus();
  return `${first?.model.trim() ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.version}`;
}

/** Writes the figures of one benchmark to `bench-results/NAME.json`. */
export async function saveFigures(name: string, figures: Record<string, unknown>): Promise<string> {
  const directory = resolve(import.meta.dirname, '../../bench-results');
  await mkdir(directory, { recursive: true });
  const path = resolve(directory, `${name}.json`);
  await writeFile(
    path,
    `${JSON.stringify({ name, machine: machine(), at: new Date().toISOString(), ...figures }, null, 2)}\n`,
  );
  return path;
}

/** CPU time of a process and its threads so far, in µs (Linux; resolution 10 ms). */
export async function cpuMicros(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** The middle value. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** The value below which the share `q` of the values lies. */
export function percentile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

/** Memory of a process that lies in RAM, now and at most so far, in bytes (Linux). */
export async function memoryOf(pid: number): Promise<{ readonly resident: number; readonly peak: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const bytes = (key: string): number => Number(new RegExp(`${key}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024;
  return { resident: bytes('VmRSS'), peak: bytes('VmHWM') };
}

/** Memory of a process that lies in RAM now, in bytes (Linux). */
export async function residentBytes(pid: number): Promise<number> {
  return (await memoryOf(pid)).resident;
}
