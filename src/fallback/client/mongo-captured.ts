import { Collection, type Document, MongoServerError } from 'mongodb';
import { isHoldfastError } from '../../errors.ts';
import { METADATA } from '../../store/mongo-document.ts';
import { coded } from '../../store/mongo-errors.ts';
import type { ClientFallback } from './client-fallback.ts';
import { alive, stripped } from './hidden.ts';
import { journalForm } from './journal-forms.ts';
import type { ClientLive } from './live.ts';
import { type DriverWrite, inserting, named, type Options, runBulk } from './mongo-inserts.ts';
import { JOURNALED, mark } from './results.ts';
import { idsNamed, pinned, Touched } from './touched.ts';
import type { BsonOptions } from './values.ts';

/** Documents of one write whose ids are looked up before it; those of a larger one are looked for after it. */
const MOST_FOUND = 10_000;
/** Of the server, for a value that another document has. */
const DUPLICATE = 11000;
/** A write that nobody waits for any more may be made for so long, in ms. */
const LATE_MS = 10_000;
/** A transaction that is open longer is ended by the server, in ms. */
const TRANSACTION_MS = 60_000;
/** How often a document is looked for anew that others changed in between. */
const LOOKS = 5;

/**
 * A write as the driver does it, whose documents are captured before it is answered; or one that waits in the journal while the database
 * is away. SPEC.md, section "The change log".
 */
export async function writeCaptured(fallback: ClientFallback, live: ClientLive, write: DriverWrite): Promise<unknown> {
  const { collection, name, args, more } = write;
  const { namespace } = collection;
  await live.include(namespace);
  if (name === 'insertOne') named(collection, args);
  const touched = new Touched();
  const since = Date.now();
  const bson = { ...collection.bsonOptions, ...(args[write.at] as BsonOptions) };
  const form = live.journals ? journalForm(name, args, bson) : undefined;
  const waits = (result: object): unknown => mark(result, JOURNALED);
  try {
    return await fallback.write(namespace, more, () => runTwice(live, write, touched), form && { ...form, waits });
  } catch (error) {
    if (isHoldfastError(error, 'WRITE_OUTCOME_UNKNOWN')) live.missed(namespace, since, Date.now() + LATE_MS);
    throw isHoldfastError(error, 'ALREADY_EXISTS') ? duplicate(namespace, error.details.fields) : error;
  } finally {
    if (touched.isSent) {
      const { ids, stamped } = touched;
      await Promise.all([live.captured(namespace, ids, since), stamped && live.inserted(namespace, stamped, since)]);
    }
  }
}

/** A write that belongs to a session is the driver's alone, and looked for after it. */
export async function writeInSession(live: ClientLive, write: DriverWrite): Promise<unknown> {
  const { collection, name, method, args, at } = write;
  const since = Date.now();
  const { session } = args[at] as { readonly session: { readonly inTransaction?: () => boolean } };
  const isOpen = session.inTransaction?.() === true;
  try {
    const result = await method.apply(collection, [...args]);
    if (name.startsWith('findOneAnd')) stripped(hasMetadata(args[at]) ? (result as Result).value : result);
    return result;
  } finally {
    live.missed(collection.namespace, since, isOpen ? Date.now() + TRANSACTION_MS : undefined);
  }
}

/** A second time when what stood in its way was only the rest of a deletion. */
async function runTwice(live: ClientLive, write: DriverWrite, touched: Touched): Promise<unknown> {
  try {
    return await run(live, write, touched);
  } catch (error) {
    const { collection } = write;
    if ((error as { readonly code?: unknown }).code !== DUPLICATE || !(await isBeingDeleted(collection, touched)))
      throw error;
    await live.finish(collection.namespace, touched.ids as readonly unknown[]);
    return run(live, write, touched);
  }
}

async function isBeingDeleted(collection: Collection, { ids }: Touched): Promise<boolean> {
  if (ids?.length !== 1) return false;
  const rest = { _id: ids[0], [`${METADATA}.brief`]: true } as Document;
  return (await Collection.prototype.find.call(collection, rest, { limit: 1 }).toArray()).length > 0;
}

async function run(live: ClientLive, write: DriverWrite, touched: Touched): Promise<unknown> {
  const { collection, method, args, name, at } = write;
  const call = (given: readonly unknown[]): Promise<unknown> => {
    touched.isSent = true;
    return method.apply(collection, [...given]) as Promise<unknown>;
  };
  switch (name) {
    case 'insertOne':
      return inserting(live, write, touched, [args[0]], ([document]) => call([document, ...args.slice(1)]));
    case 'bulkWrite':
      return runBulk(live, write, touched, call);
    case 'updateMany':
    case 'deleteMany':
      return runMany(write, touched, call);
    default:
      return name.startsWith('findOneAnd')
        ? findAndRun(write, touched, call)
        : runOne(write, touched, (filter) => call([filter, ...args.slice(1)]), (args[at] ?? {}) as Options);
  }
}

