import type { ChangeLog } from '../changelog/change-log.ts';
import { HoldfastError, isHoldfastError } from '../errors.ts';
import type { Fallback } from '../fallback/fallback.ts';
import type { Sources, SourceUse } from '../fallback/provenance.ts';
import type { ReadRequest } from '../fallback/read-request.ts';
import { isJournaled } from '../fallback/write-fallback.ts';
import type { Document } from '../model/document.ts';
import { decodeValue, encodeValue } from '../model/document.ts';
import type { Entity } from '../model/entity.ts';
import { comparePositions, formatPosition, type Position } from '../model/position.ts';
import type { BulkResult, Collection, Filter, Store, Update, WriteResult } from '../store/store.ts';
import { waitForAdvance } from './advance.ts';
import type { ConflictPolicies } from './conflict-policies.ts';
import { type Conflict, ConflictKind } from './conflicts.ts';
import {
  type ChangesQuery,
  type DataService,
  type EntityChange,
  type RequestContext,
  Source,
  type WriteContext,
  WriteOutcome,
  type Written,
  type WrittenMany,
} from './data-service.ts';
import type { Fence } from './fence.ts';
import { idempotencyOf, newId, newKey } from './identity.ts';
import { StoreReader } from './reader.ts';
import { sumsFit } from './sums.ts';

/** How long a read waits for a position that has not come yet before it is STALE_READ, in ms. */
const POSITION_WAIT_MS = 200;
/** How often an upsert starts again when another writer creates or deletes the document in between. */
const UPSERT_TRIES = 5;

export interface PrimaryServiceOptions {
  readonly store: Store;
  /** Where `store` is that of a fallback: reads tell it what they wish, and it where answers came from. */
  readonly fallback?: Fallback | undefined;
  /** The log of record: says where the database is. */
  readonly log: ChangeLog;
  /** What subscriptions read: a copy of the log near by. Default: the log itself. */
  readonly feed?: ChangeLog;
  /** Refuses writes once another primary was promoted. Default: never. */
  readonly fence?: Fence | undefined;
  /** What `@conflict` says. Default: REJECT for every entity. */
  readonly policies?: ConflictPolicies | undefined;
  readonly now?: () => number;
}

/** The DataService of a primary: its store is the database of record. */
export class PrimaryService extends StoreReader implements DataService {
  readonly #store: Store;
  readonly #fallback: Fallback | undefined;
  readonly #log: ChangeLog;
  readonly #fence: Fence | undefined;
  readonly #policies: ConflictPolicies | undefined;
  readonly #now: () => number;

  constructor(options: PrimaryServiceOptions) {
    super({ store: options.store, log: options.feed ?? options.log });
    this.#store = options.store;
    this.#fallback = options.fallback;
    this.#log = options.log;
    this.#fence = options.fence;
    this.#policies = options.policies;
    this.#now = options.now ?? Date.now;
  }

  override changes(entity: Entity, query: ChangesQuery, context: RequestContext): AsyncIterable<EntityChange> {
    if (query.after !== undefined && query.after.sequence > this.#log.head().sequence) {
      throw new HoldfastError(
        'VALIDATION_FAILED',
        `the position ${formatPosition(query.after)} lies beyond the last change of this database`,
      );
    }
    return super.changes(entity, query, context);
  }

