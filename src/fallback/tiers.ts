import { HoldfastError, isHoldfastError } from '../errors.ts';
import { comparePositions, formatPosition, type Position } from '../model/position.ts';
import type { Store } from '../store/store.ts';
import { masked, mentioned } from './masked.ts';
import type { AnswerSource } from './provenance.ts';
import { type CollectionRules, isLookup, type Question } from './question.ts';
import type { ReadRequest } from './read-request.ts';

/** What answers when the database does not, the best first. */
export const TierSource = { LIVE: 'LIVE', SNAPSHOT: 'SNAPSHOT', DATASET: 'DATASET' } as const satisfies Partial<
  Record<AnswerSource, string>
>;
export type TierSource = (typeof TierSource)[keyof typeof TierSource];

/** How much of a collection a tier has. */
export const Coverage = {
  /** Every document, as of some moment. */
  WHOLE: 'WHOLE',
  /** Some of them: what is not there may exist. */
  PART: 'PART',
  NONE: 'NONE',
} as const;
export type Coverage = (typeof Coverage)[keyof typeof Coverage];

/** A copy of the data that reads are answered from while the database is away. */
export interface Tier {
  readonly source: TierSource;
  readonly store: Store;
  coverage(collection: string): Coverage;
  /** Age of what it has of a collection, in ms: everything that happened before then is in it. Infinity when that is not known. */
  stalenessMs(collection: string): number;
  /** The change up to which it goes; null when it does not come from the change log. */
  position(): Position | null;
  /** Resolves when it holds `sequence`, or after `timeoutMs`. Left out: it does not move. */
  reached?(sequence: number, timeoutMs: number): Promise<boolean>;
  /** Stored paths whose values were replaced by made-up ones. Default: none. */
  maskedPaths?(collection: string): readonly string[];
}

/** An answer and the tier that gave it. */
export interface TierAnswer<T> {
  readonly answer: T;
  readonly tier: Tier;
  readonly stalenessMs: number;
  readonly position: Position | null;
  readonly masked: readonly string[];
}

/** How long a read waits for a position that a tier has not reached yet, in ms. */
const POSITION_WAIT_MS = 200;

/** The copies in their order. Never a wrong answer: what a tier cannot know it refuses, and the next one is asked. */
export class Tiers {
  readonly #tiers: readonly Tier[];
  readonly #rules: (collection: string) => CollectionRules;

  constructor(tiers: readonly Tier[], rules: (collection: string) => CollectionRules) {
    this.#tiers = tiers;
    this.#rules = rules;
  }

  list(): readonly Tier[] {
    return this.#tiers;
  }

  rules(collection: string): CollectionRules {
    return this.#rules(collection);
  }

  /** Whether some tier will probably answer: for whether it is worth while to give up on the database early. */
  isAble(question: Question<unknown>, request: ReadRequest): boolean {
    const rules = this.#rules(question.collection);
    return this.#tiers.some((tier) => {
      if (lacks(tier, request.minPosition) || isTooOld(tier, question, request)) return false;
      const coverage = tier.coverage(question.collection);
      return coverage === 'WHOLE' || (coverage === 'PART' && (rules.lists === 'SAMPLE' || isLookup(question, rules)));
    });
  }

  /**
   * The answer of the first tier that knows it; undefined when there is none for the collection.
   * @throws the first refusal: FALLBACK_UNSUPPORTED (`operator`), FALLBACK_COVERAGE_UNKNOWN, STALE_READ; the caller's own mistakes
   */
  async answer<T>(question: Question<T>, request: ReadRequest): Promise<TierAnswer<T> | undefined> {
    const refusals: HoldfastError[] = [];
    for (const tier of this.#tiers) {
      if (tier.coverage(question.collection) === 'NONE') continue;
      try {
        return await this.#ask(tier, question, request);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        refusals.push(error);
      }
    }
    if (refusals[0] !== undefined) throw refusals[0];
    return undefined;
  }

  async #ask<T>(tier: Tier, question: Question<T>, request: ReadRequest): Promise<TierAnswer<T>> {
    const { collection } = question;
    const rules = this.#rules(collection);
    const maskedPaths = tier.maskedPaths?.(collection) ?? [];
    refuseMasked(tier, question, maskedPaths);
    const whole = tier.coverage(collection) === 'WHOLE';
    const unsure = !whole && rules.lists === 'REFUSE';
    if (unsure && !isLookup(question, rules)) throw uncovered(tier, question);
    await fresh(tier, question, request);
    const stalenessMs = tier.stalenessMs(collection);
    const position = tier.position();
    const answer = await asked(tier, question, request);
    if (unsure && question.groups(answer).some(({ length }) => length === 0)) throw uncovered(tier, question);
    if (maskedPaths.length === 0) return { answer, tier, stalenessMs, position, masked: maskedPaths };
    const change = masked(maskedPaths, rules);
    return { answer: question.map(answer, change), tier, stalenessMs, position, masked: maskedPaths };
  }
}

