import { type Document, type DocumentText, decodeDocument } from '../model/document.ts';
import type { KeyRange } from './bounds.ts';
import { type Collector, InOrder, type Match, PartlyInOrder, Sorted } from './collector.ts';
import { decodedDocuments } from './decoded-documents.ts';
import { compileFilter, type Matcher } from './filter.ts';
import type { Reader } from './slices.ts';
import { compileSort } from './sort.ts';
import { type Plan, planOf, type SortField, sortFields } from './sqlite-plan.ts';
import type { Table } from './sqlite-table.ts';
import type { Filter, FindOptions } from './store.ts';

/** Documents read at once where neither filter nor sort stops the read. */
const READ_AT_ONCE = 1_000;
/** Index entries counted in one step of a read, which takes about as long as looking at so many characters of documents. */
const COUNTED_AT_ONCE = 10_000;
const COUNTED_CHARACTERS = 64 * 1024;

/** A query, checked and compiled once. */
export class Query {
  readonly filter: Filter;
  /** Undefined when every document matches. */
  readonly matches: Matcher | undefined;
  readonly sort: readonly SortField[];
  readonly skip: number;
  readonly limit: number;

  /** @throws VALIDATION_FAILED, UNSUPPORTED_OPERATOR */
  constructor(filter: Filter, options: Pick<FindOptions, 'sort' | 'skip' | 'limit'> = {}) {
    this.filter = filter;
    this.matches = Object.keys(filter).length === 0 ? undefined : compileFilter(filter);
    // Refuses what is no sort, also where an index or an empty collection would never compare anything.
    if (options.sort !== undefined) compileSort(options.sort);
    this.sort = sortFields(options.sort);
    this.skip = options.skip ?? 0;
    this.limit = options.limit ?? Number.POSITIVE_INFINITY;
  }

  /** The best way to find the documents, by what `reader` sees. */
  plan(reader: Reader, table: Table): Plan {
    return planOf(reader, table, this.filter, this.sort, this.skip + this.limit);
  }

  /** What puts matches into the order and the window asked for, when `served` fields of the sort come in order already. */
  collector(served: number): Collector {
    const { sort, skip, limit } = this;
    if (served === sort.length) return new InOrder(skip, limit);
    const rest = comparisonOf(sort.slice(served));
    if (served === 0) return new Sorted(rest, skip, limit);
    return new PartlyInOrder(comparisonOf(sort.slice(0, served)), rest, skip, limit);
  }
}

function comparisonOf(fields: readonly SortField[]): (a: Document, b: Document) => number {
  return compileSort(Object.fromEntries(fields));
}

/** The matches of `query`, in its order and window: a reading, see slices.ts. */
export function find(reader: Reader, table: Table, query: Query): Generator<number, Match[], void> {
  const plan = query.plan(reader, table);
  return matchesOf(reader, table, query, plan, plan.exact ? undefined : query.matches);
}

/** The documents of {@link find} one by one, `undefined` for a step that gave none; held back only while they must be sorted. */
export function* documentsOf(reader: Reader, table: Table, query: Query): Generator<Document | undefined, void, void> {
  const plan = query.plan(reader, table);
  if (plan.served < query.sort.length || query.limit === 0) {
    const found = matchesOf(reader, table, query, plan, plan.exact ? undefined : query.matches);
    let step = found.next();
    for (; step.done !== true; step = found.next()) yield undefined;
    for (const { document } of step.value) yield document;
    return;
  }
  let place = 0;
  for (const [, text] of candidatesOf(reader, table, plan)) {
    const document = decodeDocument(text);
    const matches = plan.exact || query.matches?.(document) !== false;
    if (matches) place += 1;
    yield matches && place > query.skip ? document : undefined;
    if (place >= query.skip + query.limit) return;
  }
}

/** The documents of `plan` that match, in the order and window of `query`. A reading. */
export function* matchesOf(
  reader: Reader,
  table: Table,
  query: Query,
  plan: Plan,
  matches: Matcher | undefined,
): Generator<number, Match[], void> {
  if (query.limit === 0) return [];
  const inOrder = plan.served === query.sort.length && !plan.repeats;
  if (matches === undefined && inOrder && query.skip + query.limit <= READ_AT_ONCE) {
    return firstOf(reader, table, query, plan);
  }
  const collector = query.collector(plan.served);
  for (const [row, text] of candidatesOf(reader, table, plan)) {
    const document = decodeDocument(text);
    if (matches?.(document) !== false && collector.take({ row, document }, text.length)) break;
    yield text.length;
  }
  return collector.finish();
}

