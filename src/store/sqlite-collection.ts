import { type Document, decodeDocument } from '../model/document.ts';
import type { Transaction } from '../sqlite/database.ts';
import { KeyedLock } from './keyed-lock.ts';
import { prepareDocument } from './prepared-document.ts';
import { compileProjection } from './projection.ts';
import { read, readNow, stream } from './slices.ts';
import { insertMany, type WriteFound, type WriteParts, writeMany } from './sqlite-bulk.ts';
import { findGrouped } from './sqlite-grouped.ts';
import { singleId } from './sqlite-plan.ts';
import { countOf, documentsOf, find, Query, rowsOf } from './sqlite-query.ts';
import type { StoredRow } from './sqlite-table.ts';
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

/** How often the document to write is looked for outside the transaction; then inside, where nobody can change it meanwhile. */
const LOOKS = 3;

/** A collection of the embedded store. */
export class SqliteCollection implements Collection {
  readonly name: string;
  readonly #parts: WriteParts;
  /** Bulk operations under one key, one at a time: the next is answered from memory. */
  readonly #operations = new KeyedLock<never>();

  constructor(parts: WriteParts) {
    this.name = parts.table.name;
    this.#parts = parts;
  }

  async findOne(filter: Filter, options: FindOptions = {}): Promise<Document | null> {
    const [first] = await this.#find(filter, { ...options, limit: Math.min(options.limit ?? 1, 1) });
    return first ?? null;
  }

  find(filter: Filter, options: FindOptions = {}): FindCursor {
    return {
      toArray: () => this.#find(filter, options),
      [Symbol.asyncIterator]: () => this.#stream(filter, options),
    };
  }

  async findGrouped(
    path: string,
    keys: readonly unknown[],
    filter: Filter,
    options: FindOptions = {},
  ): Promise<Document[][]> {
    const { database, table } = this.#parts;
    const query = new Query(filter, options);
    const project = projectionOf(options);
    const groups = await read(database, (reader) => findGrouped(reader, table, path, keys, query), options.signal);
    return groups.map((matches) => matches.map(({ document }) => project(document)));
  }

  async countDocuments(filter: Filter, options: Pick<FindOptions, 'signal'> = {}): Promise<number> {
    const { database, table } = this.#parts;
    const query = new Query(filter);
    if (query.matches === undefined) return table.buckets.count;
    return read(database, (reader) => countOf(reader, table, query), options.signal);
  }

  async insertOne(document: Document, options: WriteOptions = {}): Promise<WriteResult> {
    const { database, writer, table } = this.#parts;
    const prepared = prepareDocument(document);
    return database.transaction((transaction) => {
      options.signal?.throwIfAborted();
      return writer.insert(transaction, table, prepared, options);
    });
  }

  async insertMany(documents: readonly Document[], options: BulkOptions = {}): Promise<BulkResult> {
    return insertMany(this.#parts, documents, options);
  }

  async updateOne(filter: Filter, update: Update, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#writeOne(filter, options, this.#updating(update, options.accept));
  }

  async updateMany(filter: Filter, update: Update, options: BulkOptions = {}): Promise<BulkResult> {
    return this.#writeMany(filter, options, this.#updating(update));
  }

  async replaceOne(filter: Filter, document: Document, options: WriteOptions = {}): Promise<WriteResult> {
    const { writer, table } = this.#parts;
    return this.#writeOne(filter, options, (transaction, stored, current, mark) =>
      writer.update(transaction, table, stored, current, () => ({ _id: current._id, ...document }), mark),
    );
  }

  async deleteOne(filter: Filter, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#writeOne(filter, options, this.#removing());
  }

  async deleteMany(filter: Filter, options: BulkOptions = {}): Promise<BulkResult> {
    return this.#writeMany(filter, options, this.#removing());
  }

