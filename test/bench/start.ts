import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startHoldfast } from '../support/holdfast.ts';
import { manyEntities } from '../support/many-entities.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { cpuMicros, machine, median, memoryOf, saveFigures, table } from './table.ts';

const ENTITIES = [1, 500];
const ROUNDS = Number(process.argv[3] ?? 5);

/** One start, from the command to the line that says it is ready. */
interface Start {
  readonly readyMs: number;
  readonly cpuMs: number;
  readonly residentMiB: number;
  readonly peakMiB: number;
}

/**
 * What it takes to start a primary: over an empty directory, and again over what that left.
 * usage: npm run bench -- start [ROUNDS]
 */
export async function run(): Promise<void> {
  await using directory = await temporaryDirectory();
  const starts = new Map<string, Start[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const entities of ENTITIES) {
      const [schema, data] = [join(directory.path, `schema-${entities}`), join(directory.path, `${entities}-${round}`)];
      await mkdir(schema, { recursive: true });
      await writeFile(join(schema, 'many.graphql'), manyEntities(entities));
      // The very first fills the cache of compiled code.
      if (round === 0) await start(schema, join(directory.path, `warm-up-${entities}`));
      for (const turn of ['first', 'second']) {
        const name = `${entities} ${entities === 1 ? 'entity' : 'entities'}, ${turn} start`;
        starts.set(name, [...(starts.get(name) ?? []), await start(schema, data)]);
      }
    }
  }
  const rows: (string | number)[][] = [['median', 'ready ms', 'CPU ms', 'resident MiB', 'peak MiB']];
  const figures: Record<string, Start> = {};
  for (const [name, each] of starts) {
    const middle = (of: (start: Start) => number): number => Math.round(median(each.map(of)));
    const found = {
      readyMs: middle(({ readyMs }) => readyMs),
      cpuMs: middle(({ cpuMs }) => cpuMs),
      residentMiB: middle(({ residentMiB }) => residentMiB),
      peakMiB: middle(({ peakMiB }) => peakMiB),
    };
    figures[name] = found;
    rows.push([name, ...Object.values(found)]);
  }
  process.stdout.write(`${machine()}\n\n${table(rows)}\n\nfigures in ${await saveFigures('start', figures)}\n`);
}

async function start(schema: string, data: string): Promise<Start> {
  const begun = performance.now();
  const args = ['start', '--schema', schema, '--data', data, '--port', '0', '--ops-port', '0'];
  await using primary = startHoldfast(args, { NODE_ENV: 'production', HOLDFAST_TELEMETRY_LEVEL: 'warn' });
  await primary.ready;
  const readyMs = performance.now() - begun;
  const [cpu, memory] = await Promise.all([cpuMicros(primary.pid), memoryOf(primary.pid)]);
  await primary.stop();
  return { readyMs, cpuMs: cpu / 1000, residentMiB: memory.resident / 2 ** 20, peakMiB: memory.peak / 2 ** 20 };
}
