import { HoldfastError } from '../../errors.ts';

/** A piece of work for one worker. */
export interface Task {
  /** Unique in its graph. */
  readonly id: string;
  /** Estimated work ≥ 0, in one unit for the whole graph (bytes of rows, for a restore). */
  readonly cost: number;
  /** Ids of tasks that must be finished before it starts. */
  readonly dependsOn: readonly string[];
  /** Things it uses side by side with others, such as a table that an index is built on. Default none. */
  readonly shared?: readonly string[];
  /** Things it needs for itself while it runs, such as a table that gets a key. Default none. */
  readonly exclusive?: readonly string[];
}

/** Whether a task may go to the same worker as a batch, behind it. */
export type Fits<T> = (batch: readonly T[], task: T) => boolean;

/** Chains of work are short when the longest is no more than this share of all that is left. */
const SHORT_SHARE = 1 / 16;

/** Things that a running task keeps from others; not those that an earlier one of its batch keeps. */
interface Taken {
  readonly shared: readonly string[];
  readonly exclusive: readonly string[];
}

/**
 * Chooses what to run next: of the tasks whose dependencies are finished and whose things are free, the one with the longest
 * chain of work behind it (its own cost and that of the most expensive path of dependents). So the critical path is never
 * kept waiting by shorter ones, however wide the graph is. Pure bookkeeping; {@link runTasks} does the work.
 */
export class TaskGraph<T extends Task> {
  readonly #tasks = new Map<string, T>();
  readonly #dependents = new Map<string, string[]>();
  readonly #waitingFor = new Map<string, number>();
  readonly #remainingCost = new Map<string, number>();
  /** Ids, longest remaining cost first; equals in the order given. */
  readonly #ready: string[] = [];
  /** What running tasks have taken, by their ids. */
  readonly #running = new Map<string, Taken>();
  /** Number of running tasks that share a thing; -1 when one has it for itself. */
  readonly #holders = new Map<string, number>();
  #unfinished: number;
  #unfinishedCost = 0;

  /**
   * Tasks in `done` were finished by an earlier run and are not given out again.
   * @throws DR_INCOMPATIBLE when an id occurs twice, a dependency is unknown, or tasks wait for each other in a circle
   */
  constructor(tasks: readonly T[], done: ReadonlySet<string> = new Set()) {
    for (const task of tasks) {
      if (this.#tasks.has(task.id)) throw malformed(`task ${task.id} occurs twice`);
      this.#tasks.set(task.id, task);
      this.#dependents.set(task.id, []);
    }
    for (const task of tasks) {
      for (const id of new Set(task.dependsOn)) {
        const dependents = this.#dependents.get(id);
        if (dependents === undefined) throw malformed(`task ${task.id} depends on ${id}, which does not exist`);
        dependents.push(task.id);
      }
    }
    for (const id of this.#inOrder().reverse()) {
      const behind = (this.#dependents.get(id) ?? []).map((next) => this.#remainingCost.get(next) ?? 0);
      this.#remainingCost.set(id, (this.#tasks.get(id)?.cost ?? 0) + behind.reduce((a, b) => Math.max(a, b), 0));
    }
    this.#unfinished = 0;
    for (const task of tasks) {
      if (done.has(task.id)) continue;
      this.#unfinished += 1;
      this.#unfinishedCost += task.cost;
      const open = new Set(task.dependsOn.filter((id) => !done.has(id)));
      this.#waitingFor.set(task.id, open.size);
      if (open.size === 0) this.#makeReady(task.id);
    }
  }

  /** Tasks that are not finished, running ones included. */
  get unfinished(): number {
    return this.#unfinished;
  }

  /** Tasks given out and not finished. */
  get running(): number {
    return this.#running.size;
  }

  /** Gives out the best task that can run now; undefined when each waits for a running one, or none is left. */
  next(): T | undefined {
    return this.nextBatch(null)[0];
  }

  /**
   * As {@link next}, with further tasks that could run now, best first, for the same worker: those that `fits` takes, none when it is
   * null. What one of a batch has for itself the ones after it may use as well. Each is finished by itself, but all before anything
   * else is given out.
   *
   * @param endsChains takes the task with the shortest chain behind it first, as long as every chain is short: then the order does not
   *   matter for the end, and with one worker that loads while another builds and samples what was loaded, the one has the
   *   processor while the other waits for the disk
   */
  nextBatch(fits: Fits<T> | null, endsChains = false): T[] {
    const batch: T[] = [];
    const own = new Set<string>();
    const backwards = endsChains && this.#chainsAreShort();
    let left = this.#ready.length;
    for (let at = backwards ? left - 1 : 0; left > 0; left--) {
      // Thousands may be ready: they are looked at only where they could be taken.
      if (batch.length > 0 && fits === null) break;
      const task = this.#tasks.get(this.#ready[at] as string) as T;
      const takes = (batch.length === 0 || fits?.(batch, task) === true) && this.#isFree(task, own);
      if (takes) {
        this.#ready.splice(at, 1);
        this.#take(task, own);
        batch.push(task);
      }
      if (backwards) at -= 1;
      else if (!takes) at += 1;
    }
    return batch;
  }

  #chainsAreShort(): boolean {
    const longest = this.#remainingCost.get(this.#ready[0] ?? '') ?? 0;
    return longest <= this.#unfinishedCost * SHORT_SHARE;
  }

  #take(task: T, own: Set<string>): void {
    const others = (things: readonly string[] = []): readonly string[] => things.filter((thing) => !own.has(thing));
    const [shared, exclusive] = [others(task.shared), others(task.exclusive)];
    for (const thing of shared) this.#holders.set(thing, (this.#holders.get(thing) ?? 0) + 1);
    for (const thing of exclusive) {
      this.#holders.set(thing, -1);
      own.add(thing);
    }
    this.#running.set(task.id, { shared, exclusive });
  }

