import { HoldfastError, isHoldfastError } from '../errors.ts';
import type { Document } from '../model/document.ts';
import type {
  BulkOptions,
  BulkResult,
  Collection,
  Filter,
  FindCursor,
  FindOptions,
  Store,
  StoreCapabilities,
  Update,
  WriteOptions,
  WriteResult,
} from '../store/store.ts';
import { classify } from './classify.ts';
import type { Guard } from './guard.ts';
import { RescuedError } from './guard.ts';
import type { Incidents } from './incidents.ts';
import type { Question } from './question.ts';
import { ReadRequest } from './read-request.ts';
import type { Tiers } from './tiers.ts';
import type { WriteFallback, WriteMethod } from './write-fallback.ts';

/** How long the database is waited for, in ms. */
export interface DeadlinesMs {
  /** By the reads of one request, together. Default 400. */
  readonly read: number;
  /** By a write. Default 800; a bulk insert gets 10 more for each document. */
  readonly write: number;
}

export const DEFAULT_DEADLINES_MS: DeadlinesMs = { read: 400, write: 800 };

/** A read that nothing else can answer waits so long. */
const LONG_READ_MS = 10_000;
const BULK_DOCUMENT_MS = 10;
/** What clients are told to wait. */
const RETRY_AFTER_MS = 1_000;

/** What a store with a fallback is made of. */
export interface FallbackParts {
  /** Undefined until it was reached for the first time. */
  readonly database: () => Store | undefined;
  readonly guard: Guard;
  readonly tiers: Tiers;
  readonly incidents: Incidents;
  readonly deadlineMs: DeadlinesMs;
  /** Takes writes while the database is away. Default: all are refused. */
  readonly writes?: WriteFallback | undefined;
  /** Called with each read, whoever answers it. */
  readonly onRead?: ((question: Question<unknown>) => void) | undefined;
  /** Monotonic, in ms. */
  readonly now: () => number;
}

/**
 * The database's store with what answers in its place: reads come from the database, or from the first tier that knows the answer;
 * writes are done by the database or refused, never faked. Errors, besides those of a store: DATABASE_UNAVAILABLE
 * (`retryAfterMs`), WRITE_OUTCOME_UNKNOWN, and those of {@link Tiers.answer}.
 */
export class FallbackStore implements Store {
  readonly #parts: FallbackParts;

  constructor(parts: FallbackParts) {
    this.#parts = parts;
  }

  /** Of the database; before it was reached, of the first tier. */
  get capabilities(): StoreCapabilities {
    const { database, tiers } = this.#parts;
    const store = database() ?? tiers.list()[0]?.store;
    if (store === undefined) throw unavailable('the database was not reached yet');
    return store.capabilities;
  }

  /** `request` is shared by the reads of one request; without it each read is its own. */
  collection(name: string, request?: ReadRequest): Collection {
    return new FallbackCollection(name, this.#parts, request);
  }

  /** The database's store is its opener's. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}

class FallbackCollection implements Collection {
  readonly name: string;
  readonly #parts: FallbackParts;
  readonly #request: ReadRequest | undefined;

  constructor(name: string, parts: FallbackParts, request: ReadRequest | undefined) {
    this.name = name;
    this.#parts = parts;
    this.#request = request;
  }

  findOne(filter: Filter, options: FindOptions = {}): Promise<Document | null> {
    return this.#read<Document | null>(
      {
        ...this.#question(filter, options),
        ask: (collection, signal) => collection.findOne(filter, { ...options, signal }),
        groups: (document) => [document === null ? [] : [document]],
        map: (document, change) => document && change(document),
      },
      options.signal,
    );
  }

  /** The documents are read whole before the first is given: they come from one source. */
  find(filter: Filter, options: FindOptions = {}): FindCursor {
    const toArray = (): Promise<Document[]> =>
      this.#read<Document[]>(
        {
          ...this.#question(filter, options),
          ask: (collection, signal) => collection.find(filter, { ...options, signal }).toArray(),
          groups: (documents) => [documents],
          map: (documents, change) => documents.map(change),
        },
        options.signal,
      );
    return {
      toArray,
      async *[Symbol.asyncIterator]() {
        yield* await toArray();
      },
    };
  }

