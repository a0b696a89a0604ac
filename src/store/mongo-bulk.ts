import { HoldfastError, isHoldfastError } from '../errors.ts';
import { type Document, type DocumentText, decodeValue } from '../model/document.ts';
import { documentKey } from './idempotency.ts';
import { type Part, type Results, writeParts } from './mongo-batch.ts';
import { READ_OPTIONS } from './mongo-bson.ts';
import { isThere, type Stored, storedOf } from './mongo-document.ts';
import { coded, outcomeUnknown } from './mongo-errors.ts';
import type { Draft } from './mongo-image.ts';
import { requireSame, type WrittenPart } from './mongo-memory.ts';
import type { MongoQuery } from './mongo-query.ts';
import { unchanged } from './mongo-results.ts';
import type { MongoTable } from './mongo-table.ts';
import { inTurns } from './mongo-turns.ts';
import type { Decide, MongoWriter } from './mongo-writer.ts';
import type { KeyedEntry } from './outbox.ts';
import type { PreparedDocument } from './prepared-document.ts';
import type { BulkOptions, BulkResult, IdempotencyKey, WriteResult } from './store.ts';
import { concernsDocument, MAX_DOCUMENTS, Tally } from './tally.ts';

/** Documents, and characters of text, written in one command and logged as one group. */
const CHUNK_DOCUMENTS = 500;
const CHUNK_CHARACTERS = 4 * 1024 * 1024;
/** See `Collection.insertMany`. Keys that were used with other arguments end the call before anything is written. */
export function insertMany(
  writer: MongoWriter,
  table: MongoTable,
  documents: readonly Document[],
  options: BulkOptions,
  prepare: (document: Document) => PreparedDocument,
  inserting: (prepared: PreparedDocument) => Decide,
): Promise<BulkResult> {
  return tallied(writer, table, (tally) => insertEach(tally, writer, table, documents, options, prepare, inserting));
}

async function insertEach(
  tally: Tally,
  writer: MongoWriter,
  table: MongoTable,
  documents: readonly Document[],
  { idempotency: keys, signal }: BulkOptions,
  prepare: (document: Document) => PreparedDocument,
  inserting: (prepared: PreparedDocument) => Decide,
): Promise<BulkResult> {
  const earlier = await entriesUnder(writer, keys?.filter(({ fresh }) => fresh !== true) ?? []);
  for (let next = 0; next < documents.length; ) {
    const results: Results = new Map();
    const parts: Part[] = [];
    const token = writer.newToken();
    const start = next;
    for (let characters = 0; next < documents.length && next - start < CHUNK_DOCUMENTS; next++) {
      if (characters >= CHUNK_CHARACTERS) break;
      const key = keys?.[next];
      const entry = earlier.get(key?.key);
      if (entry !== undefined) {
        results.set(next, await writer.resultOf(table, entry));
        continue;
      }
      try {
        const prepared = prepare(documents[next] as Document);
        const alone = inserting(prepared);
        const image = writer.image(table, alone(null) as Draft, key, token);
        parts.push({ index: next, image, key, alone });
        characters += prepared.text.length;
      } catch (error) {
        if (!concernsDocument(error)) throw error;
        results.set(next, error);
      }
    }
    await writeParts(writer, table, parts, results, signal);
    countFrom(start, results, tally);
  }
  return tally.result();
}

/**
 * See `Collection.updateMany` and `deleteMany`: the documents that match at the start, each tested again when it is written. One
 * operation, known by its key, must not run twice at once in one process; in two, each document is written once.
 */
export function writeMany(
  writer: MongoWriter,
  table: MongoTable,
  query: MongoQuery,
  options: BulkOptions,
  decide: Decide,
): Promise<BulkResult> {
  return tallied(writer, table, (tally) => writeEach(tally, writer, table, query, options, decide));
}

async function writeEach(
  tally: Tally,
  writer: MongoWriter,
  table: MongoTable,
  query: MongoQuery,
  { operation, signal }: BulkOptions,
  decide: Decide,
): Promise<BulkResult> {
  const { log, memory } = writer.parts;
  const before: WrittenPart[] = [];
  const done = new Set<DocumentText>();
  if (operation !== undefined) {
    const end = await memory.end(operation);
    if (end !== undefined) {
      tally.recall(await documentsOf(writer, table, end.written), end.modified);
      return tally.result({ matched: end.matched, position: end.position });
    }
    const planned = await memory.planned(operation);
    for (const entry of await entriesOfPlan(writer, table, operation, planned)) {
      done.add(entry.id);
      if (before.length < MAX_DOCUMENTS) before.push(entry);
    }
    tally.recall(await documentsOf(writer, table, before), done.size);
  }

  const ids = await idsOf(table, query);
  let found = 0;
  for (let next = 0; next < ids.length; ) {
    const wanted = ids.slice(next, next + CHUNK_DOCUMENTS);
    if (operation !== undefined) await memory.rememberPlan(operation, wanted);
    const { documents, passed } = await readChunk(table, wanted);
    next += passed;
    const helped = await writer.logging.help(
      table,
      documents.filter(({ id }) => !done.has(id)),
    );
    const matching = helped.filter(isThere).filter(({ document }) => query.matches(document));
    // The plan, then the documents, then the plans of others, then the keys: of two runs at least one sees the other.
    const twice = operation !== undefined && (await memory.plannedTwice(operation, wanted));
    const results: Results = new Map();
    const parts: Part[] = [];
    const token = writer.newToken();
    const first = found;
    for (const stored of matching) {
      const index = found++;
      const key = operation && documentKey(operation, stored.id);
      const earlier = key && twice ? await writer.repeated(table, key) : undefined;
      if (earlier !== undefined) {
        results.set(index, earlier);
        continue;
      }
      const alone: Decide = (now) =>
        now?.document != null && query.matches(now.document) ? decide(now) : { unchanged: null };
      try {
        const draft = decide(stored);
        if ('unchanged' in draft) results.set(index, unchanged(stored, log));
        else parts.push({ index, image: writer.image(table, draft, key, token), key, alone });
      } catch (error) {
        if (!concernsDocument(error)) throw error;
        results.set(index, error);
      }
    }
    await writeParts(writer, table, parts, results, signal);
    countFrom(first, results, tally);
    for (const { index, image, key } of parts) {
      const result = results.get(index);
      if (key === undefined || result === undefined || result instanceof HoldfastError) continue;
      if (result.modifiedCount > 0 && before.length < MAX_DOCUMENTS) {
        before.push({ key: key.key, id: image.id, version: result.version as number });
      }
    }
  }
  if (operation !== undefined) {
    const { matched, modified, position } = tally;
    await memory.rememberEnd(operation.key, { digest: operation.digest, matched, modified, position, written: before });
  }
  return tally.result();
}

