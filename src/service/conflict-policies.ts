import { HoldfastError, isHoldfastError } from '../errors.ts';
import type { Hash, LogEntry } from '../model/change.ts';
import { type Document, decodeDocument, encodeDocument, encodeValue } from '../model/document.ts';
import { ConflictPolicy, type Entity } from '../model/entity.ts';
import type { Collection, IdempotencyKey, Update, WriteOptions, WriteResult } from '../store/store.ts';
import { applyUpdate } from '../store/update.ts';
import { ConflictKind, type ConflictOutcome, type Conflicts, type NewConflict } from './conflicts.ts';
import { merge } from './merge.ts';

/** How often a write is tried again when its document changes once more in between. */
const TRIES = 5;

/** Where the older versions of documents are: the change log. */
export interface VersionHistory {
  /** The entry of one version of a document; undefined when it was trimmed or never was. */
  entryOfVersion(collection: string, id: string, version: number): Promise<LogEntry | undefined>;
}

interface VersionOfDocument {
  readonly collection: string;
  readonly id: string;
  readonly version: number;
}

/** What a hand-written function for `@conflict(policy: CUSTOM)` is given: documents with stored names, `_id` among them. */
export interface ConflictSides {
  readonly base: Document;
  readonly current: Document;
  readonly proposed: Document;
}

/** Decides one conflict: the document to be stored, or null when somebody else has to decide. */
export type DecideConflict = (sides: ConflictSides) => Document | null | Promise<Document | null>;

export interface ConflictPoliciesOptions {
  readonly conflicts: Conflicts;
  readonly history: VersionHistory;
  /** Of entities with policy CUSTOM, by name. */
  readonly decide: ReadonlyMap<string, DecideConflict>;
}

/** What of an entity says how late writes of it are settled. */
export type LateEntity = Pick<Entity, 'name' | 'collection' | 'fields' | 'conflict'>;

/** A write with `ifVersion` that found another version. */
export interface LateWrite {
  readonly entity: LateEntity;
  readonly collection: Collection;
  readonly id: unknown;
  readonly ifVersion: number;
  readonly idempotency: IdempotencyKey | undefined;
  readonly accept?: WriteOptions['accept'];
  /** The store's CONFLICT, with `current` and `currentVersion`. */
  readonly error: HoldfastError;
}

/** What a late write meets: the documents before it, and there now. */
interface Met {
  readonly base: Document;
  readonly current: Document;
  readonly currentVersion: number;
  /** The store's CONFLICT. */
  readonly error: HoldfastError;
}

/** What `@conflict` says about writes that were made on an older version of their document. */
export class ConflictPolicies {
  readonly #options: ConflictPoliciesOptions;

  constructor(options: ConflictPoliciesOptions) {
    this.#options = options;
  }

