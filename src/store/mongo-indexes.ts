import type { IndexDescription } from 'mongodb';
import { HoldfastError } from '../errors.ts';
import type { Document } from '../model/document.ts';
import { fromBson, type Raw, READ_OPTIONS } from './mongo-bson.ts';
import { METADATA } from './mongo-document.ts';
import { coded, faultOf, isDuplicateKey, MongoFault } from './mongo-errors.ts';
import type { CollectionSpec, IndexSpec } from './store.ts';

/** How often the end of an index build is asked for: each time the server is silent for as long as the connection allows. */
const MOST_WAITS = 360;
/** Equal values listed in the error about a unique index. */
const VIOLATIONS_LISTED = 10;
/** NamespaceNotFound: https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml */
const NO_SUCH_COLLECTION = 26;

/** Indexes of every collection over the gateway's own field: for the sweeper, and to forget tombstones. */
const OWN_INDEXES: readonly IndexDescription[] = [
  { name: 'holdfast_pending', key: { [`${METADATA}.pending.at`]: 1 }, sparse: true },
  { name: 'holdfast_deleted', key: { [`${METADATA}.deletedAt`]: 1 }, sparse: true },
];

/** What was found or made. */
export interface PreparedIndexes {
  /** By the name that a unique index has on the server, its paths. */
  readonly uniqueIndexes: ReadonlyMap<string, readonly string[]>;
  /** Paths in which two documents cannot both have nothing: the first of each unique index that is neither sparse nor partial. */
  readonly filled: readonly string[];
  /** The indexes that only make reads faster, which are still being built. */
  readonly building: Promise<void>;
}

/**
 * Creates the indexes that are missing; one of the same fields under another name will do. Unique ones are there when this
 * resolves, the others follow. Nothing is ever dropped: an index may belong to somebody else.
 * @throws ALREADY_EXISTS when documents have equal values in a unique field (`collection`, `index`, `fields`, `values`)
 */
export async function prepareIndexes(raw: Raw, { name, indexes }: CollectionSpec): Promise<PreparedIndexes> {
  const present = await presentIndexes(raw, name);
  const uniqueIndexes = new Map<string, readonly string[]>();
  for (const index of present) if (index.unique) uniqueIndexes.set(index.name ?? '', Object.keys(index.key));
  const missing = indexes.filter((spec) => !isIdOnly(spec) && !present.some((index) => serves(index, spec)));
  for (const spec of missing.filter(({ unique }) => unique)) {
    await build(raw, { name: spec.name, key: keyOf(spec), unique: true, sparse: true }).catch(
      async (error: unknown) => {
        throw isDuplicateKey(error) ? await notUnique(raw, name, spec) : error;
      },
    );
    uniqueIndexes.set(spec.name, spec.paths);
  }
  const others: IndexDescription[] = missing
    .filter(({ unique }) => !unique)
    .map((spec) => ({ name: spec.name, key: keyOf(spec) }));
  const own = OWN_INDEXES.filter(({ name: wanted }) => !present.some((index) => index.name === wanted));
  const filled = present.filter(takesAbsence).map(({ key }) => Object.keys(key)[0] as string);
  return { uniqueIndexes, filled, building: buildAll(raw, [...own, ...others]) };
}

async function buildAll(raw: Raw, indexes: readonly IndexDescription[]): Promise<void> {
  for (const index of indexes) await build(raw, index);
}

/** Builds one index and waits for its end, which may be long after the connection gave up waiting for the answer. */
async function build(raw: Raw, index: IndexDescription): Promise<void> {
  for (let waits = 0; ; waits++) {
    try {
      await raw.createIndexes([index]);
      return;
    } catch (error) {
      if (faultOf(error) === MongoFault.UNKNOWN && waits < MOST_WAITS) continue;
      if (isDuplicateKey(error)) throw error;
      throw coded(error, `build the index "${index.name}" of "${raw.collectionName}"`, 'READ');
    }
  }
}

async function presentIndexes(raw: Raw, name: string): Promise<IndexDescription[]> {
  try {
    return (await raw.listIndexes().toArray()) as IndexDescription[];
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === NO_SUCH_COLLECTION) return [];
    throw coded(error, `list the indexes of "${name}"`, 'READ');
  }
}

function keyOf({ paths }: IndexSpec): Record<string, 1> {
  return Object.fromEntries(paths.map((path) => [path, 1]));
}

/** Whether documents without a value count in a unique index. */
function takesAbsence({ key, unique, sparse, partialFilterExpression }: IndexDescription): boolean {
  return unique === true && sparse !== true && partialFilterExpression === undefined && Object.keys(key)[0] !== '_id';
}

function isIdOnly({ paths }: IndexSpec): boolean {
  return paths.length === 1 && paths[0] === '_id';
}

function serves(index: IndexDescription, spec: IndexSpec): boolean {
  const partial = index.partialFilterExpression !== undefined || (index.sparse === true && !spec.unique);
  const samePaths = JSON.stringify(Object.keys(index.key)) === JSON.stringify(spec.paths);
  return samePaths && !partial && (index.unique === true) === spec.unique;
}

/** Says which values stand in the way of a unique index. */
async function notUnique(raw: Raw, collection: string, spec: IndexSpec): Promise<HoldfastError> {
  const key = Object.fromEntries(spec.paths.map((path, place) => [`f${place}`, `$${path}`]));
  const groups = await raw
    .aggregate(
      [
        { $match: { $or: spec.paths.map((path) => ({ [path]: { $exists: true } })) } },
        { $group: { _id: key, n: { $sum: 1 } } },
        { $match: { n: { $gt: 1 } } },
        { $limit: VIOLATIONS_LISTED },
      ],
      READ_OPTIONS,
    )
    .toArray();
  const values = groups.map((group) => {
    const fields = fromBson(group._id) as Document;
    return spec.paths.map((_, place) => fields[`f${place}`] ?? null);
  });
  const listed = values.map((value) => JSON.stringify(value.length === 1 ? value[0] : value)).join(', ');
  return new HoldfastError(
    'ALREADY_EXISTS',
    `${spec.paths.join(', ')} of "${collection}" cannot become unique: several documents have the value ${listed}`,
    { details: { collection, index: spec.name, fields: spec.paths, values } },
  );
}
