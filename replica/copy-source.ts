import { chainAt } from '../src/changelog/chain-at.ts';
import type { ChangeLog } from '../src/changelog/change-log.ts';
import type { LogOrigin } from '../src/changelog/sqlite-log-state.ts';
import type { LogEntry } from '../src/model/change.ts';
import type { DocumentText } from '../src/model/document.ts';
import type { RowPage } from '../src/store/row-store.ts';

/** The database that is copied: its log, and its documents a page at a time. */
export interface CopySource {
  readonly log: ChangeLog;
  /** Tells of entries as they become durable, whoever appended them, in order. Returns the function that ends it. */
  onEntries(listener: (entries: readonly LogEntry[]) => void): () => void;
  /** A page of a collection in id order; every version in it is in the log. `next` is null after the last. */
  page(collection: string, after: string | null, limit: number, maxBytes: number): Promise<RowPage>;
  /** Those of `ids` that exist, at most 1,000. */
  existing(collection: string, ids: readonly DocumentText[]): Promise<ReadonlySet<DocumentText>>;
}

/** Changes of the source's log that a new copy takes over for those who resume from it. */
const HISTORY_CHANGES = 100_000;

/** Where a copy of `log` begins: not too far before its head. */
export async function originOf(log: ChangeLog): Promise<LogOrigin> {
  for (;;) {
    const sequence = Math.max(log.floor() - 1, log.head().sequence - HISTORY_CHANGES, 0);
    const chain = await chainAt(log, sequence);
    if (chain === null) continue;
    const epochs = log.epochs().filter(({ firstSequence }) => firstSequence <= Math.max(sequence, 1));
    return { logId: log.logId, epochs, sequence, chain };
  }
}
