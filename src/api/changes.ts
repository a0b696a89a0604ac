import { GraphQLEnumType, type GraphQLObjectType } from 'graphql';
import type { Entity } from '../model/entity.ts';
import type { Position } from '../model/position.ts';
import { POSITION_SCALAR } from '../model/scalars.ts';
import type { EntityChange } from '../service/data-service.ts';
import { abortable } from '../util/abortable.ts';
import { badInput } from './bad-input.ts';
import { whereType } from './filter-types.ts';
import { objectType } from './make-type.ts';
import type { Operation } from './operation.ts';
import { type ApiFields, entityType } from './output-types.ts';
import type { Types } from './types.ts';
import { filterOf, type WhereInput } from './where.ts';

const OPERATIONS = ['CREATED', 'UPDATED', 'DELETED'] as const;

interface ChangesArguments {
  readonly where?: WhereInput | null;
  readonly operations?: readonly EntityChange['operation'][] | null;
  readonly after?: Position | null;
}

/** `teacherChanged` */
export function subscriptionFields(types: Types, entity: Entity): ApiFields {
  return {
    [`${entity.names.single}Changed`]: {
      type: types.required(changeType(types, entity)),
      description: 'Changes from the log, in its order, without a gap. DELETED is delivered whatever `where` says.',
      args: {
        where: { type: whereType(types, entity.name), description: 'Tested on the document after the change.' },
        operations: { type: types.list(types.required(operationType(types))), description: 'All by default.' },
        after: {
          type: POSITION_SCALAR,
          description: 'Resume after this position of an earlier change; from now on by default.',
        },
      },
      subscribe: async (_source, args: ChangesArguments, context) => {
        const filter = await filterOf({ shapes: types.shapes, relatedKeys: refuseRelations }, entity, args.where);
        const operations = args.operations ?? OPERATIONS;
        if (operations.length === 0) throw badInput('operations must name at least one, or be left out');
        const query = { filter, operations, after: args.after ?? undefined };
        return abortable(context.request.signal, (signal) =>
          context.service.changes(entity, query, { ...context.request, signal }),
        );
      },
      resolve: (change, _args, context) => {
        // What an event shows of relations is read when it is delivered, in its own time, and told of it alone.
        context.loaders.clear();
        context.request.reads = undefined;
        context.request.provenance = undefined;
        return change;
      },
    },
  };
}

/** The keys a condition on a relation stands for may change with every write; a stream cannot follow them. */
function refuseRelations(): never {
  throw badInput('where: a subscription cannot filter by relations; filter by the key field instead');
}

/** `TeacherChange`; its source is the service's change. */
function changeType(types: Types, entity: Entity): GraphQLObjectType {
  const name = `${entity.names.type}Change`;
  return types.shared(name, `a change of a ${entity.name}`, () =>
    objectType<EntityChange, Operation>({
      name,
      fields: () => ({
        operation: { type: types.required(operationType(types)) },
        id: { type: types.required(types.leaf(entity.id.type)) },
        [entity.names.single]: {
          type: entityType(types, entity),
          description: 'After the change; null when it was deleted.',
          resolve: ({ document }) => document && types.shapes.view(entity)(document),
        },
        version: { type: types.required(types.leaf('SafeInt')) },
        position: { type: types.required(POSITION_SCALAR) },
        at: { type: types.required(types.leaf('DateTime')) },
      }),
    }),
  );
}

function operationType(types: Types): GraphQLEnumType {
  return types.shared(
    'ChangeOperation',
    'what happened to a document',
    () =>
      new GraphQLEnumType({
        name: 'ChangeOperation',
        values: Object.fromEntries(OPERATIONS.map((operation) => [operation, {}])),
      }),
  );
}
