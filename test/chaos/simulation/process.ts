import type { Clock } from '../../../src/util/clock.ts';
import { Lane, type Scheduler } from './scheduler.ts';

/** Wall clocks start here, in ms since 1970. */
const EPOCH_MS = 1_750_000_000_000;
/** How wrong a wall clock may be, either way. */
const SKEW_MS = 3_600_000;

/**
 * One run of a process, from its start to its crash: the clock, the timers and the turns of the event loop of what runs in it.
 * After a crash nothing of it happens any more; promises it left are never settled.
 */
export class Process implements Clock {
  readonly name: string;
  alive = true;
  readonly #scheduler: Scheduler;
  readonly #skewMs: number;
  readonly #turns = new Lane();
  readonly #flushed: (commit: () => void) => void;

  /** `flushed` performs a group commit; a simulation may fail it or crash the process right after it. */
  constructor(scheduler: Scheduler, name: string, flushed: (commit: () => void) => void) {
    this.name = name;
    this.#scheduler = scheduler;
    this.#skewMs = Math.round((scheduler.random() - 0.5) * 2 * SKEW_MS);
    this.#flushed = flushed;
  }

  crash(): void {
    this.alive = false;
  }

  now(): number {
    return this.#scheduler.now;
  }

  /** The wall clock of this run, in whole ms since 1970; may be behind that of the run before. */
  readonly wall = (): number => EPOCH_MS + this.#skewMs + Math.floor(this.#scheduler.now);

  soon(task: () => void): void {
    if (this.alive) this.#scheduler.add(`${this.name} turn`, task, this, this.#turns);
  }

  after(ms: number, task: () => void): () => void {
    if (!this.alive) return () => undefined;
    return this.#scheduler.after(ms, `${this.name} timer`, task, this);
  }

  every(ms: number, task: () => void): () => void {
    let cancel = (): void => undefined;
    const wait = (): void => {
      cancel = this.after(ms, () => {
        wait();
        task();
      });
    };
    wait();
    return () => cancel();
  }

  /** How long work seems to take, in ms: now and then a group commit is cut short. */
  readonly stopwatch = (): number => this.#scheduler.now + (this.#scheduler.chance(0.03) ? 10 : 0);

  /** Puts a group commit off; see `DatabaseOptions.schedule`. */
  readonly schedule = (commit: () => void): void => {
    if (this.alive) this.#scheduler.add(`${this.name} commit`, () => this.#flushed(commit), this);
  };
}
