import type { Raw } from './mongo-bson.ts';
import type { Tombstones } from './mongo-image.ts';

/** One collection of the store. */
export interface MongoTable {
  readonly name: string;
  readonly raw: Raw;
  /** Paths of unique indexes, where null is not stored. */
  readonly uniquePaths: readonly string[];
  /** By the name that a unique index has on the server, its paths. */
  readonly uniqueIndexes: ReadonlyMap<string, readonly string[]>;
  /** How tombstones are made. */
  readonly tombstones: Tombstones;
}
