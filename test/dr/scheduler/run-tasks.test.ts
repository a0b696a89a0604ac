import { describe, expect, it } from 'vitest';
import { runTasks } from '../../../src/dr/scheduler/run-tasks.ts';
import { type Task, TaskGraph } from '../../../src/dr/scheduler/task-graph.ts';

function graphOf(...tasks: [id: string, dependsOn?: string[]][]): TaskGraph<Task> {
  return new TaskGraph(tasks.map(([id, dependsOn = []]) => ({ id, cost: 1, dependsOn })));
}

describe('runTasks', () => {
  it('runs as many tasks at once as there are workers', async () => {
    const both = Promise.withResolvers<void>();
    let running = 0;
    await runTasks(graphOf(['a'], ['b']), ['one', 'two'], async () => {
      running += 1;
      if (running === 2) both.resolve();
      await both.promise;
    });
    expect(running).toBe(2);
  });

  it('wakes a waiting worker when a task elsewhere makes work for it', async () => {
    const ran: string[] = [];
    const both = Promise.withResolvers<void>();
    await runTasks(graphOf(['a'], ['b', ['a']], ['c', ['a']]), ['one', 'two'], async (task, worker) => {
      ran.push(task.id);
      if (task.id === 'a') return;
      if (ran.length === 3) both.resolve();
      await both.promise;
      expect(worker).toMatch(/one|two/);
    });
    expect(ran).toEqual(['a', 'b', 'c']);
  });

  it('stops the others at the first failure, waits for them, and throws it', async () => {
    const ran: string[] = [];
    let ended = false;
    const result = runTasks(graphOf(['a'], ['b'], ['c', ['a']]), ['one', 'two'], async (task, _, signal) => {
      ran.push(task.id);
      if (task.id === 'a') throw new Error('the server said no');
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener('abort', () => resolve());
      });
      ended = true;
    });
    await expect(result).rejects.toThrow('the server said no');
    expect(ended).toBe(true);
    expect(ran).toEqual(['a', 'b']);
  });

  it('throws the reason of the signal that stopped it, also before it began', async () => {
    const stop = new AbortController();
    const result = runTasks(
      graphOf(['a'], ['b', ['a']]),
      ['one', 'two'],
      async () => stop.abort(new Error('cancelled')),
      stop.signal,
    );
    await expect(result).rejects.toThrow('cancelled');
    const never = runTasks(graphOf(['a']), ['one'], () => Promise.reject(new Error('ran')), stop.signal);
    await expect(never).rejects.toThrow('cancelled');
  });

  it('ends at once when nothing is left', async () => {
    await runTasks(new TaskGraph<Task>([{ id: 'a', cost: 1, dependsOn: [] }], new Set(['a'])), ['one'], () =>
      Promise.reject(new Error('ran')),
    );
  });
});
