import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { LiveCopy } from '../../replica/live-copy.ts';
import type { SqliteChangeLog } from '../changelog/sqlite-change-log.ts';
import { type Config, dataDirectory } from '../config.ts';
import { HoldfastError, isHoldfastError } from '../errors.ts';
import type { Scope } from '../fallback/breaker.ts';
import type { Fallback } from '../fallback/fallback.ts';
import { full, Journal } from '../fallback/journal.ts';
import { claimsOf } from '../fallback/journal-view.ts';
import { JournalWrites } from '../fallback/journal-writes.ts';
import { Replay } from '../fallback/replay.ts';
import type { WriteFallback } from '../fallback/write-fallback.ts';
import type { Model } from '../model/entity.ts';
import type { ConflictPolicies } from '../service/conflict-policies.ts';
import type { Conflicts } from '../service/conflicts.ts';
import type { Fence } from '../service/fence.ts';
import { JournalReplay } from '../service/journal-replay.ts';
import { type JournalService, journalService } from '../service/journal-service.ts';
import { requireStorable } from '../store/mongo-document.ts';
import type { SqliteStore } from '../store/sqlite-store.ts';
import { type MetricsRegistry, metricsOf, observe } from '../telemetry/metrics.ts';
import { systemClock } from '../util/clock.ts';
import { collectionRules } from './fallback.ts';
import type { Problems } from './problems.ts';

/** The journal of a primary and all that works on it. */
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

export interface OpenJournalOptions {
  readonly config: Config;
  readonly model: Model;
  /** The live copy: its state, log and documents. */
  readonly copy: Pick<LiveCopy, 'holds' | 'reached'>;
  readonly log: SqliteChangeLog;
  readonly store: SqliteStore;
  /** Asked when writes come, not before. */
  readonly fallback: () => Fallback;
  readonly policies: ConflictPolicies;
  readonly conflicts: Conflicts;
  readonly fence: Fence;
  readonly metrics: MetricsRegistry;
  readonly problems: Problems;
}

const HOUR_MS = 3_600_000;
/** How often it is looked whether something may be replayed. */
const LOOK_MS = 500;
/** Longest that a replayed write is waited for in the copy, in ms. */
const COPIED_MS = 200;
const TROUBLE = 'writes in the journal are not brought to the database';

/**
 * Opens the journal, where an entity may need it or an earlier process left one. One that cannot be opened refuses writes, and stands
 * in the way of nothing else. @throws DATA_LOCKED
 */
export async function openJournal(options: OpenJournalOptions): Promise<JournalParts | undefined> {
  const { config, model, log } = options;
  const rules = new Map(model.entities.map((entity) => [entity.collection, collectionRules(entity)]));
  const takes = (collection: string): boolean => rules.get(collection)?.writes === 'JOURNAL';
  const directory = resolve(config.journal.dir ?? join(dataDirectory(config), 'journal'));
  if (![...rules.keys()].some(takes) && !existsSync(join(directory, 'journal.db'))) return undefined;
  const uniquePaths = (collection: string) => rules.get(collection)?.uniquePaths ?? [];
  try {
    const journal = await Journal.open({
      ...{ ...config.journal, directory },
      claimsOf: (collection, document) => claimsOf(collection, document, uniquePaths(collection)),
    });
    await log.indexKeys();
    return partsOf(journal, options, takes, uniquePaths);
  } catch (error) {
    if (isHoldfastError(error, 'DATA_LOCKED')) throw error;
    return broken(error, options.problems, takes);
  }
}

function partsOf(
  journal: Journal,
  options: OpenJournalOptions,
  takes: (collection: string) => boolean,
  uniquePaths: (collection: string) => readonly string[],
): JournalParts {
  const { model, copy, log, store, fallback, policies, conflicts, fence, problems } = options;
  const events = metricsOf(options.metrics).holdfast_journal_entries_total;
  const entities = new Map(model.entities.map((entity) => [entity.collection, entity]));
  const made = new JournalReplay({
    ...{ entities, policies, conflicts, fence },
    store: () => fallback().database ?? unreached(),
    // While the breaker is not closed the copy answers.
    copied: async (collection, { sequence }) => fallback().admits(collection) || copy.reached(sequence, COPIED_MS),
  });
  const replay = new Replay({
    ...{ journal, write: (entry, base) => made.write(entry, base) },
    admits: (collection) => fallback().admits(collection),
    epoch: () => log.head().epoch,
    hasCollection: (collection) => entities.has(collection),
    onTrouble: (error) => problems.set(TROUBLE, error),
    onSettled: (state) => events.inc({ event: state.toLowerCase() }),
  });
  const writes = new JournalWrites({
    ...{ journal, takes, uniquePaths, sdlHash: model.sdlHash, check: requireStorable },
    live: {
      whole: (collection) => (copy.holds(collection) ? store.collection(collection) : undefined),
      rows: (collection, ids) => store.rows(collection, ids),
      entryOfKey: (key) => log.entryOfKey(key),
      position: () => log.head(),
    },
    onAppended: (entries) => {
      events.inc({ event: 'appended' }, entries);
      // The database may be back already.
      replay.wake();
    },
  });
  const parked = (): number => journal.counts().conflicts + journal.counts().held;
  observe(options.metrics, {
    holdfast_journal_waiting: () => journal.waiting.size,
    holdfast_journal_parked: parked,
    holdfast_journal_bytes: () => journal.counts().bytes,
  });
  const prune = (): void => void journal.prune().catch((error: unknown) => problems.warn('journal', error));
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
      const count = parked();
      if (count === 0) return [];
      return [`${count} writes in the journal wait for somebody to decide: holdfast journal list`];
    },
    async [Symbol.asyncDispose]() {
      timers.dispose();
      await replay[Symbol.asyncDispose]();
      await journal.close();
    },
  };
}

/** Refuses what would have waited. */
function broken(error: unknown, problems: Problems, takes: (collection: string) => boolean): JournalParts {
  const what = 'the journal cannot be used';
  problems.set(what, error);
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

function unreached(): never {
  throw new HoldfastError('DATABASE_UNAVAILABLE', 'the database was not reached yet');
}
