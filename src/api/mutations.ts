import type { GraphQLObjectType } from 'graphql';
import type { Entity } from '../model/entity.ts';
import type { ChangesInput, FieldsInput } from './documents.ts';
import { whereType } from './filter-types.ts';
import { createType, incType, setType, uniqueType } from './input-types.ts';
import type { ApiField, ApiFields } from './output-types.ts';
import { manyPayloadType, payloadType } from './payload-types.ts';
import type { Types } from './types.ts';
import type { UniqueInput } from './unique.ts';
import type { WhereInput } from './where.ts';
import { EntityWrites, MAX_INPUTS, type WriteCall } from './writes.ts';

/**
 * `createTeacher`, `createTeachers`, `updateTeacher`, `updateTeachers`, `upsertTeacher`, `deleteTeacher`,
 * `deleteTeachers`
 */
export function mutationFields(types: Types, entity: Entity, clock: () => Date): ApiFields {
  const writes = new EntityWrites(types.shapes, entity, clock);
  const { type, pluralType } = entity.names;
  const one = payloadType(types, entity);
  const idName = entity.id.name;
  const many = manyPayloadType(types, entity);
  const where = { type: types.required(whereType(types, entity.name)) };
  const id = { type: types.required(types.leaf(entity.id.type)) };
  const ifVersion = { type: types.leaf('SafeInt'), description: 'Only if this is its version; CONFLICT otherwise.' };
  const create = types.required(createType(types, entity));
  const set = setType(types, entity);
  const inc = incType(types, entity);

  const fields: ApiFields = {
    [`create${type}`]: mutation(types, one, { input: { type: create } }, ({ input }: { input: FieldsInput }, call) =>
      writes.create(input, call),
    ),
    [`create${pluralType}`]: mutation(
      types,
      many,
      { inputs: { type: types.required(types.list(create)), description: `At most ${MAX_INPUTS}.` } },
      ({ inputs }: { inputs: readonly FieldsInput[] }, call) => writes.createMany(inputs, call),
    ),
    [`delete${type}`]: mutation(types, one, { [idName]: id, ifVersion }, (given: OneArguments, call) =>
      writes.delete(given[idName], given.ifVersion ?? undefined, call),
    ),
    [`delete${pluralType}`]: mutation(types, many, { where }, (given: { where: WhereInput }, call) =>
      writes.deleteMany(given.where, call),
    ),
  };
  if (set === undefined) return fields; // Nothing but an id and timestamps: there is nothing to update.
  return {
    ...fields,
    [`update${type}`]: mutation(
      types,
      one,
      { [idName]: id, set: { type: set }, ...(inc === undefined ? {} : { inc: { type: inc } }), ifVersion },
      (given: OneArguments, call) => writes.update(given[idName], given, given.ifVersion ?? undefined, call),
    ),
    [`update${pluralType}`]: mutation(
      types,
      many,
      { where, set: { type: types.required(set) } },
      (given: { where: WhereInput; set: FieldsInput }, call) => writes.updateMany(given.where, given.set, call),
    ),
    [`upsert${type}`]: mutation(
      types,
      one,
      {
        where: { type: types.required(uniqueType(types, entity)) },
        create: { type: create },
        update: { type: types.required(set) },
      },
      (given: { where: UniqueInput; create: FieldsInput; update: FieldsInput }, call) =>
        writes.upsert(given.where, given.create, given.update, call),
    ),
  };
}

/** Arguments about one document; its id is under the name of the id field. */
interface OneArguments extends ChangesInput {
  readonly [id: string]: unknown;
  readonly ifVersion?: number | null;
}

/** A root field that runs one write, which is named by the field's response path. */
function mutation<Given extends object>(
  types: Types,
  type: GraphQLObjectType,
  args: NonNullable<ApiField['args']>,
  run: (given: Given, call: WriteCall) => Promise<unknown>,
): ApiField {
  return {
    type: types.required(type),
    args,
    resolve: (_source, given: Given, context, info) =>
      run(given, { context, field: String(info.path.key), args: [info.fieldName, given] }),
  };
}
