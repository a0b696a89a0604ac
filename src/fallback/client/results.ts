import type { AnswerSource } from '../provenance.ts';
import type { TierAnswer } from '../tiers.ts';

/** Where a result came from. */
export interface Provenance {
  /** JOURNAL: a write that waits. MIXED: what this process wrote and the database does not have yet is in it. */
  readonly source: AnswerSource | 'MIXED';
  /** ISO 8601: everything written before is in it. Null: now, from the database; from a dataset, not known. */
  readonly asOf: string | null;
  /** Whether the database did not answer, or not alone. */
  readonly degraded: boolean;
  /** Fields whose values are null because the copy does not have the real ones; left out when there are none. */
  readonly masked?: readonly string[];
}

/** Of a write that waits in the journal. */
export const JOURNALED: Provenance = { source: 'JOURNAL', asOf: null, degraded: true };

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

/** What is remembered of a tier's answer. `now`: ms since 1970. `isMixed`: what waits in the journal is in it. */
export function provenanceOf(
  { tier, stalenessMs, masked, isMixed }: TierAnswer<unknown> & { readonly isMixed?: boolean },
  now: number,
): Provenance {
  return {
    source: isMixed === true ? 'MIXED' : tier.source,
    asOf: Number.isFinite(stalenessMs) ? new Date(now - stalenessMs).toISOString() : null,
    degraded: true,
    ...(masked.length > 0 && { masked }),
  };
}
