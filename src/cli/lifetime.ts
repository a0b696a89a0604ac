/** What {@link Lifetime} needs of a process; tests give their own. */
export interface Signals {
  on(event: string, listener: () => void): unknown;
  off(event: string, listener: () => void): unknown;
  exit(code: number): void;
  /** Whether another process of ours started this one. */
  readonly connected?: boolean;
}

/** A repeated signal within this time is the same Ctrl-C: a terminal sends it to every process, and npm passes it on as well. */
const SAME_SIGNAL_MS = 500;

/**
 * How long a server runs: until SIGINT or SIGTERM. A second signal ends the process at once. A server started by another of our
 * processes leaves Ctrl-C to that one, and is over when it is gone. Made before the server, so that no signal is missed.
 */
export class Lifetime implements Disposable {
  /** Resolves when the server should stop. */
  readonly over: Promise<void>;
  readonly #signals: Signals;
  readonly #listeners: Readonly<Record<string, () => void>>;

  constructor(note: (text: string) => void, { signals = process as Signals, now = () => performance.now() } = {}) {
    const { promise, resolve } = Promise.withResolvers<void>();
    let askedAt: number | undefined;
    const ask = (): void => {
      if (askedAt === undefined) {
        askedAt = now();
        if (!signals.connected) note('stopping: requests in flight finish; once more to stop at once');
        resolve();
      } else if (now() - askedAt > SAME_SIGNAL_MS) signals.exit(1);
    };
    this.over = promise;
    this.#signals = signals;
    this.#listeners = { SIGINT: signals.connected ? () => undefined : ask, SIGTERM: ask, disconnect: ask };
    for (const [event, listener] of Object.entries(this.#listeners)) signals.on(event, listener);
  }

  [Symbol.dispose](): void {
    for (const [event, listener] of Object.entries(this.#listeners)) this.#signals.off(event, listener);
  }
}
