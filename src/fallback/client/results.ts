import type { AnswerSource } from '../provenance.ts';
import type { TierAnswer } from '../tiers.ts';

/** Where a result came from. */
export interface Provenance {
  readonly source: Exclude<AnswerSource, 'LIVE' | 'JOURNAL'>;
  /** ISO 8601: everything written before is in it. Null: now, from the database; from a dataset, not known. */
  readonly asOf: string | null;
  /** Whether the database did not answer. */
  readonly degraded: boolean;
  /** Fields whose values are null because the copy does not have the real ones; left out when there are none. */
  readonly masked?: readonly string[];
}

const FROM_DATABASE: Provenance = { source: 'DATABASE', asOf: null, degraded: false };

/** Results that did not come from the database, and the promises of such. */
const known = new WeakMap<object, Provenance>();

/**
 * Where a result of a client came from: a document, an array of them, a cursor, or a promise that such a client gave. For null and
 * counts, which are no objects, ask about the promise. Undefined for what is no object.
 */
export function provenance(result: object): Provenance;
export function provenance(result: unknown): Provenance | undefined;
export function provenance(result: unknown): Provenance | undefined {
  if ((typeof result !== 'object' && typeof result !== 'function') || result === null) return undefined;
  return known.get(result) ?? FROM_DATABASE;
}

/** Remembers where `result` came from, and returns it. */
export function mark<T>(result: T, from: Provenance | undefined): T {
  if (from !== undefined && typeof result === 'object' && result !== null) known.set(result, from);
  return result;
}

/** What is remembered of a tier's answer. `now`: ms since 1970. */
export function provenanceOf({ tier, stalenessMs, masked }: TierAnswer<unknown>, now: number): Provenance {
  return {
    source: tier.source as Provenance['source'],
    asOf: Number.isFinite(stalenessMs) ? new Date(now - stalenessMs).toISOString() : null,
    degraded: true,
    ...(masked.length > 0 && { masked }),
  };
}
