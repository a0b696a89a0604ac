import type { Document } from '../model/document.ts';
import type { MongoConnection } from './mongo-connection.ts';
import { MongoQuery } from './mongo-query.ts';
import { count, find, findGrouped, stream } from './mongo-reads.ts';
import type { MongoTable } from './mongo-writer.ts';
import type { Collection } from './store.ts';

/** The reading side of a collection. */
export type ReadableCollection = Pick<Collection, 'find' | 'findGrouped' | 'countDocuments'>;

/** What somebody's database holds, to be read and nothing else: no index is made, no log, no field added. */
export function mongoReader({ database }: MongoConnection): { collection(name: string): ReadableCollection } {
  return {
    collection(name) {
      const table: MongoTable = {
        name,
        raw: database.collection<Document>(name),
        uniquePaths: [],
        uniqueIndexes: new Map(),
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
