import type { Clock } from './clock.ts';

/** What {@link latest} follows. */
export interface Latest<T> {
  readonly read: () => T;
  /** After this value there is none. */
  readonly isLast: (value: T) => boolean;
  /** Calls back after each change; returns how to end that. */
  readonly onChange: (changed: () => void) => () => void;
  /** Least time between two values, but before the last one. */
  readonly leastMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * A value now, and again after it changed, skipping states that came and went meanwhile. Ends with the last value or the signal.
 */
export async function* latest<T>({
  read,
  isLast,
  onChange,
  leastMs,
  clock,
  signal,
}: Latest<T>): AsyncGenerator<T, void> {
  let changed = false;
  let wake = (): void => {};
  const tell = (): void => {
    changed = true;
    wake();
  };
  const woken = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });
  const end = onChange(tell);
  signal.addEventListener('abort', tell, { once: true });
  try {
    while (!signal.aborted) {
      changed = false;
      const value = read();
      const dueMs = clock.now() + leastMs;
      yield value;
      if (isLast(value)) return;
      while (!changed) await woken();
      let due = false;
      const callOff = clock.after(Math.max(0, dueMs - clock.now()), () => {
        due = true;
        wake();
      });
      while (!due && !signal.aborted && !isLast(read())) await woken();
      callOff();
    }
  } finally {
    end();
    signal.removeEventListener('abort', tell);
  }
}
