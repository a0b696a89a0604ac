import type { ChangeLog } from '../changelog/change-log.ts';
import type { LogEntry } from '../model/change.ts';
import { type Document, decodeDocument } from '../model/document.ts';

/** An entry with its image decoded at most once for all subscribers. The document is shared: nobody may change it. */
class TailEntry {
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

/** Entries kept in memory for subscribers that are up to date, at most, and characters of their images. */
const KEPT_ENTRIES = 2_000;
const KEPT_CHARACTERS = 8 * 1024 * 1024;
const READ_LIMITS = { maxChanges: 500, maxBytes: 1024 * 1024 };

/**
 * The end of a change log, read once for all entity subscriptions of this process. Subscribers further behind than the
 * entries in memory read the log themselves.
 */
export class LogTail {
  readonly #log: ChangeLog;
  /** Dense, of one history. */
  #recent: TailEntry[] = [];
  #characters = 0;
  #generation: number;
  #extending: Promise<void> | undefined;

  constructor(log: ChangeLog) {
    this.#log = log;
    this.#generation = log.generation;
  }

  /**
   * Entries after `after`, in order and without a gap; empty at the head. They are of the history the log is now, which the
   * caller compares with the one that `after` is of.
   * @throws CURSOR_EXPIRED
   */
  async read(after: number): Promise<readonly TailEntry[]> {
    if (after >= this.#log.head().sequence) return [];
    if (after === this.#last()) await this.#extend();
    const recent = this.#recentAfter(after);
    if (recent.length > 0) return recent;
    const { generation } = this.#log;
    const entries = (await this.#log.read(after, READ_LIMITS)).map((entry) => new TailEntry(entry));
    const end = entries.at(-1)?.entry.sequence ?? 0;
    // Whoever is furthest ahead is followed: others come there.
    if (generation === this.#log.generation && end > (this.#last() ?? 0)) this.#replace(entries);
    return entries;
  }

  #recentAfter(after: number): readonly TailEntry[] {
    const last = this.#last();
    const first = this.#recent[0]?.entry.sequence;
    if (last === undefined || first === undefined || after < first - 1) return [];
    const from = after - first + 1;
    return this.#recent.slice(from, from + READ_LIMITS.maxChanges);
  }

  /** Sequence of the last entry in memory; undefined when there is none of the log's history. */
  #last(): number | undefined {
    if (this.#generation !== this.#log.generation) this.#replace([]);
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
    const last = this.#last();
    const { generation } = this.#log;
    // Trimmed past what is kept here: who asks for it reads, and is refused, alone.
    if (last === undefined || last < this.#log.floor() - 1) return;
    const entries = await this.#log.read(last, READ_LIMITS);
    if (generation === this.#log.generation && last === this.#last()) {
      this.#add(entries.map((entry) => new TailEntry(entry)));
    }
  }

  #replace(entries: readonly TailEntry[]): void {
    this.#generation = this.#log.generation;
    this.#recent = [];
    this.#characters = 0;
    this.#add(entries);
  }

  #add(entries: readonly TailEntry[]): void {
    for (const entry of entries) {
      this.#recent.push(entry);
      this.#characters += charactersOf(entry);
    }
    while (this.#recent.length > KEPT_ENTRIES || this.#characters > KEPT_CHARACTERS) {
      this.#characters -= charactersOf(this.#recent.shift() as TailEntry);
    }
  }
}

function charactersOf({ entry }: TailEntry): number {
  return entry.image?.length ?? 0;
}
