import type { IResolvers } from '@graphql-tools/utils';
import {
  type DocumentNode,
  extendSchema,
  type GraphQLField,
  type GraphQLFieldResolver,
  type GraphQLNamedType,
  GraphQLScalarType,
  type GraphQLSchema,
  isAbstractType,
  isInterfaceType,
  isObjectType,
  isTypeDefinitionNode,
  Kind,
} from 'graphql';
import { HoldfastError } from '../errors.ts';
import type { Model } from '../model/entity.ts';
import { POSITION_SCALAR, SCALARS } from '../model/scalars.ts';
import { nearest } from '../util/nearest.ts';

/** Told of each generated field that hand-written SDL or a resolver takes the place of, e.g. `Query.teachers`. */
export type OnOverride = (field: string) => void;

/**
 * What the SDL holds beside entities, nested types, enums and scalars: types and extensions for hand-written resolvers.
 */
export function extrasOf(model: Model): DocumentNode {
  const stored = new Set([...model.entities.map((entity) => entity.name), ...model.objects.keys()]);
  const definitions = model.document.definitions.filter((node) => {
    if (node.kind === Kind.OBJECT_TYPE_DEFINITION) return !stored.has(node.name.value);
    return node.kind !== Kind.ENUM_TYPE_DEFINITION && node.kind !== Kind.SCALAR_TYPE_DEFINITION;
  });
  return { kind: Kind.DOCUMENT, definitions };
}

/**
 * The schema with further types and fields; where a field is there already, the new one counts.
 * @throws SCHEMA_INVALID for a type whose name is taken, or an unknown one.
 */
export function extended(schema: GraphQLSchema, document: DocumentNode, onOverride: OnOverride): GraphQLSchema {
  if (document.definitions.length === 0) return schema;
  for (const node of document.definitions) {
    if (isTypeDefinitionNode(node) && schema.getType(node.name.value) !== undefined) {
      throw invalid(`${node.name.value} is the name of a generated type; choose another name for yours`);
    }
    if (node.kind === Kind.OBJECT_TYPE_EXTENSION) {
      for (const field of node.fields ?? []) {
        if (fieldOf(schema.getType(node.name.value), field.name.value)) {
          onOverride(`${node.name.value}.${field.name.value}`);
        }
      }
    }
  }
  try {
    // Not validated as SDL: the model's loader did, and graphql-js would not let a field be replaced.
    return extendSchema(schema, document, { assumeValidSDL: true });
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error), error);
  }
}

/**
 * Puts hand-written resolvers into the schema: functions or `{resolve, subscribe}` for fields, `__resolveType` and
 * `__isTypeOf` for types, scalars for scalars declared in the SDL. `generated` says which fields they replace.
 * @throws SCHEMA_INVALID for a type or field that does not exist.
 */
export function addResolvers(
  schema: GraphQLSchema,
  resolvers: IResolvers,
  generated: GraphQLSchema,
  onOverride: OnOverride,
): void {
  for (const [typeName, given] of Object.entries(resolvers)) {
    const type = schema.getType(typeName);
    if (type === undefined) throw unknown('type', typeName, Object.keys(schema.getTypeMap()));
    if (type instanceof GraphQLScalarType) {
      addScalar(type, given);
      continue;
    }
    for (const [name, value] of Object.entries(given as Readonly<Record<string, unknown>>)) {
      if (name.startsWith('__')) addTypeResolver(type, name, value);
      else {
        addFieldResolver(type, name, value);
        if (fieldOf(generated.getType(typeName), name)) onOverride(`${typeName}.${name}`);
      }
    }
  }
}

function addScalar(type: GraphQLScalarType, given: unknown): void {
  if (SCALARS.has(type.name) || type === POSITION_SCALAR) {
    throw invalid(`the scalar ${type.name} decides how values are stored; declare a scalar of another name`);
  }
  const { serialize, parseValue, parseLiteral } = given as Partial<GraphQLScalarType>;
  Object.assign(type, {
    ...(serialize && { serialize }),
    ...(parseValue && { parseValue }),
    ...(parseLiteral && { parseLiteral }),
  });
}

function addTypeResolver(type: GraphQLNamedType, name: string, value: unknown): void {
  if (name === '__resolveType' && isAbstractType(type)) Object.assign(type, { resolveType: value });
  else if (name === '__isTypeOf' && isObjectType(type)) Object.assign(type, { isTypeOf: value });
  else throw invalid(`the resolvers of ${type.name} have ${name}, which means nothing there`);
}

function addFieldResolver(type: GraphQLNamedType, name: string, value: unknown): void {
  const field = fieldOf(type, name);
  if (field === undefined) {
    const fields = isObjectType(type) || isInterfaceType(type) ? Object.keys(type.getFields()) : [];
    throw unknown(
      'field',
      `${type.name}.${name}`,
      fields.map((candidate) => `${type.name}.${candidate}`),
    );
  }
  const { resolve, subscribe } = (typeof value === 'function' ? { resolve: value } : value) as Resolvers;
  if (resolve !== undefined) field.resolve = resolve;
  if (subscribe !== undefined) field.subscribe = subscribe;
}

interface Resolvers {
  readonly resolve?: GraphQLFieldResolver<unknown, unknown>;
  readonly subscribe?: GraphQLFieldResolver<unknown, unknown>;
}

function fieldOf(type: GraphQLNamedType | undefined, name: string): GraphQLField<unknown, unknown> | undefined {
  return isObjectType(type) || isInterfaceType(type) ? type.getFields()[name] : undefined;
}

function unknown(what: string, name: string, candidates: readonly string[]): HoldfastError {
  const near = nearest(name, candidates);
  return invalid(
    `a resolver is given for the ${what} ${name}, which the schema does not have${near ? `; did you mean ${near}?` : ''}`,
  );
}

function invalid(message: string, cause?: unknown): HoldfastError {
  return new HoldfastError('SCHEMA_INVALID', message, { cause, details: { mistakes: [] } });
}
