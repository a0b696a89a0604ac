import type { ChangeLog } from '../changelog/change-log.ts';
import type { LogEntry } from '../model/change.ts';
import { type Document, decodeDocument } from '../model/document.ts';

/** An entry with its image decoded at most once for all subscribers. The document is shared: nobody may change it. */
export class TailEntry {
  readonly entry: LogEntry;
  #document: Document | undefined;

  constructor(entry: LogEntry) {
    this.entry = entry;
  }

  /** The document after the change; null when it was deleted or its image is not here. */
  get document(): Document | null {
    if (this.entry.image === null) return null;
    this.#document ??= decodeDocument(this.entry.image);
    return this.#document;
  }
}

/** Entries kept in memory for subscribers that are up to date. */
const KEPT_ENTRIES = 2_000;
const READ_LIMITS = { maxChanges: 500, maxBytes: 1024 * 1024 };

/**
 * The end of a change log, read once for all entity subscriptions of this process. Subscribers further behind than the
 * entries in memory read the log themselves.
 */
export class LogTail {
  readonly #log: ChangeLog;
  readonly #recent: TailEntry[] = [];
  #reading: Promise<void> | undefined;

  constructor(log: ChangeLog) {
    this.#log = log;
  }

  /**
   * Entries after `after`, in order and without a gap; empty at the head.
   * @throws CURSOR_EXPIRED
   */
  async read(after: number): Promise<readonly TailEntry[]> {
    if (after >= this.#log.head().sequence) return [];
    let recent = this.#after(after);
    if (recent === undefined || recent.length === 0) {
      if (after >= this.#lastKept() && this.#lastKept() > 0) {
        await this.#extend();
        recent = this.#after(after);
      }
    }
    if (recent !== undefined && recent.length > 0) return recent;
    const entries = (await this.#log.read(after, READ_LIMITS)).map((entry) => new TailEntry(entry));
    this.#keep(entries);
    return entries;
  }

  #after(after: number): readonly TailEntry[] | undefined {
    const first = this.#recent[0]?.entry.sequence;
    if (first === undefined || after < first - 1 || after > this.#lastKept()) return undefined;
    return this.#recent.slice(after - first + 1, after - first + 1 + READ_LIMITS.maxChanges);
  }

  #lastKept(): number {
    return this.#recent.at(-1)?.entry.sequence ?? 0;
  }

  /** One read for everybody who waits at the end. */
  async #extend(): Promise<void> {
    this.#reading ??= this.#log
      .read(this.#lastKept(), READ_LIMITS)
      .then((entries) => this.#keep(entries.map((entry) => new TailEntry(entry))))
      .finally(() => {
        this.#reading = undefined;
      });
    await this.#reading;
  }

  #keep(entries: readonly TailEntry[]): void {
    const first = entries[0]?.entry.sequence;
    if (first === undefined) return;
    const last = this.#lastKept();
    if (last > 0 && first !== last + 1) {
      if (first <= last) return;
      this.#recent.length = 0;
    }
    this.#recent.push(...entries);
    if (this.#recent.length > KEPT_ENTRIES) this.#recent.splice(0, this.#recent.length - KEPT_ENTRIES);
  }
}
