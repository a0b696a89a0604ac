import type { Database } from '../../sqlite/database.ts';
import { createMeta, readMeta, writeMeta } from '../../sqlite/meta.ts';
import type { CollectionSpec } from '../../store/store.ts';

/** What a copy was last told of its database. */
export interface KnownDatabase {
  /** Where it is: hosts and name, without credentials. */
  readonly source: string;
  /** Its collections, with the indexes they have there. */
  readonly collections: readonly CollectionSpec[];
}

const KEY = 'client.database';

export async function readKnown(database: Database): Promise<KnownDatabase | undefined> {
  await database.transaction(createMeta);
  const text = readMeta(database.reader, KEY);
  return text === undefined ? undefined : (JSON.parse(String(text)) as KnownDatabase);
}

export async function writeKnown(database: Database, known: KnownDatabase): Promise<void> {
  await database.transaction((transaction) => writeMeta(transaction, KEY, JSON.stringify(known)));
}

/** Collections for a copy of a database, whose unique fields are the database's to keep. */
export function copied(collections: readonly CollectionSpec[]): CollectionSpec[] {
  return collections.map(({ name, indexes }) => ({
    name,
    indexes: indexes.map((index) => ({ ...index, unique: false })),
  }));
}

/** Collections whose indexes are somebody else's: none is made. */
export function withoutIndexes(collections: readonly CollectionSpec[]): CollectionSpec[] {
  return collections.map(({ name }) => ({ name, indexes: [] }));
}
