import { Collection, type CollectionOptions, Db, type Document, type MongoClient } from 'mongodb';
import { keyString } from '../../store/key.ts';
import { valuesAt } from '../../store/path.ts';
import type { ClientFallback } from './client-fallback.ts';
import { alive } from './hidden.ts';
import { writeCaptured, writeInSession } from './mongo-captured.ts';
import { guardCursor, hideCursor, ON_COPIED } from './mongo-cursor.ts';
import type { DriverWrite, Method } from './mongo-inserts.ts';
import { type Plan, planFind } from './plan.ts';
import { mark, type Provenance, provenanceOf } from './results.ts';
import { type BsonOptions, driverForm } from './values.ts';

/** Where a client has its fallback. */
export const FALLBACK = Symbol('fallback');

/** A client with a fallback. */
export interface GuardedClient extends MongoClient {
  readonly [FALLBACK]: ClientFallback;
}

/** A database of a client with a fallback: the driver's, whose collections are {@link GuardedCollection}s. */
export class GuardedDb extends Db {
  override collection<T extends Document = Document>(name: string, options: CollectionOptions = {}): Collection<T> {
    const { client, databaseName } = this;
    (client as GuardedClient)[FALLBACK].home.use(databaseName);
    return guarded(super.collection<T>(name, options));
  }

  override async createCollection<T extends Document = Document>(
    ...args: Parameters<Db['createCollection']>
  ): Promise<Collection<T>> {
    return guarded(await super.createCollection<T>(...args));
  }

  override async collections(...args: Parameters<Db['collections']>): Promise<Collection<Document>[]> {
    return (await super.collections(...args)).map((collection) => guarded(collection));
  }
}

/** A collection of the driver, whose reads are answered and whose writes are refused while the database is away. */
class GuardedCollection extends Collection {}

/** The driver made it, with all it inherits from database and client; only its methods change. */
function guarded<T extends Document>(collection: Collection<T>): Collection<T> {
  return Object.setPrototypeOf(collection, GuardedCollection.prototype);
}

type CallOptions = Readonly<Record<string | symbol, unknown>> | undefined;

function original(name: keyof Collection): Method {
  return Collection.prototype[name] as Method;
}

function define(name: keyof Collection, method: Method): void {
  Object.defineProperty(GuardedCollection.prototype, name, { value: method, writable: true, configurable: true });
}

function fallbackOf(collection: Collection): ClientFallback {
  return (collection.db.client as GuardedClient)[FALLBACK];
}

/** What belongs to a session must see what the session did: it is the database's alone. */
function isOfSession(options: CallOptions): boolean {
  return options?.session !== undefined && options.session !== null;
}

for (const name of ['find', 'aggregate'] as const) {
  const method = original(name);
  define(name, function (...args) {
    const cursor = method.apply(this, args) as ReturnType<Collection['find']>;
    const options = args[1] as CallOptions;
    if (options?.explain !== undefined) return cursor;
    const fallback = fallbackOf(this);
    const { namespace } = this;
    if (isOfSession(options) || writes(args[0])) {
      return fallback.captures ? hideCursor(cursor, { fallback, namespace }) : cursor;
    }
    const onCopied = options?.[ON_COPIED] as ((from: Provenance) => void) | undefined;
    return guardCursor(cursor, { fallback, namespace, onCopied });
  });
}

/** Whether a pipeline ends in `$out` or `$merge`. */
function writes(pipeline: unknown): boolean {
  const last: unknown = Array.isArray(pipeline) ? pipeline.at(-1) : undefined;
  return typeof last === 'object' && last !== null && ('$out' in last || '$merge' in last);
}

/** These call `find` and `aggregate` of their collection; where their answer came from is told by the promise too. */
for (const name of ['findOne', 'countDocuments'] as const) {
  const method = original(name);
  define(name, function (filter, options) {
    let promise: object | undefined;
    const onCopied = (from: Provenance): void => void mark(promise, from);
    promise = method.call(this, filter, { ...(options as object), [ON_COPIED]: onCopied }) as Promise<unknown>;
    return promise;
  });
}

interface Question<T> {
  readonly plan: () => Plan;
  readonly ask: (signal: AbortSignal) => Promise<T>;
  readonly of: (documents: readonly Document[], bson: BsonOptions) => T;
}

