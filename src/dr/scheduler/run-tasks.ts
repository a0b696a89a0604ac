import type { Fits, Task, TaskGraph } from './task-graph.ts';

/**
 * Runs a graph to its end on the given workers, one task on a worker at a time. A worker without a task waits for the next
 * task that finishes anywhere. The first failure, or `signal`, aborts the signal that every running task got; when all of
 * them have ended that failure (or the signal's reason) is thrown. Nothing runs any more when this returns or throws.
 */
export function runTasks<T extends Task, W>(
  graph: TaskGraph<T>,
  workers: readonly W[],
  run: (task: T, worker: W, signal: AbortSignal) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  return runBatches(graph, workers, null, ([task], worker, stop) => run(task as T, worker, stop), signal);
}

/**
 * As {@link runTasks}, with several tasks on a worker at a time, and every second worker at the ends of chains where it may: see
 * {@link TaskGraph.nextBatch}.
 */
export async function runBatches<T extends Task, W>(
  graph: TaskGraph<T>,
  workers: readonly W[],
  fits: Fits<T> | null,
  run: (tasks: readonly T[], worker: W, signal: AbortSignal) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const stop = new AbortController();
  const stopSignal = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  let failure: { readonly error: unknown } | undefined;
  let changed = Promise.withResolvers<void>();

  async function work(worker: W, number: number): Promise<void> {
    const endsChains = fits !== null && number % 2 === 1;
    while (graph.unfinished > 0 && !stopSignal.aborted) {
      const tasks = graph.nextBatch(fits, endsChains);
      if (tasks.length === 0) {
        if (graph.running === 0) throw new Error('tasks are left that nothing can start');
        await changed.promise;
        continue;
      }
      await run(tasks, worker, stopSignal);
      for (const { id } of tasks) graph.finish(id);
      wakeAll();
    }
  }

  function wakeAll(): void {
    changed.resolve();
    changed = Promise.withResolvers();
  }

  await Promise.all(
    workers.map((worker, number) =>
      work(worker, number).catch((error: unknown) => {
        failure ??= { error };
        stop.abort(error);
        wakeAll();
      }),
    ),
  );
  if (signal?.aborted) throw signal.reason;
  if (failure !== undefined) throw failure.error;
}
