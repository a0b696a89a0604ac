import {
  type EnumTypeDefinitionNode,
  GraphQLEnumType,
  type GraphQLInputObjectType,
  GraphQLList,
  type GraphQLNamedType,
  GraphQLNonNull,
  type GraphQLNullableType,
  type GraphQLObjectType,
  GraphQLScalarType,
  type GraphQLType,
  Kind,
} from 'graphql';
import { HoldfastError } from '../errors.ts';
import type { Field, Model } from '../model/entity.ts';
import { POSITION_SCALAR, SCALARS } from '../model/scalars.ts';
import { type Shapes, shapesOf } from './shapes.ts';

/** A type that is neither list nor non-null. */
type Inner = GraphQLScalarType | GraphQLEnumType | GraphQLObjectType | GraphQLInputObjectType;

/** Types are made once per name and shared: the number of types grows with the entities, not with their fields. */
export class Types {
  readonly model: Model;
  readonly shapes: Shapes;
  readonly #made = new Map<string, { readonly role: string; readonly type: GraphQLNamedType }>();
  readonly #wrapped = new Map<GraphQLType, { list?: GraphQLType; required?: GraphQLType }>();

  constructor(model: Model) {
    this.model = model;
    this.shapes = shapesOf(model);
    this.#keep(POSITION_SCALAR);
    for (const { type } of SCALARS.values()) this.#keep(type);
    for (const definition of model.document.definitions) {
      if (definition.kind === Kind.ENUM_TYPE_DEFINITION) this.#keep(enumType(definition));
      // A scalar of the user's own: its resolver, if any, is put on it with the hand-written ones.
      else if (definition.kind === Kind.SCALAR_TYPE_DEFINITION && !this.#made.has(definition.name.value)) {
        this.#keep(
          new GraphQLScalarType({
            name: definition.name.value,
            description: definition.description?.value,
            astNode: definition,
          }),
        );
      }
    }
  }

  /**
   * The type called `name`, made at the first call. `role` says what it is for.
   * @throws SCHEMA_INVALID when types for two roles would get the same name.
   */
  shared<T extends GraphQLNamedType>(name: string, role: string, make: () => T): T {
    const known = this.#made.get(name);
    if (known === undefined) {
      const type = make();
      this.#made.set(name, { role, type });
      return type;
    }
    if (known.role !== role) {
      throw new HoldfastError(
        'SCHEMA_INVALID',
        `${name} would be the name of two types: ${known.role}, and ${role}; rename one of the types they are made from`,
      );
    }
    return known.type as T;
  }

  /** The scalar or enum called `name`. */
  leaf(name: string): GraphQLScalarType | GraphQLEnumType {
    const type = this.knownLeaf(name);
    if (type === undefined) throw new HoldfastError('INTERNAL_SERVER_ERROR', `the model has no scalar or enum ${name}`);
    return type;
  }

  /** {@link leaf}, or undefined when there is none. */
  knownLeaf(name: string): GraphQLScalarType | GraphQLEnumType | undefined {
    const type = this.#made.get(name)?.type;
    return type instanceof GraphQLScalarType || type instanceof GraphQLEnumType ? type : undefined;
  }

  /** `[T!]`; one object per `T`. */
  list<T extends GraphQLType>(type: T): GraphQLList<T> {
    const wrapped = this.#wrappings(type);
    wrapped.list ??= new GraphQLList(type);
    return wrapped.list as GraphQLList<T>;
  }

  /** `T!`; one object per `T`. */
  required<T extends GraphQLNullableType>(type: T): GraphQLNonNull<T> {
    const wrapped = this.#wrappings(type);
    wrapped.required ??= new GraphQLNonNull(type);
    return wrapped.required as GraphQLNonNull<T>;
  }

  /** `inner` as one value, or as the list the field is; nullable. */
  listed<T extends Inner>(field: Field, inner: T): T | GraphQLList<T> | GraphQLList<GraphQLNonNull<T>> {
    if (!field.list) return inner;
    return field.itemRequired ? this.list(this.required(inner)) : this.list(inner);
  }

  #wrappings(type: GraphQLType): { list?: GraphQLType; required?: GraphQLType } {
    const wrapped = this.#wrapped.get(type) ?? {};
    this.#wrapped.set(type, wrapped);
    return wrapped;
  }

  #keep(type: GraphQLNamedType): void {
    this.#made.set(type.name, { role: `the type ${type.name}`, type });
  }
}

function enumType(definition: EnumTypeDefinitionNode): GraphQLEnumType {
  const values = (definition.values ?? []).map((value) => [
    value.name.value,
    { value: value.name.value, description: value.description?.value, astNode: value },
  ]);
  return new GraphQLEnumType({
    name: definition.name.value,
    description: definition.description?.value,
    values: Object.fromEntries(values),
    astNode: definition,
  });
}
