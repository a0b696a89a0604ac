import { type Document, type DocumentText, decodeValue, encodeValue } from '../model/document.ts';
import { fromBson, READ_OPTIONS } from './mongo-bson.ts';
import { METADATA, type Stored, storedOf } from './mongo-document.ts';
import { coded } from './mongo-errors.ts';
import type { MongoStore } from './mongo-store.ts';
import type { MongoTable } from './mongo-table.ts';
import type { RowPage } from './row-store.ts';
import { Rank, rankOf } from './value.ts';

/** BSON types of ids by their order, less the symbols that BSON once had and not every server knows; https://www.mongodb.com/docs/manual/reference/bson-types/ has their numbers. */
const TYPES: readonly (readonly [Rank, readonly number[]])[] = [
  [Rank.MIN_KEY, [-1]],
  [Rank.NULL, [10]],
  [Rank.NUMBER, [1, 16, 18, 19]],
  [Rank.STRING, [2]],
  [Rank.OBJECT, [3]],
  [Rank.BINARY, [5]],
  [Rank.OBJECT_ID, [7]],
  [Rank.BOOLEAN, [8]],
  [Rank.DATE, [9]],
  [Rank.TIMESTAMP, [17]],
  [Rank.MAX_KEY, [127]],
];

/** The documents of a MongoDB store as rows of document text, for a copy of them. */
export class MongoRows {
  readonly #store: MongoStore;

  constructor(store: MongoStore) {
    this.#store = store;
  }

  /**
   * Rows in id order after the token `after` (null: from the start). Ends at `limit` rows or `maxBytes` of text, after at least one row.
   * Every version in it is in the log: what was still pending is helped there first, so that whoever has the page and follows the log
   * from where it ended before misses nothing, and gets nothing that the log will not have. Tombstones are left out.
   * @throws DATABASE_UNAVAILABLE; WRITE_OUTCOME_UNKNOWN when the log could not be reached
   */
  async page(collection: string, after: string | null, limit: number, maxBytes: number): Promise<RowPage> {
    const table = this.#store.table(collection);
    const { documents, next } = await readPage(table, after, limit, maxBytes);
    const pending = inOrderOfTime(documents);
    const helped = await this.#store.writer.logging.help(table, pending);
    const logged = new Map(pending.map(({ id }, place) => [id, helped[place] ?? null]));
    const rows = documents.flatMap((read) => {
      const stored = logged.has(read.id) ? logged.get(read.id) : read;
      return stored?.text == null ? [] : [{ id: stored.id, version: stored.version, text: stored.text }];
    });
    return { rows, next };
  }

  /** Those of `ids` that exist, at most 1,000; tombstones do not. */
  async existing(collection: string, ids: readonly DocumentText[]): Promise<ReadonlySet<DocumentText>> {
    return idsThere(this.#store.table(collection), ids, { [`${METADATA}.deleted`]: { $ne: true } });
  }
}

/** Documents and tombstones in id order after a token, with their metadata. */
export async function readPage(
  table: MongoTable,
  after: string | null,
  limit: number,
  maxBytes: number,
): Promise<{ readonly documents: Stored[]; readonly next: string | null }> {
  const filter = after === null ? {} : afterId(decodeValue(after));
  const options = { ...READ_OPTIONS, sort: { _id: 1 } as const, limit: limit + 1, batchSize: limit + 1 };
  const documents: Stored[] = [];
  let bytes = 0;
  try {
    for await (const raw of table.raw.find(filter, options)) {
      const stored = storedOf(table.name, raw);
      bytes += stored.text?.length ?? 0;
      const full = documents.length >= limit || bytes > maxBytes;
      if (full && documents.length > 0) return { documents, next: documents.at(-1)?.id ?? null };
      documents.push(stored);
    }
  } catch (error) {
    throw coded(error, `read a page of "${table.name}"`, 'READ');
  }
  return { documents, next: null };
}

/** The documents and tombstones of some ids, with their metadata. */
export async function readDocuments(table: MongoTable, ids: readonly unknown[]): Promise<Stored[]> {
  try {
    const found = await table.raw.find({ _id: { $in: ids } } as Document, READ_OPTIONS).toArray();
    return found.map((raw) => storedOf(table.name, raw));
  } catch (error) {
    throw coded(error, `read documents of "${table.name}"`, 'READ');
  }
}

/** Those of `ids` that a document or tombstone which matches `condition` has. */
export async function idsThere(
  table: MongoTable,
  ids: readonly DocumentText[],
  condition: Document = {},
): Promise<ReadonlySet<DocumentText>> {
  const filter = { ...condition, _id: { $in: ids.map(decodeValue) } } as Document;
  try {
    const found = await table.raw.find(filter, { ...READ_OPTIONS, projection: { _id: 1 } }).toArray();
    return new Set(found.map(({ _id }) => encodeValue(fromBson(_id))));
  } catch (error) {
    throw coded(error, `look for documents of "${table.name}"`, 'READ');
  }
}

/** A comparison in a filter only sees values of its own type; ids of the types that come after are asked for by type. */
function afterId(_id: unknown): Document {
  const rank = rankOf(_id);
  const later = TYPES.filter(([other]) => other > rank).flatMap(([, types]) => types);
  const greater: Document = { _id: { $gt: _id } };
  return later.length === 0 ? greater : { $or: [greater, { _id: { $type: later } }] };
}

function inOrderOfTime(documents: readonly Stored[]): Stored[] {
  return documents
    .filter(({ pending }) => pending !== undefined)
    .sort((a, b) => (a.pending?.at ?? 0) - (b.pending?.at ?? 0));
}
