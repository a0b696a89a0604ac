import { HoldfastError, isHoldfastError } from '../errors.ts';
import type { BulkResult, WriteResult } from '../store/store.ts';
import { classify } from './classify.ts';
import type { Guard } from './guard.ts';
import { RescuedError } from './guard.ts';
import type { Incidents } from './incidents.ts';
import type { Question } from './question.ts';
import type { ReadRequest } from './read-request.ts';
import type { TierAnswer, Tiers } from './tiers.ts';
import { UnknownKeys } from './unknown-keys.ts';
import { isJournaled, type OfferedWrite, type WriteFallback } from './write-fallback.ts';

/** How long the database is waited for, in ms. */
export interface DeadlinesMs {
  /** By the reads of one request, together. Default 400. */
  readonly read: number;
  /** By a write. Default 800; a bulk insert gets 10 more for each document. */
  readonly write: number;
}

export const DEFAULT_DEADLINES_MS: DeadlinesMs = { read: 400, write: 800 };

/** What clients are told to wait. */
const RETRY_AFTER_MS = 1_000;

/** Who decides where a call goes. */
export interface CallParts {
  readonly guard: Guard;
  readonly tiers: Tiers;
  readonly incidents: Incidents;
  readonly deadlineMs: DeadlinesMs;
  /** Takes writes while the database is away. Default: all are refused. */
  readonly writes?: WriteFallback | undefined;
  /** Monotonic, in ms. */
  readonly now: () => number;
}

/** A read. `D` is what the database answers, `T` what a tier does. */
export interface ReadCall<D, T> {
  readonly question: Question<T>;
  readonly request: ReadRequest;
  /** Longest wait for the database when no tier will answer, in ms. */
  readonly longMs: number;
  /** false: no tier will, whatever its coverage. Default true. */
  readonly isAnswerable?: boolean | undefined;
  /** Asks the database; undefined: it was not reached yet. The signal ends what nobody waits for any more. */
  readonly ask: ((signal: AbortSignal) => Promise<D>) | undefined;
}

/** The database's answer. */
export interface DatabaseAnswer<D> {
  readonly answer: D;
  readonly tier?: undefined;
}

/** A write. */
export interface WriteCall<R> extends OfferedWrite {
  /** Longest wait for the database, in ms. */
  readonly ms: number;
  /** Writes to the database; undefined: it was not reached yet. The signal is that of {@link WriteOptions}. */
  readonly run: ((signal: AbortSignal) => Promise<R>) | undefined;
}

/**
 * Brings calls to the database, or to what stands in for it: a read to the first tier that knows the answer, a write to who takes
 * writes in. Errors, besides the caller's own: DATABASE_UNAVAILABLE (`retryAfterMs`), WRITE_OUTCOME_UNKNOWN, and those of
 * {@link Tiers.answer}.
 */
export class Calls {
  readonly #parts: CallParts;
  readonly #unknown = new UnknownKeys();

  constructor(parts: CallParts) {
    this.#parts = parts;
  }

  async read<D, T>(call: ReadCall<D, T>): Promise<DatabaseAnswer<D> | TierAnswer<T>> {
    call.request.signal?.throwIfAborted();
    const first = await this.#askDatabase(call);
    return 'answer' in first ? first : this.#askTiers(call, first.failure);
  }

  async write<R extends WriteResult | BulkResult>({ ms, run, ...write }: WriteCall<R>): Promise<R> {
    const { incidents, writes } = this.#parts;
    const { collection } = write;
    // The result is the method's: who takes writes knows which.
    const earlier = writes?.repeated?.(write) as R | undefined;
    if (earlier !== undefined) return earlier;
    const attempt = writes?.holds?.(write)
      ? { error: unavailable(`write to "${collection}": earlier writes to the same documents wait in the journal`) }
      : await this.attempt({ collection, ms, run });
    if ('result' in attempt) {
      this.#unknown.forget(write);
      return attempt.result;
    }
    const { error } = attempt;
    const taken = writes?.take({ ...write, error });
    if (taken === undefined) throw this.#refused(write, error);
    try {
      const result = (await taken) as R;
      if (isJournaled(result)) incidents.countWrite('journaled');
      return result;
    } catch (thrown) {
      throw isHoldfastError(thrown) ? this.#refused(write, thrown) : thrown;
    }
  }

