import type { Position } from '../model/position.ts';
import { Budget } from './deadline.ts';
import { type AnswerSource, Sources, type SourceUse } from './provenance.ts';

/** What a request asks of its reads. */
export interface ReadWishes {
  /** Who asks: sees what it wrote before the database has it. */
  readonly principal?: string | undefined;
  /** Ends the request. */
  readonly signal?: AbortSignal | undefined;
  /** Answers must hold this change. */
  readonly minPosition?: Position | undefined;
  /** Answers may be so old. */
  readonly maxStalenessMs?: number | undefined;
}

export interface ReadRequestOptions extends ReadWishes {
  /** The time its reads may wait for the database, together. */
  readonly budgetMs: number;
  /** Monotonic, in ms. */
  readonly now: () => number;
  /** Called after each answer. */
  readonly onUse?: ((sources: Sources) => void) | undefined;
}

/** The reads of one request: what it wishes, how long it may still wait, and where its answers came from. */
export class ReadRequest implements ReadWishes {
  readonly principal: string | undefined;
  readonly signal: AbortSignal | undefined;
  readonly minPosition: Position | undefined;
  readonly maxStalenessMs: number | undefined;
  readonly budget: Budget;
  readonly sources = new Sources();
  readonly #onUse: ReadRequestOptions['onUse'];

  constructor({ principal, signal, minPosition, maxStalenessMs, budgetMs, now, onUse }: ReadRequestOptions) {
    this.principal = principal;
    this.signal = signal;
    this.minPosition = minPosition;
    this.maxStalenessMs = maxStalenessMs;
    this.budget = new Budget(budgetMs, now);
    this.#onUse = onUse;
  }

  /** The database answered. */
  usedDatabase(entity: string): void {
    this.sources.addDatabase(entity);
    this.#onUse?.(this.sources);
  }

  used(use: SourceUse & { readonly source: Exclude<AnswerSource, 'DATABASE'> }): void {
    this.sources.add(use);
    this.#onUse?.(this.sources);
  }
}