  /** A task given out by {@link next} is done: its things are free, and what waited for it may run. */
  finish(id: string): void {
    const taken = this.#running.get(id);
    if (taken === undefined) throw new Error(`task ${id} is not running`);
    this.#running.delete(id);
    for (const thing of taken.shared) this.#holders.set(thing, (this.#holders.get(thing) ?? 1) - 1);
    for (const thing of taken.exclusive) this.#holders.set(thing, 0);
    this.#unfinished -= 1;
    this.#unfinishedCost -= this.#tasks.get(id)?.cost ?? 0;
    for (const next of this.#dependents.get(id) ?? []) {
      const open = this.#waitingFor.get(next);
      if (open === undefined) continue;
      this.#waitingFor.set(next, open - 1);
      if (open === 1) this.#makeReady(next);
    }
  }

  /** @param own things that the batch at hand has for itself */
  #isFree(task: T, own: ReadonlySet<string>): boolean {
    return (
      (task.shared ?? []).every((thing) => own.has(thing) || (this.#holders.get(thing) ?? 0) >= 0) &&
      (task.exclusive ?? []).every((thing) => own.has(thing) || (this.#holders.get(thing) ?? 0) === 0)
    );
  }

  #makeReady(id: string): void {
    const cost = this.#remainingCost.get(id) ?? 0;
    let low = 0;
    let high = this.#ready.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#remainingCost.get(this.#ready[middle] as string) ?? 0) >= cost) low = middle + 1;
      else high = middle;
    }
    this.#ready.splice(low, 0, id);
  }

  /** Ids with dependencies before dependents (Kahn); what is left over stands in a circle. */
  #inOrder(): string[] {
    const open = new Map([...this.#tasks].map(([id, task]) => [id, new Set(task.dependsOn).size]));
    const order = [...open].filter(([, count]) => count === 0).map(([id]) => id);
    for (const id of order) {
      for (const next of this.#dependents.get(id) ?? []) {
        const count = (open.get(next) ?? 0) - 1;
        open.set(next, count);
        if (count === 0) order.push(next);
      }
    }
    if (order.length < this.#tasks.size) {
      const stuck = [...open].filter(([, count]) => count > 0).map(([id]) => id);
      throw malformed(`tasks wait for each other in a circle: ${stuck.slice(0, 10).join(', ')}`);
    }
    return order;
  }
}

function malformed(problem: string): HoldfastError {
  return new HoldfastError('DR_INCOMPATIBLE', `the work cannot be ordered: ${problem}`);
}
