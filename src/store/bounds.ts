import type { Document } from '../model/document.ts';
import { inRange, RANGES, type RangeOperator } from './comparison.ts';
import { isOperatorDocument } from './condition.ts';
import { keyOf, prefixRange } from './key.ts';
import { fieldOf, type Path, parsePath, valuesAt } from './path.ts';
import { literalPrefix } from './regex.ts';
import { isDocument, Rank, rankOf, regexParts } from './value.ts';

/**
 * Keys from `low`, inclusive, to `high`, exclusive, by memcmp. The range of one value holds every key that begins with the value's:
 * its `high` is its `low` and 255. No other range looks so.
 */
export interface KeyRange {
  readonly low: Uint8Array;
  readonly high: Uint8Array;
}

export interface Bounds {
  /** Ascending and disjoint; none when nothing can match. */
  readonly ranges: readonly KeyRange[];
  /**
   * Whether the ranges alone decide the whole filter for a document with a single key: it matches exactly when its key is inside.
   * Never true of a filter that also asks about another path.
   */
  readonly exact: boolean;
}

export interface BoundsOptions {
  /**
   * Promises that no document has more than one key for the path. Conditions then narrow each other; otherwise `{$gt: 1, $lt: 5}` may
   * be met by two elements of one array, neither of them between 1 and 5, and only one condition can be used. Default false.
   */
  readonly single?: boolean | undefined;
}

/**
 * Ranges of keys in which every document that matches `filter` has at least one of its {@link indexKeys} for `path`; undefined when
 * the filter says nothing about the path that ranges can express. Read from equality, `$in`, range operators, null,
 * `$exists: false`, `$all`, regular expressions (by their literal prefix), `$and` and `$or`. The filter must have passed
 * compileFilter.
 */
export function boundsOf(filter: Document, path: string, { single = false }: BoundsOptions = {}): Bounds | undefined {
  return ofFilter(filter, path, single);
}

/**
 * The keys under which a document stands in an index of `path`; distinct, at least one. They are the keys of all values a filter
 * tests at the path: each element of an array and the array as a whole; null when the field is missing or the path
 * leads nowhere. An empty array has the one-byte key {@link Rank.EMPTY}, before null, where sorts put it. A document whose path
 * leads through an array has that key or null as well, so that it always has more than one: a store sees by this that the keys
 * of an index neither sort its documents nor decide a filter alone.
 */
export function indexKeys(document: Document, path: string | Path): Uint8Array[] {
  const parsed = typeof path === 'string' ? parsedPath(path) : path;
  if (parsed.parts.length === 1) {
    const value = fieldOf(document, parsed.parts[0] as string);
    if (!Array.isArray(value)) return [keyOf(value)];
  }
  const values = valuesAt(document, parsed);
  const throughArray = leadsThroughArray(document, parsed);
  if (values.length === 1 && !throughArray) return [keyOfIndexed(values[0])];
  const keys = values.length === 0 ? [NULL_KEY] : values.map(keyOfIndexed);
  if (throughArray) keys.push(values.length > 0 && values.every(isEmptyArray) ? NULL_KEY : EMPTY_KEY);
  return distinct(keys);
}

/** Paths of indexes, which are few and come with every document written. */
const parsedPaths = new Map<string, Path>();

function parsedPath(text: string): Path {
  let path = parsedPaths.get(text);
  if (path === undefined) {
    path = parsePath(text);
    parsedPaths.set(text, path);
  }
  return path;
}

const EMPTY_KEY = Uint8Array.of(Rank.EMPTY);
const NULL_KEY = Uint8Array.of(Rank.NULL);

function keyOfIndexed(value: unknown): Uint8Array {
  return isEmptyArray(value) ? EMPTY_KEY : keyOf(value);
}

