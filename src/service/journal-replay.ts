import { HoldfastError, isHoldfastError } from '../errors.ts';
import type { JournalEntry } from '../fallback/journal-entry.ts';
import type { ReplayBase, ReplayedWrite } from '../fallback/replay.ts';
import { documentHash } from '../model/change.ts';
import { type Document, type DocumentText, decodeDocument, decodeValue, encodeDocument } from '../model/document.ts';
import { ConflictPolicy } from '../model/entity.ts';
import type { Position } from '../model/position.ts';
import type { Collection, Store, WriteResult } from '../store/store.ts';
import { type ConflictPolicies, freeFields, type LateEntity, type LateWrite } from './conflict-policies.ts';
import { ConflictKind, type Conflicts } from './conflicts.ts';
import type { Fence } from './fence.ts';
import { isCommutative } from './merge.ts';

export interface JournalReplayOptions {
  /** The database itself. @throws DATABASE_UNAVAILABLE before it was reached */
  readonly store: () => Store;
  /** What is to be done about late writes, by collection; nothing for one that there is not. */
  readonly entities: Pick<ReadonlyMap<string, LateEntity>, 'get'>;
  readonly policies: ConflictPolicies;
  readonly conflicts: Conflicts;
  readonly fence?: Fence | undefined;
  /** Resolves when what answers reads of the collection has what was written, or soon after. */
  readonly copied?: ((collection: string, position: Position) => Promise<unknown>) | undefined;
}

/** Makes the writes of a journal in the database, on the version they were made on, or as `@conflict` says. */
export class JournalReplay {
  readonly #options: JournalReplayOptions;

  constructor(options: JournalReplayOptions) {
    this.#options = options;
  }

  /** Makes one write. What cannot be made is listed as a conflict before. @throws the store's errors (`conflict`, when it was listed) */
  async write(entry: JournalEntry, base: ReplayBase): Promise<ReplayedWrite> {
    const { store, fence, copied } = this.#options;
    using _write = fence?.begin();
    const collection = store().collection(entry.collection);
    try {
      if (base.broken !== undefined) throw base.broken;
      const { result, moved } = await this.#made(collection, entry, base);
      await copied?.(entry.collection, result.position);
      return { version: result.version, moved };
    } catch (error) {
      if (!isHoldfastError(error) || !REFUSALS.has(error.code) || error.details.conflict !== undefined) throw error;
      throw await this.#listed(collection, entry, error);
    }
  }

  async #made(collection: Collection, entry: JournalEntry, base: ReplayBase): Promise<Made> {
    const { key, digest, method, argument } = entry;
    const entity = this.#options.entities.get(entry.collection) as LateEntity;
    const idempotency = { key, digest };
    if (method === 'insertOne') {
      return {
        result: await collection.insertOne(decodeDocument(argument as DocumentText), { idempotency }),
        moved: false,
      };
    }
    const isFree =
      method === 'updateOne' &&
      !entry.strict &&
      isCommutative(decodeDocument(argument as DocumentText), freeFields(entity));
    if (!isFree && base.moved && entity.conflict !== ConflictPolicy.LAST_WRITE_WINS) throw movedOn(entry);
    const ifVersion = isFree && base.moved ? undefined : (base.version ?? undefined);
    try {
      const result = await this.#changed(collection, entry, entity, ifVersion);
      return { result, moved: isFree && (base.moved || !(await this.#isOn(entry, base, result))) };
    } catch (error) {
      if (!isFree || ifVersion === undefined || !isHoldfastError(error, 'CONFLICT')) throw error;
      return { result: await this.#changed(collection, entry, entity, undefined), moved: true };
    }
  }

  /** Whether a write was made on its base. Of one that was made before, and nobody heard its answer, the log tells. */
  async #isOn({ collection, id, base: text }: JournalEntry, base: ReplayBase, result: WriteResult): Promise<boolean> {
    const { version, repeated } = result;
    // One that changed nothing left its base as it was.
    if (!repeated || version === base.version) return true;
    if (text === null || base.version === null || version === null) return false;
    const before = documentHash(collection, id, base.version, text);
    return this.#options.policies.isDirectlyAfter(before, { collection, id, version });
  }

  async #changed(
    collection: Collection,
    entry: JournalEntry,
    entity: LateEntity,
    ifVersion: number | undefined,
  ): Promise<WriteResult> {
    const { key, digest, method, argument, strict } = entry;
    const { policies } = this.#options;
    const _id = decodeValue(entry.id);
    const options = { idempotency: { key, digest }, ifVersion };
    const late = { entity, collection, id: _id, ifVersion, idempotency: options.idempotency };
    // Gone is what a deletion is to bring about.
    if (method === 'deleteOne') {
      return this.#orLate(collection.deleteOne({ _id }, options), late, (each) => policies.delete(each));
    }
    const given = decodeDocument(argument as DocumentText);
    if (method === 'replaceOne') return found(await collection.replaceOne({ _id }, given, options), entry);
    const write = collection.updateOne({ _id }, given, options);
    const isFree = !strict && isCommutative(given, freeFields(entity));
    return found(await (isFree ? write : this.#orLate(write, late, (each) => policies.update(each, given))), entry);
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

  /** What is there, with its version: a write of a version that no document has is refused with both. */
  async #met(collection: Collection, id: DocumentText): Promise<Met> {
    try {
      await collection.updateOne({ _id: decodeValue(id) }, { $set: {} }, { ifVersion: NO_VERSION });
      return { current: null, currentVersion: null };
    } catch (error) {
      if (!isHoldfastError(error, 'CONFLICT')) throw error;
      return error.details as unknown as Met;
    }
  }
}

/** Those of documents begin at 1. */
const NO_VERSION = 0;

interface Met {
  readonly current: Document | null;
  readonly currentVersion: number | null;
}

interface Made {
  readonly result: WriteResult;
  readonly moved: boolean;
}

function movedOn({ seq, after }: JournalEntry): HoldfastError {
  const reason = `entry ${after} was made on a version of others, which entry ${seq} does not go together with`;
  return new HoldfastError('CONFLICT', reason);
}

/** What no further try will change. */
const REFUSALS: ReadonlySet<string> = new Set(['CONFLICT', 'ALREADY_EXISTS', 'NOT_FOUND', 'VALIDATION_FAILED']);

/** @throws NOT_FOUND when the document was deleted meanwhile */
function found(result: WriteResult, { collection, id }: JournalEntry): WriteResult {
  if (result.matchedCount > 0) return result;
  throw new HoldfastError('NOT_FOUND', `${id} of "${collection}" was deleted before this write could be made`);
}
