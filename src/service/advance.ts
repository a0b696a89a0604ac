import type { ChangeLog } from '../changelog/change-log.ts';

/** Resolves once the log's head is no longer `sequence`, or the signal is aborted; never rejects. */
export function waitForAdvance(log: ChangeLog, sequence: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted || log.head().sequence !== sequence) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = (): void => {
      stop();
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const stop = log.onAdvance(() => {
      if (log.head().sequence !== sequence) finish();
    });
    signal.addEventListener('abort', finish, { once: true });
  });
}
