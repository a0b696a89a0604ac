import type {
  Abortable,
  BulkWriteOptions,
  Collection,
  CountDocumentsOptions,
  DeleteOptions,
  DeleteResult,
  Document,
  Filter,
  FindCursor,
  FindOneAndUpdateOptions,
  FindOneOptions,
  FindOptions,
  InsertManyResult,
  InsertOneOptions,
  InsertOneResult,
  OptionalUnlessRequiredId,
  ReplaceOptions,
  UpdateFilter,
  UpdateOptions,
  UpdateResult,
  WithId,
  WithoutId,
} from 'mongodb';
import type { ClientStatus } from './client-fallback.ts';
import { MongoClient, type MongoClientOptions } from './mongo-client.ts';
import type { FallbackSettings } from './settings.ts';

export interface CreateFallbackOptions extends FallbackSettings {
  /** `mongodb://…` */
  readonly url: string;
  /** Of the driver. */
  readonly client?: Omit<MongoClientOptions, 'fallback'> | undefined;
}

/** A database as functions that take the collection first; otherwise they are the driver's. */
export interface FallbackFunctions extends AsyncDisposable {
  /** For everything else. */
  readonly client: MongoClient;
  findOne<T extends Document = Document>(
    collection: string,
    filter?: Filter<T>,
    options?: FindOneOptions & Abortable,
  ): Promise<WithId<T> | null>;
  find<T extends Document = Document>(
    collection: string,
    filter?: Filter<T>,
    options?: FindOptions & Abortable,
  ): FindCursor<WithId<T>>;
  countDocuments<T extends Document = Document>(
    collection: string,
    filter?: Filter<T>,
    options?: CountDocumentsOptions & Abortable,
  ): Promise<number>;
  insertOne<T extends Document = Document>(
    collection: string,
    document: OptionalUnlessRequiredId<T>,
    options?: InsertOneOptions,
  ): Promise<InsertOneResult<T>>;
  insertMany<T extends Document = Document>(
    collection: string,
    documents: readonly OptionalUnlessRequiredId<T>[],
    options?: BulkWriteOptions,
  ): Promise<InsertManyResult<T>>;
  updateOne<T extends Document = Document>(
    collection: string,
    filter: Filter<T>,
    update: UpdateFilter<T> | Document[],
    options?: UpdateOptions,
  ): Promise<UpdateResult<T>>;
  updateMany<T extends Document = Document>(
    collection: string,
    filter: Filter<T>,
    update: UpdateFilter<T> | Document[],
    options?: UpdateOptions,
  ): Promise<UpdateResult<T>>;
  replaceOne<T extends Document = Document>(
    collection: string,
    filter: Filter<T>,
    replacement: WithoutId<T>,
    options?: ReplaceOptions,
  ): Promise<UpdateResult<T>>;
  deleteOne<T extends Document = Document>(
    collection: string,
    filter?: Filter<T>,
    options?: DeleteOptions,
  ): Promise<DeleteResult>;
  deleteMany<T extends Document = Document>(
    collection: string,
    filter?: Filter<T>,
    options?: DeleteOptions,
  ): Promise<DeleteResult>;
  /** The document before the update, or after it with `returnDocument: 'after'`. */
  findOneAndUpdate<T extends Document = Document>(
    collection: string,
    filter: Filter<T>,
    update: UpdateFilter<T> | Document[],
    options?: FindOneAndUpdateOptions,
  ): Promise<WithId<T> | null>;
  /** How the fallback is. */
  status(): Promise<ClientStatus>;
  close(): Promise<void>;
}

/**
 * Connects to a database that may be away, now or later: `MongoClient` as functions.
 * @throws CONFIG_INVALID when a dataset cannot be used; what the driver throws when it cannot connect and there are no copies
 */
export async function createFallback({
  url,
  client: options,
  ...settings
}: CreateFallbackOptions): Promise<FallbackFunctions> {
  const client = new MongoClient(url, { ...options, fallback: settings });
  try {
    await client.connect();
  } catch (error) {
    await client.close();
    throw error;
  }
  const database = client.db(settings.database);
  const calling =
    (method: (typeof METHODS)[number]) =>
    (name: string, ...args: unknown[]): unknown => {
      const collection = database.collection(name);
      return Reflect.apply(collection[method], collection, args);
    };
  const functions = Object.fromEntries(METHODS.map((method) => [method, calling(method)]));
  const close = (): Promise<void> => client.close();
  return {
    ...(functions as unknown as Pick<FallbackFunctions, (typeof METHODS)[number]>),
    ...{ client, status: () => client.fallbackStatus() },
    ...{ close, [Symbol.asyncDispose]: close },
  };
}

/** The driver's methods that the functions are. */
const METHODS = [
  ...(['findOne', 'find', 'countDocuments'] as const),
  ...(['insertOne', 'insertMany', 'updateOne', 'updateMany', 'replaceOne'] as const),
  ...(['deleteOne', 'deleteMany', 'findOneAndUpdate'] as const),
] as const satisfies readonly (keyof FallbackFunctions & keyof Collection)[];