  findGrouped(
    path: string,
    keys: readonly unknown[],
    filter: Filter,
    options: FindOptions = {},
  ): Promise<Document[][]> {
    return this.#read<Document[][]>(
      {
        ...this.#question(filter, options),
        grouped: { path, keys },
        ask: (collection, signal) => collection.findGrouped(path, keys, filter, { ...options, signal }),
        groups: (groups) => groups,
        map: (groups, change) => groups.map((documents) => documents.map(change)),
      },
      options.signal,
    );
  }

  countDocuments(filter: Filter, options: Pick<FindOptions, 'signal'> = {}): Promise<number> {
    return this.#read<number>(
      {
        ...this.#question(filter, {}),
        count: true,
        ask: (collection, signal) => collection.countDocuments(filter, { signal }),
        groups: () => [],
        map: (count) => count,
      },
      options.signal,
    );
  }

  insertOne(document: Document, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#writeOne('insertOne', [document], options, (collection) => collection.insertOne(document, options));
  }

  insertMany(documents: readonly Document[], options: BulkOptions = {}): Promise<BulkResult> {
    const ms = this.#parts.deadlineMs.write + documents.length * BULK_DOCUMENT_MS;
    return this.#write('insertMany', [documents], options, ms, (collection) =>
      collection.insertMany(documents, options),
    );
  }

  updateOne(filter: Filter, update: Update, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#writeOne('updateOne', [filter, update], options, (collection) =>
      collection.updateOne(filter, update, options),
    );
  }

  updateMany(filter: Filter, update: Update, options: BulkOptions = {}): Promise<BulkResult> {
    return this.#writeMany('updateMany', [filter, update], options, (collection) =>
      collection.updateMany(filter, update, options),
    );
  }

  replaceOne(filter: Filter, document: Document, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#writeOne('replaceOne', [filter, document], options, (collection) =>
      collection.replaceOne(filter, document, options),
    );
  }

  deleteOne(filter: Filter, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#writeOne('deleteOne', [filter], options, (collection) => collection.deleteOne(filter, options));
  }

  deleteMany(filter: Filter, options: BulkOptions = {}): Promise<BulkResult> {
    return this.#writeMany('deleteMany', [filter], options, (collection) => collection.deleteMany(filter, options));
  }

  #question(filter: Filter, { sort, skip = 0 }: FindOptions) {
    return { collection: this.name, filter, sort, skip, count: false };
  }

  async #read<T>(question: Question<T>, signal: AbortSignal | undefined): Promise<T> {
    const { deadlineMs, now, onRead } = this.#parts;
    onRead?.(question);
    const request = this.#request ?? new ReadRequest({ signal, budgetMs: deadlineMs.read, now });
    request.signal?.throwIfAborted();
    const first = await this.#askDatabase(question, request);
    return 'answer' in first ? first.answer : this.#askTiers(question, request, first.failure);
  }

  /** The database's answer, or why a tier is to be asked. @throws what is not the database's fault */
  async #askDatabase<T>(
    question: Question<T>,
    request: ReadRequest,
  ): Promise<{ readonly answer: T } | { readonly failure: unknown }> {
    const { database, guard, tiers, deadlineMs } = this.#parts;
    const { name } = this;
    const { budget, signal } = request;
    const store = database();
    if (store === undefined || !guard.admits(name, 'READ')) return { failure: undefined };
    const ms = tiers.isAble(question, request) ? budget.leftMs : LONG_READ_MS;
    if (ms === 0) return { failure: undefined };
    budget.begin();
    try {
      const answer = await guard.run({
        ...{ collection: name, operation: 'READ', ms, fairMs: deadlineMs.read / 2, signal },
        work: (ended) => question.ask(store.collection(name), ended),
      });
      request.usedDatabase(tiers.rules(name).entity);
      return { answer };
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof RescuedError) && !isOfDatabase(error)) throw error;
      return { failure: error };
    } finally {
      budget.end();
    }
  }

  async #askTiers<T>(question: Question<T>, request: ReadRequest, failure: unknown): Promise<T> {
    const { tiers, incidents } = this.#parts;
    let found: Awaited<ReturnType<typeof tiers.answer<T>>>;
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
        `read "${this.name}": the database does not answer, and nothing else has these documents`,
        failure,
      );
    }
    const { answer, tier, stalenessMs, position, masked } = found;
    incidents.countRead(tier.source);
    request.used({ source: tier.source, entity: tiers.rules(this.name).entity, stalenessMs, position, masked });
    return answer;
  }

  #writeOne(
    method: WriteMethod,
    args: readonly unknown[],
    options: WriteOptions,
    run: (collection: Collection) => Promise<WriteResult>,
  ): Promise<WriteResult> {
    return this.#write(method, args, options, this.#parts.deadlineMs.write, run);
  }

  /** How many documents it will be is not known: each command of it has its own deadline in the store. */
  #writeMany(
    method: WriteMethod,
    args: readonly unknown[],
    options: BulkOptions,
    run: (collection: Collection) => Promise<BulkResult>,
  ): Promise<BulkResult> {
    return this.#write(method, args, options, Number.POSITIVE_INFINITY, run);
  }

  async #write<T extends WriteResult | BulkResult>(
    method: WriteMethod,
    args: readonly unknown[],
    options: WriteOptions | BulkOptions,
    ms: number,
    run: (collection: Collection) => Promise<T>,
  ): Promise<T> {
    const { database, guard, incidents, writes } = this.#parts;
    const { name } = this;
    const store = database();
    let error: HoldfastError;
    if (store === undefined || !guard.admits(name, 'WRITE')) {
      error = unavailable(`write to "${name}": the database is away`);
    } else {
      try {
        const work = (): Promise<T> => run(store.collection(name));
        return await guard.run({ collection: name, operation: 'WRITE', ms, work });
      } catch (thrown) {
        const refusal = refusalOf(thrown, name);
        if (refusal === undefined) throw thrown;
        error = refusal;
      }
    }
    const taken = writes?.take({ collection: name, method, arguments: args, options, error });
    if (taken !== undefined) {
      // Its result is the method's: who takes a write knows which.
      const result = (await taken) as T;
      incidents.countWrite('journaled');
      return result;
    }
    incidents.countWrite(error.code === 'WRITE_OUTCOME_UNKNOWN' ? 'unknown' : 'refused');
    throw error;
  }
}

function isOfDatabase(error: unknown): boolean {
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

function unavailable(message: string, cause?: unknown): HoldfastError {
  return new HoldfastError('DATABASE_UNAVAILABLE', message, { cause, details: { retryAfterMs: RETRY_AFTER_MS } });
}
