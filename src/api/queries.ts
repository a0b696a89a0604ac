import { GraphQLBoolean, GraphQLInt, type GraphQLObjectType, GraphQLString } from 'graphql';
import type { Entity, Field } from '../model/entity.ts';
import { uniqueQueryName } from '../model/naming.ts';
import { conditionArguments, type ListArguments, listArguments } from './arguments.ts';
import { type Connection, type ConnectionArguments, connectionOf } from './connection.ts';
import { objectType } from './make-type.ts';
import type { Operation } from './operation.ts';
import { type ApiField, type ApiFields, entityType } from './output-types.ts';
import { readAhead } from './read-ahead.ts';
import { readCount, readMany, readOne } from './reads.ts';
import type { Types } from './types.ts';
import { uniqueFields } from './unique.ts';

/** `teacher`, `teacherByEmail`, `teachers`, `teachersConnection`, `teachersCount` */
export function queryFields(types: Types, entity: Entity): ApiFields {
  const { single, plural } = entity.names;
  const [id, ...unique] = uniqueFields(types.shapes, entity);
  return {
    [single]: oneField(types, entity, id as Field),
    ...Object.fromEntries(
      unique.map((field) => [uniqueQueryName(entity.names, field.name), oneField(types, entity, field)]),
    ),
    [plural]: listField(types, entity),
    [`${plural}Connection`]: connectionField(types, entity),
    [`${plural}Count`]: countField(types, entity),
  };
}

/** By id or unique field; null when there is none. */
function oneField(types: Types, entity: Entity, field: Field): ApiField {
  return {
    type: entityType(types, entity),
    args: { [field.name]: { type: types.required(types.leaf(field.type)) } },
    resolve: (_source, args, context) =>
      readOne(types.shapes, entity, { [field.storedName]: args[field.name] }, context),
  };
}

function listField(types: Types, entity: Entity): ApiField {
  return {
    type: types.required(types.list(types.required(entityType(types, entity)))),
    args: listArguments(types, entity),
    resolve: async (_source, list: ListArguments, context, info) => {
      const documents = await readMany(types.shapes, entity, list, context);
      await readAhead(documents, context, info);
      return documents;
    },
  };
}

function countField(types: Types, entity: Entity): ApiField {
  const { where } = conditionArguments(types, entity);
  return {
    type: types.required(GraphQLInt),
    ...(where === undefined ? {} : { args: { where } }),
    resolve: (_source, args, context) => readCount(types.shapes, entity, args.where, context),
  };
}

function connectionField(types: Types, entity: Entity): ApiField {
  return {
    type: types.required(connectionType(types, entity)),
    args: {
      ...conditionArguments(types, entity),
      first: { type: GraphQLInt },
      after: { type: GraphQLString },
      last: { type: GraphQLInt },
      before: { type: GraphQLString },
    },
    resolve: (_source, page: ConnectionArguments, context) => connectionOf(types.shapes, entity, page, context),
  };
}

/** `TeacherConnection`; its source is a {@link Connection}. */
function connectionType(types: Types, entity: Entity): GraphQLObjectType {
  const name = `${entity.names.type}Connection`;
  return types.shared(name, `a page of ${entity.names.plural}`, () => {
    const node = entityType(types, entity);
    const edge = types.shared(`${entity.names.type}Edge`, `an edge of ${entity.names.plural}`, () =>
      objectType({
        name: `${entity.names.type}Edge`,
        fields: () => ({
          cursor: { type: types.required(GraphQLString) },
          node: { type: types.required(node) },
        }),
      }),
    );
    return objectType<Connection, Operation>({
      name,
      fields: () => ({
        edges: { type: types.required(types.list(types.required(edge))) },
        nodes: { type: types.required(types.list(types.required(node))) },
        pageInfo: { type: types.required(pageInfoType(types)) },
        totalCount: { type: types.required(GraphQLInt), resolve: (connection) => connection.totalCount() },
      }),
    });
  });
}

function pageInfoType(types: Types): GraphQLObjectType {
  return types.shared('PageInfo', 'how a page continues', () =>
    objectType({
      name: 'PageInfo',
      fields: {
        hasNextPage: { type: types.required(GraphQLBoolean) },
        hasPreviousPage: { type: types.required(GraphQLBoolean) },
        startCursor: { type: GraphQLString },
        endCursor: { type: GraphQLString },
      },
    }),
  );
}