/** The window of a plan that needs neither filter nor sort: the shortest way through SQLite. */
function firstOf(reader: Reader, table: Table, { skip, limit }: Query, plan: Plan): Match[] {
  const statement = statementOf(reader, table, plan, true);
  const found: Candidate[] = [];
  for (const { low, high } of rangesOf(plan)) {
    const wanted = skip + limit - found.length;
    if (wanted === 0) break;
    found.push(...(statement.all(low, high, wanted) as unknown as Candidate[]));
  }
  return found.slice(skip).map(([row, text]) => ({ row, document: decodedDocuments.decode(table.number, row, text) }));
}

/** The row numbers of the matches, in the order of `_id`. A reading. */
export function* rowsOf(reader: Reader, table: Table, query: Query): Generator<number, number[], void> {
  const plan = query.plan(reader, table);
  const collector = query.collector(plan.served);
  for (const [row, text] of candidatesOf(reader, table, plan)) {
    const document = decodeDocument(text);
    // Of each match only what its order needs is held: there may be millions.
    const match = plan.exact || query.matches?.(document) !== false;
    if (match && collector.take({ row, document: { _id: document._id } }, 0)) break;
    yield text.length;
  }
  return collector.finish().map(({ row }) => row);
}

/** How many documents match: by counting index entries where these tell. A reading. */
export function* countOf(reader: Reader, table: Table, query: Query): Generator<number, number, void> {
  const plan = planOf(reader, table, query.filter, [], Number.POSITIVE_INFINITY);
  if (plan.exact && !plan.repeats) return yield* countEntries(reader, table, plan);
  let total = 0;
  for (const [, text] of candidatesOf(reader, table, plan)) {
    if (plan.exact || query.matches?.(decodeDocument(text)) !== false) total += 1;
    yield text.length;
  }
  return total;
}

/** Counts the entries of a plan, some thousands in a step. */
function* countEntries(reader: Reader, table: Table, { index, ranges }: Plan): Generator<number, number, void> {
  const { range } = (index ?? table).sql;
  let total = 0;
  for (let { low, high } of ranges) {
    for (let next: Uint8Array | undefined; ; low = next) {
      next = reader.prepare(range.next).get(low, high, COUNTED_AT_ONCE)?.key as Uint8Array | undefined;
      if (next === undefined) break;
      total += COUNTED_AT_ONCE;
      yield COUNTED_CHARACTERS;
    }
    total += reader.prepare(range.count).get(low, high, COUNTED_AT_ONCE)?.n as number;
  }
  return total;
}

/** A document as a plan finds it: the number of its row, its text. */
export type Candidate = readonly [row: number, text: DocumentText];

/** The documents of a plan in its order, each once, before the filter. */
export function* candidatesOf(reader: Reader, table: Table, plan: Plan): Generator<Candidate, void, void> {
  const statement = statementOf(reader, table, plan, false);
  const seen = plan.repeats ? new Set<number>() : undefined;
  for (const { low, high } of rangesOf(plan)) {
    for (const candidate of statement.iterate(low, high) as Iterable<unknown> as Iterable<Candidate>) {
      if (seen?.has(candidate[0])) continue;
      seen?.add(candidate[0]);
      yield candidate;
    }
  }
}

function rangesOf(plan: Plan): readonly KeyRange[] {
  return plan.descending ? plan.ranges.toReversed() : plan.ranges;
}

/** The statement that reads a range of a plan's keys, up to a number of rows when `limited`. */
function statementOf(reader: Reader, table: Table, plan: Plan, limited: boolean): ReturnType<Reader['prepare']> {
  const { ascending, descending, first, last } = (plan.index ?? table).sql.range;
  const [forwards, backwards] = limited ? [first, last] : [ascending, descending];
  const ordered = plan.descending ? backwards : forwards;
  const statement = reader.prepare(plan.anyOrder ? table.sql.anyOrder : ordered);
  // Rows as arrays cost two thirds of rows as objects.
  statement.setReturnArrays(true);
  return statement;
}
