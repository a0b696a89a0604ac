import type { LogEntry } from '../src/model/change.ts';

/** Entries told of and not yet applied that are kept in memory; past it they are read from the log. */
const MAX_TOLD = 10_000;

/** Entries of a log that it told of before they were asked for, dense. What they do not cover is read from the log. */
export class ToldEntries {
  #entries: LogEntry[] = [];

  /** Takes in what was told of; `held` is the last sequence that nobody will ask for any more. */
  add(entries: readonly LogEntry[], held: number): void {
    const last = this.#entries.at(-1)?.sequence ?? held;
    for (const entry of entries) if (entry.sequence > last) this.#entries.push(entry);
    if (this.#entries.length > MAX_TOLD) this.clear();
  }

  /** At most `maxChanges` entries after `after`, as far as they were told of without a gap; undefined when the log must be read. */
  take(after: number, maxChanges: number): LogEntry[] | undefined {
    const start = this.#entries.findIndex(({ sequence }) => sequence > after);
    if (start < 0 || this.#entries[start]?.sequence !== after + 1) return undefined;
    const taken: LogEntry[] = [];
    for (const entry of this.#entries.slice(start, start + maxChanges)) {
      if (entry.sequence !== after + taken.length + 1) break;
      taken.push(entry);
    }
    this.#entries.splice(0, start + taken.length);
    return taken;
  }

  clear(): void {
    this.#entries = [];
  }
}
