import { HoldfastError } from '../errors.ts';
import { canonical } from '../model/canonical.ts';
import { type Document, encodeValue } from '../model/document.ts';
import { KeyedLock } from './keyed-lock.ts';
import { READ_OPTIONS } from './mongo-bson.ts';
import { insertMany, writeMany } from './mongo-bulk.ts';
import { isThere, requireStorable, type Stored, storedOf } from './mongo-document.ts';
import { coded } from './mongo-errors.ts';
import { MongoQuery, refuseMetadataUpdate, soleId } from './mongo-query.ts';
import { count, find, findGrouped, stream } from './mongo-reads.ts';
import { notFound } from './mongo-results.ts';
import type { MongoTable } from './mongo-table.ts';
import { withoutNulls } from './mongo-unique.ts';
import type { Decide, MongoWriter } from './mongo-writer.ts';
import { type PreparedDocument, prepareDocument } from './prepared-document.ts';
import type {
  BulkOptions,
  BulkResult,
  Collection,
  Filter,
  FindCursor,
  FindOptions,
  Update,
  WriteOptions,
  WriteResult,
} from './store.ts';
import { compileUpdate } from './update.ts';

/** How often a document is looked for anew that changed between being found and being written. */
const LOOKS = 50;

/** What becomes of a document that is there. */
type Change = (stored: Stored & { readonly document: Document }) => ReturnType<Decide>;

/** A collection on MongoDB. */
export class MongoCollection implements Collection {
  readonly name: string;
  readonly #table: MongoTable;
  readonly #writer: MongoWriter;
  /** Writes by filter under one key, one at a time: each might find other documents. The next is answered from memory. */
  readonly #keys = new KeyedLock<never>();

  constructor(table: MongoTable, writer: MongoWriter) {
    this.name = table.name;
    this.#table = table;
    this.#writer = writer;
  }

