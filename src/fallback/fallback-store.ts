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
import { type CallParts, Calls, unavailable } from './calls.ts';
import { overlaid } from './overlay.ts';
import type { Question } from './question.ts';
import { ReadRequest } from './read-request.ts';
import type { WriteMethod } from './write-fallback.ts';

/** A read that nothing else can answer waits so long. */
const LONG_READ_MS = 10_000;
const BULK_DOCUMENT_MS = 10;

/** What a store with a fallback is made of. */
export interface FallbackParts extends CallParts {
  /** Undefined until it was reached for the first time. */
  readonly database: () => Store | undefined;
  /** Called with each read, whoever answers it. */
  readonly onRead?: ((question: Question<unknown>) => void) | undefined;
}

/**
 * The database's store with what answers in its place: reads come from the database, or from the first tier that knows the answer;
 * writes are done by the database or refused, never faked. Errors, besides those of a store: DATABASE_UNAVAILABLE
 * (`retryAfterMs`), WRITE_OUTCOME_UNKNOWN, and those of {@link Tiers.answer}.
 */
export class FallbackStore implements Store {
  readonly #parts: FallbackParts;
  readonly #calls: Calls;

  constructor(parts: FallbackParts) {
    this.#parts = parts;
    this.#calls = new Calls(parts);
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
    return new FallbackCollection(name, this.#parts, this.#calls, request);
  }

  /** The database's store is its opener's. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}

class FallbackCollection implements Collection {
  readonly name: string;
  readonly #parts: FallbackParts;
  readonly #calls: Calls;
  readonly #request: ReadRequest | undefined;

  constructor(name: string, parts: FallbackParts, calls: Calls, request: ReadRequest | undefined) {
    this.name = name;
    this.#parts = parts;
    this.#calls = calls;
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
    return this.#writeOne('insertOne', [document], options, (collection, signal) =>
      collection.insertOne(document, { ...options, signal }),
    );
  }

  insertMany(documents: readonly Document[], options: BulkOptions = {}): Promise<BulkResult> {
    const ms = this.#parts.deadlineMs.write + documents.length * BULK_DOCUMENT_MS;
    return this.#write('insertMany', [documents], options, ms, (collection, signal) =>
      collection.insertMany(documents, { ...options, signal }),
    );
  }

  updateOne(filter: Filter, update: Update, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#writeOne('updateOne', [filter, update], options, (collection, signal) =>
      collection.updateOne(filter, update, { ...options, signal }),
    );
  }

  updateMany(filter: Filter, update: Update, options: BulkOptions = {}): Promise<BulkResult> {
    return this.#writeMany('updateMany', [filter, update], options, (collection, signal) =>
      collection.updateMany(filter, update, { ...options, signal }),
    );
  }

  replaceOne(filter: Filter, document: Document, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#writeOne('replaceOne', [filter, document], options, (collection, signal) =>
      collection.replaceOne(filter, document, { ...options, signal }),
    );
  }

  deleteOne(filter: Filter, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#writeOne('deleteOne', [filter], options, (collection, signal) =>
      collection.deleteOne(filter, { ...options, signal }),
    );
  }

  deleteMany(filter: Filter, options: BulkOptions = {}): Promise<BulkResult> {
    return this.#writeMany('deleteMany', [filter], options, (collection, signal) =>
      collection.deleteMany(filter, { ...options, signal }),
    );
  }

  #question(filter: Filter, { sort, skip = 0 }: FindOptions) {
    return { collection: this.name, filter, sort, skip, count: false };
  }

  async #read<T>(asked: Question<T>, signal: AbortSignal | undefined): Promise<T> {
    const { database, deadlineMs, now, onRead } = this.#parts;
    onRead?.(asked);
    const request = this.#request ?? new ReadRequest({ signal, budgetMs: deadlineMs.read, now });
    const question = this.#overlaid(asked, request);
    const store = database();
    const ask = store && ((ended: AbortSignal) => question.ask(store.collection(this.name), ended));
    return (await this.#calls.read({ question, request, longMs: LONG_READ_MS, ask })).answer;
  }

  /** The question with what its principal wrote and the database does not have yet. */
  #overlaid<T>(question: Question<T>, request: ReadRequest): Question<T> {
    const { writes, tiers } = this.#parts;
    const overlay = writes?.overlay?.(this.name, request.principal);
    if (overlay === undefined) return question;
    const { entity } = tiers.rules(this.name);
    return overlaid(question, overlay, () =>
      request.used({ source: 'JOURNAL', entity, stalenessMs: 0, position: null }),
    );
  }

  #writeOne(
    method: WriteMethod,
    args: readonly unknown[],
    options: WriteOptions,
    run: (collection: Collection, signal: AbortSignal) => Promise<WriteResult>,
  ): Promise<WriteResult> {
    return this.#write(method, args, options, this.#parts.deadlineMs.write, run);
  }

  /** How many documents it will be is not known: each command of it has its own deadline in the store. */
  #writeMany(
    method: WriteMethod,
    args: readonly unknown[],
    options: BulkOptions,
    run: (collection: Collection, signal: AbortSignal) => Promise<BulkResult>,
  ): Promise<BulkResult> {
    return this.#write(method, args, options, Number.POSITIVE_INFINITY, run);
  }

  #write<T extends WriteResult | BulkResult>(
    method: WriteMethod,
    args: readonly unknown[],
    options: WriteOptions | BulkOptions,
    ms: number,
    run: (collection: Collection, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const store = this.#parts.database();
    const work = store && ((signal: AbortSignal) => run(store.collection(this.name), signal));
    const { principal } = this.#request ?? {};
    return this.#calls.write({ collection: this.name, method, arguments: args, options, principal, ms, run: work });
  }
}
