import type { LiveCopy } from '../../replica/live-copy.ts';
import type { ChangeLog } from '../changelog/change-log.ts';
import type { Config } from '../config.ts';
import { Fallback, type FallbackOptions } from '../fallback/fallback.ts';
import type { CollectionRules, Question } from '../fallback/question.ts';
import type { Coverage, Tier } from '../fallback/tiers.ts';
import type { Entity, Model } from '../model/entity.ts';
import type { Position } from '../model/position.ts';
import type { Database } from '../sqlite/database.ts';
import { createMeta, readMeta, writeMeta } from '../sqlite/meta.ts';
import type { Store } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type MetricsRegistry, metricsOf, observe } from '../telemetry/metrics.ts';
import { type Clock, systemClock } from '../util/clock.ts';

/** The log of the database, as far as the age of a copy depends on it. */
export interface FollowedLog {
  /** When its end was last known, by the clock of the copy. */
  readonly endKnownMs: number;
}

export interface LiveTierOptions {
  readonly copy: Pick<LiveCopy, 'isComplete' | 'isSettled' | 'lagChanges' | 'reached'>;
  /** The copied log. */
  readonly log: Pick<ChangeLog, 'head'>;
  /** The copied documents. */
  readonly store: Store;
  /** Keeps when writers beside the gateway were last looked for. */
  readonly database: Database;
  /** Nobody writes to the database but gateways, so that nobody needs to look. */
  readonly exclusiveWriter: boolean;
  readonly clock?: Clock | undefined;
  /** Milliseconds since 1970. Default Date.now. */
  readonly now?: (() => number) | undefined;
}

const SCRUBBED_KEY = 'copy.scrubbedAt';

/** The live copy of the database as the first tier. */
export class LiveTier implements Tier {
  readonly source = 'LIVE';
  readonly store: Store;
  readonly #options: LiveTierOptions;
  readonly #clock: Clock;
  readonly #now: () => number;
  #followed: FollowedLog | undefined;
  /** When the copy was last known to hold everything in the log, in ms since 1970. */
  #equalAt = 0;
  /** Until when writers beside the gateway were looked for, in ms since 1970. */
  #scrubbedAt: number;

  constructor(options: LiveTierOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#now = options.now ?? Date.now;
    this.store = options.store;
    this.#scrubbedAt = Number(readMeta(options.database.reader, SCRUBBED_KEY) ?? 0);
  }

  /** The log that the copy follows from now on. */
  follow(log: FollowedLog): void {
    this.#followed = log;
  }

  /** Every foreign write before `at` (ms since 1970) is in the log. Durable when it resolves. */
  async scrubbed(at: number): Promise<void> {
    this.#scrubbedAt = Math.max(this.#scrubbedAt, at);
    await this.#options.database.transaction((transaction) => {
      createMeta(transaction);
      writeMeta(transaction, SCRUBBED_KEY, this.#scrubbedAt);
    });
  }

  coverage(): Coverage {
    return this.#options.copy.isComplete ? 'WHOLE' : 'NONE';
  }

  stalenessMs(): number {
    const { copy, log, exclusiveWriter } = this.#options;
    const now = this.#now();
    if (this.#followed !== undefined && copy.isSettled && copy.lagChanges === 0) {
      const equalAt = now - (this.#clock.now() - this.#followed.endKnownMs);
      this.#equalAt = Math.max(this.#equalAt, equalAt);
    }
    // Before it ever was at the head, it goes as far as its last change.
    const asOf = this.#equalAt === 0 ? log.head().at : this.#equalAt;
    return Math.max(0, now - (exclusiveWriter ? asOf : Math.min(asOf, this.#scrubbedAt)));
  }

  position(): Position {
    return this.#options.log.head();
  }

  reached(sequence: number, timeoutMs: number): Promise<boolean> {
    return this.#options.copy.reached(sequence, timeoutMs);
  }
}

export interface OpenFallbackOptions {
  readonly config: Pick<Config, 'fallback'>;
  readonly model: Model;
  /** The live copy; asked when the configuration names it. */
  readonly live: Tier;
  /** The other tiers that the configuration names. */
  readonly others?: readonly Tier[] | undefined;
  /** Takes writes while the database is away. Default: all are refused. */
  readonly journal?: Pick<FallbackOptions, 'writes' | 'recover'> | undefined;
  /** Called with each read. */
  readonly onRead?: ((question: Question<unknown>) => void) | undefined;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** The fallback as it is configured. */
export function openFallback(options: OpenFallbackOptions): Fallback {
  const { config, model, live, others = [], journal, onRead, logger, metrics } = options;
  const { tiers, deadlineMs, breaker } = config.fallback;
  const rules = new Map(model.entities.map((entity) => [entity.collection, collectionRules(entity)]));
  const fallback = new Fallback({
    tiers: tiers.flatMap((tier) => (tier === 'LIVE' ? [live] : others.filter(({ source }) => source === tier))),
    rules: (collection) => rules.get(collection) as CollectionRules,
    ...{ deadlineMs, breaker, onRead, logger, metrics: metricsOf(metrics) },
    ...{ writes: journal?.writes, recover: journal?.recover },
  });
  observe(metrics, { holdfast_fallback_open: () => (fallback.status([]).state === 'CLOSED' ? 0 : 1) });
  return fallback;
}

/** What the fallback has to know of a collection. */
export function collectionRules({ name, fields, indexes, fallback }: Entity): CollectionRules {
  const stored = fields.filter(({ kind }) => kind !== 'RELATION');
  return {
    entity: name,
    uniquePaths: indexes.flatMap(({ unique, paths }) => (unique && paths.length === 1 ? paths : [])),
    requiredPaths: stored.filter(({ required }) => required).map(({ storedName }) => storedName),
    ...fallback,
  };
}