/** A read that the driver does in one command of its own. */
function readOnce<T>(collection: Collection, options: CallOptions, { plan, ask, of }: Question<T>): Promise<T> {
  const bson: BsonOptions = { ...collection.bsonOptions, ...(options as BsonOptions) };
  const signal = options?.signal as AbortSignal | undefined;
  const read = async (): Promise<T> => {
    const found = await fallbackOf(collection).read({ namespace: collection.namespace, plan, bson, signal, ask });
    if (found.tier === undefined) return found.answer;
    const from = provenanceOf(found, Date.now());
    mark(promise, from);
    return mark(of(found.answer, bson), from);
  };
  const promise = read();
  return promise;
}

const distinct = original('distinct');
define('distinct', function (path, filter = {}, options = {}) {
  const given = options as CallOptions;
  const ask = (): Promise<unknown[]> => {
    const asked = fallbackOf(this).hides(this.namespace) ? alive(filter) : filter;
    return distinct.call(this, path, asked, options) as Promise<unknown[]>;
  };
  if (isOfSession(given)) return ask();
  return readOnce(this, given, {
    plan: () => planFind(filter, given ?? {}),
    ask,
    of: (documents, bson) => distinctValues(documents, String(path)).map((value) => driverForm({ value }, bson).value),
  });
});

const estimatedDocumentCount = original('estimatedDocumentCount');
define('estimatedDocumentCount', function (options) {
  const given = options as CallOptions;
  return readOnce(this, given, {
    plan: () => ({ filter: {}, skip: 0, count: (n) => ({ n }) }),
    ask: () => estimatedDocumentCount.call(this, options) as Promise<number>,
    of: ([counted]) => Number(counted?.n ?? 0),
  });
});

/** Each value once, of arrays their elements, in the order in which they are found. */
function distinctValues(documents: readonly Document[], path: string): unknown[] {
  const found = new Map<string, unknown>();
  for (const document of documents) {
    // An array that is passed through its elements is not a value of its own.
    const values = valuesAt(document, path).filter((value) => value !== undefined && !Array.isArray(value));
    for (const value of values) found.set(keyString(value), value);
  }
  return [...found.values()];
}

/** The place of their options, and how many documents they are about beside the first; Infinity when that is not known. */
const WRITES: Readonly<Partial<Record<keyof Collection, { at: number; more: (input: unknown) => number }>>> = {
  insertOne: { at: 1, more: () => 0 },
  // insertMany is a bulk write as well.
  bulkWrite: { at: 1, more: sizeOf },
  updateOne: { at: 2, more: () => 0 },
  updateMany: { at: 2, more: () => Number.POSITIVE_INFINITY },
  replaceOne: { at: 2, more: () => 0 },
  deleteOne: { at: 1, more: () => 0 },
  deleteMany: { at: 1, more: () => Number.POSITIVE_INFINITY },
  findOneAndUpdate: { at: 2, more: () => 0 },
  findOneAndReplace: { at: 2, more: () => 0 },
  findOneAndDelete: { at: 1, more: () => 0 },
};

for (const [name, { at, more }] of Object.entries(WRITES)) {
  const method = original(name as keyof Collection);
  define(name as keyof Collection, function (...args) {
    const fallback = fallbackOf(this);
    const isOfItsSession = isOfSession(args[at] as CallOptions);
    const run = (): Promise<unknown> => method.apply(this, args) as Promise<unknown>;
    const plainly = (): Promise<unknown> =>
      isOfItsSession ? run() : fallback.write(this.namespace, more(args[0]), run);
    if (!fallback.captures) return plainly();
    const write: DriverWrite = { collection: this, name, method, args, at, more: more(args[0]) };
    return fallback.capturing(this.namespace).then((live) => {
      if (live === undefined) return plainly();
      return isOfItsSession ? writeInSession(live, write) : writeCaptured(fallback, live, write);
    });
  });
}

function sizeOf(operations: unknown): number {
  if (!Array.isArray(operations)) return 0;
  const isMany = operations.some((operation) => 'updateMany' in Object(operation) || 'deleteMany' in Object(operation));
  return isMany ? Number.POSITIVE_INFINITY : operations.length;
}
