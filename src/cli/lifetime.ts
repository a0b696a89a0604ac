/** What runs until it is told to stop. */
export interface Stoppable {
  stop(): Promise<void>;
}

/** What {@link untilStopped} needs of a process; tests give their own. */
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
 * Waits for SIGINT or SIGTERM, then stops `server` and resolves when it has: requests in flight finish. A second signal
 * ends the process at once. A server started by another of our processes leaves Ctrl-C to that one, and stops when it is gone.
 */
export async function untilStopped(
  server: Stoppable,
  note: (text: string) => void,
  { signals = process as Signals, now = () => performance.now() } = {},
): Promise<void> {
  const asked = Promise.withResolvers<void>();
  let askedAt: number | undefined;
  const ask = (): void => {
    if (askedAt === undefined) {
      askedAt = now();
      note('stopping: requests in flight finish; once more to stop at once');
      asked.resolve();
    } else if (now() - askedAt > SAME_SIGNAL_MS) signals.exit(1);
  };
  const interrupt = signals.connected ? () => undefined : ask;
  const listeners = { SIGINT: interrupt, SIGTERM: ask, disconnect: ask };
  for (const [event, listener] of Object.entries(listeners)) signals.on(event, listener);
  try {
    await asked.promise;
    await server.stop();
  } finally {
    for (const [event, listener] of Object.entries(listeners)) signals.off(event, listener);
  }
}