  async findOne(filter: Filter, options: FindOptions = {}): Promise<Document | null> {
    const query = new MongoQuery(filter, { ...options, limit: Math.min(options.limit ?? 1, 1) });
    const [first] = await find(this.#table, query, options.signal);
    return first ?? null;
  }

  find(filter: Filter, options: FindOptions = {}): FindCursor {
    const table = this.#table;
    return {
      toArray: async () => find(table, new MongoQuery(filter, options), options.signal),
      async *[Symbol.asyncIterator]() {
        yield* stream(table, new MongoQuery(filter, options), options.signal);
      },
    };
  }

  async findGrouped(
    path: string,
    keys: readonly unknown[],
    filter: Filter,
    options: FindOptions = {},
  ): Promise<Document[][]> {
    return findGrouped(this.#table, path, keys, filter, options);
  }

  async countDocuments(filter: Filter, options: Pick<FindOptions, 'signal'> = {}): Promise<number> {
    return count(this.#table, new MongoQuery(filter), options.signal);
  }

  async insertOne(document: Document, options: WriteOptions = {}): Promise<WriteResult> {
    const prepared = this.#prepare(document);
    const { _id } = prepared.document;
    return this.#writer.write(this.#table, _id, options, this.#inserting(prepared), null);
  }

  async insertMany(documents: readonly Document[], options: BulkOptions = {}): Promise<BulkResult> {
    const prepare = (document: Document) => this.#prepare(document);
    const inserting = (prepared: PreparedDocument) => this.#inserting(prepared);
    return insertMany(this.#writer, this.#table, documents, options, prepare, inserting);
  }

  async updateOne(filter: Filter, update: Update, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#writeOne(filter, options, this.#updating(update, options.accept));
  }

  async updateMany(filter: Filter, update: Update, options: BulkOptions = {}): Promise<BulkResult> {
    return this.#writeMany(filter, options, this.#updating(update));
  }

  async replaceOne(filter: Filter, document: Document, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#writeOne(filter, options, (stored) =>
      this.#changed(stored, { _id: stored.document._id, ...document }),
    );
  }

  async deleteOne(filter: Filter, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#writeOne(filter, options, removing);
  }

  async deleteMany(filter: Filter, options: BulkOptions = {}): Promise<BulkResult> {
    return this.#writeMany(filter, options, removing);
  }

  /** A document as it will be stored: `_id` first, as every server puts it, and without nulls in unique fields. */
  #prepare(document: Document): PreparedDocument {
    const { _id, ...fields } = document;
    const prepared = prepareDocument(withoutNulls({ _id, ...fields }, this.#table.uniquePaths));
    requireStorable(prepared.document, prepared.text);
    return prepared;
  }

  #inserting({ id, text, document }: PreparedDocument): Decide {
    const { _id } = document;
    return (stored) => {
      if (stored?.document != null) throw idExists(this.name, id);
      return { operation: 'CREATED', base: stored, _id, id, document, text };
    };
  }

  #updating(update: Update, accept?: WriteOptions['accept']): Change {
    refuseMetadataUpdate(update);
    const change = compileUpdate(update, { accept });
    return (stored) => {
      const { document, modified } = change(stored.document);
      return modified ? this.#changed(stored, document) : { unchanged: stored };
    };
  }

  #changed(stored: Stored, changed: Document): ReturnType<Decide> {
    const { id, _id } = stored;
    if (encodeValue(changed._id) !== id) {
      throw new HoldfastError('VALIDATION_FAILED', `the _id of a document cannot be changed (${id} of "${this.name}")`);
    }
    const { text, document } = canonical(withoutNulls(changed, this.#table.uniquePaths));
    if (text === stored.text) return { unchanged: stored };
    requireStorable(document, text);
    return { operation: 'UPDATED', base: stored, _id, id, document, text };
  }

  /** Writes the first document found in `_id` order. The earlier result of the same key comes before everything. */
  async #writeOne(filter: Filter, options: WriteOptions, change: Change): Promise<WriteResult> {
    const query = new MongoQuery(filter);
    const { idempotency } = options;
    const decide: Decide = (stored) => (isThere(stored) ? change(current(this.name, stored, options)) : NOTHING);
    const sole = soleId(filter);
    if (sole !== undefined) return this.#writer.write(this.#table, sole._id, options, decide);
    const run = () => this.#writeFound(query, options, decide);
    return idempotency === undefined ? run() : this.#keys.run(idempotency.key, run);
  }

  async #writeFound(query: MongoQuery, options: WriteOptions, decide: Decide): Promise<WriteResult> {
    const table = this.#table;
    const { idempotency } = options;
    for (let look = 0; look < LOOKS; look++) {
      const first = await this.#first(query);
      if (first === null) {
        const repeated = idempotency && (await this.#writer.repeated(table, idempotency));
        return repeated ?? notFound(this.#writer.parts.log);
      }
      let gone = false;
      const whileMatching: Decide = (now) => {
        gone = !isThere(now) || !query.matches(now.document);
        return gone ? NOTHING : decide(now);
      };
      const result = await this.#writer.write(table, first._id, options, whileMatching, first);
      if (!gone || result.repeated) return result;
    }
    throw new HoldfastError(
      'WRITE_CONTENTION',
      `the documents of "${this.name}" that match were changed by others ${LOOKS} times before one could be written`,
    );
  }

  async #first(query: MongoQuery): Promise<Stored | null> {
    try {
      const raw = await this.#table.raw.findOne(query.filter, { ...READ_OPTIONS, sort: { _id: 1 } });
      return raw === null ? null : storedOf(this.name, raw);
    } catch (error) {
      throw coded(error, `find a document of "${this.name}"`, 'READ');
    }
  }

  async #writeMany(filter: Filter, options: BulkOptions, change: Change): Promise<BulkResult> {
    const { operation } = options;
    const query = new MongoQuery(filter);
    const decide: Decide = (stored) => (isThere(stored) ? change(stored) : NOTHING);
    const run = () => writeMany(this.#writer, this.#table, query, options, decide);
    return operation === undefined ? run() : this.#keys.run(operation.key, run);
  }
}

const NOTHING = { unchanged: null } as const;

const removing: Change = (stored) => {
  const { id, _id } = stored;
  return { operation: 'DELETED', base: stored, _id, id, document: null, text: null };
};

/** The document, when it has the version asked for. @throws CONFLICT */
function current<T extends Stored>(collection: string, stored: T, { ifVersion }: WriteOptions): T {
  const { id, document, version } = stored;
  if (ifVersion === undefined || ifVersion === version) return stored;
  throw new HoldfastError(
    'CONFLICT',
    `${id} of "${collection}" has version ${version}, not ${ifVersion}: it was changed meanwhile`,
    { details: { current: document, currentVersion: version } },
  );
}

function idExists(collection: string, id: string): HoldfastError {
  return new HoldfastError('ALREADY_EXISTS', `"${collection}" already has a document with the _id ${id}`, {
    details: { fields: ['_id'] },
  });
}
