import { seededRandom } from '../../support/random.ts';

/** Whoever ends takes its tasks with it. */
export interface Owner {
  readonly alive: boolean;
}

interface Task {
  readonly label: string;
  readonly run: () => void;
  readonly owner: Owner | undefined;
}

interface Timer {
  readonly at: number;
  readonly task: Task;
}

/** Tasks that happen in the order they were added; tasks of different lanes happen in any order. */
export class Lane {
  readonly tasks: Task[] = [];
}

/** Share of steps that let time pass though there is something else to do. */
const TIMER_SHARE = 0.06;

/**
 * Decides, by one seed, what happens next: everything that could come in another order in life is a task here. Time stands
 * still between timers. The same seed gives the same sequence of labels, whose hash is `trace`.
 */
export class Scheduler {
  readonly random: () => number;
  /** Steps taken. */
  steps = 0;
  /** Hash over the labels and times of all steps so far. */
  trace = 0;
  /** Every step in words, when asked for. */
  readonly lines: string[] | undefined;
  #now = 0;
  readonly #ready: Lane[] = [];
  /** By time, the next last. */
  readonly #timers: Timer[] = [];

  constructor(seed: number, recorded = false) {
    this.random = seededRandom(seed);
    this.lines = recorded ? [] : undefined;
  }

  /** Milliseconds since the beginning. */
  get now(): number {
    return this.#now;
  }

  /** A whole number from 0 below `limit`. */
  below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  /** Adds a task to be run at some step, after those before it in `lane`. */
  add(label: string, run: () => void, owner?: Owner, lane = new Lane()): void {
    if (lane.tasks.length === 0) this.#ready.push(lane);
    lane.tasks.push({ label, run, owner });
  }

  /** Runs a task in `ms`. Returns how to call it off. */
  after(ms: number, label: string, run: () => void, owner?: Owner): () => void {
    const timer: Timer = { at: this.#now + Math.max(0, ms), task: { label, run, owner } };
    let place = this.#timers.length;
    while (place > 0 && (this.#timers[place - 1] as Timer).at <= timer.at) place--;
    this.#timers.splice(place, 0, timer);
    return () => {
      const found = this.#timers.indexOf(timer);
      if (found >= 0) this.#timers.splice(found, 1);
    };
  }

  /** Notes something that was decided outside a task, so that it is part of the trace. */
  note(label: string): void {
    let hash = this.trace;
    for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193);
    this.trace = Math.imul(hash ^ this.#now, 0x01000193) >>> 0;
    this.lines?.push(`${String(this.steps).padStart(5)} ${this.#now.toFixed(0).padStart(7)} ms  ${label}`);
  }

  /** Takes one step, then lets every promise settle. False when nothing is left that could happen. */
  async step(): Promise<boolean> {
    const task = this.#next();
    if (task === undefined) return false;
    this.steps += 1;
    this.note(task.label);
    task.run();
    await settled();
    return true;
  }

  #next(): Task | undefined {
    for (;;) {
      const isTimer = this.#ready.length === 0 || (this.#timers.length > 0 && this.chance(TIMER_SHARE));
      const task = isTimer ? this.#nextTimer() : this.#nextReady();
      if (task === undefined || task.owner?.alive !== false) return task;
    }
  }

  #nextTimer(): Task | undefined {
    const timer = this.#timers.pop();
    if (timer !== undefined) this.#now = Math.max(this.#now, timer.at);
    return timer?.task;
  }

  #nextReady(): Task {
    const place = this.below(this.#ready.length);
    const lane = this.#ready[place] as Lane;
    const task = lane.tasks.shift() as Task;
    if (lane.tasks.length === 0) {
      const last = this.#ready.pop() as Lane;
      if (last !== lane) this.#ready[place] = last;
    }
    return task;
  }
}

/** Resolves when no promise that can go on is left: the simulated code waits for nothing but tasks. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