  /**
   * Makes a late update as the policy of its entity says. What has to give way is listed before.
   * @throws CONFLICT (`current`, `currentVersion`; `conflict`, its id, when it was listed); what the store throws
   */
  async update(late: LateWrite, update: Update): Promise<WriteResult> {
    const { entity, collection, id, idempotency, accept } = late;
    const free = freeFields(entity);
    return this.#settle(late, async ({ base, current, currentVersion, error }) => {
      const options: WriteOptions = { ifVersion: currentVersion, idempotency, accept };
      const sides = { base, current, proposed: applyUpdate(base, update).document };
      const record = (outcome: ConflictOutcome): NewConflict => recordOf(late, sides, currentVersion, outcome);
      const merged = merge({ update, base, current, free });
      switch (entity.conflict) {
        case ConflictPolicy.MERGE:
          if (merged.overlap.length > 0) throw await this.#listed(record('OPEN'), error);
          return collection.updateOne({ _id: id }, merged.update, options);
        case ConflictPolicy.LAST_WRITE_WINS: {
          const write = () => collection.updateOne({ _id: id }, update, options);
          return merged.overlap.length === 0 ? write() : this.#overruling(record('APPLIED'), write);
        }
        case ConflictPolicy.CUSTOM: {
          const decided = (await this.#options.decide.get(entity.name)?.(sides)) ?? null;
          if (decided === null) throw await this.#listed(record('OPEN'), error);
          const { _id, ...fields } = decided;
          return this.#overruling(record('REPLACED'), () => collection.replaceOne({ _id: id }, fields, options));
        }
        default:
          throw error;
      }
    });
  }

  /** Whether a version of a document came directly after the state with this hash; false when the log does not tell any more. */
  async isDirectlyAfter(before: Hash, { collection, id, version }: VersionOfDocument): Promise<boolean> {
    const entry = await this.#options.history.entryOfVersion(collection, id, version);
    return entry?.before === before;
  }

  /** Makes a late deletion, when the last write wins. @throws CONFLICT under any other policy */
  async delete(late: LateWrite): Promise<WriteResult> {
    const { entity, collection, id, idempotency, error } = late;
    if (entity.conflict !== ConflictPolicy.LAST_WRITE_WINS) throw error;
    return this.#settle(late, ({ base, current, currentVersion }) => {
      const record = recordOf(late, { base, current, proposed: null }, currentVersion, 'APPLIED');
      const options = { ifVersion: currentVersion, idempotency };
      return this.#overruling(record, () => collection.deleteOne({ _id: id }, options));
    });
  }

  /** Runs `attempt` on what is there; again, when that changes meanwhile. Without the base nothing can be settled. */
  async #settle(late: LateWrite, attempt: (met: Met) => Promise<WriteResult>): Promise<WriteResult> {
    const { entity, id, ifVersion } = late;
    if (entity.conflict === ConflictPolicy.REJECT) throw late.error;
    const entry = await this.#options.history.entryOfVersion(entity.collection, encodeValue(id), ifVersion);
    if (entry === undefined || entry.image === null) throw late.error;
    const base = decodeDocument(entry.image);
    let { error } = late;
    for (let tries = 1; ; tries++) {
      const { current, currentVersion } = error.details as { current: Document; currentVersion: number };
      try {
        return await attempt({ base, current, currentVersion, error });
      } catch (thrown) {
        const isMoved = isHoldfastError(thrown, 'CONFLICT') && thrown.details.currentVersion !== currentVersion;
        if (!isMoved || tries === TRIES) throw thrown;
        error = thrown;
      }
    }
  }

  /** Lists what `write` takes the place of, first: when it is not made, that is taken back. */
  async #overruling(record: NewConflict, write: () => Promise<WriteResult>): Promise<WriteResult> {
    const { conflicts } = this.#options;
    const id = await conflicts.add(record);
    let isMade = false;
    try {
      const result = await write();
      isMade = result.matchedCount > 0;
      return result;
    } finally {
      if (!isMade) await conflicts.withdraw(id);
    }
  }

  /** The error of a write that has to wait for a person. */
  async #listed(record: NewConflict, error: HoldfastError): Promise<HoldfastError> {
    const conflict = await this.#options.conflicts.add(record);
    return new HoldfastError('CONFLICT', `${error.message}; listed as conflict ${conflict}`, {
      details: { ...error.details, conflict },
    });
  }
}

/** Stored fields that every writer sets: timestamps. */
export function freeFields({ fields }: Pick<Entity, 'fields'>): ReadonlySet<string> {
  return new Set(fields.filter(({ timestamp }) => timestamp !== undefined).map(({ storedName }) => storedName));
}

function recordOf(
  { entity, id, ifVersion }: LateWrite,
  { base, current, proposed }: Omit<ConflictSides, 'proposed'> & { readonly proposed: Document | null },
  currentVersion: number,
  outcome: ConflictOutcome,
): NewConflict {
  return {
    ...{ kind: ConflictKind.WRITE, collection: entity.collection, document: encodeValue(id), outcome },
    ...{ base: encodeDocument(base), baseVersion: ifVersion },
    ...{ current: encodeDocument(current), currentVersion },
    proposed: proposed === null ? null : encodeDocument(proposed),
  };
}
