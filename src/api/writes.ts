import { hash } from 'node:crypto';
import { HoldfastError, isHoldfastError } from '../errors.ts';
import { type Document, encodeValue } from '../model/document.ts';
import type { Entity } from '../model/entity.ts';
import type { DataService, WriteContext, Written, WrittenMany } from '../service/data-service.ts';
import type { Refusal } from '../store/store.ts';
import { badInput } from './bad-input.ts';
import { filterFor } from './conditions.ts';
import { type ChangesInput, type FieldsInput, newDocument, updateOf, updateOrNothing } from './documents.ts';
import type { Operation } from './operation.ts';
import { presentError } from './present.ts';
import type { Shapes } from './shapes.ts';
import { type UniqueInput, uniqueOf } from './unique.ts';
import type { WhereInput } from './where.ts';

/** Most documents of one bulk create. */
export const MAX_INPUTS = 1000;

/** One write within an operation. */
export interface WriteCall {
  readonly context: Operation;
  /** Names the write within its operation: the response path of the root field. The same again in a retry. */
  readonly field: string;
  /** What was asked for; the same idempotency key with other arguments is refused. */
  readonly args: unknown;
}

type Run<T> = (service: DataService, context: WriteContext) => Promise<T>;

/**
 * Writes of one entity: from input to one call of the service. Every mistake that can be found without the database is
 * found before.
 */
export class EntityWrites {
  readonly #shapes: Shapes;
  readonly #entity: Entity;
  readonly #clock: () => Date;

  constructor(shapes: Shapes, entity: Entity, clock: () => Date) {
    this.#shapes = shapes;
    this.#entity = entity;
    this.#clock = clock;
  }

  /** @throws VALIDATION_FAILED, ALREADY_EXISTS */
  async create(input: FieldsInput, call: WriteCall): Promise<Written> {
    const document = this.#document(input, this.#clock());
    return this.#one(call, (service, context) => service.create(this.#entity, document, context));
  }