  async create(entity: Entity, document: Document, context: WriteContext): Promise<Written> {
    using _write = this.#fence?.begin();
    const collection = this.#collection(entity, context);
    const identified = withId(entity, document, context, 0);
    return this.#written(
      await collection.insertOne(identified, { idempotency: idempotencyOf(context, 0) }),
      entity,
      context,
    );
  }

  async createMany(entity: Entity, documents: readonly Document[], context: WriteContext): Promise<WrittenMany> {
    using _write = this.#fence?.begin();
    const collection = this.#collection(entity, context);
    const identified = documents.map((document, index) => withId(entity, document, context, index));
    const keys = documents.map((_, index) => idempotencyOf(context, index));
    const idempotency = keys.every((key) => key !== undefined) ? keys : undefined;
    return this.#writtenMany(await collection.insertMany(identified, { idempotency }), entity, context);
  }

  async update(
    entity: Entity,
    id: unknown,
    update: Update,
    ifVersion: number | undefined,
    context: WriteContext,
  ): Promise<Written> {
    using _write = this.#fence?.begin();
    const collection = this.#collection(entity, context);
    const idempotency = idempotencyOf(context, 0);
    const accept = sumsFit(entity, update);
    const result = await collection
      .updateOne({ _id: id }, update, { ifVersion, idempotency, accept })
      .catch((error: unknown) => {
        if (ifVersion === undefined || this.#policies === undefined || !isHoldfastError(error, 'CONFLICT')) throw error;
        return this.#policies.update({ entity, collection, id, ifVersion, idempotency, accept, error }, update);
      });
    return this.#written(found(result, entity, id), entity, context);
  }

  async updateMany(entity: Entity, filter: Filter, update: Update, context: WriteContext): Promise<WrittenMany> {
    using _write = this.#fence?.begin();
    const collection = this.#collection(entity, context);
    return this.#writtenMany(
      await collection.updateMany(filter, update, { operation: idempotencyOf(context, 0) }),
      entity,
      context,
    );
  }

  async upsert(
    entity: Entity,
    filter: Filter,
    document: Document,
    update: Update,
    context: WriteContext,
  ): Promise<Written> {
    using _write = this.#fence?.begin();
    const collection = this.#collection(entity, context);
    const idempotency = idempotencyOf(context, 0);
    for (let tries = 1; ; tries++) {
      const existing = await collection.findOne(filter);
      if (existing !== null) {
        // By both: it may have got another unique value since we looked.
        const result = await collection.updateOne({ $and: [{ _id: existing._id }, filter] }, update, { idempotency });
        if (result.matchedCount > 0) return this.#written(result, entity, context);
      } else {
        try {
          return this.#written(
            await collection.insertOne(withId(entity, document, context, 0), { idempotency }),
            entity,
            context,
          );
        } catch (error) {
          // Another writer created it since we looked: look again. Any other unique value stays an error.
          const appeared = isHoldfastError(error, 'ALREADY_EXISTS') && (await collection.findOne(filter)) !== null;
          if (!appeared) throw error;
        }
      }
      if (tries === UPSERT_TRIES) {
        throw new HoldfastError(
          'CONFLICT',
          `the ${entity.name} to upsert was created and deleted by others ${UPSERT_TRIES} times meanwhile; send it again`,
        );
      }
    }
  }

  async delete(entity: Entity, id: unknown, ifVersion: number | undefined, context: WriteContext): Promise<Written> {
    using _write = this.#fence?.begin();
    const collection = this.#collection(entity, context);
    const idempotency = idempotencyOf(context, 0);
    const result = await collection.deleteOne({ _id: id }, { ifVersion, idempotency }).catch((error: unknown) => {
      if (ifVersion === undefined || this.#policies === undefined || !isHoldfastError(error, 'CONFLICT')) throw error;
      return this.#policies.delete({ entity, collection, id, ifVersion, idempotency, error });
    });
    return this.#written(found(result, entity, id), entity, context);
  }

  async deleteMany(entity: Entity, filter: Filter, context: WriteContext): Promise<WrittenMany> {
    using _write = this.#fence?.begin();
    const collection = this.#collection(entity, context);
    return this.#writtenMany(
      await collection.deleteMany(filter, { operation: idempotencyOf(context, 0) }),
      entity,
      context,
    );
  }

  /**
   * Stores what somebody decided about a conflict: `document` in place of what is there, or nothing when it is null.
   * @throws CONFLICT when the document was changed since the conflict was listed; FENCED, ALREADY_EXISTS, VALIDATION_FAILED
   */
  async settle(
    { kind, collection: name, document: id, current, currentVersion }: Conflict,
    document: Document | null,
  ): Promise<void> {
    using _write = this.#fence?.begin();
    const collection = this.#store.collection(name);
    const _id = decodeValue(id);
    const ifVersion = kind === ConflictKind.WRITE ? (currentVersion ?? undefined) : undefined;
    const wasThere = kind !== ConflictKind.WRITE || current !== null;
    if (document === null) {
      if (wasThere) await collection.deleteOne({ _id }, { ifVersion });
      return;
    }
    const { _id: _, ...fields } = document;
    const matched = wasThere ? (await collection.replaceOne({ _id }, fields, { ifVersion })).matchedCount : 0;
    if (matched === 0) await collection.insertOne({ _id, ...fields });
  }

  /** Where a write goes. Behind a fallback it has a key, by which its outcome can be found out whatever happens. */
  #collection(entity: Entity, context: WriteContext): Collection {
    context.signal.throwIfAborted();
    if (this.#fallback === undefined) return this.#store.collection(entity.collection);
    if (context.idempotencyKey === undefined) context.madeKey ??= newKey();
    const { principal, signal } = context;
    const request = this.#fallback.request({ principal, signal }, () => undefined);
    return this.#fallback.store.collection(entity.collection, request);
  }

  protected override collectionOf(entity: Entity, context: RequestContext): Collection {
    return this.#fallback?.store.collection(entity.collection, context.reads) ?? super.collectionOf(entity, context);
  }

  protected override beforeRead(context: RequestContext): void | Promise<void> {
    if (this.#fallback !== undefined) context.reads ??= this.#readsOf(context, this.#fallback);
    context.provenance ??= this.#provenance(this.#log.head());
    const { stalenessMs, asOf } = context.provenance;
    if (context.maxStalenessMs !== undefined && stalenessMs > context.maxStalenessMs) {
      throw new HoldfastError('STALE_READ', `this former primary knows nothing that happened since ${asOf}`, {
        details: { position: context.provenance.position, lagMs: stalenessMs },
      });
    }
    const { minPosition } = context;
    if (minPosition !== undefined) this.requirePlace(minPosition);
    if (minPosition !== undefined && comparePositions(minPosition, this.#log.head()) > 0)
      return this.#awaitPosition(minPosition, context);
  }

  /** The reads of a request; what it wrote before is in the database, or in the journal. */
  #readsOf(context: RequestContext, fallback: Fallback): ReadRequest {
    const { provenance } = context;
    const reads = fallback.request(context, (sources) => {
      context.provenance = this.#summaryOf(sources) ?? context.provenance;
    });
    for (const entity of journaledIn(provenance)) reads.sources.add(journalUse(entity));
    if (provenance?.source === Source.DATABASE) reads.sources.addDatabase('Mutation');
    return reads;
  }

  /** Undefined while only the database was used. */
  #summaryOf(sources: Sources): RequestContext['provenance'] {
    const summary = sources.summary(this.#now(), this.#log.head());
    return summary && { ...summary, position: summary.position && formatPosition(summary.position), degraded: true };
  }

  async #awaitPosition(position: Position, context: RequestContext): Promise<void> {
    const signal = AbortSignal.any([context.signal, AbortSignal.timeout(POSITION_WAIT_MS)]);
    while (comparePositions(position, this.#log.head()) > 0 && !signal.aborted)
      await waitForAdvance(this.#log, this.#log.head().sequence, signal);
    context.signal.throwIfAborted();
    const head = this.#log.head();
    if (comparePositions(position, head) > 0) {
      throw new HoldfastError(
        'STALE_READ',
        `this primary is at ${formatPosition(head)}, before the wanted ${formatPosition(position)}`,
        {
          details: { position: formatPosition(head), lagMs: 0 },
        },
      );
    }
    context.provenance = this.#provenance(head);
  }

  /** What a fenced primary has ages from the moment it heard of its successor. */
  #provenance(position: Position): NonNullable<RequestContext['provenance']> {
    const now = this.#now();
    const fenced = this.#fence?.state;
    return {
      source: Source.DATABASE,
      asOf: new Date(fenced?.at ?? now).toISOString(),
      stalenessMs: fenced === undefined ? 0 : Math.max(0, now - fenced.at),
      position: formatPosition(position),
      degraded: fenced !== undefined,
    };
  }

  #written(result: WriteResult, entity: Entity, context: WriteContext): Written {
    const { document } = result;
    if (isJournaled(result)) {
      this.#wrote(context, entity, null);
      return { document, outcome: WriteOutcome.JOURNALED, version: null, position: null, journalId: result.journalId };
    }
    this.#wrote(context, entity, result.position);
    return {
      document,
      outcome: WriteOutcome.COMMITTED,
      version: result.version,
      position: result.position,
      journalId: null,
    };
  }

  #writtenMany(result: BulkResult, entity: Entity, context: WriteContext): WrittenMany {
    const { documents, matchedCount: matched, modifiedCount: written, refused, position } = result;
    const common = { documents, matched, written, refused };
    if (isJournaled(result)) {
      this.#wrote(context, entity, null);
      return { ...common, outcome: WriteOutcome.JOURNALED, position: null };
    }
    this.#wrote(context, entity, position);
    return { ...common, outcome: WriteOutcome.COMMITTED, position };
  }

  /** Says where a write went, beside everything that the request has used before. @param position null: it waits in the journal */
  #wrote(context: WriteContext, entity: Entity, position: Position | null): void {
    const { sources } = context.reads ?? (this.#fallback && this.#readsOf(context, this.#fallback)) ?? {};
    if (position === null) sources?.add(journalUse(entity.name));
    else sources?.addDatabase(entity.name);
    const made = position === null ? undefined : this.#provenance(position);
    context.provenance = (sources && this.#summaryOf(sources)) ?? made;
  }
}

function withId(entity: Entity, document: Document, context: WriteContext, index: number): Document {
  if (document._id !== undefined) return document;
  const _id = newId(entity, context, index);
  const identified = { _id, ...document };
  // The document may have one that is undefined.
  identified._id = _id;
  return identified;
}

/** Something of an entity that is in the journal only. */
function journalUse(entity: string): SourceUse {
  return { source: 'JOURNAL', entity, stalenessMs: 0, position: null };
}

/** Entities of which an answer has something from the journal. */
function journaledIn(provenance: RequestContext['provenance']): string[] {
  return (provenance?.fields ?? []).filter(({ source }) => source === 'JOURNAL').map(({ entity }) => entity);
}

function found(result: WriteResult, entity: Entity, id: unknown): WriteResult {
  if (result.matchedCount === 0)
    throw new HoldfastError('NOT_FOUND', `there is no ${entity.name} with id ${encodeValue(id)}`);
  return result;
}
