import { type TableProgress, TableState } from '../model/dr-progress.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import type { DrProgress, OnProgress } from './progress.ts';

/** Shortest time between two reports. */
const REPORT_MS = 250;

interface Entry {
  name: string;
  state: TableState;
  rows: number;
  bytes: number;
  worker: number | null;
  startedAt: string | null;
  endedAt: string | null;
  error: string | null;
  /** Chunks that are not finished. */
  left: number;
}

/** A table whose progress is followed. */
export interface TrackedTable {
  readonly id: number;
  readonly name: string;
  readonly chunks: number;
  /** Estimate of the bytes of its rows. */
  readonly bytes: number;
}

/** Adds up how far a backup is and reports it at most four times a second. */
export class ProgressTracker {
  readonly #report: OnProgress;
  readonly #clock: Clock;
  readonly #startedAt: number;
  readonly #tables = new Map<number, Entry>();
  #phase = '';
  #bytesDone = 0;
  #bytesTotal = 0;
  #rowsDone = 0;
  #percent = 0;
  #reportedAt = Number.NEGATIVE_INFINITY;

  constructor(report: OnProgress, clock: Clock = systemClock) {
    this.#report = report;
    this.#clock = clock;
    this.#startedAt = clock.now();
  }

  phase(phase: string): void {
    this.#phase = phase;
    this.#tell(true);
  }

  plan(tables: readonly TrackedTable[]): void {
    for (const { id, name, chunks, bytes } of tables) {
      const state = chunks === 0 ? TableState.DONE : TableState.QUEUED;
      const rest = { rows: 0, bytes: 0, worker: null, startedAt: null, endedAt: null, error: null };
      this.#tables.set(id, { name, state, ...rest, left: chunks });
      this.#bytesTotal += bytes;
    }
  }

  /** A worker, counted from 1, begins a chunk of a table. */
  start(table: number, worker: number): void {
    const entry = this.#tables.get(table)!;
    entry.state = TableState.RUNNING;
    entry.worker = worker;
    entry.startedAt ??= new Date().toISOString();
    this.#tell(false);
  }

  read(table: number, bytes: number): void {
    this.#tables.get(table)!.bytes += bytes;
    this.#bytesDone += bytes;
    this.#tell(false);
  }

  finish(table: number, rows: number): void {
    const entry = this.#tables.get(table)!;
    entry.rows += rows;
    this.#rowsDone += rows;
    entry.left -= 1;
    if (entry.left === 0) {
      entry.state = TableState.DONE;
      entry.endedAt = new Date().toISOString();
    }
    this.#tell(false);
  }

  fail(table: number, error: unknown): void {
    const entry = this.#tables.get(table)!;
    entry.state = TableState.FAILED;
    entry.endedAt = new Date().toISOString();
    entry.error = error instanceof Error ? error.message : String(error);
  }

  /** The last report. */
  end(phase: string): void {
    this.#percent = 100;
    this.#phase = phase;
    this.#tell(true);
  }

  #tell(now: boolean): void {
    const time = this.#clock.now();
    if (!now && time - this.#reportedAt < REPORT_MS) return;
    this.#reportedAt = time;
    this.#report(this.#snapshot(time));
  }

  #snapshot(time: number): DrProgress {
    const entries = [...this.#tables.values()];
    const share = this.#bytesTotal === 0 ? 0 : Math.min(1, this.#bytesDone / this.#bytesTotal);
    // The total is an estimate: only the end itself is 100.
    this.#percent = Math.max(this.#percent, Math.min(99, Math.floor(share * 100)));
    const elapsed = time - this.#startedAt;
    const left = share > 0.02 && this.#percent < 100 ? Math.round((elapsed / share) * (1 - share)) : null;
    return {
      phase: this.#phase,
      tablesDone: entries.filter(({ state }) => state === TableState.DONE).length,
      tablesTotal: entries.length,
      rowsDone: this.#rowsDone,
      bytesDone: this.#bytesDone,
      bytesTotal: Math.max(this.#bytesTotal, this.#bytesDone),
      percent: this.#percent,
      etaMs: this.#percent === 100 ? 0 : left,
      tables: entries.map(({ left: _, ...table }): TableProgress => table),
    };
  }
}
