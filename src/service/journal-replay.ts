import { HoldfastError, isHoldfastError } from '../errors.ts';
import type { JournalEntry } from '../fallback/journal-entry.ts';
import type { ReplayBase } from '../fallback/replay.ts';
import { type Document, type DocumentText, decodeDocument, decodeValue, encodeDocument } from '../model/document.ts';
import type { Entity } from '../model/entity.ts';
import type { Position } from '../model/position.ts';
import type { Collection, Store, WriteResult } from '../store/store.ts';
import { type ConflictPolicies, freeFields, type LateWrite } from './conflict-policies.ts';
import { ConflictKind, type Conflicts } from './conflicts.ts';
import type { Fence } from './fence.ts';
import { isCommutative } from './merge.ts';

export interface JournalReplayOptions {
  /** The database itself. @throws DATABASE_UNAVAILABLE before it was reached */
  readonly store: () => Store;
  /** By collection. */
  readonly entities: ReadonlyMap<string, Entity>;
  readonly policies: ConflictPolicies;
  readonly conflicts: Conflicts;
  readonly fence?: Fence | undefined;
  /** Resolves when the copy that answers reads has what was written, or soon after. */
  readonly copied?: ((position: Position) => Promise<unknown>) | undefined;
}

/** Makes the writes of a journal in the database, on the version they were made on, or as `@conflict` says. */
export class JournalReplay {
  readonly #options: JournalReplayOptions;

  constructor(options: JournalReplayOptions) {
    this.#options = options;
  }

  /** Makes one write. What cannot be made is listed as a conflict before. @throws the store's errors (`conflict`, when it was listed) */
  async write(entry: JournalEntry, base: ReplayBase): Promise<{ readonly version: number | null }> {
    const { store, fence, copied } = this.#options;
    fence?.requireOpen();
    const collection = store().collection(entry.collection);
    try {
      if (base.broken !== undefined) throw base.broken;
      const result = await this.#made(collection, entry, base.version);
      await copied?.(result.position);
      return result;
    } catch (error) {
      if (!isHoldfastError(error) || !REFUSALS.has(error.code) || error.details.conflict !== undefined) throw error;
      throw await this.#listed(collection, entry, error);
    }
  }

  async #made(collection: Collection, entry: JournalEntry, baseVersion: number | null): Promise<WriteResult> {
    const { key, digest, method, argument } = entry;
    const entity = this.#options.entities.get(entry.collection) as Entity;
    const idempotency = { key, digest };
    const _id = decodeValue(entry.id);
    const given = argument === null ? {} : decodeDocument(argument as DocumentText);
    const isFree = method === 'updateOne' && !entry.strict && isCommutative(given, freeFields(entity));
    const ifVersion = isFree ? undefined : (baseVersion ?? undefined);
    const options = { idempotency, ifVersion };
    const { policies } = this.#options;
    const late = { entity, collection, id: _id, ifVersion, idempotency };
    switch (method) {
      case 'insertOne':
        return collection.insertOne(given, { idempotency });
      case 'replaceOne':
        return found(await collection.replaceOne({ _id }, given, options), entry);
      case 'updateOne': {
        const write = collection.updateOne({ _id }, given, options);
        return found(await this.#orLate(write, late, (each) => policies.update(each, given)), entry);
      }
      case 'deleteOne':
        // Gone is what it was to be.
        return this.#orLate(collection.deleteOne({ _id }, options), late, (each) => policies.delete(each));
    }
  }

  /** A write that comes too late is settled as its entity says. */
  async #orLate(
    write: Promise<WriteResult>,
    late: Omit<LateWrite, 'error' | 'ifVersion'> & { readonly ifVersion: number | undefined },
    settle: (late: LateWrite) => Promise<WriteResult>,
  ): Promise<WriteResult> {
    try {
      return await write;
    } catch (error) {
      const { ifVersion } = late;
      if (ifVersion === undefined || !isHoldfastError(error, 'CONFLICT')) throw error;
      return settle({ ...late, ifVersion, error });
    }
  }

  /** The error with the id of the conflict under which somebody finds it. */
  async #listed(collection: Collection, entry: JournalEntry, error: HoldfastError): Promise<HoldfastError> {
    const { id, base, baseVersion, image } = entry;
    const met = 'currentVersion' in error.details ? (error.details as unknown as Met) : await this.#met(collection, id);
    const conflict = await this.#options.conflicts.add({
      ...{ kind: ConflictKind.WRITE, collection: entry.collection, document: id, base, baseVersion },
      ...{ current: met.current && encodeDocument(met.current), currentVersion: met.currentVersion, proposed: image },
    });
    return new HoldfastError(error.code, error.message, { cause: error, details: { ...error.details, conflict } });
  }

  async #met(collection: Collection, id: DocumentText): Promise<Met> {
    return { current: await collection.findOne({ _id: decodeValue(id) }), currentVersion: null };
  }
}

interface Met {
  readonly current: Document | null;
  readonly currentVersion: number | null;
}

/** What no further try will change. */
const REFUSALS: ReadonlySet<string> = new Set(['CONFLICT', 'ALREADY_EXISTS', 'NOT_FOUND', 'VALIDATION_FAILED']);

/** @throws NOT_FOUND when the document was deleted meanwhile */
function found(result: WriteResult, { collection, id }: JournalEntry): WriteResult {
  if (result.matchedCount > 0) return result;
  throw new HoldfastError('NOT_FOUND', `${id} of "${collection}" was deleted before this write could be made`);
}
