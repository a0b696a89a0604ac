import type { Document } from '../model/document.ts';
import { compileFilter } from '../store/filter.ts';
import { compareValues } from '../store/order.ts';
import { compileProjection } from '../store/projection.ts';
import { compileSort } from '../store/sort.ts';
import type { Collection, Filter, FindCursor, FindOptions, Sort } from '../store/store.ts';
import { type Question, soleId } from './question.ts';
import { placeOf } from './waiting.ts';

/** A document as its writer left it, though the database does not have it so yet. */
export interface OverlaidDocument {
  readonly id: unknown;
  /** Null: it was deleted. Not to be changed. */
  readonly document: Document | null;
  /** There was none below. Default false. */
  readonly isNew?: boolean | undefined;
}

/** By place ({@link placeOf}), the documents of one collection that take the place of those below. */
export type Overlay = ReadonlyMap<string, OverlaidDocument>;

/** The reads of a collection. */
type Readable = Pick<Collection, 'name' | 'findOne' | 'find' | 'findGrouped' | 'countDocuments'>;

/**
 * A question answered as if the documents of an overlay were in the collection that is asked. `onUse` is called when the answer may depend
 * on them.
 */
export function overlaid<T>(question: Question<T>, overlay: Overlay, onUse: () => void): Question<T> {
  return {
    ...question,
    ask: (collection, signal) =>
      // A question only reads.
      question.ask(new OverlaidReads(collection, overlay, onUse) as unknown as Collection, signal),
  };
}

/** The documents that match, in the order asked for. */
export function select(documents: readonly Document[], options: FindOptions): Document[] {
  const { sort, skip = 0, limit, projection } = options;
  const ordered = [...documents].sort(orderOf(sort));
  const wanted = ordered.slice(skip, limit === undefined ? undefined : skip + limit);
  return projection === undefined ? wanted : wanted.map(compileProjection(projection));
}

function orderOf(sort: Sort = {}): (a: Document, b: Document) => number {
  const bySort = compileSort(sort);
  return (a, b) => bySort(a, b) || compareValues(a._id, b._id);
}

class OverlaidReads implements Readable {
  readonly name: string;
  readonly #base: Collection;
  readonly #overlay: Overlay;
  readonly #onUse: () => void;

  constructor(base: Collection, overlay: Overlay, onUse: () => void) {
    this.name = base.name;
    this.#base = base;
    this.#overlay = overlay;
    this.#onUse = onUse;
  }

  async findOne(filter: Filter, options: FindOptions = {}): Promise<Document | null> {
    const [first] = await this.find(filter, { ...options, limit: Math.min(options.limit ?? 1, 1) }).toArray();
    return first ?? null;
  }

  find(filter: Filter, options: FindOptions = {}): FindCursor {
    const toArray = async (): Promise<Document[]> => {
      const candidates = this.#candidates(filter);
      const below = await this.#wide(options, candidates, async (wider) => [
        await this.#base.find(filter, wider).toArray(),
      ]);
      return select(this.#merged(below[0] ?? [], filter), options);
    };
    return {
      toArray,
      async *[Symbol.asyncIterator]() {
        yield* await toArray();
      },
    };
  }

  async findGrouped(
    path: string,
    keys: readonly unknown[],
    filter: Filter,
    options: FindOptions = {},
  ): Promise<Document[][]> {
    const groups = await this.#wide(options, this.#candidates({}), (wider) =>
      this.#base.findGrouped(path, keys, filter, wider),
    );
    return groups.map((below, index) => {
      const own = { $and: [{ [path]: { $eq: keys[index] } }, filter] };
      return select(this.#merged(below, own), options);
    });
  }

  async countDocuments(filter: Filter, options: Pick<FindOptions, 'signal'> = {}): Promise<number> {
    const ids = this.#candidates(filter).map(({ id }) => id);
    const [count, hidden] = await Promise.all([
      this.#base.countDocuments(filter, options),
      ids.length === 0 ? 0 : this.#base.countDocuments({ $and: [filter, { _id: { $in: ids } }] }, options),
    ]);
    const added = this.#merged([], filter).length;
    if (hidden > 0) this.#onUse();
    return count - hidden + added;
  }

  /** The documents of the overlay that a filter may concern. */
  #candidates(filter: Filter): OverlaidDocument[] {
    const sole = soleId(filter);
    if (sole === undefined) return [...this.#overlay.values()];
    const found = this.#overlay.get(placeOf(this.name, sole));
    return found === undefined ? [] : [found];
  }

  /**
   * Asks below for so much that enough is left when what the overlay hides is taken out: first as if new documents were not there; when one
   * is, because it is being replayed, for all.
   */
  async #wide(
    { skip = 0, limit, projection: _, ...options }: FindOptions,
    candidates: readonly OverlaidDocument[],
    ask: (options: FindOptions) => Promise<Document[][]>,
  ): Promise<Document[][]> {
    if (limit === undefined || limit === 0) return ask({ ...options, limit });
    const known = candidates.filter(({ isNew }) => isNew !== true).length;
    const groups = await ask({ ...options, limit: skip + limit + known });
    const surprising = groups.flat().some(({ _id }) => this.#overlay.get(placeOf(this.name, _id))?.isNew === true);
    return surprising ? ask({ ...options, limit: skip + limit + candidates.length }) : groups;
  }

  #merged(below: readonly Document[], filter: Filter): Document[] {
    const kept = below.filter(({ _id }) => !this.#overlay.has(placeOf(this.name, _id)));
    const matches = compileFilter(filter);
    const own = this.#candidates(filter).flatMap(({ document }) =>
      document !== null && matches(document) ? [document] : [],
    );
    if (own.length > 0 || kept.length < below.length) this.#onUse();
    return [...kept, ...own];
  }
}
