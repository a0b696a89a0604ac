import type { ChangeLog } from '../changelog/change-log.ts';
import { chainHash, type LogEntry } from '../model/change.ts';
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
  #extending: Promise<void> | undefined;

  constructor(log: ChangeLog) {
    this.#log = log;
  }

  /**
   * Entries after `after`, in order and without a gap; empty at the head.
   * @throws CURSOR_EXPIRED
   */
  async read(after: number): Promise<readonly TailEntry[]> {
    if (after >= this.#log.head().sequence) return [];
    if (after === this.#last()) await this.#extend();
    const recent = this.#recentAfter(after);
    if (recent.length > 0) return recent;
    const entries = (await this.#log.read(after, READ_LIMITS)).map((entry) => new TailEntry(entry));
    if (this.#recent.length === 0) this.#recent.push(...entries);
    return entries;
  }

  #recentAfter(after: number): readonly TailEntry[] {
    const first = this.#recent[0]?.entry.sequence;
    if (first === undefined || after < first - 1 || first < this.#log.floor()) return [];
    const from = after - first + 1;
    return this.#recent.slice(from, from + READ_LIMITS.maxChanges);
  }

  #last(): number | undefined {
    return this.#recent.at(-1)?.entry.sequence;
  }

  /** One read for everybody who waits at the end. */
  async #extend(): Promise<void> {
    this.#extending ??= this.#readOn().finally(() => {
      this.#extending = undefined;
    });
    await this.#extending;
  }

  async #readOn(): Promise<void> {
    const last = this.#last() ?? 0;
    const entries = last < this.#log.floor() - 1 ? [] : await this.#log.read(last, READ_LIMITS);
    // Trimmed past what is kept here, or begun anew by a resync with another history: start over.
    if (!this.#continues(entries[0])) {
      this.#recent.length = 0;
      return;
    }
    for (const entry of entries) this.#recent.push(new TailEntry(entry));
    if (this.#recent.length > KEPT_ENTRIES) this.#recent.splice(0, this.#recent.length - KEPT_ENTRIES);
  }

  #continues(next: LogEntry | undefined): boolean {
    const last = this.#recent.at(-1)?.entry;
    if (next === undefined || last === undefined) return false;
    return chainHash(last.chain, next.epoch, next.sequence, next) === next.chain;
  }
}