function isRefusal(error: unknown): error is HoldfastError {
  return (
    isHoldfastError(error, 'FALLBACK_UNSUPPORTED') ||
    isHoldfastError(error, 'FALLBACK_COVERAGE_UNKNOWN') ||
    isHoldfastError(error, 'STALE_READ')
  );
}

async function asked<T>(tier: Tier, question: Question<T>, { signal }: ReadRequest): Promise<T> {
  try {
    return await question.ask(tier.store.collection(question.collection), signal);
  } catch (error) {
    if (!isHoldfastError(error, 'UNSUPPORTED_OPERATOR')) throw error;
    throw unsupported(tier, question, String(error.details.operator), error);
  }
}

function refuseMasked(tier: Tier, question: Question<unknown>, maskedPaths: readonly string[]): void {
  if (maskedPaths.length === 0) return;
  const { filter, sort = {}, grouped } = question;
  const path = mentioned(
    maskedPaths,
    [filter],
    [...Object.keys(sort), ...(grouped === undefined ? [] : [grouped.path])],
  );
  if (path !== undefined) throw unsupported(tier, question, path);
}

/** Waits until the tier holds what the request wants to see. @throws STALE_READ */
async function fresh(tier: Tier, question: Question<unknown>, request: ReadRequest): Promise<void> {
  const { collection } = question;
  const { minPosition, maxStalenessMs, signal } = request;
  if (minPosition !== undefined && lacks(tier, minPosition)) {
    const comes = tier.position()?.epoch === minPosition.epoch;
    const came = comes && (await tier.reached?.(minPosition.sequence, POSITION_WAIT_MS));
    signal?.throwIfAborted();
    if (came !== true) throw stale(tier, collection, `without the wanted change ${formatPosition(minPosition)}`);
  }
  if (isTooOld(tier, question, request)) {
    throw stale(tier, collection, `older than the ${maxStalenessMs} ms allowed`);
  }
}

/** Whether a tier does not hold a change yet. */
function lacks(tier: Tier, minPosition: Position | undefined): boolean {
  if (minPosition === undefined) return false;
  const position = tier.position();
  return position === null || comparePositions(position, minPosition) < 0;
}

function isTooOld(tier: Tier, { collection }: Question<unknown>, { maxStalenessMs }: ReadRequest): boolean {
  return maxStalenessMs !== undefined && tier.stalenessMs(collection) > maxStalenessMs;
}

const NAMES: Readonly<Record<TierSource, string>> = {
  LIVE: 'the live copy',
  SNAPSHOT: 'the last snapshot',
  DATASET: 'the dataset',
};

function stale(tier: Tier, collection: string, reason: string): HoldfastError {
  const at = tier.position();
  const lagMs = tier.stalenessMs(collection);
  return new HoldfastError('STALE_READ', `the database is away, and ${NAMES[tier.source]} is ${reason}`, {
    details: {
      position: at === null ? null : formatPosition(at),
      lagMs: Number.isFinite(lagMs) ? Math.round(lagMs) : null,
    },
  });
}

function unsupported(
  { source }: Tier,
  { collection }: Question<unknown>,
  operator: string,
  cause?: unknown,
): HoldfastError {
  return new HoldfastError(
    'FALLBACK_UNSUPPORTED',
    `the database is away, and ${NAMES[source]} of "${collection}" cannot answer a query with ${operator}`,
    { cause, details: { operator } },
  );
}

function uncovered({ source }: Tier, { collection, count }: Question<unknown>): HoldfastError {
  return new HoldfastError(
    'FALLBACK_COVERAGE_UNKNOWN',
    `the database is away, and ${NAMES[source]} has only a part of "${collection}": ${count ? 'how many there are' : 'what else there is'} is not known`,
  );
}
