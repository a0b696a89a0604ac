import { HoldfastError, isHoldfastError } from '../../errors.ts';
import { JournalReplay, type JournalReplayOptions } from '../../service/journal-replay.ts';
import { type JournalService, journalService } from '../../service/journal-service.ts';
import { requireStorable } from '../../store/mongo-document.ts';
import { systemClock } from '../../util/clock.ts';
import { full, Journal, type JournalCounts } from '../journal.ts';
import { claimsOf, type LiveDocuments } from '../journal-view.ts';
import { JournalWrites } from '../journal-writes.ts';
import { Replay } from '../replay.ts';
import type { Scope } from '../scope.ts';
import type { WriteFallback } from '../write-fallback.ts';
import type { Troubles } from './follow-database.ts';

/** A journal and all that works on it. */
export interface JournalParts extends AsyncDisposable {
  readonly writes: WriteFallback;
  /** Brings what waits for a scope to the database. */
  readonly recover: (scope: Scope) => Promise<void>;
  /** Undefined when the journal could not be opened. */
  readonly service?: JournalService | undefined;
  /** Replays whenever there is something to be replayed, from what an earlier process left on. */
  run(): void;
  /** Replays no more; to be called before the database is left. */
  stop(): Promise<void>;
  /** Sentences for an operator. */
  problems(): readonly string[];
}

export interface JournalPartsOptions extends JournalReplayOptions {
  /** Of its own. */
  readonly directory: string;
  readonly maxEntries?: number | undefined;
  readonly maxBytes?: number | undefined;
  /** Whether writes of a collection may wait. */
  readonly takes: (collection: string) => boolean;
  /** Stored paths whose values belong to one document. */
  readonly uniquePaths: (collection: string) => readonly string[];
  readonly sdlHash: string;
  /** What the live copy knows; asked when writes come, not before. */
  readonly live: LiveDocuments;
  /** Whether writes to a collection go to the database now. */
  readonly admits: (collection: string) => boolean;
  readonly troubles: Troubles;
  /** Told what happened to how many entries: `appended`, `replayed`, `conflict`, `held`. */
  readonly onEvent?: ((event: string, entries: number) => void) | undefined;
  /** Told of the journal once it is open. */
  readonly onOpened?:
    | ((journal: { readonly waiting: () => number; readonly counts: () => JournalCounts }) => void)
    | undefined;
}

const HOUR_MS = 3_600_000;
/** How often it is looked whether something may be replayed. */
const LOOK_MS = 500;
const TROUBLE = 'writes in the journal are not brought to the database';

/** Opens a journal. One that cannot be opened refuses writes, and stands in the way of nothing else. @throws DATA_LOCKED */
export async function openJournalParts(options: JournalPartsOptions): Promise<JournalParts> {
  const { directory, maxEntries, maxBytes, uniquePaths } = options;
  try {
    const journal = await Journal.open({
      ...{ directory, maxEntries, maxBytes },
      claimsOf: (collection, document) => claimsOf(collection, document, uniquePaths(collection)),
    });
    return partsOf(journal, options);
  } catch (error) {
    if (isHoldfastError(error, 'DATA_LOCKED')) throw error;
    return broken(error, options);
  }
}

function partsOf(journal: Journal, options: JournalPartsOptions): JournalParts {
  const { takes, uniquePaths, sdlHash, live, entities, admits, troubles, onEvent } = options;
  const made = new JournalReplay(options);
  const replay = new Replay({
    ...{ journal, admits, write: (entry, base) => made.write(entry, base) },
    epoch: () => live.position().epoch,
    hasCollection: (collection) => entities.get(collection) !== undefined,
    onTrouble: (error) => troubles.set(TROUBLE, error),
    onSettled: (state) => onEvent?.(state.toLowerCase(), 1),
  });
  const writes = new JournalWrites({
    ...{ journal, takes, uniquePaths, sdlHash, live, check: requireStorable },
    onAppended: (entries) => {
      onEvent?.('appended', entries);
      // The database may be back already.
      replay.wake();
    },
  });
  options.onOpened?.({ waiting: () => journal.waiting.size, counts: () => journal.counts() });
  const prune = (): void => void journal.prune().catch((error: unknown) => troubles.warn('journal', error));
  const timers = new DisposableStack();
  return {
    ...{ writes, recover: (scope) => replay.recover(scope), service: journalService(journal, replay) },
    run() {
      prune();
      timers.defer(systemClock.every(HOUR_MS, prune));
      // A breaker may be closed by an operator, and a database be reached for the first time.
      timers.defer(systemClock.every(LOOK_MS, () => replay.wake()));
      replay.wake();
    },
    stop() {
      timers.dispose();
      return replay[Symbol.asyncDispose]();
    },
    problems() {
      const { conflicts: parked, held } = journal.counts();
      if (parked + held === 0) return [];
      return [`${parked + held} writes in the journal wait for somebody to decide: holdfast journal list`];
    },
    async [Symbol.asyncDispose]() {
      timers.dispose();
      await replay[Symbol.asyncDispose]();
      await journal.close();
    },
  };
}

/** Refuses what would have waited. */
function broken(error: unknown, { troubles, takes }: JournalPartsOptions): JournalParts {
  const what = 'the journal cannot be used';
  troubles.set(what, error);
  const reason = error instanceof Error ? error.message : String(error);
  return {
    writes: {
      take: ({ collection, principal }) =>
        principal !== undefined && takes(collection) ? Promise.reject(full(reason, error)) : undefined,
    },
    recover: () => Promise.resolve(),
    run() {},
    stop: () => Promise.resolve(),
    problems: () => [],
    async [Symbol.asyncDispose]() {},
  };
}

/** For a database that nobody has reached yet. */
export function unreached(): never {
  throw new HoldfastError('DATABASE_UNAVAILABLE', 'the database was not reached yet');
}
