import { HoldfastError } from '../../src/errors.ts';
import { type Document, encodeValue } from '../../src/model/document.ts';
import type { Entity } from '../../src/model/entity.ts';
import type {
  ChangesQuery,
  DataService,
  EntityChange,
  RequestContext,
  WriteContext,
  Written,
  WrittenMany,
} from '../../src/service/data-service.ts';
import { compileFilter } from '../../src/store/filter.ts';
import { compileProjection } from '../../src/store/projection.ts';
import { compileSort } from '../../src/store/sort.ts';
import type { Filter, FindOptions, Update } from '../../src/store/store.ts';
import { applyUpdate } from '../../src/store/update.ts';

/** One call a resolver made, for tests that count them. */
export interface ServiceCall {
  readonly method: string;
  readonly entity: string;
  readonly args: readonly unknown[];
}

/** A DataService over arrays, with the store's own filters, sorts and updates. Versions and sequences count from 1. */
export class MemoryService implements DataService {
  readonly calls: ServiceCall[] = [];
  readonly #documents = new Map<string, Map<string, { document: Document; version: number }>>();
  readonly #changes: { readonly entity: string; readonly change: EntityChange }[] = [];
  #wake = Promise.withResolvers<void>();
  #ids = 0;

  /** Puts documents there without a change. */
  seed(entity: Entity, documents: readonly Document[]): void {
    for (const document of documents) this.#rows(entity).set(encodeValue(document._id), { document, version: 1 });
  }

  /** Calls since the last `take`, as `method entity`. */
  take(): string[] {
    return this.calls.splice(0).map((call) => `${call.method} ${call.entity}`);
  }

  async find(entity: Entity, filter: Filter, options: FindOptions, context: RequestContext): Promise<Document[]> {
    this.#called('find', entity, [filter, options], context);
    return this.#find(entity, filter, options);
  }

  async count(entity: Entity, filter: Filter, context: RequestContext): Promise<number> {
    this.#called('count', entity, [filter], context);
    return this.#find(entity, filter, {}).length;
  }

  async findGrouped(
    entity: Entity,
    path: string,
    keys: readonly unknown[],
    filter: Filter,
    options: FindOptions,
    context: RequestContext,
  ): Promise<Document[][]> {
    this.#called('findGrouped', entity, [path, keys, filter, options], context);
    return keys.map((key) => this.#find(entity, { $and: [{ [path]: { $eq: key } }, filter] }, options));
  }

  async create(entity: Entity, document: Document, context: WriteContext): Promise<Written> {
    this.#called('create', entity, [document, context], context);
    return this.#put(entity, { _id: `${entity.name}-${++this.#ids}`, ...document }, 'CREATED');
  }

  async createMany(entity: Entity, documents: readonly Document[], context: WriteContext): Promise<WrittenMany> {
    this.#called('createMany', entity, [documents, context], context);
    return this.#many(documents, (document) =>
      this.#put(entity, { _id: `${entity.name}-${++this.#ids}`, ...document }, 'CREATED'),
    );
  }

  async update(
    entity: Entity,
    id: unknown,
    update: Update,
    ifVersion: number | undefined,
    context: WriteContext,
  ): Promise<Written> {
    this.#called('update', entity, [id, update, ifVersion, context], context);
    const { document } = this.#expected(entity, id, ifVersion);
    return this.#put(entity, applyUpdate(document, update).document, 'UPDATED');
  }

