import { type Clock, systemClock } from '../util/clock.ts';

/** A call did not answer in its time. What it does afterwards is nobody's business. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
  /** This process stood still meanwhile: the answer may have been here, so nobody else is to blame. */
  readonly stalled: boolean;

  constructor(ms: number, stalled: boolean) {
    super(`no answer within ${Math.round(ms)} ms`);
    this.stalled = stalled;
  }
}

export interface DeadlinesOptions {
  readonly clock?: Clock | undefined;
  /** How often the deadlines are looked at while there are any, in ms: a call may take so much longer. Default 10. */
  readonly tickMs?: number | undefined;
  /** A look this much later than it should be means that this process stood still. Default 200. */
  readonly stallMs?: number | undefined;
}

/** What calls that were due during a standstill get on top, so that answers that have come can be read, in ms. */
const GRACE_MS = 50;

interface Wait<Tag> {
  readonly tag: Tag;
  readonly ms: number;
  /** By the clock. */
  due: number;
  stalled: boolean;
  readonly end: (reason: unknown) => void;
}

export interface WaitOptions<Tag> {
  /** By which {@link Deadlines.end} finds the call. */
  readonly tag: Tag;
  /** Infinity: no deadline, but the call can still be ended. */
  readonly ms: number;
  /** Ends the call with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The deadlines of all calls to a database, watched by one timer: setting one costs next to nothing. They hold whatever the call
 * does; its own signal is aborted too, so that the connection under it is freed, but nobody waits for that.
 */
export class Deadlines<Tag> {
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #stallMs: number;
  readonly #waits = new Set<Wait<Tag>>();
  #callOff: (() => void) | undefined;

  constructor({ clock = systemClock, tickMs = 10, stallMs = 200 }: DeadlinesOptions = {}) {
    this.#clock = clock;
    this.#tickMs = tickMs;
    this.#stallMs = stallMs;
  }

  /** Calls under way. */
  get size(): number {
    return this.#waits.size;
  }

  /** What `work` gives. @throws DeadlineError; the signal's reason; what {@link end} was given */
  run<T>({ tag, ms, signal }: WaitOptions<Tag>, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const controller = new AbortController();
      const finish = (): void => {
        this.#waits.delete(wait);
        signal?.removeEventListener('abort', onAbort);
      };
      const end = (reason: unknown): void => {
        finish();
        reject(reason);
        controller.abort(reason);
      };
      const onAbort = (): void => end(signal?.reason);
      const wait: Wait<Tag> = { tag, ms, due: this.#clock.now() + ms, stalled: false, end };
      this.#waits.add(wait);
      signal?.addEventListener('abort', onAbort);
      this.#callOff ??= this.#tickIn();
      started(work, controller.signal).then(
        (value) => {
          finish();
          resolve(value);
        },
        (error: unknown) => {
          finish();
          reject(error);
        },
      );
    });
  }

  /** Ends the calls whose tag matches with `reason`. Returns how many. */
  end(matches: (tag: Tag) => boolean, reason: () => unknown): number {
    const ended = [...this.#waits].filter(({ tag }) => matches(tag));
    for (const wait of ended) wait.end(reason());
    return ended.length;
  }

  #tickIn(): () => void {
    const expected = this.#clock.now() + this.#tickMs;
    return this.#clock.after(this.#tickMs, () => this.#tick(expected));
  }

  #tick(expected: number): void {
    const now = this.#clock.now();
    const stalled = now - expected > this.#stallMs;
    for (const wait of this.#waits) {
      if (wait.due > now) continue;
      if (!stalled) {
        wait.end(new DeadlineError(wait.ms, wait.stalled));
        continue;
      }
      wait.due = now + GRACE_MS;
      wait.stalled = true;
    }
    this.#callOff = this.#waits.size === 0 ? undefined : this.#tickIn();
  }
}

/**
 * The time one request may wait for the database, however many calls it makes: calls at the same time count once, and what it
 * does between them does not count.
 */
export class Budget {
  readonly totalMs: number;
  readonly #now: () => number;
  #spentMs = 0;
  #running = 0;
  #since = 0;

  constructor(totalMs: number, now: () => number) {
    this.totalMs = totalMs;
    this.#now = now;
  }

  /** What is left, in ms; 0 when nothing is. */
  get leftMs(): number {
    const running = this.#running === 0 ? 0 : this.#now() - this.#since;
    return Math.max(0, this.totalMs - this.#spentMs - running);
  }

  begin(): void {
    if (this.#running === 0) this.#since = this.#now();
    this.#running += 1;
  }

  end(): void {
    this.#running -= 1;
    if (this.#running === 0) this.#spentMs += this.#now() - this.#since;
  }
}

/** A promise of what `work` gives, also when it throws at once. */
async function started<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
  return work(signal);
}
