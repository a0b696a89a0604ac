import type { ChangeLog } from '../changelog/change-log.ts';
import type { Clock } from '../util/clock.ts';

/** One subscriber's place in the feed's list; costs no timer. */
export interface Waiter {
  /** Resolves at the next ring: the log advanced, a beat, the signal, or the end of the feed. */
  wait(): Promise<void>;
  /** Gives the place up; a wait that is under way ends. */
  close(): void;
}

/** How often idle subscribers are woken, in ms. */
const BEAT_MS = 1_000;

/**
 * The one listener of a source at its log: wakes every subscriber when the log has advanced, once for all appends of the
 * same turn of the event loop, and on each beat of the one timer.
 */
export class Feed {
  readonly #clock: Clock;
  readonly #waiters = new Set<() => void>();
  readonly #endListening: () => void;
  readonly #endBeating: () => void;
  #ringing = false;
  #beats = 0;
  #stopped = false;

  constructor(log: ChangeLog, clock: Clock, beatMs: number = BEAT_MS) {
    this.#clock = clock;
    this.#endListening = log.onAdvance(() => this.#advanced());
    this.#endBeating = clock.every(beatMs, () => this.#beat());
  }

  /** Beats of the timer so far. */
  get beats(): number {
    return this.#beats;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Number of subscribers. */
  get size(): number {
    return this.#waiters.size;
  }

  waiter(signal: AbortSignal): Waiter {
    let wake: (() => void) | undefined;
    const ring = (): void => {
      const waiting = wake;
      wake = undefined;
      waiting?.();
    };
    this.#waiters.add(ring);
    signal.addEventListener('abort', ring, { once: true });
    return {
      wait: () => {
        if (this.#stopped || signal.aborted) return Promise.resolve();
        return new Promise((resolve) => {
          wake = resolve;
        });
      },
      close: () => {
        this.#waiters.delete(ring);
        signal.removeEventListener('abort', ring);
        ring();
      },
    };
  }

  /** Ends every subscription and the timer. */
  stop(): void {
    this.#stopped = true;
    this.#endListening();
    this.#endBeating();
    this.#ring();
  }

  #advanced(): void {
    if (this.#ringing) return;
    this.#ringing = true;
    // The listener runs inside the commit: readers go on when that is over, and after the writers got their answers.
    this.#clock.soon(() => {
      this.#ringing = false;
      this.#ring();
    });
  }

  #beat(): void {
    this.#beats += 1;
    this.#ring();
  }

  #ring(): void {
    for (const ring of this.#waiters) ring();
  }
}
