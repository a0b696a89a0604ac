import { Violation } from './simulation/history.ts';
import type { Parts } from './simulation/nodes.ts';
import type { Report } from './simulation/report.ts';
import { World } from './simulation/world.ts';

export type { Report };

export interface SimulateOptions {
  /** Parts to put in the place of the real ones. Default: the product as it is. */
  readonly parts?: Parts;
  /** Told every step in words. */
  readonly lines?: (lines: readonly string[]) => void;
}

/** A failure of the simulated system under one seed. */
export class SimulationFailure extends Error {
  readonly seed: number;

  constructor(seed: number, cause: unknown, steps: number) {
    const reason = cause instanceof Violation ? cause.message : String((cause as Error)?.stack ?? cause);
    super(
      `seed ${seed}, step ${steps}: ${reason}\n  run it again: npm run prove -- simulation --from ${seed} --seeds 1 --trace`,
      { cause },
    );
    this.seed = seed;
  }
}

/**
 * Runs one schedule: a primary, one or two followers (the second may follow the first), two or three clients and two subscribers, with
 * crashes, losses and damage drawn from `seed`. In some the first follower is promoted while the former primary goes on, until it hears of it. Then faults stop, and everything must settle and be right.
 * @throws SimulationFailure
 */
export async function simulate(seed: number, options: SimulateOptions = {}): Promise<Report> {
  const world = new World(seed, { parts: options.parts, traced: options.lines !== undefined });
  const { stackTraceLimit } = Error;
  // Lost connections are daily bread here: nobody reads where they were made.
  if (options.lines === undefined) Error.stackTraceLimit = 0;
  try {
    return await world.run();
  } catch (error) {
    throw new SimulationFailure(seed, error, world.scheduler.steps);
  } finally {
    await world.end();
    Error.stackTraceLimit = stackTraceLimit;
    if (world.scheduler.lines !== undefined) options.lines?.(world.scheduler.lines);
  }
}
