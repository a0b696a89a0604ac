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

  it('gives one worker several that fit, which may use what one of them has for itself', () => {
    const graph = new TaskGraph([
      task('a key', 3, [], { exclusive: ['t'] }),
      task('an index', 2, [], { shared: ['t'] }),
      task('a large one', 2),
      task('a key of both', 1, [], { exclusive: ['t', 'u'] }),
      task('after all', 0, ['a key', 'an index', 'a key of both'], { exclusive: ['t'] }),
    ]);
    const small = (batch: readonly Task[], { id }: Task): boolean => batch.length < 3 && id !== 'a large one';
    const batch = graph.nextBatch(small).map(({ id }) => id);
    expect(batch).toEqual(['a key', 'an index', 'a key of both']);
    expect(graph.nextBatch(small).map(({ id }) => id)).toEqual(['a large one']);
    for (const id of batch) graph.finish(id);
    expect(graph.next()?.id).toBe('after all');
  });

  it('begins at the ends of chains where it may, as long as every chain is short', () => {
    const names = Array.from({ length: 20 }, (_, number) => `${number}`);
    const pairs = names.flatMap((name) => [task(`load ${name}`, 2), task(`build ${name}`, 1, [`load ${name}`])]);
    const graph = new TaskGraph([...pairs, task('large', 1), task('behind it', 4.5, ['large'])]);
    const any = (batch: readonly Task[]) => batch.length < 2;
    // 5.5 of 65.5 are more than a sixteenth.
    expect(graph.nextBatch(any, true).map(({ id }) => id)).toEqual(['large', 'load 0']);
    graph.finish('load 0');
    expect(graph.nextBatch(any, true).map(({ id }) => id)).toEqual(['build 0', 'load 19']);
    expect(graph.nextBatch(any).map(({ id }) => id)).toEqual(['load 1', 'load 2']);
    graph.finish('large');
    expect(graph.nextBatch(any, true).map(({ id }) => id)).toEqual(['behind it', 'load 3']);
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
        fc.integer({ min: 1, max: 3 }),
        fc.infiniteStream(fc.nat()),
        fc.boolean(),
        (shapes, workers, together, picks, endsChains) => {
          const tasks = shapes.map(({ cost, back, things, alone }, index) =>
            task(
              String(index),
              cost,
              back.filter((step) => step < index).map((step) => String(index - 1 - step)),
              alone ? { exclusive: things } : { shared: things },
            ),
          );
          const graph = new TaskGraph(tasks);
          const running: Task[][] = [];
          const finished = new Set<string>();
          while (graph.unfinished > 0) {
            while (running.length < workers) {
              const batch = graph.nextBatch(({ length }) => length < together, endsChains && running.length % 2 === 1);
              if (batch.length === 0) break;
              expect(batch.length).toBeLessThanOrEqual(together);
              for (const next of batch) {
                expect(next.dependsOn.every((id) => finished.has(id))).toBe(true);
                for (const other of running.flat()) {
                  const taken = [...(other.exclusive ?? []), ...(next.exclusive ? (other.shared ?? []) : [])];
                  expect(
                    [...(next.exclusive ?? []), ...(next.shared ?? [])].filter((thing) => taken.includes(thing)),
                  ).toEqual([]);
                }
              }
              running.push(batch);
            }
            expect(running.length).toBeGreaterThan(0);
            const [ended] = running.splice((picks.next().value as number) % running.length, 1) as [Task[]];
            for (const { id } of ended) {
              expect(finished.has(id)).toBe(false);
              finished.add(id);
              graph.finish(id);
            }
          }
          expect(finished.size).toBe(tasks.length);
        },
      ),
    );
  });
});
