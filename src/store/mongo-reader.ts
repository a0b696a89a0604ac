import type { Document } from '../model/document.ts';
import type { MongoConnection } from './mongo-connection.ts';
import { coded } from './mongo-errors.ts';
import { MongoQuery } from './mongo-query.ts';
import { count, find, findGrouped, stream } from './mongo-reads.ts';
import type { MongoTable } from './mongo-table.ts';
import type { Collection } from './store.ts';

/** The reading side of a collection. */
export type ReadableCollection = Pick<Collection, 'find' | 'findGrouped' | 'countDocuments'>;

/** A database that is only read. */
export interface MongoReader {
  collection(name: string): ReadableCollection;
  /** The paths of each index, by comma; none for a collection that there is not. @throws DATABASE_UNAVAILABLE */
  indexesOf(name: string): Promise<ReadonlySet<string>>;
}

/** NamespaceNotFound */
const NO_SUCH_COLLECTION = 26;

/** What somebody's database holds, to be read and nothing else: no index is made, no log, no field added. */
export function mongoReader({ database }: MongoConnection): MongoReader {
  return {
    async indexesOf(name) {
      try {
        const indexes = await database.collection(name).listIndexes().toArray();
        return new Set(indexes.map(({ key }) => Object.keys(key as Document).join(',')));
      } catch (error) {
        if ((error as { code?: unknown }).code === NO_SUCH_COLLECTION) return new Set();
        throw coded(error, `list the indexes of "${name}"`, 'READ');
      }
    },
    collection(name) {
      const table: MongoTable = {
        name,
        raw: database.collection<Document>(name),
        uniquePaths: [],
        uniqueIndexes: new Map(),
        tombstones: { brief: false, filled: [] },
      };
      return {
        find: (filter, options = {}) => ({
          toArray: async () => find(table, new MongoQuery(filter, options), options.signal),
          async *[Symbol.asyncIterator]() {
            yield* stream(table, new MongoQuery(filter, options), options.signal);
          },
        }),
        findGrouped: async (path, keys, filter, options = {}) => findGrouped(table, path, keys, filter, options),
        countDocuments: async (filter, options = {}) => count(table, new MongoQuery(filter), options.signal),
      };
    },
  };
}
