import { hash } from 'node:crypto';
import { coerceInputValue, type GraphQLInputObjectType, type GraphQLSchema } from 'graphql';
import type { Document } from '../model/document.ts';
import { type Entity, type Field, FieldKind, type Model } from '../model/entity.ts';
import { plainValue, SCALARS } from '../model/scalars.ts';
import { nearest } from '../util/nearest.ts';

/** A document that cannot be sent; the message says why. */
export class Unfit extends Error {}

/** Turns stored documents of one entity into the input of its create mutation. */
export class InputWriter {
  readonly #model: Model;
  readonly #entity: Entity;
  readonly #type: GraphQLInputObjectType;
  readonly #digest: string;
  readonly #known = new Map<readonly Field[], ReadonlyMap<string, Field>>();

  /** `digest` identifies the file: ids of documents without one derive from it and their place. */
  constructor(options: { model: Model; schema: GraphQLSchema; entity: Entity; digest: string }) {
    this.#model = options.model;
    this.#entity = options.entity;
    this.#type = options.schema.getType(`Create${options.entity.names.type}Input`) as GraphQLInputObjectType;
    this.#digest = options.digest;
  }

  /**
   * The input for `document`, checked exactly as the gateway checks it. Fields may have their stored or their GraphQL names.
   * `index` is its place among the documents of the file.
   * @throws {Unfit}
   */
  write(document: Document, index: number): Record<string, unknown> {
    const input = this.#fields(document, this.#entity.fields, this.#entity.name);
    const { name } = this.#entity.id;
    if (input[name] === undefined || input[name] === null) input[name] = this.#derivedId(index);
    coerceInputValue(input, this.#type, (path, _value, error) => {
      throw new Unfit(path.length === 0 ? error.message : `${path.join('.')}: ${error.message}`);
    });
    return input;
  }

  #fields(document: Document, fields: readonly Field[], owner: string): Record<string, unknown> {
    const input: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(document)) {
      const field = this.#fieldsByKey(fields).get(key);
      if (field === undefined) throw new Unfit(unknownField(key, fields, owner));
      if (field.kind === FieldKind.RELATION) {
        throw new Unfit(`${owner}.${key} is a relation; give ${field.relation?.ownerPath ?? 'its key'} instead`);
      }
      if (field.timestamp !== undefined) throw new Unfit(`${owner}.${key} is set by the gateway (@timestamp)`);
      if (field.hidden) throw new Unfit(`${owner}.${key} is not in the API (@hidden)`);
      if (Object.hasOwn(input, field.name)) throw new Unfit(`${owner}.${field.name} is given twice`);
      input[field.name] = this.#value(value, field);
    }
    return input;
  }

  #fieldsByKey(fields: readonly Field[]): ReadonlyMap<string, Field> {
    let known = this.#known.get(fields);
    if (known === undefined) {
      known = new Map([...fields.map(byName), ...fields.map(byStoredName)]);
      this.#known.set(fields, known);
    }
    return known;
  }

  #value(value: unknown, field: Field): unknown {
    if (Array.isArray(value)) return value.map((item) => this.#value(item, field));
    if (value === null) return null;
    const object = field.kind === FieldKind.OBJECT ? this.#model.objects.get(field.type) : undefined;
    if (object !== undefined) {
      if (!isPlainObject(value)) throw new Unfit(`${field.name} must be an object`);
      return this.#fields(value, object.fields, object.name);
    }
    const plain = value instanceof Date ? dateFor(field, value) : plainValue(value);
    if (!isAllFinite(plain)) throw new Unfit(`${field.name} holds a number that JSON does not have (NaN, Infinity)`);
    return plain;
  }

  #derivedId(index: number): string {
    const { name, type } = this.#entity.id;
    const hex = hash('sha256', `${this.#digest}\0${index}`, 'hex');
    switch (type) {
      case 'ObjectID':
        return hex.slice(0, 24);
      case 'ID':
      case 'String':
      case 'UUID':
        // A UUID of version 8 (RFC 9562): 122 bits of our own making.
        return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
      default:
        throw new Unfit(`${name} is missing: an id of type ${type} is not derived`);
    }
  }
}

/** @throws {Unfit} in a field that holds no dates: its scalar would store the milliseconds, or nothing */
function dateFor({ name, type }: Field, value: Date): unknown {
  const scalar = SCALARS.get(type);
  if (scalar?.form === 'DATE' || scalar?.form === 'ANY') return scalar.type.serialize(value);
  throw new Unfit(`${name} is a date, which is no ${type}`);
}

const byName = (field: Field): [string, Field] => [field.name, field];
const byStoredName = (field: Field): [string, Field] => [field.storedName, field];

function unknownField(key: string, fields: readonly Field[], owner: string): string {
  const meant = nearest(
    key,
    fields.flatMap(({ name, storedName }) => [name, storedName]),
  );
  return `${owner} has no field ${JSON.stringify(key)}${meant === undefined ? '' : `; did you mean ${meant}?`}`;
}

function isPlainObject(value: unknown): value is Document {
  return typeof value === 'object' && value !== null && !('_bsontype' in value) && !(value instanceof Date);
}

/** Whether every number in a JSON value is finite. */
function isAllFinite(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  return Object.values(value).every(isAllFinite);
}
