import type { ChangeLog } from '../changelog/change-log.ts';
import type { Model } from '../model/entity.ts';
import type { RowReader } from '../store/row-store.ts';
import { pause } from '../util/pause.ts';
import type { EntityStatus, Status } from './ops-service.ts';

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

/** `values`, less those for which `outline` is the same as for the one before. */
export async function* changesOf<T>(values: AsyncIterable<T>, outline: (value: T) => string): AsyncGenerator<T, void> {
  let last: string | undefined;
  for await (const value of values) {
    const now = outline(value);
    if (now !== last) yield value;
    last = now;
  }
}

/** A status without what moves all the time: counts, positions, lags, times. */
export function statusOutline(status: Status): string {
  const { role, degraded, problems, sdlHash, logId, following } = status;
  const steady = following && { state: following.state, primary: following.primary, proven: following.proven };
  return JSON.stringify({ role, degraded, problems, sdlHash, logId, steady });
}
