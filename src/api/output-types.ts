import type {
  GraphQLEnumType,
  GraphQLFieldConfig,
  GraphQLFieldConfigMap,
  GraphQLFieldResolver,
  GraphQLObjectType,
  GraphQLScalarType,
} from 'graphql';
import type { Document } from '../model/document.ts';
import { type Entity, type Field, FieldKind } from '../model/entity.ts';
import { listArguments } from './arguments.ts';
import { objectType } from './make-type.ts';
import type { Operation } from './operation.ts';
import { relationResolver } from './relation.ts';
import { aliasesOf } from './shapes.ts';
import { asNumber, storedNumber } from './stored-number.ts';
import type { Types } from './types.ts';

/** A field of a generated type. */
export type ApiField = GraphQLFieldConfig<unknown, Operation>;
/** Fields of a generated type by name. */
export type ApiFields = GraphQLFieldConfigMap<unknown, Operation>;

/** `Teacher`. Its source is the View of a stored document. */
export function entityType(types: Types, entity: Entity): GraphQLObjectType {
  return types.shared(entity.names.type, `the entity ${entity.name}`, () =>
    objectOf(types, entity.names.type, entity.name, aliasesOf(entity), entity.description),
  );
}

/** `Address`. Its source is the object as it is stored inside a document. */
function nestedType(types: Types, name: string): GraphQLObjectType {
  return types.shared(name, `the nested type ${name}`, () => objectOf(types, name, name, []));
}

/** `aliases` are the renamed fields that sources have under both names. */
function objectOf(
  types: Types,
  name: string,
  shape: string,
  aliases: readonly Field[],
  description?: string,
): GraphQLObjectType {
  return objectType({
    name,
    description,
    fields: () =>
      Object.fromEntries(
        types.shapes.shape(shape).fields.map((field) => [field.name, outputField(types, field, aliases)]),
      ),
  });
}

function outputField(types: Types, field: Field, aliases: readonly Field[]): ApiField {
  const type = types.listed(field, innerType(types, field));
  return {
    type: field.required ? types.required(type) : type,
    description: field.description,
    ...resolution(types, field, aliases.includes(field)),
  };
}

function innerType(types: Types, field: Field): GraphQLScalarType | GraphQLEnumType | GraphQLObjectType {
  switch (field.kind) {
    case FieldKind.RELATION:
      return entityType(types, types.shapes.entity(field.type));
    case FieldKind.OBJECT:
      return nestedType(types, field.type);
    default:
      return types.leaf(field.type);
  }
}

/**
 * Scalars of ours write stored values themselves, so a field needs a resolver only when its source has it under another name.
 */
function resolution(types: Types, field: Field, aliased: boolean): Pick<ApiField, 'args' | 'resolve'> {
  if (field.kind === FieldKind.RELATION) {
    const target = types.shapes.entity(field.type);
    return {
      ...(field.list ? { args: listArguments(types, target) } : {}),
      resolve: relationResolver(types.shapes, field),
    };
  }
  const isNumber = field.type === 'Int' || field.type === 'Float';
  if (!aliased && field.storedName !== field.name) return { resolve: storedAs(field.storedName, isNumber) };
  return isNumber ? { resolve: storedNumber } : {};
}

function storedAs(name: string, isNumber: boolean): GraphQLFieldResolver<unknown, Operation> {
  return (source) => {
    const value = Object.hasOwn(source as Document, name) ? (source as Document)[name] : undefined;
    return isNumber ? asNumber(value) : value;
  };
}
