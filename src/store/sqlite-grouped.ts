import { decodeDocument } from '../model/document.ts';
import type { Collector, Match } from './collector.ts';
import { decodedDocuments } from './decoded-documents.ts';
import { compileFilter, type Matcher } from './filter.ts';
import { keyOf } from './key.ts';
import { valuesAt } from './path.ts';
import type { Reader } from './slices.ts';
import { indexOn, isPlainId, planByValue } from './sqlite-plan.ts';
import { type Candidate, candidatesOf, matchesOf, type Query } from './sqlite-query.ts';
import type { IndexTable, Table } from './sqlite-table.ts';

/**
 * For each key the documents with that value at `path` that also match `query`, whose sort, skip and limit hold per key: a
 * lookup per key by id or index, else one scan. A reading, see slices.ts.
 */
export function findGrouped(
  reader: Reader,
  table: Table,
  path: string,
  keys: readonly unknown[],
  query: Query,
): Generator<number, Match[][], void> {
  if (path === '_id' && query.matches === undefined && query.skip === 0 && query.limit > 0 && keys.every(isPlainId)) {
    return byId(reader, table, keys);
  }
  const index = path === '_id' ? undefined : indexOn(table, path);
  return path === '_id' || index !== undefined
    ? lookups(reader, table, path, keys, query, index)
    : scan(reader, table, path, keys, query);
}

/** What a relation to one document asks for: each document by its id. */
function* byId(reader: Reader, table: Table, keys: readonly unknown[]): Generator<number, Match[][], void> {
  const statement = reader.prepare(table.sql.point);
  statement.setReturnArrays(true);
  const groups: Match[][] = [];
  for (const key of keys) {
    const found = statement.get(keyOf(key)) as unknown as Candidate | undefined;
    if (found === undefined) {
      groups.push([]);
      continue;
    }
    const [row, text] = found;
    groups.push([{ row, document: decodedDocuments.decode(table.number, row, text) }]);
    yield text.length;
  }
  return groups;
}

function* lookups(
  reader: Reader,
  table: Table,
  path: string,
  keys: readonly unknown[],
  query: Query,
  index: IndexTable | undefined,
): Generator<number, Match[][], void> {
  const groups: Match[][] = [];
  const planOf = planByValue(index, path, query.sort);
  for (const key of keys) {
    const plan = planOf(key);
    const matches = plan.exact ? query.matches : both(compileFilter({ [path]: { $eq: key } }), query.matches);
    groups.push(yield* matchesOf(reader, table, query, plan, matches));
  }
  return groups;
}

function* scan(
  reader: Reader,
  table: Table,
  path: string,
  keys: readonly unknown[],
  query: Query,
): Generator<number, Match[][], void> {
  const groups = keys.map(() => query.collector(0));
  const groupsOf = new Map<string, Collector[]>();
  for (const [place, key] of keys.entries()) {
    const text = textOf(key);
    groupsOf.set(text, [...(groupsOf.get(text) ?? []), groups[place] as Collector]);
  }
  const plan = query.plan(reader, table);
  for (const [row, text] of candidatesOf(reader, table, plan)) {
    const document = decodeDocument(text);
    if (plan.exact || query.matches?.(document) !== false) {
      const values = new Set(valuesAt(document, path).map(textOf));
      for (const value of values) {
        for (const group of groupsOf.get(value) ?? []) group.take({ row, document }, text.length);
      }
    }
    yield text.length;
  }
  return groups.map((group) => group.finish());
}

function both(first: Matcher, second: Matcher | undefined): Matcher {
  return second === undefined ? first : (document) => first(document) && second(document);
}

/** Equal values, and only these, have the same text. */
function textOf(value: unknown): string {
  return Buffer.from(keyOf(value)).toString('latin1');
}
