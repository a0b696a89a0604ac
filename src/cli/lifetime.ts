/** What runs until it is told to stop. */
export interface Stoppable {
  stop(): Promise<void>;
}

/** A repeated signal within this time is the same Ctrl-C: a terminal sends it to every process, and npm passes it on as well. */
const SAME_SIGNAL_MS = 500;

/**
 * Waits for SIGINT or SIGTERM, then stops `server` and resolves when it has: requests in flight finish. A second signal
 * ends the process at once. A server started by another of our processes leaves Ctrl-C to that one, and stops when it is gone.
 */
export async function untilStopped(server: Stoppable, note: (text: string) => void): Promise<void> {
  const asked = Promise.withResolvers<void>();
  let askedAt: number | undefined;
  const ask = (): void => {
    if (askedAt === undefined) {
      askedAt = performance.now();
      note('stopping: requests in flight finish; once more to stop at once');
      asked.resolve();
    } else if (performance.now() - askedAt > SAME_SIGNAL_MS) process.exit(1);
  };
  const interrupt = process.connected ? () => undefined : ask;
  process.on('SIGINT', interrupt).on('SIGTERM', ask).on('disconnect', ask);
  try {
    await asked.promise;
    await server.stop();
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', ask).off('disconnect', ask);
    if (process.connected) process.disconnect();
  }
}
