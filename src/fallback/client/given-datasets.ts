import { createHash } from 'node:crypto';
import { ObjectId } from 'bson';
import { HoldfastError } from '../../errors.ts';
import type { Document } from '../../model/document.ts';
import { reviveExtendedJson } from '../../model/extended-json.ts';
import { readDocuments } from '../../model/import-reader.ts';
import type { IndexSpec } from '../../store/store.ts';
import { MemoryStore } from '../dataset/open-dataset.ts';
import type { Coverage, Tier } from '../tiers.ts';
import { type DatasetDocuments, type DescribedDataset, invalid } from './settings.ts';
import { storedForm } from './values.ts';

/** Documents written to memory at once. */
const BATCH = 500;

/**
 * Hand-written documents as a tier, whose age is not known. One without `_id` gets one derived from its collection and place; of two
 * with the same the later stays.
 * @throws CONFIG_INVALID for a file that cannot be read, and what is no document or cannot be stored
 */
export async function openGivenTier(
  datasets: Readonly<Record<string, DescribedDataset>>,
): Promise<Tier & AsyncDisposable> {
  const memory = await MemoryStore.open({
    entities: Object.entries(datasets).map(([collection, { unique = [] }]) => ({
      collection,
      indexes: unique.map(indexOf),
    })),
  });
  for (const [collection, { from }] of Object.entries(datasets)) {
    try {
      const batch: Document[] = [];
      for await (const document of documentsOf(from)) {
        const place = `${collection} ${batch.length}`;
        batch.push('_id' in document ? document : { _id: idAt(place), ...document });
      }
      for (let at = 0; at < batch.length; at += BATCH) await memory.add(collection, batch.slice(at, at + BATCH));
    } catch (cause) {
      await memory[Symbol.asyncDispose]();
      if (cause instanceof HoldfastError && cause.code === 'CONFIG_INVALID') throw cause;
      throw invalid(`the dataset of "${collection}" cannot be used: ${(cause as Error).message}`, cause);
    }
  }
  return {
    ...{ source: 'DATASET', store: memory.store },
    coverage: (collection): Coverage => {
      const given = Object.hasOwn(datasets, collection) ? datasets[collection] : undefined;
      return given === undefined ? 'NONE' : given.complete === true ? 'WHOLE' : 'PART';
    },
    stalenessMs: () => Number.POSITIVE_INFINITY,
    position: () => null,
    [Symbol.asyncDispose]: () => memory[Symbol.asyncDispose](),
  };
}

/** Not a unique index: hand-written documents may break what the database keeps. */
function indexOf(path: string): IndexSpec {
  return { name: path, paths: [path], unique: false };
}

async function* documentsOf(from: DatasetDocuments): AsyncGenerator<Document, void, void> {
  if (typeof from === 'string') {
    for await (const { document, line, error } of readDocuments(from)) {
      if (document === undefined) throw new Error(`${from}:${line}: ${error}`);
      yield document;
    }
    return;
  }
  const given: unknown = typeof from === 'function' ? await from() : from;
  if (!Array.isArray(given)) throw new Error('the function gave no array');
  for (const [place, document] of given.entries()) {
    if (typeof document !== 'object' || document === null || Array.isArray(document)) {
      throw new Error(`what lies at ${place} is no document`);
    }
    // JSON that was imported has its ids and dates as extended JSON.
    yield reviveExtendedJson(storedForm(document, { ignoreUndefined: true }));
  }
}

function idAt(place: string): ObjectId {
  return ObjectId.createFromHexString(createHash('sha256').update(place).digest('hex').slice(0, 24));
}