/** A bulk operation that cannot go on has written nothing only as long as nothing is counted. */
async function tallied(
  writer: MongoWriter,
  table: MongoTable,
  work: (tally: Tally) => Promise<BulkResult>,
): Promise<BulkResult> {
  const { log } = writer.parts;
  const tally = new Tally(log.position());
  try {
    return await work(tally);
  } catch (error) {
    if (tally.modified === 0 || !isHoldfastError(error, 'DATABASE_UNAVAILABLE')) throw error;
    throw outcomeUnknown(`write documents of "${table.name}"`, error);
  }
}

/** Counts what became of the documents from `first` on, in their order. */
function countFrom(first: number, results: Results, tally: Tally): void {
  for (let index = first; index < first + results.size; index++) {
    const result = results.get(index) as WriteResult | HoldfastError;
    if (result instanceof HoldfastError) tally.refuse(index, result);
    else tally.add(result);
  }
}

/** Ids of the documents that match, in their order. */
async function idsOf(table: MongoTable, query: MongoQuery): Promise<DocumentText[]> {
  try {
    const options = { ...READ_OPTIONS, projection: { _id: 1 }, sort: { _id: 1 } as const };
    const ids: DocumentText[] = [];
    for await (const raw of table.raw.find(query.filter, options)) ids.push(storedOf(table.name, raw).id);
    return ids;
  } catch (error) {
    throw coded(error, `find documents of "${table.name}"`, 'READ');
  }
}

/** The documents of some ids, as many as fit into a chunk; `passed` of the ids are dealt with then. */
async function readChunk(
  table: MongoTable,
  ids: readonly DocumentText[],
): Promise<{ readonly documents: Stored[]; readonly passed: number }> {
  const options = { ...READ_OPTIONS, sort: { _id: 1 } as const, batchSize: CHUNK_DOCUMENTS };
  const documents: Stored[] = [];
  let characters = 0;
  try {
    for await (const raw of table.raw.find({ _id: { $in: ids.map(decodeValue) } } as Document, options)) {
      const stored = storedOf(table.name, raw);
      documents.push(stored);
      characters += stored.text?.length ?? 0;
      if (characters >= CHUNK_CHARACTERS) return { documents, passed: ids.indexOf(stored.id) + 1 || ids.length };
    }
  } catch (error) {
    throw coded(error, `read documents of "${table.name}"`, 'READ');
  }
  return { documents, passed: ids.length };
}

/** What a bulk operation wrote of what it had planned, before it was cut off. */
async function entriesOfPlan(
  writer: MongoWriter,
  table: MongoTable,
  operation: IdempotencyKey,
  planned: readonly DocumentText[],
): Promise<(WrittenPart & KeyedEntry)[]> {
  for (let next = 0; next < planned.length; ) {
    const { documents, passed } = await readChunk(table, planned.slice(next, next + CHUNK_DOCUMENTS));
    next += passed;
    await writer.logging.help(table, documents);
  }
  const keys = planned.map((id) => documentKey(operation, id));
  return [...(await entriesUnder(writer, keys)).values()].sort((a, b) => a.position.sequence - b.position.sequence);
}

async function documentsOf(
  writer: MongoWriter,
  table: MongoTable,
  parts: readonly WrittenPart[],
): Promise<(Document | null)[]> {
  return inTurns(parts, async ({ key, id }) => {
    const entry = await writer.parts.log.entryOfKey(key);
    return entry === undefined ? null : writer.documentOf(table, { ...entry, id });
  });
}

/** The entries under keys, by key. @throws VALIDATION_FAILED when one was used with other arguments */
async function entriesUnder(
  writer: MongoWriter,
  keys: readonly IdempotencyKey[],
): Promise<Map<string | undefined, KeyedEntry>> {
  const digests = new Map(keys.map((key) => [key.key, key]));
  const entries = await writer.parts.log.entriesOfKeys([...digests.keys()]);
  for (const { key, digest } of entries) requireSame(digest, digests.get(key) as IdempotencyKey);
  return new Map(entries.map((entry) => [entry.key, entry]));
}
