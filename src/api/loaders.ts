import DataLoader from 'dataloader';
import { type Document, encodeValue } from '../model/document.ts';
import type { Entity } from '../model/entity.ts';
import type { DataService, RequestContext } from '../service/data-service.ts';
import type { Filter, FindOptions } from '../store/store.ts';
import type { View } from './shapes.ts';

/** The far side of a relation. */
export interface RelatedSource {
  readonly target: Entity;
  /** Stored path of the target that equals the key. */
  readonly path: string;
  /** How its documents are shown. */
  readonly view: View;
}

/** Which documents of a relation are wanted for each key. */
export interface RelatedQuery {
  readonly filter: Filter;
  readonly options: FindOptions;
}

/** The first document of a relation to one; which one if there are several is settled by `_id`. */
const FIRST: RelatedQuery = { filter: {}, options: { limit: 1 } };

type Grouped = (keys: readonly unknown[]) => Promise<Document[][]>;

/**
 * Documents of relations for one operation. Whatever is asked for in one turn of the event loop, of one source with
 * equal arguments, is one call of the service: one for each level of a query, however many documents the level has.
 */
export class RelationLoaders {
  readonly #service: DataService;
  readonly #request: RequestContext;
  readonly #one = new Map<RelatedSource, Loaders<Document | null>>();
  readonly #many = new Map<RelatedSource, Map<string, Loaders<Document[]>>>();

  constructor(service: DataService, request: RequestContext) {
    this.#service = service;
    this.#request = request;
  }

  /** The view of the document with this key, or null; at once when it was read {@link ahead}. */
  one(source: RelatedSource, key: unknown): Document | null | Promise<Document | null> {
    const loaders = this.#oneOf(source);
    const known = loaders.known(key);
    return known === undefined ? loaders.load(key) : known;
  }

  /** Reads the documents with these keys, so that {@link one} has them. Never fails: what could not be read is asked for again. */
  async ahead(source: RelatedSource, keys: Iterable<string>): Promise<void> {
    await this.#oneOf(source).ahead(keys);
  }

  /**
   * The views of the documents with this key. `variant` names the arguments: equal for equal queries, for which `query`
   * is called once.
   */
  many(
    source: RelatedSource,
    key: unknown,
    variant: string,
    query: () => RelatedQuery | Promise<RelatedQuery>,
  ): Promise<Document[]> {
    let variants = this.#many.get(source);
    if (variants === undefined) {
      variants = new Map();
      this.#many.set(source, variants);
    }
    let loaders = variants.get(variant);
    if (loaders === undefined) {
      loaders = new Loaders(this.#grouped(source, query));
      variants.set(variant, loaders);
    }
    return loaders.load(key);
  }

  /** Forgets what was read: it may have been written since. */
  clear(): void {
    this.#one.clear();
    this.#many.clear();
  }

  #oneOf(source: RelatedSource): Loaders<Document | null> {
    let loaders = this.#one.get(source);
    if (loaders === undefined) {
      const grouped = this.#grouped(source, () => FIRST);
      loaders = new Loaders(async (keys) => (await grouped(keys)).map(([document]) => document ?? null));
      this.#one.set(source, loaders);
    }
    return loaders;
  }

  #grouped({ target, path, view }: RelatedSource, query: () => RelatedQuery | Promise<RelatedQuery>): Grouped {
    let asked: RelatedQuery | Promise<RelatedQuery> | undefined;
    return async (keys) => {
      asked ??= query();
      const { filter, options } = await asked;
      const groups = await this.#service.findGrouped(target, path, keys, filter, options, this.#request);
      return groups.map((documents) => documents.map(view));
    };
  }
}

/**
 * One loader for texts, which are their own cache keys, and one for keys of other types. A relation has keys of one
 * type.
 */
class Loaders<T> {
  readonly #load: (keys: readonly unknown[]) => Promise<readonly T[]>;
  readonly #known = new Map<unknown, T>();
  /** One load for each list of texts: a promise for each text would cost more than the documents. */
  #ahead: DataLoader<Iterable<string>, undefined> | undefined;
  #texts: DataLoader<unknown, T> | undefined;
  #others: DataLoader<unknown, T, string> | undefined;

  constructor(load: (keys: readonly unknown[]) => Promise<readonly T[]>) {
    this.#load = load;
  }

  load(key: unknown): Promise<T> {
    if (typeof key === 'string') {
      this.#texts ??= new DataLoader(this.#load);
      return this.#texts.load(key);
    }
    this.#others ??= new DataLoader(this.#load, { cacheKeyFn: encodeValue });
    return this.#others.load(key);
  }

  /** What was loaded {@link ahead} for this key. */
  known(key: unknown): T | undefined {
    return this.#known.get(key);
  }

  /** Loads texts that are {@link known} then. Never fails. */
  async ahead(texts: Iterable<string>): Promise<void> {
    this.#ahead ??= new DataLoader((lists) => this.#loadAhead(lists), { cache: false });
    await this.#ahead.load(texts).catch(() => undefined);
  }

  /** Of all lists of one turn of the event loop. */
  async #loadAhead(lists: readonly Iterable<string>[]): Promise<undefined[]> {
    const texts = [...new Set(lists.flatMap((list) => [...list]))].filter((text) => !this.#known.has(text));
    const loaded = texts.length === 0 ? [] : await this.#load(texts);
    for (const [i, value] of loaded.entries()) this.#known.set(texts[i], value);
    return lists.map(() => undefined);
  }
}
