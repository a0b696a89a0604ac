import { Long, ObjectId } from 'bson';
import { type Bounds, boundsOf, type KeyRange } from './bounds.ts';
import { keyOf } from './key.ts';
import type { Reader } from './slices.ts';
import { above, concatenated, type IndexTable, type Table } from './sqlite-table.ts';
import type { Filter, Sort } from './store.ts';

/** Most ranges a compound index is read in. */
const MAX_RANGES = 1_000;
/** Entries counted at most to compare two ways, first coarsely, then finely. */
const COARSE = 100;
const FINE = 10_000;

const EVERYTHING: readonly KeyRange[] = [{ low: new Uint8Array(0), high: Uint8Array.of(0xff) }];

/** One field of a sort. */
export type SortField = readonly [path: string, direction: 1 | -1];

/** How the documents of a query are found. */
export interface Plan {
  /** The index read; undefined: the rows themselves, by id. */
  readonly index: IndexTable | undefined;
  /** Keys to read, ascending and disjoint. */
  readonly ranges: readonly KeyRange[];
  /** Whether to read backwards. */
  readonly descending: boolean;
  /** Whether to read all rows as they lie in the file: no order is of use. */
  readonly anyOrder: boolean;
  /** How many fields of the sort, from the first, the order of reading serves. */
  readonly served: number;
  /** Whether every document found matches the filter. */
  readonly exact: boolean;
  /** Whether a document may come more than once. */
  readonly repeats: boolean;
}

/** The fields to order by, ended by `_id`: an order without ties. */
export function sortFields(sort: Sort | undefined): readonly SortField[] {
  const fields: SortField[] = [];
  for (const field of Object.entries(sort ?? {})) {
    fields.push(field);
    if (field[0] === '_id') return fields;
  }
  fields.push(['_id', 1]);
  return fields;
}

/**
 * Chooses how to find the documents of `filter` in the order of `sort`: the ids or the index that the filter narrows most, by
 * counting entries, against a way that is in order already, when only `wanted` documents are needed.
 */
export function planOf(reader: Reader, table: Table, filter: Filter, sort: readonly SortField[], wanted: number): Plan {
  const empty = Object.keys(filter).length === 0;
  const ways = [wayById(filter, sort, empty), ...table.indexes.map((index) => wayByIndex(index, filter, sort, empty))];
  const narrow = ways.filter((way) => way.narrows);
  const ordered = best(ways, (way) => -way.plan.served);
  if (narrow.length === 0) return ordered.plan.served > 0 ? ordered.plan : { ...ordered.plan, anyOrder: true };
  const byId = narrow.find((way) => way.plan.index === undefined && way.points);
  if (byId !== undefined) return byId.plan;
  const only = narrow.length === 1 ? narrow[0] : undefined;
  if (only !== undefined && only.plan.served >= ordered.plan.served) return only.plan;

  const coarse = new Map(narrow.map((way) => [way, count(reader, table, way.plan, COARSE)]));
  let found = best(narrow, (way) => coarse.get(way) as number);
  if ((coarse.get(found) as number) < COARSE) return found.plan;
  const fine = new Map(narrow.map((way) => [way, count(reader, table, way.plan, FINE)]));
  found = best(narrow, (way) => fine.get(way) as number);
  const entries = fine.get(found) as number;
  // Reading in order ends early: one in so many documents matches.
  const readInOrder = (table.buckets.count / entries) * wanted;
  const better =
    ordered.plan.served > found.plan.served && ordered.plan.served === sort.length && readInOrder < entries;
  return better ? ordered.plan : found.plan;
}

/**
 * A plan per value of the documents that have it at `path`, by `index`, whose first path it is; by id when there is none. The
 * ordinary value needs no reading of bounds.
 */
export function planByValue(
  index: IndexTable | undefined,
  path: string,
  sort: readonly SortField[],
): (value: unknown) => Plan {
  const byId = wayById({}, sort, true).plan;
  const ordinary = { ...(index === undefined ? byId : wayOf(index, [], 1, sort, true, true).plan), exact: true };
  return (value) => {
    if (isPlainId(value)) return { ...ordinary, ranges: [pointOf(keyOf(value))] };
    const filter = { [path]: { $eq: value } };
    return index === undefined ? wayById(filter, sort, false).plan : wayByIndex(index, filter, sort, false).plan;
  };
}

/** The key of the id when `filter` says nothing but which one, else undefined: such a filter needs no plan. */
export function singleId(filter: Filter): Uint8Array | undefined {
  const id = filter._id;
  if (id === undefined || Object.keys(filter).length !== 1) return undefined;
  if (isPlainId(id)) return keyOf(id);
  if (typeof id !== 'object' || id === null) return undefined;
  const { $eq: operand, ...others } = id as Filter;
  return isPlainId(operand) && Object.keys(others).length === 0 ? keyOf(operand) : undefined;
}

