import type { Db, IndexDescription } from 'mongodb';
import { coded } from './mongo-errors.ts';
import type { CollectionSpec, IndexSpec } from './store.ts';

/** Collections of servers and of the gateway itself. */
const NOT_DATA = /^(system\.|holdfast_)/;

/**
 * The collections of a database that hold plain documents, with the indexes that a copy can have as well. Views, capped collections and
 * time series are left out. @throws DATABASE_UNAVAILABLE, CONFIG_INVALID
 */
export async function listCollections(database: Db): Promise<CollectionSpec[]> {
  try {
    const listed = await database.listCollections().toArray();
    const names = listed.flatMap((info) => {
      const { name, type = 'collection', options } = info as typeof info & { readonly options?: { capped?: unknown } };
      return type === 'collection' && !NOT_DATA.test(name) && options?.capped !== true ? [name] : [];
    });
    const specs: CollectionSpec[] = [];
    for (const name of names.sort()) {
      const indexes = (await database.collection(name).listIndexes().toArray()) as IndexDescription[];
      specs.push({ name, indexes: indexesOf(indexes) });
    }
    return specs;
  } catch (error) {
    throw coded(error, 'list the collections', 'READ');
  }
}

/** Ordinary indexes by their paths, each once; unique where one of the same paths is. */
function indexesOf(indexes: readonly IndexDescription[]): IndexSpec[] {
  const found = new Map<string, IndexSpec>();
  for (const { key, unique, partialFilterExpression } of indexes) {
    const paths = Object.keys(key);
    const isPlain = paths.every((path) => Math.abs(Number(key[path as keyof typeof key])) === 1 && !path.includes('$'));
    const name = paths.join(',');
    if (!isPlain || name === '_id') continue;
    const isUnique = unique === true && partialFilterExpression === undefined;
    found.set(name, { name, paths, unique: isUnique || found.get(name)?.unique === true });
  }
  return [...found.values()];
}