/** A write of one document: of a known one, so that it is known which it was. */
async function runOne(
  { collection, args }: DriverWrite,
  touched: Touched,
  call: (filter: Document) => Promise<unknown>,
  options: Options,
): Promise<unknown> {
  const [filter] = args;
  const ids = idsNamed(filter);
  if (ids !== undefined) {
    touched.add(ids);
    return upserted(await call(alive(filter)), touched);
  }
  for (let look = 0; look < LOOKS; look++) {
    const [id] = await idsFound(collection, filter, options, 1);
    if (id === undefined) break;
    const result = (await call(alive(pinned(filter, [id])))) as Result | null;
    if (result === null || countOf(result) === 0) continue;
    touched.add([id]);
    return upserted(result, touched);
  }
  const result = (await call(alive(filter))) as Result | null;
  // Somebody was faster than the look.
  if (result !== null && countOf(result) > 0 && (result.upsertedId ?? null) === null) touched.isOpen = true;
  return upserted(result, touched);
}

async function findAndRun(
  write: DriverWrite,
  touched: Touched,
  call: (args: readonly unknown[]) => Promise<unknown>,
): Promise<unknown> {
  const { args, at } = write;
  const options = (args[at] ?? {}) as Options;
  const given = (filter: Document): readonly unknown[] => [
    filter,
    ...args.slice(1, at),
    { ...options, includeResultMetadata: true },
  ];
  const result = (await runOne(write, touched, (filter) => call(given(filter)), options)) as Result;
  stripped(result.value);
  return hasMetadata(options) ? result : (result.value ?? null);
}

/** Whether a findAndModify is answered with more than its document. */
function hasMetadata(options: unknown): boolean {
  return (options as Options).includeResultMetadata === true;
}

async function runMany(
  { collection, args, at }: DriverWrite,
  touched: Touched,
  call: (args: readonly unknown[]) => Promise<unknown>,
): Promise<unknown> {
  const [filter, ...rest] = args;
  const named = idsNamed(filter);
  const ids = named ?? (await idsFound(collection, filter, (args[at] ?? {}) as Options, MOST_FOUND + 1));
  if (named !== undefined || (ids.length > 0 && ids.length <= MOST_FOUND)) {
    touched.add(ids);
    return upserted(await call([alive(named === undefined ? pinned(filter, ids) : filter), ...rest]), touched);
  }
  const result = (await call([alive(filter), ...rest])) as Result;
  if (countOf(result) > 0 && (result.upsertedId ?? null) === null) touched.isOpen = true;
  return upserted(result, touched);
}

interface Result {
  readonly matchedCount?: number;
  readonly deletedCount?: number;
  readonly upsertedId?: unknown;
  /** Of a findAndModify with its metadata. */
  readonly value?: Document | null;
  readonly lastErrorObject?: { readonly n?: number; readonly upserted?: unknown } | undefined;
}

/** How many documents were met; one that was upserted counts. */
function countOf({ matchedCount, deletedCount, upsertedId, lastErrorObject, value }: Result): number {
  if (lastErrorObject !== undefined || value !== undefined) return lastErrorObject?.n ?? (value ? 1 : 0);
  return (matchedCount ?? 0) + (deletedCount ?? 0) + ((upsertedId ?? null) === null ? 0 : 1);
}

function upserted<T>(result: T, touched: Touched): T {
  const { upsertedId, lastErrorObject } = (result ?? {}) as Result;
  const id = upsertedId ?? lastErrorObject?.upserted ?? null;
  if (id !== null) touched.add([id]);
  return result;
}

/** Ids of the documents that a write would take, as it would take them. */
async function idsFound(
  collection: Collection,
  filter: unknown,
  { sort, collation, hint, maxTimeMS, let: variables }: Options,
  limit: number,
): Promise<readonly unknown[]> {
  const options = { sort, collation, hint, maxTimeMS, let: variables };
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  // The driver's own: a look is part of the write, and judged with it.
  const cursor = Collection.prototype.find.call(collection, alive(filter), {
    ...{ ...given, limit, projection: { _id: 1 }, promoteValues: false, promoteLongs: false, raw: false },
  });
  try {
    return (await cursor.toArray()).map(({ _id }) => _id);
  } catch (error) {
    // Nothing was sent yet but a read.
    const refusal = coded(error, `find what to write in "${collection.namespace}"`, 'READ');
    throw refusal.code === 'DATABASE_UNAVAILABLE' ? refusal : error;
  }
}

/** The driver's error for a value that another document has. */
function duplicate(namespace: string, fields: unknown): MongoServerError {
  const names = Array.isArray(fields) ? fields.map(String) : [];
  return new MongoServerError({
    message: `E11000 duplicate key error collection: ${namespace} index: ${names.join('_')}_`,
    code: DUPLICATE,
    keyPattern: Object.fromEntries(names.map((name) => [name, 1])),
  });
}
