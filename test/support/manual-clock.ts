import type { Clock } from '../../src/util/clock.ts';

interface Timer {
  at: number;
  readonly every: number | null;
  readonly task: () => void;
}

/** A clock that stands still until it is moved. `soon` is the event loop's, so that promises settle as they do in life. */
export class ManualClock implements Clock {
  #now = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  soon(task: () => void): void {
    setImmediate(task);
  }

  after(ms: number, task: () => void): () => void {
    return this.#add({ at: this.#now + ms, every: null, task });
  }

  every(ms: number, task: () => void): () => void {
    return this.#add({ at: this.#now + ms, every: ms, task });
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Moves on by `ms`, running what comes due in order, then lets the event loop turn a few times. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      const next = [...this.#timers].filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#now = Math.max(this.#now, next.at);
      if (next.every === null) this.#timers.delete(next);
      else next.at += next.every;
      next.task();
      await settle();
    }
    this.#now = until;
    await settle();
  }

  #add(timer: Timer): () => void {
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }
}

/** Lets everything run that is ready to. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
