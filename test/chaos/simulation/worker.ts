import { parentPort } from 'node:worker_threads';
import { type Report, simulate } from '../simulation.ts';

/** Seeds to run, `from` and those after it. */
export interface Chunk {
  readonly from: number;
  readonly seeds: number;
}

/** What became of them. */
export interface ChunkResult {
  readonly reports: readonly Report[];
  readonly failures: readonly string[];
}

parentPort?.on('message', async ({ from, seeds }: Chunk) => {
  const reports: Report[] = [];
  const failures: string[] = [];
  for (let seed = from; seed < from + seeds; seed++) {
    try {
      reports.push(await simulate(seed));
    } catch (error) {
      failures.push((error as Error).message);
    }
  }
  parentPort?.postMessage({ reports, failures } satisfies ChunkResult);
});
