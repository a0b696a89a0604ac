import type { AnyBulkWriteOperation, Collection, Document } from 'mongodb';
import { METADATA } from '../../store/mongo-document.ts';
import { alive } from './hidden.ts';
import type { ClientLive } from './live.ts';
import { idsNamed, type Touched } from './touched.ts';
import { type BsonOptions, storedForm } from './values.ts';

/** A method of the driver's collection. */
export type Method = (this: Collection, ...args: unknown[]) => unknown;
/** Options of a call. */
export type Options = Readonly<Record<string, unknown>>;

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

/** Inserts documents with what captures them, where that can be; else they are captured after it. */
export async function inserting<T>(
  live: ClientLive,
  { collection, args, at }: DriverWrite,
  touched: Touched,
  documents: readonly unknown[],
  call: (documents: readonly unknown[]) => Promise<T>,
): Promise<T> {
  const bson = { ...collection.bsonOptions, ...(args[at] as BsonOptions) };
  const isPlain = documents.every((document) => isNamed(document));
  const stored = isPlain ? documents.map((document) => storedForm(document as Document, bson)) : [];
  const stamped = stored.length === 0 ? undefined : live.stamp(collection.namespace, stored);
  if (stamped === undefined) {
    try {
      return await call(documents);
    } finally {
      // The driver has given ids to those that had none.
      touched.add(documents.map((document) => (document as Document | undefined)?._id));
    }
  }
  try {
    const result = await call(
      documents.map((document, place) => ({ ...(document as Document), [METADATA]: stamped.metadata[place] })),
    );
    touched.stamped = stamped;
    return result;
  } catch (error) {
    touched.add(documents.map((document) => (document as Document)._id));
    throw error;
  }
}

/** Whether a document is one that can be copied field by field, and has its id. */
function isNamed(document: unknown): boolean {
  if (typeof document !== 'object' || document === null || 'toBSON' in document) return false;
  const prototype: unknown = Object.getPrototypeOf(document);
  return (prototype === Object.prototype || prototype === null) && '_id' in document && document._id !== undefined;
}

/** A bulk write; what it inserts is captured with that. */
export async function runBulk(
  live: ClientLive,
  write: DriverWrite,
  touched: Touched,
  call: (args: readonly unknown[]) => Promise<unknown>,
): Promise<unknown> {
  const { collection, args } = write;
  const [operations, ...rest] = args;
  if (!Array.isArray(operations)) return call(args);
  const sent = (operations as AnyBulkWriteOperation[]).map(aliveOperation);
  const inserts = sent.flatMap((operation) => ('insertOne' in operation ? [operation.insertOne.document] : []));
  for (const document of inserts) named(collection, [document, args[1]]);
  for (const operation of sent) {
    const [kind, model] = Object.entries(operation as Document)[0] ?? [];
    if (kind === 'insertOne') continue;
    const ids = idsNamed(model?.filter ?? model?.q);
    if (ids === undefined) touched.isOpen = true;
    else touched.add(ids);
  }
  return inserting(live, write, touched, inserts, async (documents) => {
    const next = documents.values();
    const given = sent.map((operation) => {
      if (!('insertOne' in operation)) return operation;
      const document = next.next().value;
      // One that is sent as it is may have a form that only the driver knows.
      return document === operation.insertOne.document
        ? operation
        : { insertOne: { ...operation.insertOne, document } };
    });
    const result = (await call([given, ...rest])) as { readonly upsertedIds?: Record<number, unknown> };
    touched.add(Object.values(result.upsertedIds ?? {}));
    return result;
  });
}

function aliveOperation(operation: AnyBulkWriteOperation): AnyBulkWriteOperation {
  const [kind, model] = Object.entries(operation as Document)[0] ?? [];
  if (kind === undefined || typeof model !== 'object' || model === null || !('filter' in model)) return operation;
  return { [kind]: { ...model, filter: alive(model.filter) } } as unknown as AnyBulkWriteOperation;
}

/** Gives a document its id as the driver does, so that it is the same wherever the document goes. */
export function named(collection: Collection, [document, options]: readonly unknown[]): void {
  const isServers = (options as Options | undefined)?.forceServerObjectId ?? collection.db.options?.forceServerObjectId;
  if (typeof document !== 'object' || document === null || isServers === true) return;
  const given = document as Document;
  given._id ??= collection.db.options?.pkFactory?.createPk() ?? collection.db.client.options.pkFactory.createPk();
}
