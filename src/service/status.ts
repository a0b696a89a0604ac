import type { ChangeLog } from '../changelog/change-log.ts';
import type { Model } from '../model/entity.ts';
import type { RowReader } from '../store/row-store.ts';
import { pause } from '../util/pause.ts';
import type { EntityStatus, Status } from './ops-service.ts';

const LOOK_EVERY_MS = 500;

/** The entities of a model with their document counts. */
export function entityStatus(model: Model, rows: RowReader): EntityStatus[] {
  return model.entities.map(({ name, collection, replicates }) => ({
    name,
    collection,
    count: rows.buckets(collection).digest().count,
    replicates,
  }));
}

/** What a log tells of itself in a status. */
export function logStatus(log: ChangeLog): Pick<Status, 'position' | 'floor' | 'logId'> {
  const { epoch, sequence } = log.head();
  return { position: { epoch, sequence }, floor: log.floor(), logId: log.logId };
}

/** `read()` now, and again every `intervalMs`, until the signal. */
export async function* repeatedly<T>(
  intervalMs: number,
  signal: AbortSignal,
  read: () => T | Promise<T>,
): AsyncGenerator<T, void> {
  while (!signal.aborted) {
    yield await read();
    await pause(intervalMs, signal);
  }
}

/** The status now, and again when more of it changed than what moves all the time, until the signal. It is looked at twice a second. */
export async function* statusChanges(
  signal: AbortSignal,
  read: () => Status | Promise<Status>,
): AsyncGenerator<Status, void> {
  let last: string | undefined;
  for await (const status of repeatedly(LOOK_EVERY_MS, signal, read)) {
    const now = outlineOf(status);
    if (now !== last) yield status;
    last = now;
  }
}

/** A status without what moves all the time: counts, positions, lags, times. */
function outlineOf(status: Status): string {
  const { role, degraded, problems, sdlHash, logId, following } = status;
  const steady = following && { state: following.state, primary: following.primary, proven: following.proven };
  return JSON.stringify({ role, degraded, problems, sdlHash, logId, steady });
}
