import {
  type GraphQLInputField,
  type GraphQLInputObjectType,
  type GraphQLInputType,
  type GraphQLLeafType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isRequiredInputField,
} from 'graphql';

/**
 * Reads a value that a client sent into what resolvers get for it, exactly as graphql-js does; undefined when it is not of the type.
 * May throw what the `parseValue` of a scalar throws, which means the same.
 */
export type Read = (value: unknown) => unknown;

/** A field of an input object, with all that reading it needs. */
interface FieldReader {
  readonly name: string;
  readonly read: Read;
  readonly defaultValue: unknown;
  readonly required: boolean;
}

/** Makes readers of the input types of one schema, each object type's once. */
export class InputReader {
  readonly #objects = new Map<GraphQLInputObjectType, Read>();

  of(type: GraphQLInputType): Read {
    if (isNonNullType(type)) {
      const read = this.#present(type.ofType);
      return (value) => (value == null ? undefined : read(value));
    }
    const read = this.#present(type);
    return (value) => (value == null ? null : read(value));
  }

  /** Reads what is not null. */
  #present(type: GraphQLInputType): Read {
    if (isListType(type)) return listReader(this.of(type.ofType));
    if (!isInputObjectType(type)) return leafReader(type as GraphQLLeafType);
    let read = this.#objects.get(type);
    if (read === undefined) {
      read = this.#object(type);
      this.#objects.set(type, read);
    }
    return read;
  }

  #object(type: GraphQLInputObjectType): Read {
    // Made when one is read: types refer to each other in circles.
    let fields: readonly FieldReader[] | undefined;
    const known = new Set<string>();
    return (value) => {
      if (typeof value !== 'object' || Array.isArray(value)) return undefined;
      if (fields === undefined) {
        fields = Object.values(type.getFields()).map((field) => this.#field(field));
        for (const { name } of fields) known.add(name);
      }
      const given = value as Readonly<Record<string, unknown>>;
      for (const name of Object.keys(given)) if (!known.has(name)) return undefined;
      const object = readFields(fields, given);
      return object !== undefined && type.isOneOf && !isOne(object) ? undefined : object;
    };
  }

  #field(field: GraphQLInputField): FieldReader {
    const { name, type, defaultValue } = field;
    return { name, read: this.of(type), defaultValue, required: isRequiredInputField(field) };
  }
}

function readFields(
  fields: readonly FieldReader[],
  given: Readonly<Record<string, unknown>>,
): Record<string, unknown> | undefined {
  const object: Record<string, unknown> = {};
  for (const { name, read, defaultValue, required } of fields) {
    const sent = given[name];
    if (sent === undefined) {
      if (required) return undefined;
      if (defaultValue !== undefined) object[name] = defaultValue;
      continue;
    }
    const value = read(sent);
    if (value === undefined) return undefined;
    object[name] = value;
  }
  return object;
}

function isOne(object: Readonly<Record<string, unknown>>): boolean {
  const values = Object.values(object);
  return values.length === 1 && values[0] !== null;
}

/** A value that is no list is a list of one. JSON has no other iterable objects than arrays. */
function listReader(read: Read): Read {
  return (value) => {
    if (typeof value === 'object' && value !== null && Symbol.iterator in value && !Array.isArray(value))
      return undefined;
    const items: unknown[] = [];
    for (const sent of Array.isArray(value) ? value : [value]) {
      const item = read(sent);
      if (item === undefined) return undefined;
      items.push(item);
    }
    return items;
  };
}

/** A scalar may read a value as null; graphql-js would not take that where null is not allowed, if it read it again. */
function leafReader(type: GraphQLLeafType): Read {
  return (value) => type.parseValue(value) ?? undefined;
}
