import type { DrProgress, OnProgress } from '../dr/progress.ts';
import type { CommandContext } from './command.ts';
import { Lifetime, type Signals } from './lifetime.ts';
import { Progress } from './progress.ts';

/** What a long command of `holdfast dr` is given. */
export interface LongWork {
  /** Aborted by Ctrl-C or SIGTERM; a second one ends the process at once. */
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
}

/** Runs long work with its progress shown, until it is done or somebody stops it. */
export async function runLong<T>(
  { terminal }: Pick<CommandContext, 'terminal'>,
  work: (work: LongWork) => Promise<T>,
  signals: Signals = process as Signals,
): Promise<T> {
  using lifetime = new Lifetime(() => terminal.note('cancelling; once more to stop at once'), { signals });
  const controller = new AbortController();
  void lifetime.over.then(() => controller.abort(new Error('cancelled')));
  const progress = new Progress(terminal);
  const onProgress: OnProgress = (report) => progress.show(report.percent / 100, describe(report));
  // Awaited here: the signals are ours until the work is done.
  return await work({ signal: controller.signal, onProgress });
}

function describe({ phase, tablesDone, tablesTotal, rowsDone, bytesDone, etaMs }: DrProgress): string {
  const counts = `${tablesDone} of ${tablesTotal} tables, ${numberText(rowsDone)} rows, ${bytesText(bytesDone)}`;
  return `${phase}: ${counts}${etaMs === null || etaMs === 0 ? '' : `, ${durationText(etaMs)} left`}`;
}

/** `1,234,567`. Not by Intl, whose first use takes longer than the backup of a small table. */
export function numberText(count: number): string {
  return `${count}`.replace(/\B(?=(?:\d{3})+$)/g, ',');
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** `12.3 MB`, in powers of 1000. */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1000 && unit < UNITS.length - 1; unit++) value /= 1000;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`. */
export function durationText(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
