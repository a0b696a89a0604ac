import { HoldfastError } from '../errors.ts';
import type { Document } from '../model/document.ts';
import { type Entity, type Field, FieldKind, type Model } from '../model/entity.ts';

/** The fields of an entity or a nested object type, by what is done with them. */
export interface Shape {
  readonly name: string;
  /** Every field, hidden ones included. */
  readonly all: readonly Field[];
  /** The fields of the API: all but the hidden ones. */
  readonly fields: readonly Field[];
  /** {@link fields} by GraphQL name. */
  readonly byName: ReadonlyMap<string, Field>;
}

/**
 * A stored document as the generated types read it: a copy that has `id` beside `_id`, and every other renamed field
 * under both names. Reading a property in place is much cheaper than a resolver for each field of each document.
 */
export type View = (document: Document) => Document;

/** The shapes of a model, and its entities by name. */
export class Shapes {
  readonly #shapes = new Map<string, Shape>();
  readonly #entities = new Map<string, Entity>();
  readonly #views = new Map<string, View>();

  constructor(model: Model) {
    for (const object of model.objects.values()) this.#shapes.set(object.name, shapeOf(object.name, object.fields));
    for (const entity of model.entities) {
      this.#shapes.set(entity.name, shapeOf(entity.name, entity.fields));
      this.#entities.set(entity.name, entity);
      this.#views.set(entity.name, viewOf(aliasesOf(entity)));
    }
  }

  /** @throws INTERNAL_SERVER_ERROR for a name the model does not have; a checked model refers to no other. */
  shape(name: string): Shape {
    return this.#shapes.get(name) ?? missing(name);
  }

  /** @throws INTERNAL_SERVER_ERROR for a name the model does not have. */
  entity(name: string): Entity {
    return this.#entities.get(name) ?? missing(name);
  }

  /** The view of an entity's documents. */
  view(entity: Entity): View {
    return this.#views.get(entity.name) ?? missing(entity.name);
  }
}

/**
 * The renamed fields that a {@link View} shows under their GraphQL names: all but those whose name another field is
 * stored under, and those stored under a name that every object has (`constructor`).
 */
export function aliasesOf(entity: Entity): readonly Field[] {
  const stored = new Set(entity.fields.filter(isStored).map((field) => field.storedName));
  return entity.fields.filter((field) => {
    const { name, storedName } = field;
    return isStored(field) && storedName !== name && !stored.has(name) && !(storedName in Object.prototype);
  });
}

function isStored(field: Field): boolean {
  return field.kind !== FieldKind.RELATION;
}

function viewOf(aliases: readonly Field[]): View {
  return (document) => {
    const view: Document = { ...document };
    for (const { name, storedName } of aliases) view[name] = document[storedName];
    return view;
  };
}

const known = new WeakMap<Model, Shapes>();

/** The shapes of `model`, made once. */
export function shapesOf(model: Model): Shapes {
  const shapes = known.get(model) ?? new Shapes(model);
  known.set(model, shapes);
  return shapes;
}

function shapeOf(name: string, all: readonly Field[]): Shape {
  const fields = all.filter((field) => !field.hidden);
  return { name, all, fields, byName: new Map(fields.map((field) => [field.name, field])) };
}

function missing(name: string): never {
  throw new HoldfastError('INTERNAL_SERVER_ERROR', `the model has no type ${name}`);
}
