import type { LogEntry } from '../model/change.ts';
import type { ReadLimits } from './change-log.ts';

/** What is kept at most; the older half goes when it is more. */
const MAX_ENTRIES = 4_096;
const MAX_BYTES = 8 * 1024 * 1024;

/** The newest entries of a log in memory, so that those who follow at its head do not ask the database. */
export class RecentEntries {
  #entries: LogEntry[] = [];
  #bytes = 0;

  /** Adds entries that follow those added before without a gap. */
  add(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      this.#entries.push(entry);
      this.#bytes += sizeOf(entry);
    }
    if (this.#entries.length <= MAX_ENTRIES && this.#bytes <= MAX_BYTES) return;
    let start = 0;
    while (this.#entries.length - start > MAX_ENTRIES / 2 || this.#bytes > MAX_BYTES / 2) {
      this.#bytes -= sizeOf(this.#entries[start] as LogEntry);
      start += 1;
    }
    this.#entries = this.#entries.slice(start);
  }

  /** Forgets all: what comes next does not follow. */
  clear(): void {
    this.#entries = [];
    this.#bytes = 0;
  }

  /** Entries from `sequence` on, within `limits` but at least one; undefined when the one at `sequence` is not here. */
  from(sequence: number, limits: ReadLimits): readonly LogEntry[] | undefined {
    const start = sequence - (this.#entries[0]?.sequence ?? Number.POSITIVE_INFINITY);
    if (start < 0 || start >= this.#entries.length) return undefined;
    let end = start;
    let bytes = 0;
    for (; end < this.#entries.length && end - start < Math.max(1, limits.maxChanges); end++) {
      bytes += sizeOf(this.#entries[end] as LogEntry);
      if (bytes > limits.maxBytes && end > start) break;
    }
    return this.#entries.slice(start, end);
  }
}

function sizeOf(entry: LogEntry): number {
  return entry.image?.length ?? 0;
}
