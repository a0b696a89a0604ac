import type { LogEntry } from '../model/change.ts';
import type { ReadLimits } from './change-log.ts';

/**
 * A copy of the newest part of a change log outside the database, to spare the database its readers. It may lose anything at any
 * moment; who reads it checks that what it gives continues what is known (sequence and chain), and reads the log where it does not.
 */
export interface LogCache {
  /** Hands over entries that are durable in the log, in order. Never waits and never throws; what cannot be kept is dropped. */
  offer(entries: readonly LogEntry[]): void;
  /** Entries with `sequence > after`, dense from `after + 1`; undefined when it does not hold `after + 1`, or does not answer in time. */
  read(after: number, limits: ReadLimits): Promise<readonly LogEntry[] | undefined>;
  close(): Promise<void>;
}
