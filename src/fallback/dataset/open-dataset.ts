import { createHash, type KeyObject } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isHoldfastError } from '../../errors.ts';
import { type Document, encodeDocument, encodeValue } from '../../model/document.ts';
import type { Entity, Model } from '../../model/entity.ts';
import { readDocuments } from '../../model/import-reader.ts';
import { Database, type Transaction } from '../../sqlite/database.ts';
import type { Outbox } from '../../store/outbox.ts';
import { SqliteStore } from '../../store/sqlite-store.ts';
import type { Store } from '../../store/store.ts';
import { versionsOf } from './directory.ts';
import { type DatasetManifest, MANIFEST, readManifest, refused } from './manifest.ts';

/** What a dataset must be to be used. */
export interface OpenDatasetOptions {
  /** Without it the schema is not compared, and there are no indexes. */
  readonly model?: Model | undefined;
  /** The key it was made with; without it the seal of the manifest is not checked, only the files. */
  readonly key?: KeyObject | undefined;
  /** Oldest that is used, in ms. Default: any age. */
  readonly maxAgeMs?: number | undefined;
  /** Told of each dataset that is passed over: DATASET_REFUSED. */
  readonly onRefused?: ((error: Error) => void) | undefined;
  /** Ms since 1970. Default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

/** A dataset in memory, to be read only. */
export interface Dataset extends AsyncDisposable {
  readonly store: Store;
  readonly manifest: DatasetManifest;
  /** Where it came from. */
  readonly directory: string;
}

/** Documents written to memory at once. */
const BATCH = 500;

/**
 * Opens the newest dataset of `directory` that can be used: those that were altered, made for another schema or with another key, or
 * are too old are passed over. `directory` may also be one dataset itself.
 * @throws DATASET_REFUSED (`fault`) of the newest one when none can be used, or there is none
 */
export async function openDataset(directory: string, options: OpenDatasetOptions): Promise<Dataset> {
  const places = existsSync(join(directory, MANIFEST))
    ? [directory]
    : versionsOf(directory).map((name) => join(directory, name));
  let first: Error | undefined;
  for (const place of places) {
    try {
      return await openOne(place, options);
    } catch (error) {
      if (!isHoldfastError(error, 'DATASET_REFUSED')) throw error;
      options.onRefused?.(error);
      first ??= error;
    }
  }
  throw first ?? refused(directory, 'UNREADABLE', 'there is none; make one with `holdfast fallback refresh`');
}

async function openOne(place: string, options: OpenDatasetOptions): Promise<Dataset> {
  const { model, key, maxAgeMs, now = Date.now } = options;
  const manifest = readManifest(textOf(place), basename(place), key);
  const ageMs = now() - Date.parse(manifest.capturedAt);
  if (maxAgeMs !== undefined && ageMs > maxAgeMs) {
    throw refused(basename(place), 'EXPIRED', `it is of ${manifest.capturedAt}, which is too long ago`);
  }
  if (model !== undefined && manifest.sdlHash !== model.sdlHash) {
    throw refused(basename(place), 'DRIFTED', 'the schema has changed since it was made');
  }
  const memory = await MemoryStore.open(model ?? { entities: collectionsOf(manifest) });
  try {
    for (const [collection, { file, sha256, documents }] of Object.entries(manifest.collections)) {
      const read = await memory.load(collection, join(place, file));
      if (read.sha256 === sha256 && read.documents === documents) continue;
      throw refused(basename(place), 'TAMPERED', `${file} is not what was written`);
    }
  } catch (cause) {
    await memory[Symbol.asyncDispose]();
    if (isHoldfastError(cause, 'DATASET_REFUSED')) throw cause;
    throw refused(basename(place), 'UNREADABLE', (cause as Error).message, cause);
  }
  return {
    store: memory.store,
    manifest,
    directory: place,
    [Symbol.asyncDispose]: () => memory[Symbol.asyncDispose](),
  };
}

function collectionsOf({ collections }: DatasetManifest): Kept['entities'] {
  return Object.keys(collections).map((collection) => ({ collection, indexes: [] }));
}

function textOf(place: string): string {
  try {
    return readFileSync(join(place, MANIFEST), 'utf8');
  } catch (cause) {
    throw refused(basename(place), 'UNREADABLE', (cause as Error).message, cause);
  }
}

/** Of a model, what documents in memory need. */
export interface Kept {
  readonly entities: readonly Pick<Entity, 'collection' | 'indexes'>[];
}

/** Documents in memory behind the contract of stores, with the indexes of the model. Nothing may be written through it. */
export class MemoryStore implements AsyncDisposable {
  readonly store: SqliteStore;
  readonly #database: Database;

  private constructor(database: Database, store: SqliteStore) {
    this.#database = database;
    this.store = store;
  }

  static async open(model: Kept): Promise<MemoryStore> {
    const database = Database.open({ directory: ':memory:' });
    const collections = model.entities.map(({ collection, indexes }) => ({ name: collection, indexes }));
    return new MemoryStore(database, await SqliteStore.open({ database, outbox: NO_LOG, collections }));
  }

  /** Adds the documents of a file of JSON Lines or extended JSON; the later one of two with the same id stays. */
  async load(collection: string, file: string): Promise<{ readonly sha256: string; readonly documents: number }> {
    const digest = createHash('sha256');
    let documents = 0;
    let batch: Document[] = [];
    for await (const { document, error, line } of readDocuments(hashed(file, digest))) {
      if (document === undefined) throw new Error(`${basename(file)}:${line}: ${error}`);
      documents += 1;
      batch.push(document);
      if (batch.length < BATCH) continue;
      await this.add(collection, batch);
      batch = [];
    }
    await this.add(collection, batch);
    return { sha256: digest.digest('hex'), documents };
  }

  /** Adds documents. */
  async add(collection: string, documents: readonly Document[]): Promise<void> {
    await this.#database.transaction((transaction) => {
      for (const document of documents) this.#put(transaction, collection, document);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#database.close();
  }

  #put(transaction: Transaction, collection: string, document: Document): void {
    const row = { id: encodeValue(document._id), version: 1, text: encodeDocument(document) };
    this.store.put(transaction, collection, row, 0, true);
  }
}

async function* hashed(file: string, digest: ReturnType<typeof createHash>): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of createReadStream(file, { highWaterMark: 256 * 1024 }) as AsyncIterable<Uint8Array>) {
    digest.update(chunk);
    yield chunk;
  }
}

/** The log of a store that nobody writes to. */
const NO_LOG: Outbox = {
  append: () => {
    throw new Error('a dataset is read only');
  },
  position: () => ({ epoch: 1, sequence: 0 }),
  positionSeenBy: () => ({ epoch: 1, sequence: 0 }),
  entrySeenBy: () => undefined,
  imageBeforeSeenBy: () => null,
};
