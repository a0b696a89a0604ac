import type { Config } from '../config.ts';
import { Fallback, type FallbackOptions } from '../fallback/fallback.ts';
import type { CollectionRules, Question } from '../fallback/question.ts';
import type { Tier } from '../fallback/tiers.ts';
import type { Entity, Field, Model } from '../model/entity.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type MetricsRegistry, metricsOf, observe } from '../telemetry/metrics.ts';

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
  const rules = new Map(model.entities.map((entity) => [entity.collection, collectionRules(entity, model)]));
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
export function collectionRules(
  { name, fields, indexes, fallback }: Entity,
  { objects }: Pick<Model, 'objects'>,
): CollectionRules {
  return {
    entity: name,
    uniquePaths: indexes.flatMap(({ unique, paths }) => (unique && paths.length === 1 ? paths : [])),
    requiredPaths: requiredIn(fields, objects, []),
    ...fallback,
  };
}

/** Stored paths of fields that are never null, also of nested objects; one inside itself is not followed. */
function requiredIn(fields: readonly Field[], objects: Model['objects'], around: readonly string[]): string[] {
  return fields.flatMap(({ kind, type, storedName, required }) => {
    if (kind === 'RELATION') return [];
    const nested = kind === 'OBJECT' && !around.includes(type) ? (objects.get(type)?.fields ?? []) : [];
    const inside = requiredIn(nested, objects, [...around, type]).map((path) => `${storedName}.${path}`);
    return required ? [storedName, ...inside] : inside;
  });
}
