import type { SqliteChangeLog } from '../src/changelog/sqlite-change-log.ts';
import type { Hash } from '../src/model/change.ts';
import { Carried, type FrameEntry } from '../src/protocol/frame.ts';
import type { CollectionDigest, Row } from '../src/protocol/sync-source.ts';
import type { Database, Transaction } from '../src/sqlite/database.ts';
import type { Applied } from '../src/store/row-store.ts';
import { requireOpen } from './guarded.ts';
import type { Incoming } from './incoming.ts';
import type { Lag } from './lag.ts';
import type { Progress } from './progress.ts';
import type { Prepared, RowStore } from './row-store.ts';

/** Most changes of one transaction: it holds up everything else of this process while it runs. */
export const MAX_GROUP_CHANGES = 1_000;

export interface ApplierOptions {
  readonly database: Database;
  readonly log: SqliteChangeLog;
  readonly progress: Progress;
  readonly lag: Lag;
}

/** Writes verified entries: documents, copied log, `settled` and `asOf` in one transaction. SPEC.md, R1 and R4 to R6. */
export class Applier {
  readonly #database: Database;
  readonly #log: SqliteChangeLog;
  readonly #progress: Progress;
  readonly #lag: Lag;

  constructor(options: ApplierOptions) {
    this.#database = options.database;
    this.#log = options.log;
    this.#progress = options.progress;
    this.#lag = options.lag;
  }

  /**
   * Applies the parts, of which only the last may carry digests; durable when the promise resolves. The caller holds the lock.
   * Resolves with what was found to differ from the source, in words, or null.
   * @throws PRIMARY_UNREACHABLE when `signal` is aborted first (then nothing is written); DATA_UNWRITABLE
   */
  async apply(parts: readonly Incoming[], prepared: Prepared, signal: AbortSignal): Promise<string | null> {
    const differs = parts.some((part) => part.entries.length > 0 || part.settleAt !== null)
      ? await this.#database.transaction((transaction) => this.#write(transaction, parts, prepared, signal))
      : null;
    this.#lag.applied(this.#log.head().sequence);
    if (differs !== null) return differs;
    const digests = parts.at(-1)?.digests ?? null;
    return digests === null || !this.#isExact() ? null : difference(digests, prepared);
  }

  #write(transaction: Transaction, parts: readonly Incoming[], prepared: Prepared, signal: AbortSignal): string | null {
    requireOpen(signal);
    const known = new Set(prepared.collections);
    let differs: string | null = null;
    for (const { entries, ahead, settleAt } of parts) {
      if (settleAt !== null) this.#progress.settle(transaction, settleAt);
      for (const entry of entries) {
        if (isApplied(entry) && known.has(entry.collection)) {
          const expected = this.#isExact() ? entry.before : undefined;
          const applied = applyEntry(transaction, prepared.store, entry, ahead.get(entry.sequence), expected);
          if (applied === 'DIVERGED') differs ??= divergence(entry);
        }
        this.#log.copy(transaction, entry);
      }
    }
    const asOf = this.#lag.asOfMs();
    if (asOf !== null) this.#progress.saveAsOf(transaction, asOf);
    return differs;
  }

  /** Whether the documents here must be those of the source at the position of the log. */
  #isExact(): boolean {
    const { proven, task, settled } = this.#progress.facts;
    return proven && task === null && this.#log.position().sequence >= settled.sequence;
  }
}

/** What differs between the digests of the source and the buckets here, in words; null when nothing does. The caller holds the lock. */
export function difference(digests: readonly CollectionDigest[], { store, collections }: Prepared): string | null {
  const theirs = new Map(digests.map((digest) => [digest.collection, digest]));
  const unknown = digests.find(({ collection, count }) => count > 0 && !collections.includes(collection));
  if (unknown !== undefined) return `collection ${unknown.collection} is not known here`;
  for (const collection of collections) {
    const ours = store.buckets(collection).digest();
    const { count, sum } = theirs.get(collection) ?? { count: 0, sum: EMPTY_SUM };
    if (ours.count !== count || ours.sum !== sum) {
      return `collection ${collection}: ${ours.count} documents here, ${count} at the source, digests ${ours.sum} and ${sum}`;
    }
  }
  return null;
}

const EMPTY_SUM = '0'.repeat(32);

function applyEntry(
  transaction: Transaction,
  store: RowStore,
  entry: FrameEntry,
  ahead: Row | null | undefined,
  expected: Hash | null | undefined,
): Applied {
  const { collection, id, version, image, sequence } = entry;
  const row = image === null ? ahead : { id, version, text: image, hash: entry.after };
  return row == null
    ? store.remove(transaction, collection, id, version, sequence, false, expected)
    : store.put(transaction, collection, row, sequence, false, expected);
}

function divergence({ collection, id, sequence }: FrameEntry): string {
  return `${collection} ${id}: change ${sequence} was made on another version than the one here`;
}

/** Whether the document is here, or known to be gone; else it was withheld from this replica and the entry is only copied. */
function isApplied(entry: FrameEntry): boolean {
  return entry.operation !== 'EPOCH' && (entry.after === null || entry.carried !== Carried.NONE);
}
