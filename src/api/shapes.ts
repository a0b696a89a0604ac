import { HoldfastError } from '../errors.ts';
import type { Entity, Field, Model } from '../model/entity.ts';

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

/** The shapes of a model, and its entities by name. */
export class Shapes {
  readonly #shapes = new Map<string, Shape>();
  readonly #entities = new Map<string, Entity>();

  constructor(model: Model) {
    for (const object of model.objects.values()) this.#shapes.set(object.name, shapeOf(object.name, object.fields));
    for (const entity of model.entities) {
      this.#shapes.set(entity.name, shapeOf(entity.name, entity.fields));
      this.#entities.set(entity.name, entity);
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
