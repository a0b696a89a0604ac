import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { LiveCopy } from '../../replica/live-copy.ts';
import type { SqliteChangeLog } from '../changelog/sqlite-change-log.ts';
import { type Config, dataDirectory } from '../config.ts';
import type { Fallback } from '../fallback/fallback.ts';
import { type JournalParts, openJournalParts, unreached } from '../fallback/live/journal-parts.ts';
import type { Model } from '../model/entity.ts';
import type { ConflictPolicies } from '../service/conflict-policies.ts';
import type { Conflicts } from '../service/conflicts.ts';
import type { Fence } from '../service/fence.ts';
import type { SqliteStore } from '../store/sqlite-store.ts';
import { type MetricsRegistry, metricsOf, observe } from '../telemetry/metrics.ts';
import { collectionRules } from './fallback.ts';
import type { Problems } from './problems.ts';

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

/** Longest that a replayed write is waited for in the copy, in ms. */
const COPIED_MS = 200;

/**
 * Opens the journal of a primary, where an entity may need it or an earlier process left one. One that cannot be opened refuses writes,
 * and stands in the way of nothing else. @throws DATA_LOCKED
 */
export async function openJournal(options: OpenJournalOptions): Promise<JournalParts | undefined> {
  const { config, model, copy, log, store, fallback, policies, conflicts, fence, metrics, problems } = options;
  const rules = new Map(model.entities.map((entity) => [entity.collection, collectionRules(entity, model)]));
  const takes = (collection: string): boolean => rules.get(collection)?.writes === 'JOURNAL';
  const directory = resolve(config.journal.dir ?? join(dataDirectory(config), 'journal'));
  if (![...rules.keys()].some(takes) && !existsSync(join(directory, 'journal.db'))) return undefined;
  await log.indexKeys();
  const events = metricsOf(metrics).holdfast_journal_entries_total;
  return openJournalParts({
    ...{ ...config.journal, directory, takes, sdlHash: model.sdlHash, policies, conflicts, fence, troubles: problems },
    uniquePaths: (collection) => rules.get(collection)?.uniquePaths ?? [],
    entities: new Map(model.entities.map((entity) => [entity.collection, entity])),
    live: {
      whole: (collection) => (copy.holds(collection) ? store.collection(collection) : undefined),
      rows: (collection, ids) => store.rows(collection, ids),
      entryOfKey: (key) => log.entryOfKey(key),
      position: () => log.head(),
    },
    store: () => fallback().database ?? unreached(),
    admits: (collection) => fallback().admits(collection),
    // While the breaker is not closed the copy answers.
    copied: async (collection, { sequence }) => fallback().admits(collection) || copy.reached(sequence, COPIED_MS),
    onEvent: (event, entries) => events.inc({ event }, entries),
    onOpened: ({ waiting, counts }) =>
      observe(metrics, {
        holdfast_journal_waiting: waiting,
        holdfast_journal_parked: () => counts().conflicts + counts().held,
        holdfast_journal_bytes: () => counts().bytes,
      }),
  });
}
