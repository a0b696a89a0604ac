import type { ChangeLog } from '../changelog/change-log.ts';

/** Resolves once the log's head is no longer `sequence`, the log became another history, or the signal is aborted; never rejects. */
export function waitForAdvance(log: ChangeLog, sequence: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted || log.head().sequence !== sequence) return Promise.resolve();
  const { generation } = log;
  return new Promise((resolve) => {
    const finish = (): void => {
      stop();
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const stop = log.onAdvance(() => {
      if (log.head().sequence !== sequence || log.generation !== generation) finish();
    });
    signal.addEventListener('abort', finish, { once: true });
  });
}
