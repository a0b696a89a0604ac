import type { Document } from '../model/document.ts';
import { type Collector, InOrder } from './collector.ts';
import { keyString } from './key.ts';
import { visible } from './mongo-document.ts';
import { coded } from './mongo-errors.ts';
import { MongoQuery, sendable } from './mongo-query.ts';
import type { MongoTable } from './mongo-table.ts';
import { valuesAt } from './path.ts';
import type { Filter, FindOptions } from './store.ts';

/** Documents asked for at once when a read is long. */
const BATCH = 1_000;

/**
 * The documents of a query, as they arrive; the cursor on the server ends with the consumer. Not one state of the data: what is
 * written while the read goes on may or may not be seen, as the capability `snapshotReads` says.
 * @throws the signal's reason; DATABASE_UNAVAILABLE
 */
export async function* stream(
  table: MongoTable,
  query: MongoQuery,
  signal: AbortSignal | undefined,
): AsyncGenerator<Document, void, void> {
  signal?.throwIfAborted();
  if (query.limit === 0) return;
  const cursor = table.raw.find(query.filter, {
    ...query.options(),
    batchSize: BATCH,
    ...(signal === undefined ? {} : { signal }),
  });
  try {
    for await (const raw of cursor) yield query.project(visible(raw));
  } catch (error) {
    signal?.throwIfAborted();
    throw coded(error, `read "${table.name}"`, 'READ');
  } finally {
    await cursor.close().catch(() => {});
  }
}

/** All of {@link stream}. */
export async function find(table: MongoTable, query: MongoQuery, signal: AbortSignal | undefined): Promise<Document[]> {
  const documents: Document[] = [];
  for await (const document of stream(table, query, signal)) documents.push(document);
  return documents;
}

/** How many documents match. @throws the signal's reason; DATABASE_UNAVAILABLE */
export async function count(table: MongoTable, query: MongoQuery, signal: AbortSignal | undefined): Promise<number> {
  signal?.throwIfAborted();
  try {
    return await table.raw.countDocuments(query.filter, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw coded(error, `count "${table.name}"`, 'READ');
  }
}

/**
 * See `Collection.findGrouped`: one query for all keys, whose answer is dealt out to the keys here, so that sort, skip and limit hold
 * for each. It ends as soon as every key has its documents.
 */
export async function findGrouped(
  table: MongoTable,
  path: string,
  keys: readonly unknown[],
  filter: Filter,
  options: FindOptions,
): Promise<Document[][]> {
  const { skip = 0, limit = Number.POSITIVE_INFINITY, sort, projection, signal } = options;
  // Checks the question even when nothing is asked for.
  const { project } = new MongoQuery(filter, { sort, projection });
  if (keys.length === 0 || limit === 0) return keys.map(() => []);
  const groups = keys.map(() => new InOrder(skip, limit));
  const groupsOf = new Map<string, Collector[]>();
  for (const [place, key] of keys.entries()) {
    const text = keyString(key);
    groupsOf.set(text, [...(groupsOf.get(text) ?? []), groups[place] as Collector]);
  }
  const single = keys.length === 1 && limit !== Number.POSITIVE_INFINITY;
  const query = new MongoQuery(
    { $and: [anyOf(path, keys), filter] },
    { sort, ...(single ? { limit: skip + limit } : {}) },
  );
  let open = groups.length;
  for await (const document of stream(table, query, signal)) {
    for (const value of new Set(valuesAt(document, path).map(keyString))) {
      const collectors = groupsOf.get(value);
      if (collectors?.filter((collector) => collector.take({ row: 0, document }, 0)).length) {
        // Full ones get nothing more to look at.
        groupsOf.delete(value);
        open -= collectors.length;
      }
    }
    if (open === 0) break;
  }
  return groups.map((group) => group.finish().map((match) => project(match.document)));
}

/** The filter for documents that have one of `keys` at `path`. Only plain values mean in `$in` what they mean in `$eq`. */
function anyOf(path: string, keys: readonly unknown[]): Filter {
  const plain = keys.filter(isPlain);
  const clauses: Filter[] = keys.filter((key) => !isPlain(key)).map((key) => ({ [path]: { $eq: sendable(key) } }));
  if (plain.length > 0) clauses.push({ [path]: { $in: plain } });
  return clauses.length === 1 ? (clauses[0] as Filter) : { $or: clauses };
}

function isPlain(key: unknown): boolean {
  if (typeof key !== 'object') return key !== undefined;
  const type = (key as { readonly _bsontype?: unknown } | null)?._bsontype;
  return key instanceof Date || type === 'ObjectId' || type === 'Long' || type === 'Decimal128';
}