  /**
   * Documents that break a rule are refused one by one, the others are created.
   * @throws BAD_USER_INPUT for too many inputs.
   */
  async createMany(inputs: readonly FieldsInput[], call: WriteCall): Promise<WrittenMany> {
    if (inputs.length > MAX_INPUTS) {
      throw badInput(`inputs: at most ${MAX_INPUTS} in one mutation, not ${inputs.length}`);
    }
    const now = this.#clock();
    const documents: Document[] = [];
    /** Place in the input of each document that is sent on. */
    const places: number[] = [];
    const refused: Refusal[] = [];
    for (const [index, input] of inputs.entries()) {
      try {
        documents.push(this.#document(input, now));
        places.push(index);
      } catch (error) {
        if (!isHoldfastError(error)) throw error;
        refused.push({ index, code: error.code, message: error.message });
      }
    }
    if (documents.length === 0) return { ...NOTHING_WRITTEN, refused };
    const result = await this.#many(call, (service, context) => service.createMany(this.#entity, documents, context));
    for (const refusal of result.refused) refused.push({ ...refusal, index: places[refusal.index] ?? refusal.index });
    return { ...result, refused: refused.sort((a, b) => a.index - b.index) };
  }

  /** @throws VALIDATION_FAILED, NOT_FOUND, CONFLICT, ALREADY_EXISTS, BAD_USER_INPUT when nothing is to be changed. */
  async update(id: unknown, changes: ChangesInput, ifVersion: number | undefined, call: WriteCall): Promise<Written> {
    const update = updateOf(this.#shapes, this.#entity, changes, this.#clock());
    return this.#one(call, (service, context) => service.update(this.#entity, id, update, ifVersion, context));
  }

  /** @throws VALIDATION_FAILED, BAD_USER_INPUT, also for a `where` that lost its condition. */
  async updateMany(where: WhereInput, set: FieldsInput, call: WriteCall): Promise<WrittenMany> {
    const update = updateOf(this.#shapes, this.#entity, { set }, this.#clock());
    const filter = await filterFor(this.#shapes, this.#entity, where, call.context, true);
    return this.#many(call, (service, context) => service.updateMany(this.#entity, filter, update, context));
  }

  /**
   * Updates the document with this key, or creates it with the key filled in. Without anything in `set` the document
   * that is there stays as it is. @throws VALIDATION_FAILED also when `create` has another value for the key.
   */
  async upsert(unique: UniqueInput, create: FieldsInput, set: FieldsInput, call: WriteCall): Promise<Written> {
    const [field, value] = uniqueOf(this.#shapes, this.#entity, unique);
    const document = this.#document({ ...create, [field.name]: create[field.name] ?? value }, this.#clock());
    if (encodeValue(document[field.storedName]) !== encodeValue(value)) {
      throw badInput(`create.${field.name} must be the value in where, or be left out`);
    }
    const update = updateOrNothing(this.#shapes, this.#entity, set, this.#clock());
    const filter = { [field.storedName]: value };
    return this.#one(call, (service, context) => service.upsert(this.#entity, filter, document, update, context));
  }

  /** @throws NOT_FOUND, CONFLICT */
  async delete(id: unknown, ifVersion: number | undefined, call: WriteCall): Promise<Written> {
    return this.#one(call, (service, context) => service.delete(this.#entity, id, ifVersion, context));
  }

  /** @throws BAD_USER_INPUT for a `where` that lost its condition. */
  async deleteMany(where: WhereInput, call: WriteCall): Promise<WrittenMany> {
    const filter = await filterFor(this.#shapes, this.#entity, where, call.context, true);
    return this.#many(call, (service, context) => service.deleteMany(this.#entity, filter, context));
  }

  #document(input: FieldsInput, now: Date): Document {
    return newDocument(this.#shapes, this.#entity, input, now);
  }

  async #one(call: WriteCall, run: Run<Written>): Promise<Written> {
    const written = await this.#write(call, run);
    return { ...written, document: written.document && this.#shapes.view(this.#entity)(written.document) };
  }

  async #many(call: WriteCall, run: Run<WrittenMany>): Promise<WrittenMany> {
    const written = await this.#write(call, run);
    return { ...written, documents: written.documents.map(this.#shapes.view(this.#entity)) };
  }

  /**
   * One call of the service. What it says about the answer is kept for the operation, what was read of relations is
   * forgotten, and its errors are put in the entity's own names.
   */
  async #write<T>(call: WriteCall, run: Run<T>): Promise<T> {
    const { service, request, loaders } = call.context;
    let digest: string | undefined;
    const context: WriteContext = {
      ...request,
      field: call.field,
      // Who writes without a key may do without.
      get argumentsDigest() {
        digest ??= digestOf(call.args);
        return digest;
      },
    };
    try {
      return await run(service, context);
    } catch (error) {
      throw presentError(this.#shapes, this.#entity, withKey(error, request.idempotencyKey ?? context.madeKey));
    } finally {
      request.provenance = context.provenance;
      loaders.clear();
    }
  }
}

/** A write whose end is not known is asked after by the key that it was sent under: the client's, or one made for it. */
function withKey(error: unknown, idempotencyKey: string | undefined): unknown {
  if (!isHoldfastError(error, 'WRITE_OUTCOME_UNKNOWN') || idempotencyKey === undefined) return error;
  return new HoldfastError(error.code, error.message, {
    cause: error.cause,
    details: { ...error.details, idempotencyKey },
  });
}

const NOTHING_WRITTEN: WrittenMany = {
  documents: [],
  matched: 0,
  written: 0,
  refused: [],
  outcome: 'COMMITTED',
  position: null,
};

/** Equal for equal arguments: inputs arrive with their fields in the order of the schema. */
function digestOf(args: unknown): string {
  return hash('sha256', encodeValue(args), 'hex').slice(0, 32);
}
