import { z } from 'zod';
import type { Document } from '../model/document.ts';
import { isDocument } from '../store/value.ts';
import { mentioned } from './masked.ts';
import { type CollectionRules, isLookup, type Question } from './question.ts';

/** Stands for any value of a query; values are never kept. */
const ANY = '?';
/** Longest shape that is kept, in characters: longer ones are counted, no more. */
const MAX_LENGTH = 2_000;
/** Shapes kept by default. */
const MAX_SHAPES = 2_000;

const shapeSchema = z.object({
  collection: z.string(),
  /** The filter with `?` for each value. */
  filter: z.record(z.string(), z.unknown()),
  /** Paths ordered by. */
  sort: z.array(z.string()),
  count: z.boolean(),
  skips: z.boolean(),
  /** Path of the keys of a relation. */
  grouped: z.string().nullable(),
  /** How often it was asked. */
  times: z.int().nonnegative(),
});

/** What a query looks like, without its values. */
export type QueryShape = Readonly<z.output<typeof shapeSchema>>;

const recordedSchema = z.object({ shapes: z.array(shapeSchema), others: z.int().nonnegative() });

/** What was recorded. */
export interface RecordedShapes {
  readonly shapes: readonly QueryShape[];
  /** Queries of shapes that were not kept: too long, or too many different ones. */
  readonly others: number;
}

type Asked = Pick<Question<unknown>, 'collection' | 'filter' | 'sort' | 'count' | 'skip' | 'grouped'>;

/** Counts queries by their shape, in bounded memory. */
export class ShapeRecorder {
  readonly #max: number;
  readonly #shapes = new Map<string, { readonly shape: Omit<QueryShape, 'times'>; times: number }>();
  #others = 0;

  constructor({ max = MAX_SHAPES }: { readonly max?: number } = {}) {
    this.#max = max;
  }

  record({ collection, filter, sort = {}, count, skip, grouped }: Asked): void {
    const shape = {
      ...{ collection, filter: withoutValues(filter), sort: Object.keys(sort) },
      ...{ count, skips: skip > 0, grouped: grouped?.path ?? null },
    };
    const text = JSON.stringify(shape);
    const known = this.#shapes.get(text);
    if (known !== undefined) known.times += 1;
    else if (text.length > MAX_LENGTH || this.#shapes.size >= this.#max) this.#others += 1;
    else this.#shapes.set(text, { shape, times: 1 });
  }

  /** The most frequent first. */
  list(): RecordedShapes {
    const shapes = [...this.#shapes.values()].map(({ shape, times }) => ({ ...shape, times }));
    return { shapes: shapes.sort((a, b) => b.times - a.times), others: this.#others };
  }

  /** Goes on from what {@link list} gave earlier. */
  restore({ shapes, others }: RecordedShapes): void {
    for (const { times, ...shape } of shapes) this.#shapes.set(JSON.stringify(shape), { shape, times });
    this.#others += others;
  }
}

/** Reads what {@link ShapeRecorder.list} gave, as JSON; undefined for anything else. */
export function parseShapes(text: string): RecordedShapes | undefined {
  try {
    return recordedSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/**
 * Whether a copy can answer queries of this shape. PERHAPS: a query for one document, which is answered when the copy, which is not
 * complete, has the document.
 */
export type Answerable = 'YES' | 'PERHAPS' | 'NO';

/** What a copy is like, for {@link answerable}. */
export interface Copy {
  readonly complete: boolean;
  /** Stored paths of made-up values. */
  readonly masked: readonly string[];
}

/** `copy` is undefined where a tier has nothing of the collection. */
export function answerable(shape: QueryShape, copy: Copy | undefined, rules: CollectionRules): Answerable {
  if (copy === undefined) return 'NO';
  const { filter, sort, grouped } = shape;
  const paths = [...sort, ...(grouped === null ? [] : [grouped])];
  if (mentioned(copy.masked, [filter], paths) !== undefined) return 'NO';
  if (copy.complete || rules.lists === 'SAMPLE') return 'YES';
  const question = {
    ...shape,
    skip: shape.skips ? 1 : 0,
    grouped: grouped === null ? undefined : { path: grouped, keys: [] },
  };
  return isLookup(question as unknown as Question<unknown>, rules) ? 'PERHAPS' : 'NO';
}

/** Operators that hold filters, and those that hold a filter or conditions. */
const LOGICAL = ['$and', '$or', '$nor'];
const NESTED = ['$elemMatch', '$not'];

/** Operators and paths stay, values become `?`; a null stays, because it asks another question. */
function withoutValues(filter: Document): Document {
  return Object.fromEntries(Object.entries(filter).map(([key, value]) => [key, withoutValue(key, value)]));
}

function withoutValue(key: string, value: unknown): unknown {
  if (value === null || value === undefined) return null;
  if (LOGICAL.includes(key) && Array.isArray(value)) {
    return value.map((clause) => (isDocument(clause) ? withoutValues(clause) : ANY));
  }
  if (Array.isArray(value)) return [ANY];
  const isInner = isDocument(value) && (NESTED.includes(key) || (!key.startsWith('$') && hasOperators(value)));
  return isInner ? withoutValues(value) : ANY;
}

function hasOperators(value: Document): boolean {
  return Object.keys(value).some((key) => key.startsWith('$'));
}
