import type { GraphQLInputFieldConfigMap, GraphQLInputObjectType, GraphQLInputType, GraphQLNonNull } from 'graphql';
import { type Entity, type Field, FieldKind } from '../model/entity.ts';
import { inputType } from './make-type.ts';
import type { Types } from './types.ts';
import { uniqueFields } from './unique.ts';

/** Types that `inc` may add to; the restricted numbers are left out, since a sum may leave their range. */
const ADDABLE: ReadonlySet<string> = new Set(['Int', 'Float', 'SafeInt', 'BigInt', 'Decimal']);

type NullableInput = Exclude<GraphQLInputType, GraphQLNonNull<never>>;

/** `CreateTeacherInput`: required fields are non-null unless the gateway fills them in. */
export function createType(types: Types, entity: Entity): GraphQLInputObjectType {
  const name = `Create${entity.names.type}Input`;
  return types.shared(name, `the input that creates a ${entity.name}`, () =>
    filledType(types, name, types.shapes.shape(entity.name).fields, entity.id),
  );
}

/** `TeacherSet`: the fields an update may replace; undefined when there is none. */
export function setType(types: Types, entity: Entity): GraphQLInputObjectType | undefined {
  const fields = types.shapes.shape(entity.name).fields.filter((field) => isSettable(entity, field));
  if (fields.length === 0) return undefined;
  const name = `${entity.names.type}Set`;
  return types.shared(name, `the changes of a ${entity.name}`, () =>
    inputType({
      name,
      description: 'Fields to replace. Null removes an optional field; a nested object or a list is replaced whole.',
      fields: () => Object.fromEntries(fields.map((field) => [field.name, { type: fieldInput(types, field) }])),
    }),
  );
}

/** `TeacherInc`: what an update may add to numbers; undefined when the entity has none. */
export function incType(types: Types, entity: Entity): GraphQLInputObjectType | undefined {
  const fields = types.shapes.shape(entity.name).fields.filter((field) => isAddable(entity, field));
  if (fields.length === 0) return undefined;
  const name = `${entity.names.type}Inc`;
  return types.shared(name, `the increments of a ${entity.name}`, () =>
    inputType({
      name,
      description: 'Numbers to add to fields; an absent field counts as 0.',
      fields: Object.fromEntries(fields.map((field) => [field.name, { type: types.leaf(field.type) }])),
    }),
  );
}

/** `TeacherUnique`: the id or one unique field. */
export function uniqueType(types: Types, entity: Entity): GraphQLInputObjectType {
  const name = `${entity.names.type}Unique`;
  return types.shared(name, `the key of one ${entity.name}`, () =>
    inputType({
      name,
      description: 'Exactly one field.',
      fields: Object.fromEntries(
        uniqueFields(types.shapes, entity).map((field) => [field.name, { type: types.leaf(field.type) }]),
      ),
    }),
  );
}

function filledType(types: Types, name: string, fields: readonly Field[], id?: Field): GraphQLInputObjectType {
  return inputType({
    name,
    fields: () => {
      const inputs: GraphQLInputFieldConfigMap = {};
      for (const field of fields) {
        if (!isWritable(field)) continue;
        const type = fieldInput(types, field);
        const wanted = field.required && field.defaultValue === undefined && field !== id;
        inputs[field.name] = { type: wanted ? types.required(type) : type, description: field.description };
      }
      return inputs;
    },
  });
}

/** The value of a field in an input, nullable. */
function fieldInput(types: Types, field: Field): NullableInput {
  return field.kind === FieldKind.OBJECT
    ? types.listed(field, nestedType(types, field.type))
    : types.listed(field, types.leaf(field.type));
}

/** `AddressInput`: a nested object, in create and in set. */
function nestedType(types: Types, object: string): GraphQLInputObjectType {
  const name = `${object}Input`;
  return types.shared(name, `the input of ${object}`, () => filledType(types, name, types.shapes.shape(object).fields));
}

/** Whether clients give the field a value: relations store none, and timestamps are the gateway's. */
function isWritable(field: Field): boolean {
  return field.kind !== FieldKind.RELATION && field.timestamp === undefined;
}

function isSettable(entity: Entity, field: Field): boolean {
  return isWritable(field) && field !== entity.id;
}

function isAddable(entity: Entity, field: Field): boolean {
  return isSettable(entity, field) && !field.list && field.kind === FieldKind.SCALAR && ADDABLE.has(field.type);
}
