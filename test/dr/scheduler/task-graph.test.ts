import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Task, TaskGraph } from '../../../src/dr/scheduler/task-graph.ts';

function task(id: string, cost: number, dependsOn: string[] = [], things: Partial<Task> = {}): Task {
  return { id, cost, dependsOn, ...things };
}

describe('TaskGraph', () => {
  it('gives out the task with the longest chain behind it, not the most expensive one', () => {
    const graph = new TaskGraph([task('large', 5), task('first', 1), task('then', 6, ['first'])]);
    expect(graph.next()?.id).toBe('first');
    expect(graph.next()?.id).toBe('large');
    expect(graph.next()).toBeUndefined();
    graph.finish('first');
    expect(graph.next()?.id).toBe('then');
  });

  it('keeps the given order between equals', () => {
    const graph = new TaskGraph(['b', 'a', 'c'].map((id) => task(id, 1)));
    expect([graph.next()?.id, graph.next()?.id, graph.next()?.id]).toEqual(['b', 'a', 'c']);
  });

  it('waits for every dependency', () => {
    const graph = new TaskGraph([task('a', 1), task('b', 1), task('c', 9, ['a', 'b', 'a'])]);
    graph.next();
    graph.next();
    graph.finish('a');
    expect(graph.next()).toBeUndefined();
    graph.finish('b');
    expect(graph.next()?.id).toBe('c');
  });

  it('runs sharers of a thing together, and who needs it alone after them', () => {
    const graph = new TaskGraph([
      task('index 1', 1, [], { shared: ['t'] }),
      task('index 2', 1, [], { shared: ['t'] }),
      task('key', 1, [], { exclusive: ['t'] }),
      task('other', 0, [], { exclusive: ['u'] }),
    ]);
    expect([graph.next()?.id, graph.next()?.id, graph.next()?.id]).toEqual(['index 1', 'index 2', 'other']);
    graph.finish('index 1');
    expect(graph.next()).toBeUndefined();
    graph.finish('index 2');
    expect(graph.next()?.id).toBe('key');
  });

  it('goes on behind what an earlier run has finished', () => {
    const graph = new TaskGraph([task('a', 1), task('b', 1, ['a']), task('c', 1, ['b'])], new Set(['a', 'b']));
    expect(graph.unfinished).toBe(1);
    expect(graph.next()?.id).toBe('c');
    graph.finish('c');
    expect(graph.unfinished).toBe(0);
  });

  it.each([
    ['a circle', [task('a', 1, ['b']), task('b', 1, ['a']), task('c', 1)], /circle: a, b/],
    ['a task that waits for itself', [task('a', 1, ['a'])], /circle: a/],
    ['an unknown dependency', [task('a', 1, ['nothing'])], /depends on nothing/],
    ['the same id twice', [task('a', 1), task('a', 1)], /occurs twice/],
  ])('refuses %s', (_, tasks, message) => {
    expect(() => new TaskGraph(tasks)).toThrow(expect.objectContaining({ code: 'DR_INCOMPATIBLE' }));
    expect(() => new TaskGraph(tasks)).toThrow(message);
  });

  it('finishes any graph, each task once, after its dependencies, and never beside a conflicting one', () => {
    const things = fc.uniqueArray(fc.constantFrom('t', 'u', 'v'), { maxLength: 2 });
    const shape = fc.record({
      cost: fc.nat(9),
      back: fc.array(fc.nat(5), { maxLength: 3 }),
      things,
      alone: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(shape, { maxLength: 30 }),
        fc.integer({ min: 1, max: 4 }),
        fc.infiniteStream(fc.nat()),
        (shapes, workers, picks) => {
          const tasks = shapes.map(({ cost, back, things, alone }, index) =>
            task(
              String(index),
              cost,
              back.filter((step) => step < index).map((step) => String(index - 1 - step)),
              alone ? { exclusive: things } : { shared: things },
            ),
          );
          const graph = new TaskGraph(tasks);
          const running: Task[] = [];
          const finished = new Set<string>();
          while (graph.unfinished > 0) {
            while (running.length < workers) {
              const next = graph.next();
              if (next === undefined) break;
              expect(next.dependsOn.every((id) => finished.has(id))).toBe(true);
              for (const other of running) {
                const taken = [...(other.exclusive ?? []), ...(next.exclusive ? (other.shared ?? []) : [])];
                expect(
                  [...(next.exclusive ?? []), ...(next.shared ?? [])].filter((thing) => taken.includes(thing)),
                ).toEqual([]);
              }
              running.push(next);
            }
            expect(running.length).toBeGreaterThan(0);
            const [ended] = running.splice((picks.next().value as number) % running.length, 1) as [Task];
            expect(finished.has(ended.id)).toBe(false);
            finished.add(ended.id);
            graph.finish(ended.id);
          }
          expect(finished.size).toBe(tasks.length);
        },
      ),
    );
  });
});