function isEmptyArray(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function distinct(keys: Uint8Array[]): Uint8Array[] {
  keys.sort(Buffer.compare);
  return keys.filter((key, i) => i === 0 || Buffer.compare(keys[i - 1] as Uint8Array, key) !== 0);
}

function leadsThroughArray(document: Document, path: Path): boolean {
  let value: unknown = document;
  for (const part of path.parts) {
    if (Array.isArray(value)) return true;
    if (!isDocument(value)) return false;
    value = fieldOf(value, part);
  }
  return false;
}

function ofFilter(filter: unknown, path: string, single: boolean): Bounds | undefined {
  const parts: (Bounds | undefined)[] = [];
  for (const [key, value] of Object.entries(filter as Document)) {
    if (key === path) parts.push(ofCondition(value, single));
    else if (key === '$and') parts.push(allOf(ofClauses(value, path, single), single));
    else if (key === '$or') parts.push(anyOf(ofClauses(value, path, single)));
    else if (key !== '$comment') parts.push(undefined);
  }
  return allOf(parts, single);
}

function ofClauses(clauses: unknown, path: string, single: boolean): (Bounds | undefined)[] {
  return (clauses as unknown[]).map((clause) => ofFilter(clause, path, single));
}

function ofCondition(operand: unknown, single: boolean): Bounds | undefined {
  if (!isOperatorDocument(operand)) return ofEquality(operand);
  const operators = Object.entries(operand).filter(([operator]) => operator !== '$options');
  return allOf(
    operators.map(([operator, value]) => ofOperator(operator, value, operand, single)),
    single,
  );
}

function ofOperator(operator: string, operand: unknown, operators: Document, single: boolean): Bounds | undefined {
  switch (operator) {
    case '$eq':
      return exactly([pointOf(operand)]);
    case '$in':
      return anyOf((operand as unknown[]).map(ofEquality));
    case '$all': {
      const operands = operand as unknown[];
      return operands.some(isOperatorDocument) ? undefined : allOf(operands.map(ofEquality), single);
    }
    case '$gt':
    case '$gte':
    case '$lt':
    case '$lte':
      return ofRange(operator, operand);
    case '$regex': {
      const { pattern, options } =
        typeof operand === 'string' ? { pattern: operand, options: '' } : regexParts(operand);
      return ofPattern(pattern, `${options}${operators.$options ?? ''}`);
    }
    case '$exists':
      // Of the documents without the field, and with null, only the first match.
      return operand === false ? { ranges: [pointOf(null)], exact: false } : undefined;
    default:
      return undefined;
  }
}

function ofEquality(operand: unknown): Bounds {
  if (rankOf(operand) !== Rank.REGEX) return exactly([pointOf(operand)]);
  const { pattern, options } = regexParts(operand);
  return ofPattern(pattern, options);
}

/** The strings a regular expression may match, and itself as a value. */
function ofPattern(pattern: string, options: string): Bounds {
  return { ranges: [prefixRange(literalPrefix(pattern, options)), bracketOf(Rank.REGEX)], exact: false };
}

function ofRange(operator: RangeOperator, operand: unknown): Bounds {
  const { below, equal } = RANGES[operator];
  const rank = rankOf(operand);
  // The key of the value itself, also of an empty array: the range is one of the bracket's keys.
  const point = pointOfKey(keyOf(operand));
  if (rank === Rank.NULL || isNotANumber(operand)) return exactly(equal ? [point] : []);
  // MinKey and MaxKey compare with values of every type, the others with their own; among the numbers NaN is in no range.
  const bracket = rank === Rank.MIN_KEY || rank === Rank.MAX_KEY ? EVERYTHING : bracketOf(rank);
  const lowest = rank === Rank.NUMBER ? keyOf(-Infinity) : bracket.low;
  const range = below
    ? { low: lowest, high: equal ? point.high : point.low }
    : { low: equal ? point.low : point.high, high: bracket.high };
  const ranges = Buffer.compare(range.low, range.high) < 0 ? [range] : [];
  // The key of an empty array stands outside the bracket of arrays.
  const empty = rank === Rank.ARRAY && inRange(operator, operand)([]);
  return exactly(empty ? [pointOfKey(EMPTY_KEY), ...ranges] : ranges);
}

/** Above every rank. Not 255, by which a reader knows the range of one value. */
const ABOVE = 0xfe;
const EVERYTHING: KeyRange = { low: new Uint8Array(0), high: Uint8Array.of(ABOVE) };

/** All keys of one type. */
function bracketOf(rank: Rank): KeyRange {
  return { low: Uint8Array.of(rank), high: Uint8Array.of(rank + 1) };
}

function isNotANumber(operand: unknown): boolean {
  return inRange('$gte', Number.NaN)(operand);
}

function pointOf(operand: unknown): KeyRange {
  return pointOfKey(keyOfIndexed(operand));
}

/** No key has 255 where the key of a further value begins. */
function pointOfKey(low: Uint8Array): KeyRange {
  const high = new Uint8Array(low.length + 1);
  high.set(low);
  high[low.length] = 0xff;
  return { low, high };
}

function exactly(ranges: readonly KeyRange[]): Bounds {
  return { ranges, exact: true };
}

function anyOf(parts: readonly (Bounds | undefined)[]): Bounds | undefined {
  const bounds = parts.filter((part) => part !== undefined);
  if (bounds.length < parts.length) return undefined;
  return {
    ranges: merged(bounds.flatMap(({ ranges }) => ranges)),
    exact: bounds.every(({ exact }) => exact),
  };
}

function allOf(parts: readonly (Bounds | undefined)[], single: boolean): Bounds | undefined {
  const bounds = parts.filter((part) => part !== undefined);
  if (bounds.length === 0) return undefined;
  const joined = bounds.reduce((a, b) => (single ? both(a, b) : narrower(a, b)));
  return bounds.length === parts.length ? joined : { ranges: joined.ranges, exact: false };
}

function narrower(a: Bounds, b: Bounds): Bounds {
  return { ranges: (breadth(b) < breadth(a) ? b : a).ranges, exact: false };
}

/** Orders bounds by how much they seem to let in: nothing, few values, many values, stretches. */
function breadth({ ranges }: Bounds): number {
  const stretches = ranges.filter(({ low, high }) => high.length !== low.length + 1 || high.at(-1) !== 0xff).length;
  return stretches * 1_000_000 + ranges.length;
}

function both(a: Bounds, b: Bounds): Bounds {
  const ranges: KeyRange[] = [];
  for (let i = 0, j = 0; i < a.ranges.length && j < b.ranges.length; ) {
    const x = a.ranges[i] as KeyRange;
    const y = b.ranges[j] as KeyRange;
    const low = Buffer.compare(x.low, y.low) < 0 ? y.low : x.low;
    const highs = Buffer.compare(x.high, y.high);
    const high = highs < 0 ? x.high : y.high;
    if (Buffer.compare(low, high) < 0) ranges.push({ low, high });
    if (highs <= 0) i++;
    if (highs >= 0) j++;
  }
  return { ranges, exact: a.exact && b.exact };
}

/** The same keys in ascending, disjoint ranges. */
function merged(ranges: readonly KeyRange[]): KeyRange[] {
  const result: KeyRange[] = [];
  for (const range of ranges.toSorted((a, b) => Buffer.compare(a.low, b.low))) {
    const last = result.at(-1);
    if (last === undefined || Buffer.compare(last.high, range.low) < 0) result.push(range);
    else if (Buffer.compare(last.high, range.high) < 0) result[result.length - 1] = { low: last.low, high: range.high };
  }
  return result;
}