  /** The answer to a write that nobody took: what was not known stays so until the database tells. */
  #refused(write: OfferedWrite, error: HoldfastError): HoldfastError {
    const { incidents } = this.#parts;
    const answer = (error.code === 'DATABASE_UNAVAILABLE' ? this.#unknown.of(write) : undefined) ?? error;
    if (answer.code === 'WRITE_OUTCOME_UNKNOWN') {
      this.#unknown.remember(write, answer);
      incidents.countWrite('unknown');
    } else if (answer.code === 'DATABASE_UNAVAILABLE' || answer.code === 'JOURNAL_FULL') {
      incidents.countWrite('refused');
    }
    return answer;
  }

  /** What the database made of a write, or why it is not done there. @throws what is not the database's fault */
  async attempt<R>({
    collection,
    ms,
    run,
  }: Pick<WriteCall<R>, 'collection' | 'ms' | 'run'>): Promise<
    { readonly result: R } | { readonly error: HoldfastError }
  > {
    const { guard } = this.#parts;
    if (run === undefined || !guard.admits(collection, 'WRITE')) {
      return { error: unavailable(`write to "${collection}": the database is away`) };
    }
    try {
      return { result: await guard.run({ collection, operation: 'WRITE', ms, work: run }) };
    } catch (thrown) {
      const error = refusalOf(thrown, collection);
      if (error === undefined) throw thrown;
      return { error };
    }
  }

  /** The database's answer, or why a tier is to be asked. @throws what is not the database's fault */
  async #askDatabase<D, T>({
    question,
    request,
    longMs,
    isAnswerable = true,
    ask,
  }: ReadCall<D, T>): Promise<DatabaseAnswer<D> | { readonly failure: unknown }> {
    const { guard, tiers, deadlineMs } = this.#parts;
    const { collection } = question;
    const { budget, signal } = request;
    if (ask === undefined || !guard.admits(collection, 'READ')) return { failure: undefined };
    const ms = isAnswerable && tiers.isAble(question, request) ? budget.leftMs : longMs;
    if (ms === 0) return { failure: undefined };
    budget.begin();
    try {
      const answer = await guard.run({
        ...{ collection, operation: 'READ', ms, fairMs: deadlineMs.read / 2, signal },
        work: ask,
      });
      request.usedDatabase(tiers.rules(collection).entity);
      return { answer };
    } catch (error) {
      signal?.throwIfAborted();
      if (!isOfDatabase(error)) throw error;
      return { failure: error };
    } finally {
      budget.end();
    }
  }

  async #askTiers<D, T>({ question, request }: ReadCall<D, T>, failure: unknown): Promise<TierAnswer<T>> {
    const { tiers, incidents } = this.#parts;
    const { collection } = question;
    let found: TierAnswer<T> | undefined;
    try {
      found = await tiers.answer(question, request);
    } catch (error) {
      request.signal?.throwIfAborted();
      incidents.countRead(undefined);
      throw error;
    }
    if (found === undefined) {
      incidents.countRead(undefined);
      throw unavailable(
        `read "${collection}": the database does not answer, and nothing else has these documents`,
        failure,
      );
    }
    const { tier, stalenessMs, position, masked } = found;
    incidents.countRead(tier.source);
    request.used({ source: tier.source, entity: tiers.rules(collection).entity, stalenessMs, position, masked });
    return found;
  }
}

/** Whether a call failed for the database's sake, so that something else may answer it. */
export function isOfDatabase(error: unknown): boolean {
  if (error instanceof RescuedError) return true;
  const { class: fault } = classify(error);
  return fault === 'DATABASE_DOWN' || fault === 'AMBIGUOUS' || fault === 'OVERLOAD';
}

/** What a write that failed for the database's sake is answered with; undefined when it failed for another reason. */
function refusalOf(error: unknown, collection: string): HoldfastError | undefined {
  if (isHoldfastError(error)) {
    if (error.code === 'WRITE_OUTCOME_UNKNOWN') return error;
    return error.code === 'DATABASE_UNAVAILABLE' ? unavailable(error.message, error) : undefined;
  }
  switch (classify(error).class) {
    case 'DATABASE_DOWN':
    case 'OVERLOAD':
      return unavailable(`write to "${collection}": the database did not take it`, error);
    case 'AMBIGUOUS':
      return new HoldfastError('WRITE_OUTCOME_UNKNOWN', `write to "${collection}": the database did not answer`, {
        cause: error,
      });
    default:
      return undefined;
  }
}

/** DATABASE_UNAVAILABLE with the time after which it may be tried again. */
export function unavailable(message: string, cause?: unknown): HoldfastError {
  return new HoldfastError('DATABASE_UNAVAILABLE', message, { cause, details: { retryAfterMs: RETRY_AFTER_MS } });
}
