import type { Document } from '../model/document.ts';
import type { Collection, Filter, Sort } from '../store/store.ts';
import { isDocument } from '../store/value.ts';

/** What the model says about a collection. */
export interface CollectionRules {
  /** Name of the entity. */
  readonly entity: string;
  /** Stored paths, beside `_id`, whose values belong to one document. */
  readonly uniquePaths: readonly string[];
  /** Stored paths that are never null in the API. */
  readonly requiredPaths: readonly string[];
  /** `@fallback(lists:)`: whether lists and counts may come from a part of the collection. */
  readonly lists: 'REFUSE' | 'SAMPLE';
  /** `@fallback(masked:)`: whether made-up values are shown. */
  readonly masked: 'NULL' | 'SHOW';
  /** `@fallback(writes:)`: whether writes wait in the journal while the database is away. Default REJECT. */
  readonly writes?: 'REJECT' | 'JOURNAL' | undefined;
}

/** A read as it can be asked of any store. `T` is its answer. */
export interface Question<T> {
  readonly collection: string;
  readonly filter: Filter;
  readonly sort?: Sort | undefined;
  /** Whether it asks how many, not which. */
  readonly count: boolean;
  /** Documents passed over. */
  readonly skip: number;
  /** For documents by the values of one path. */
  readonly grouped?: { readonly path: string; readonly keys: readonly unknown[] } | undefined;
  ask(collection: Collection, signal: AbortSignal | undefined): Promise<T>;
  /** The documents of an answer, those of each key apart; a count has none. */
  groups(answer: T): readonly (readonly Document[])[];
  /** The answer with each document changed. */
  map(answer: T, change: (document: Document) => Document): T;
}

/**
 * Whether a question asks for documents by their id or by one unique value, and for nothing else: then a document that is found is
 * the whole answer, however much of the collection is there.
 */
export function isLookup({ filter, count, skip, grouped }: Question<unknown>, rules: CollectionRules): boolean {
  if (count || skip > 0) return false;
  const isUnique = (path: string): boolean => path === '_id' || rules.uniquePaths.includes(path);
  if (grouped !== undefined) return isUnique(grouped.path) && Object.keys(filter).length === 0;
  const [path, ...others] = Object.keys(filter);
  return path !== undefined && others.length === 0 && isUnique(path) && isEquality(filter[path]);
}

/** `_id` of a filter that asks for this one document and nothing else; undefined for every other filter. */
export function soleId(filter: Filter): unknown {
  const { _id: condition } = filter;
  if (Object.keys(filter).length !== 1 || !isEquality(condition)) return undefined;
  return isDocument(condition) ? condition.$eq : condition;
}

/** A value, or `{ $eq: value }`. A null is no value: any number of documents may have none. */
function isEquality(condition: unknown): boolean {
  if (condition === null || condition === undefined || condition instanceof RegExp) return false;
  if (!isDocument(condition)) return !Array.isArray(condition);
  const [operator, ...others] = Object.keys(condition);
  return operator === '$eq' && others.length === 0 && condition.$eq !== null && condition.$eq !== undefined;
}
