import { GraphQLEnumType, GraphQLID, GraphQLInt, type GraphQLObjectType, GraphQLString } from 'graphql';
import type { Entity } from '../model/entity.ts';
import { POSITION_SCALAR } from '../model/scalars.ts';
import { WriteOutcome, type Written, type WrittenMany } from '../service/data-service.ts';
import { objectType } from './make-type.ts';
import type { Operation } from './operation.ts';
import { entityType } from './output-types.ts';
import type { Types } from './types.ts';

/** `TeacherPayload`; its source is what the service wrote. */
export function payloadType(types: Types, entity: Entity): GraphQLObjectType {
  const name = `${entity.names.type}Payload`;
  return types.shared(name, `the outcome of writing a ${entity.name}`, () =>
    objectType<Written, Operation>({
      name,
      fields: () => ({
        [entity.names.single]: {
          type: entityType(types, entity),
          description: 'As it is after the write; as it was, after a delete.',
          resolve: (written) => written.document,
        },
        outcome: { type: types.required(outcomeType(types)) },
        version: { type: types.leaf('SafeInt') },
        position: { type: POSITION_SCALAR },
        journalId: { type: GraphQLID },
      }),
    }),
  );
}

/** `TeachersPayload`; its source is what the service wrote. */
export function manyPayloadType(types: Types, entity: Entity): GraphQLObjectType {
  const name = `${entity.names.pluralType}Payload`;
  return types.shared(name, `the outcome of writing ${entity.names.plural}`, () =>
    objectType<WrittenMany, Operation>({
      name,
      fields: () => ({
        [entity.names.plural]: {
          type: types.required(types.list(types.required(entityType(types, entity)))),
          description: 'At most the first 1,000.',
          resolve: (written) => written.documents,
        },
        matched: { type: types.required(GraphQLInt) },
        written: { type: types.required(GraphQLInt) },
        refused: { type: types.required(types.list(types.required(refusalType(types)))) },
        outcome: { type: types.required(outcomeType(types)) },
        position: { type: POSITION_SCALAR },
      }),
    }),
  );
}

function outcomeType(types: Types): GraphQLEnumType {
  return types.shared(
    'WriteOutcome',
    'the outcome of a write',
    () =>
      new GraphQLEnumType({
        name: 'WriteOutcome',
        values: {
          [WriteOutcome.COMMITTED]: { description: 'Durable in the database.' },
          [WriteOutcome.JOURNALED]: { description: 'Durable in the journal of this primary, to be replayed.' },
        },
      }),
  );
}

function refusalType(types: Types): GraphQLObjectType {
  return types.shared('Refusal', 'a document that was not written', () =>
    objectType({
      name: 'Refusal',
      description: 'One document that was not written; the others were.',
      fields: {
        index: {
          type: types.required(GraphQLInt),
          description: 'Its place in the input, or among the documents found, from 0.',
        },
        code: { type: types.required(GraphQLString) },
        message: { type: types.required(GraphQLString) },
      },
    }),
  );
}