  #updating(update: Update, accept?: WriteOptions['accept']): WriteFound {
    const { writer, table } = this.#parts;
    const change = compileUpdate(update, { accept });
    return (transaction, stored, current, mark) =>
      writer.update(transaction, table, stored, current, (before) => change(before).document, mark);
  }

  #removing(): WriteFound {
    const { writer, table } = this.#parts;
    return (transaction, stored, current, mark) => writer.remove(transaction, table, stored, current, mark);
  }

  async #find(filter: Filter, options: FindOptions): Promise<Document[]> {
    const { database, table } = this.#parts;
    const id = singleId(filter);
    if (id !== undefined && options.sort === undefined) return this.#findById(id, options);
    const query = new Query(filter, options);
    const project = projectionOf(options);
    const matches = await read(database, (reader) => find(reader, table, query), options.signal);
    return matches.map(({ document }) => project(document));
  }

  /** A read by id alone is what most reads are: it takes the shortest way. */
  #findById(id: Uint8Array, options: FindOptions): Document[] {
    options.signal?.throwIfAborted();
    const { database, table } = this.#parts;
    const project = projectionOf(options);
    const found = database.reader.prepare(table.sql.textByKey).get(id);
    const wanted = (options.skip ?? 0) === 0 && options.limit !== 0;
    return found === undefined || !wanted ? [] : [project(decodeDocument(found.text as string))];
  }

  async *#stream(filter: Filter, options: FindOptions): AsyncGenerator<Document, void, void> {
    const { database, table } = this.#parts;
    const query = new Query(filter, options);
    const project = projectionOf(options);
    const documents = stream(database, (reader) => documentsOf(reader, table, query), options.signal);
    for await (const document of documents) yield project(document);
  }

  /** Writes the first document found in `_id` order. The earlier result of the same key comes before everything. */
  async #writeOne(filter: Filter, options: WriteOptions, write: WriteFound): Promise<WriteResult> {
    const { database, table } = this.#parts;
    const id = singleId(filter);
    if (id !== undefined) {
      return database.transaction((transaction) =>
        this.#write(transaction, table.rowOf(transaction, id), options, write),
      );
    }
    const query = new Query(filter, { limit: 1 });
    for (let look = 0; look < LOOKS; look++) {
      const [row] = await read(database, (reader) => rowsOf(reader, table, query));
      const result = await database.transaction((transaction) => {
        const stored = row === undefined ? undefined : this.#stillMatching(transaction, row, query);
        // Changed since it was found: look again.
        return row !== undefined && stored === undefined ? undefined : this.#write(transaction, stored, options, write);
      });
      if (result !== undefined) return result;
    }
    return database.transaction((transaction) => {
      const [row] = readNow(rowsOf(transaction, table, query));
      const stored = row === undefined ? undefined : this.#stillMatching(transaction, row, query);
      return this.#write(transaction, stored, options, write);
    });
  }

  async #writeMany(filter: Filter, options: BulkOptions, write: WriteFound): Promise<BulkResult> {
    const { operation } = options;
    const run = () => writeMany(this.#parts, filter, options, write);
    return operation === undefined ? run() : this.#operations.run(operation.key, run);
  }

  #stillMatching(transaction: Transaction, row: number, query: Query): StoredRow | undefined {
    const stored = transaction.prepare(this.#parts.table.sql.byRow).get(row) as StoredRow | undefined;
    return stored !== undefined && query.matches?.(decodeDocument(stored.text)) !== false ? stored : undefined;
  }

  #write(
    transaction: Transaction,
    stored: StoredRow | undefined,
    options: WriteOptions,
    write: WriteFound,
  ): WriteResult {
    const { writer, table } = this.#parts;
    options.signal?.throwIfAborted();
    const repeated = writer.repeated(transaction, table, options.idempotency);
    if (repeated !== undefined) return repeated;
    return stored === undefined ? writer.notFound() : write(transaction, stored, decodeDocument(stored.text), options);
  }
}

function projectionOf(options: FindOptions): (document: Document) => Document {
  return options.projection === undefined ? (document) => document : compileProjection(options.projection);
}
