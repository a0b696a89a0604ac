import { type AnyBulkWriteOperation, Collection, type Document, MongoServerError } from 'mongodb';
import { isHoldfastError } from '../../errors.ts';
import { METADATA } from '../../store/mongo-document.ts';
import { coded } from '../../store/mongo-errors.ts';
import type { ClientFallback } from './client-fallback.ts';
import { alive, stripped } from './hidden.ts';
import { journalForm } from './journal-forms.ts';
import type { ClientLive } from './live.ts';
import { JOURNALED, mark } from './results.ts';
import { idsNamed, pinned, Touched } from './touched.ts';
import type { BsonOptions } from './values.ts';

/** A method of the driver's collection. */
export type Method = (this: Collection, ...args: unknown[]) => unknown;
type Options = Readonly<Record<string, unknown>>;

/** A write of the driver, and how it goes to the database. */
export interface DriverWrite {
  readonly collection: Collection;
  readonly name: string;
  readonly method: Method;
  readonly args: readonly unknown[];
  /** Place of the options. */
  readonly at: number;
  /** How many documents it is about beside the first. */
  readonly more: number;
}

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
  const form = journalForm(name, args, bson);
  const waits = (result: object): unknown => mark(result, JOURNALED);
  try {
    return await fallback.write(namespace, more, () => runTwice(live, write, touched), form && { ...form, waits });
  } catch (error) {
    if (isHoldfastError(error, 'WRITE_OUTCOME_UNKNOWN')) live.missed(namespace, since, Date.now() + LATE_MS);
    throw isHoldfastError(error, 'ALREADY_EXISTS') ? duplicate(namespace, error.details.fields) : error;
  } finally {
    if (touched.isSent) await live.captured(namespace, touched.ids, since);
  }
}

/** A write that belongs to a session is the driver's alone, and looked for after it. */
export async function writeInSession(
  live: ClientLive,
  { collection, method, args, at }: DriverWrite,
): Promise<unknown> {
  const since = Date.now();
  const { session } = args[at] as { readonly session: { readonly inTransaction?: () => boolean } };
  const isOpen = session.inTransaction?.() === true;
  try {
    return await method.apply(collection, [...args]);
  } finally {
    live.missed(collection.namespace, since, isOpen ? Date.now() + TRANSACTION_MS : undefined);
  }
}

/** A second time when what stood in its way was only the rest of a deletion. */
async function runTwice(live: ClientLive, write: DriverWrite, touched: Touched): Promise<unknown> {
  try {
    return await run(write, touched);
  } catch (error) {
    const { collection } = write;
    if ((error as { readonly code?: unknown }).code !== DUPLICATE || !(await isBeingDeleted(collection, touched)))
      throw error;
    await live.finish(collection.namespace, touched.ids as readonly unknown[]);
    return run(write, touched);
  }
}

async function isBeingDeleted(collection: Collection, { ids }: Touched): Promise<boolean> {
  if (ids?.length !== 1) return false;
  const rest = { _id: ids[0], [`${METADATA}.brief`]: true } as Document;
  return (await Collection.prototype.find.call(collection, rest, { limit: 1 }).toArray()).length > 0;
}

async function run(write: DriverWrite, touched: Touched): Promise<unknown> {
  const { collection, method, args, name, at } = write;
  const call = (given: readonly unknown[]): Promise<unknown> => {
    touched.isSent = true;
    return method.apply(collection, [...given]) as Promise<unknown>;
  };
  switch (name) {
    case 'insertOne':
      touched.add([(args[0] as Document | undefined)?._id]);
      return call(args);
    case 'bulkWrite':
      return runBulk(args, touched, call);
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
  return options.includeResultMetadata === true ? result : (result.value ?? null);
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

async function runBulk(
  args: readonly unknown[],
  touched: Touched,
  call: (args: readonly unknown[]) => Promise<unknown>,
): Promise<unknown> {
  const [operations, ...rest] = args;
  if (!Array.isArray(operations)) return call(args);
  const sent = (operations as AnyBulkWriteOperation[]).map(aliveOperation);
  try {
    const result = (await call([sent, ...rest])) as { readonly upsertedIds?: Record<number, unknown> };
    touched.add(Object.values(result.upsertedIds ?? {}));
    return result;
  } finally {
    // The driver has given ids to those that had none.
    for (const operation of sent) {
      const [kind, model] = Object.entries(operation as Document)[0] ?? [];
      const isInsert = kind === 'insertOne';
      const ids = isInsert ? [(model?.document ?? model)?._id] : idsNamed(model?.filter ?? model?.q);
      if (ids === undefined) touched.isOpen = true;
      else touched.add(ids);
    }
  }
}

function aliveOperation(operation: AnyBulkWriteOperation): AnyBulkWriteOperation {
  const [kind, model] = Object.entries(operation as Document)[0] ?? [];
  if (kind === undefined || typeof model !== 'object' || model === null || !('filter' in model)) return operation;
  return { [kind]: { ...model, filter: alive(model.filter) } } as unknown as AnyBulkWriteOperation;
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

/** Gives a document its id as the driver does, so that it is the same wherever the document goes. */
function named(collection: Collection, [document, options]: readonly unknown[]): void {
  const isServers = (options as Options | undefined)?.forceServerObjectId ?? collection.db.options?.forceServerObjectId;
  if (typeof document !== 'object' || document === null || isServers === true) return;
  const given = document as Document;
  given._id ??= collection.db.options?.pkFactory?.createPk() ?? collection.db.client.options.pkFactory.createPk();
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
