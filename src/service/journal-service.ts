import { HoldfastError } from '../errors.ts';
import type { Journal, JournalCounts } from '../fallback/journal.ts';
import { type JournalEntry, JournalState } from '../fallback/journal-entry.ts';
import type { Replay } from '../fallback/replay.ts';
import { placeOf } from '../fallback/waiting.ts';
import { decodeValue } from '../model/document.ts';

export type { JournalEntry, JournalState };

/** What an operator lists. */
export interface JournalListing {
  /** Null: all. */
  readonly state: JournalState | null;
  readonly first: number;
  /** Entries after this one; null: from the oldest. */
  readonly after: string | null;
}

/** What an operator does with the journal; `schema/journal.graphql` carries exactly these calls. */
export interface JournalService {
  counts(): JournalCounts;
  /** The oldest first. @throws VALIDATION_FAILED */
  list(listing: JournalListing): readonly JournalEntry[];
  /**
   * Lets entries that are held or in conflict be replayed, and wakes what waits. Null: all that are held. Returns before they are.
   * @throws NOT_FOUND; CONFLICT for an entry that has ended
   */
  replay(ids: readonly string[] | null): Promise<JournalCounts>;
  /** Gives an entry up for good, and returns it. @throws NOT_FOUND; CONFLICT when it has ended, or is being replayed */
  discard(id: string): Promise<JournalEntry>;
  /** Somebody decided a conflict: its entry has ended. */
  resolved(conflict: string): Promise<void>;
}

/** Most entries of a listing. */
const MOST = 1_000;

export function journalService(journal: Journal, replay: Pick<Replay, 'wake' | 'keepOff'>): JournalService {
  return {
    counts: () => journal.counts(),
    resolved: (conflict) => journal.resolved(conflict),
    list: ({ state, first, after }) => {
      if (first < 1 || first > MOST) throw new HoldfastError('VALIDATION_FAILED', `first must be 1 to ${MOST}`);
      return journal.list({ state: state ?? undefined, limit: first, after: after === null ? 0 : numberOf(after) });
    },
    async replay(ids) {
      for (const id of ids ?? heldIn(journal)) await journal.approve(numberOf(id));
      replay.wake();
      return journal.counts();
    },
    discard(id) {
      const entry = journal.entry(numberOf(id));
      const discard = (): Promise<JournalEntry> => journal.discard(entry.seq);
      if (entry.state !== JournalState.WAITING) return discard();
      return replay.keepOff(placeOf(entry.collection, decodeValue(entry.id)), discard);
    },
  };
}

/** What an order ends with where no write can wait. */
export function withoutJournal(): HoldfastError {
  return new HoldfastError(
    'UNSUPPORTED_OPERATOR',
    'there is no journal here: that is for primaries on MongoDB with an entity with @fallback(writes: JOURNAL)',
    { details: { operator: 'journal' } },
  );
}

/** Ids of the entries that are held, but for damaged ones. */
function heldIn(journal: Journal): string[] {
  const held: string[] = [];
  for (let after = 0; ; ) {
    const page = journal.list({ state: JournalState.HELD, limit: MOST, after });
    for (const { seq, reason } of page) if (reason?.code !== 'DAMAGED') held.push(String(seq));
    if (page.length < MOST) return held;
    after = page.at(-1)?.seq ?? 0;
  }
}

/** @throws VALIDATION_FAILED */
function numberOf(id: string): number {
  if (/^[1-9]\d{0,14}$/.test(id)) return Number(id);
  throw new HoldfastError('VALIDATION_FAILED', `"${id.slice(0, 50)}" is no id of an entry; they are whole numbers`);
}