/** Whether a value is of the usual types of an id, which mean nothing but themselves in a filter. */
export function isPlainId(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number' || value instanceof ObjectId || value instanceof Long;
}

/** The index that finds the documents with a given value at `path`, if there is one. */
export function indexOn(table: Table, path: string): IndexTable | undefined {
  const fitting = table.indexes.filter((index) => index.paths[0] === path);
  return fitting.find((index) => index.paths.length === 1) ?? fitting[0];
}

interface Way {
  readonly plan: Plan;
  /** Whether it reads less than everything. */
  readonly narrows: boolean;
  /** Whether it reads single values only. */
  readonly points: boolean;
}

function wayById(filter: Filter, sort: readonly SortField[], empty: boolean): Way {
  const bounds = empty ? undefined : boundsOf(filter, '_id', { single: true });
  const { served, descending } = servedBy(['_id'], sort);
  const plan = {
    index: undefined,
    ranges: bounds?.ranges ?? EVERYTHING,
    descending,
    anyOrder: false,
    served,
    exact: empty || bounds?.exact === true,
    repeats: false,
  };
  return { plan, narrows: bounds !== undefined, points: bounds?.ranges.every(isPoint) === true };
}

function wayByIndex(index: IndexTable, filter: Filter, sort: readonly SortField[], empty: boolean): Way {
  let ranges: readonly KeyRange[] | undefined;
  let fixed = 0;
  let exact = empty;
  for (const path of empty ? [] : index.paths) {
    const bounds: Bounds | undefined = boundsOf(filter, path, { single: !index.multikey });
    if (bounds === undefined) break;
    if (ranges !== undefined && ranges.length * bounds.ranges.length > MAX_RANGES) break;
    const points = bounds.ranges.every(isPoint);
    exact = bounds.exact;
    const longer: readonly KeyRange[] = ranges === undefined ? bounds.ranges : combined(ranges, bounds.ranges);
    ranges = longer;
    if (longer.length === 1 && points) fixed += 1;
    if (!points) break;
  }
  return wayOf(index, ranges, fixed, sort, exact, ranges?.every(isPoint) === true);
}

function wayOf(
  index: IndexTable,
  ranges: readonly KeyRange[] | undefined,
  fixed: number,
  sort: readonly SortField[],
  exact: boolean,
  points: boolean,
): Way {
  // A document has one entry with a whole given value, but may have several in a longer range: then they come out of order.
  const single = !index.multikey || (fixed === index.paths.length && ranges !== undefined);
  const order = [...index.paths.slice(fixed), '_id'];
  const { served, descending } = single ? servedBy(order, sort) : { served: 0, descending: false };
  const plan = {
    index,
    ranges: ranges ?? EVERYTHING,
    descending,
    anyOrder: false,
    served,
    exact: exact && !index.multikey,
    repeats: !single,
  };
  return { plan, narrows: ranges !== undefined, points };
}

/** How many leading fields of `sort` the paths of `order` are in one direction. */
function servedBy(order: readonly string[], sort: readonly SortField[]): { served: number; descending: boolean } {
  const direction = sort[0]?.[1];
  const place = sort.findIndex(([path, next], at) => path !== order[at] || next !== direction);
  return { served: place < 0 ? sort.length : place, descending: direction === -1 };
}

function combined(first: readonly KeyRange[], second: readonly KeyRange[]): KeyRange[] {
  return first.flatMap(({ low }) =>
    second.map((range) => ({ low: concatenated(low, range.low), high: concatenated(low, range.high) })),
  );
}

/** The range of a single value: every key that begins with its own. */
function pointOf(key: Uint8Array): KeyRange {
  return { low: key, high: above(key) };
}

/** Whether a range is that of a single value: everything that begins with its key. */
function isPoint({ low, high }: KeyRange): boolean {
  return (
    high.length === low.length + 1 &&
    high[low.length] === 0xff &&
    Buffer.compare(high.subarray(0, low.length), low) === 0
  );
}

function count(reader: Reader, table: Table, { index, ranges }: Plan, most: number): number {
  const statement = reader.prepare((index ?? table).sql.range.count);
  let entries = 0;
  for (const { low, high } of ranges) {
    if (entries >= most) break;
    entries += statement.get(low, high, most - entries)?.n as number;
  }
  return entries;
}

function best(ways: readonly Way[], costOf: (way: Way) => number): Way {
  return ways.reduce((least, way) => (costOf(way) < costOf(least) ? way : least));
}
