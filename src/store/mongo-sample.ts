import type { Document } from '../model/document.ts';
import { type Raw, READ_OPTIONS } from './mongo-bson.ts';
import type { MongoConnection } from './mongo-connection.ts';
import { METADATA, visible } from './mongo-document.ts';
import { coded } from './mongo-errors.ts';

/** A collection as it is found in a database. */
export interface FoundCollection {
  readonly name: string;
  /** Documents, about. */
  readonly count: number;
  /** Fields that have an index of their own, and whether no two documents may have the same value. */
  readonly indexes: ReadonlyMap<string, { readonly unique: boolean }>;
  /** Documents from both ends of the collection, at most `limit`. */
  sample(limit: number): AsyncIterable<Document>;
}

/** NamespaceNotFound */
const NO_SUCH_COLLECTION = 26;

/** The collections that hold somebody's data, by name: those of the server and the gateway's own left out. @throws DATABASE_UNAVAILABLE */
export async function foundCollections({ database }: MongoConnection): Promise<FoundCollection[]> {
  try {
    const listed = await database.listCollections({}, { nameOnly: false }).toArray();
    const names = listed
      .filter(({ type, name }) => (type ?? 'collection') === 'collection' && !/^(system\.|holdfast_)/.test(name))
      .map(({ name }) => name)
      .sort();
    const found: FoundCollection[] = [];
    for (const name of names) {
      const raw: Raw = database.collection<Document>(name);
      const indexes = await indexesOf(raw);
      found.push({
        ...{ name, indexes },
        count: await raw.estimatedDocumentCount(),
        sample: (limit) => sample(raw, limit),
      });
    }
    return found;
  } catch (error) {
    throw coded(error, 'list the collections', 'READ');
  }
}

async function indexesOf(raw: Raw): Promise<Map<string, { unique: boolean }>> {
  const found = new Map<string, { unique: boolean }>();
  try {
    for (const { key, unique } of await raw.listIndexes().toArray()) {
      const [path, ...others] = Object.keys(key as Document);
      if (path === undefined || others.length > 0 || path === '_id' || path.startsWith(METADATA)) continue;
      found.set(path, { unique: unique === true || found.get(path)?.unique === true });
    }
  } catch (error) {
    if ((error as { code?: unknown }).code !== NO_SUCH_COLLECTION) throw error;
  }
  return found;
}

/** The oldest and the newest by `_id`: what documents look like has often changed over time. */
async function* sample(raw: Raw, limit: number): AsyncGenerator<Document, void> {
  const alive: Document = { [`${METADATA}.deleted`]: { $ne: true } };
  const oldest = Math.ceil(limit / 2);
  let last: unknown;
  let taken = 0;
  try {
    for await (const document of raw.find(alive, { ...READ_OPTIONS, sort: { _id: 1 }, limit: oldest })) {
      taken += 1;
      last = document._id;
      yield visible(document);
    }
    if (taken < oldest) return;
    const after: Document = { $and: [alive, { _id: { $gt: last } }] };
    const newest = { ...READ_OPTIONS, sort: { _id: -1 as const }, limit: limit - oldest };
    for await (const document of raw.find(after, newest)) yield visible(document);
  } catch (error) {
    throw coded(error, `read "${raw.collectionName}"`, 'READ');
  }
}