  async updateMany(entity: Entity, filter: Filter, update: Update, context: WriteContext): Promise<WrittenMany> {
    this.#called('updateMany', entity, [filter, update, context], context);
    return this.#many(this.#find(entity, filter, {}), (document) =>
      this.#put(entity, applyUpdate(document, update).document, 'UPDATED'),
    );
  }

  async upsert(
    entity: Entity,
    filter: Filter,
    document: Document,
    update: Update,
    context: WriteContext,
  ): Promise<Written> {
    this.#called('upsert', entity, [filter, document, update, context], context);
    const [existing] = this.#find(entity, filter, {});
    if (existing !== undefined) return this.#put(entity, applyUpdate(existing, update).document, 'UPDATED');
    return this.#put(entity, { _id: `${entity.name}-${++this.#ids}`, ...document }, 'CREATED');
  }

  async delete(entity: Entity, id: unknown, ifVersion: number | undefined, context: WriteContext): Promise<Written> {
    this.#called('delete', entity, [id, ifVersion, context], context);
    return this.#remove(entity, this.#expected(entity, id, ifVersion).document);
  }

  async deleteMany(entity: Entity, filter: Filter, context: WriteContext): Promise<WrittenMany> {
    this.#called('deleteMany', entity, [filter, context], context);
    return this.#many(this.#find(entity, filter, {}), (document) => this.#remove(entity, document));
  }

  async *changes(entity: Entity, query: ChangesQuery, context: RequestContext): AsyncIterable<EntityChange> {
    this.#called('changes', entity, [query], context);
    const ended = new Promise<void>((resolve) => context.signal.addEventListener('abort', () => resolve()));
    const matches = compileFilter(query.filter);
    for (let next = query.after?.sequence ?? this.#changes.length; !context.signal.aborted; ) {
      const item = this.#changes[next];
      if (item === undefined) {
        await Promise.race([this.#wake.promise, ended]);
        continue;
      }
      next++;
      const { document, operation } = item.change;
      const wanted = item.entity === entity.name && query.operations.includes(operation);
      if (wanted && (document === null || matches(document))) yield item.change;
    }
  }

  #called(method: string, entity: Entity, args: readonly unknown[], context: RequestContext): void {
    this.calls.push({ method, entity: entity.name, args });
    context.provenance = { source: 'DATABASE', asOf: '', stalenessMs: 0, position: this.#position(), degraded: false };
  }

  #position(): string {
    return `1.${this.#changes.length}`;
  }

  #rows(entity: Entity): Map<string, { document: Document; version: number }> {
    const rows = this.#documents.get(entity.name) ?? new Map();
    this.#documents.set(entity.name, rows);
    return rows;
  }

  #find(entity: Entity, filter: Filter, options: FindOptions): Document[] {
    const { sort = { _id: 1 }, skip = 0, limit = Number.POSITIVE_INFINITY, projection } = options;
    const matches = compileFilter(filter);
    const found = [...this.#rows(entity).values()].map((row) => row.document).filter(matches);
    const page = found.sort(compileSort(sort)).slice(skip, skip + limit);
    return projection === undefined ? page : page.map(compileProjection(projection));
  }

  #expected(entity: Entity, id: unknown, ifVersion: number | undefined) {
    const row = this.#rows(entity).get(encodeValue(id));
    if (row === undefined) throw new HoldfastError('NOT_FOUND', `there is no ${entity.name} with id ${String(id)}`);
    if (ifVersion !== undefined && ifVersion !== row.version) {
      const details = { current: row.document, currentVersion: row.version };
      throw new HoldfastError('CONFLICT', `${entity.name} ${String(id)} has version ${row.version}`, { details });
    }
    return row;
  }

  #put(entity: Entity, document: Document, operation: 'CREATED' | 'UPDATED'): Written {
    const rows = this.#rows(entity);
    const key = encodeValue(document._id);
    const known = rows.get(key);
    if (operation === 'CREATED' && known !== undefined) this.#refuse(entity, '_id');
    for (const { storedName, unique } of entity.fields) {
      const value = document[storedName];
      if (!unique || value === null || value === undefined) continue;
      const twin = this.#find(entity, { [storedName]: { $eq: value }, _id: { $ne: document._id } }, {});
      if (twin.length > 0) this.#refuse(entity, storedName);
    }
    const version = (known?.version ?? 0) + 1;
    rows.set(key, { document, version });
    return this.#record(entity, operation, document, version);
  }

  #remove(entity: Entity, document: Document): Written {
    const key = encodeValue(document._id);
    const version = (this.#rows(entity).get(key)?.version ?? 0) + 1;
    this.#rows(entity).delete(key);
    return this.#record(entity, 'DELETED', document, version);
  }

  #refuse(entity: Entity, path: string): never {
    throw new HoldfastError('ALREADY_EXISTS', `another ${entity.name} has the same ${path}`, {
      details: { fields: [path] },
    });
  }

  #record(entity: Entity, operation: EntityChange['operation'], document: Document, version: number): Written {
    const position = { epoch: 1, sequence: this.#changes.length + 1 };
    const image = operation === 'DELETED' ? null : document;
    const change = { operation, id: document._id, document: image, version, position, at: new Date(0) };
    this.#changes.push({ entity: entity.name, change });
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
    return { document, outcome: 'COMMITTED', version, position, journalId: null };
  }

  #many(documents: readonly Document[], write: (document: Document) => Written): WrittenMany {
    const written: Document[] = [];
    const refused: { index: number; code: string; message: string }[] = [];
    for (const [index, document] of documents.entries()) {
      try {
        const result = write(document);
        if (result.document !== null) written.push(result.document);
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error;
        refused.push({ index, code: error.code, message: error.message });
      }
    }
    const position = { epoch: 1, sequence: this.#changes.length };
    return {
      documents: written,
      matched: documents.length,
      written: written.length,
      refused,
      outcome: 'COMMITTED',
      position,
    };
  }
}
