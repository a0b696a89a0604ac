import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Chunk, ChunkResult } from './simulation/worker.ts';
import type { Report } from './simulation.ts';

/** Sums over many schedules. */
export type Totals = Readonly<Record<Exclude<keyof Report, 'seed' | 'trace'>, number>> & {
  readonly schedules: number;
  /** What was found wrong, each with its seed. */
  readonly failures: readonly string[];
};

const CHUNK_SEEDS = 25;
/** Nobody reads more of them. */
const MAX_FAILURES = 10;

/** Runs `seeds` schedules from seed `from` on, in one thread per core. Ends early after ten failures. */
export async function runSimulations(options: {
  readonly from: number;
  readonly seeds: number;
  /** Told how many schedules have run. */
  readonly progress?: (done: number) => void;
}): Promise<Totals> {
  const { from, seeds, progress } = options;
  const totals = {
    ...{ schedules: 0, steps: 0, acknowledged: 0, entries: 0, requests: 0, reads: 0, events: 0 },
    ...{ crashes: 0, cuts: 0, resyncs: 0, repairs: 0, promotions: 0, divergent: 0 },
  };
  const failures: string[] = [];
  let next = from;
  const work = async (): Promise<void> => {
    const worker = new Worker(new URL('./simulation/worker.ts', import.meta.url));
    try {
      while (next < from + seeds && failures.length < MAX_FAILURES) {
        const chunk: Chunk = { from: next, seeds: Math.min(CHUNK_SEEDS, from + seeds - next) };
        next += chunk.seeds;
        worker.postMessage(chunk);
        const [result] = (await once(worker, 'message')) as [ChunkResult];
        for (const report of result.reports) {
          for (const name of NAMES) totals[name] += report[name];
        }
        totals.schedules += chunk.seeds;
        failures.push(...result.failures);
        progress?.(totals.schedules);
      }
    } finally {
      await worker.terminate();
    }
  };
  const workers = Math.min(availableParallelism(), Math.ceil(seeds / CHUNK_SEEDS));
  await Promise.all(Array.from({ length: workers }, work));
  return { ...totals, failures };
}

const NAMES = [
  ...(['steps', 'acknowledged', 'entries', 'requests', 'reads', 'events'] as const),
  ...(['crashes', 'cuts', 'resyncs', 'repairs', 'promotions', 'divergent'] as const),
];
