import type { Document } from '../model/document.ts';
import type { Entity, Model } from '../model/entity.ts';
import type { Written, WrittenMany } from '../service/data-service.ts';
import type { ListArguments } from './arguments.ts';
import { filterFor } from './conditions.ts';
import type { ChangesInput, FieldsInput } from './documents.ts';
import type { Operation } from './operation.ts';
import { readCount, readMany, readOne } from './reads.ts';
import { type Shapes, shapesOf } from './shapes.ts';
import type { UniqueInput } from './unique.ts';
import type { WhereInput } from './where.ts';
import { EntityWrites, type WriteCall } from './writes.ts';

/** Every entity by its plural: `context.db.teachers`. */
export type Db = Readonly<Record<string, EntityDb>>;

/** The entities for one operation. */
export function dbOf(model: Model, operation: Operation, clock: () => Date): Db {
  const shapes = shapesOf(model);
  const sequence = { last: 0 };
  return Object.fromEntries(
    model.entities.map((entity) => [entity.names.plural, new EntityDb(shapes, entity, operation, clock, sequence)]),
  );
}

/**
 * One entity for hand-written resolvers: the generated operations as functions, over the same service and with the same
 * checks, defaults, timestamps and errors. Inputs and conditions are written as in the API, orders with 1 and -1; values
 * are stored values (a `Date`, an `ObjectId`). Documents are Views: as stored, with `id` and other renamed fields under
 * both names. Generated types take them as their source.
 *
 * Under an idempotency key the writes of one operation are told apart by their order: a resolver must make the same ones
 * when it is repeated.
 */
export class EntityDb {
  readonly #shapes: Shapes;
  readonly #entity: Entity;
  readonly #operation: Operation;
  readonly #writes: EntityWrites;
  readonly #sequence: { last: number };

  constructor(shapes: Shapes, entity: Entity, operation: Operation, clock: () => Date, sequence: { last: number }) {
    this.#shapes = shapes;
    this.#entity = entity;
    this.#operation = operation;
    this.#writes = new EntityWrites(shapes, entity, clock);
    this.#sequence = sequence;
  }

  findById(id: unknown): Promise<Document | null> {
    return readOne(this.#shapes, this.#entity, { _id: id }, this.#operation);
  }

  /** The first by id, of those that match. */
  async findOne(where: WhereInput): Promise<Document | null> {
    const filter = await filterFor(this.#shapes, this.#entity, where, this.#operation);
    return readOne(this.#shapes, this.#entity, filter, this.#operation);
  }

  /** `limit` is 50 by default. */
  find(list: ListArguments = {}): Promise<Document[]> {
    return readMany(this.#shapes, this.#entity, list, this.#operation);
  }

  count(where?: WhereInput): Promise<number> {
    return readCount(this.#shapes, this.#entity, where, this.#operation);
  }

  create(input: FieldsInput): Promise<Written> {
    return this.#writes.create(input, this.#call('create', input));
  }

  createMany(inputs: readonly FieldsInput[]): Promise<WrittenMany> {
    return this.#writes.createMany(inputs, this.#call('createMany', inputs));
  }

  update(id: unknown, changes: ChangesInput, ifVersion?: number): Promise<Written> {
    return this.#writes.update(id, changes, ifVersion, this.#call('update', [id, changes, ifVersion]));
  }

  updateMany(where: WhereInput, set: FieldsInput): Promise<WrittenMany> {
    return this.#writes.updateMany(where, set, this.#call('updateMany', [where, set]));
  }

  upsert(where: UniqueInput, create: FieldsInput, update: FieldsInput): Promise<Written> {
    return this.#writes.upsert(where, create, update, this.#call('upsert', [where, create, update]));
  }

  delete(id: unknown, ifVersion?: number): Promise<Written> {
    return this.#writes.delete(id, ifVersion, this.#call('delete', [id, ifVersion]));
  }

  deleteMany(where: WhereInput): Promise<WrittenMany> {
    return this.#writes.deleteMany(where, this.#call('deleteMany', where));
  }

  #call(method: string, args: unknown): WriteCall {
    const field = `db.${this.#entity.names.plural}.${method} ${++this.#sequence.last}`;
    return { context: this.#operation, field, args: [field, args] };
  }
}
