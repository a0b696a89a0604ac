import {
  GraphQLList,
  GraphQLNonNull,
  type GraphQLSchema,
  type GraphQLType,
  isInputObjectType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  isScalarType,
} from 'graphql';
import { POSITION_SCALAR, SCALARS } from '../model/scalars.ts';
import type { ApiFields } from './output-types.ts';

/** Fields of the root types. */
export interface RootFields {
  readonly query: ApiFields;
  readonly mutation: ApiFields;
  readonly subscription: ApiFields;
}

/**
 * The root fields of a schema that is to become part of a larger one. Its scalars of Holdfast's names give way to the
 * shared ones, in place: the part is of no use by itself afterwards.
 */
export function rootFieldsOf(part: GraphQLSchema): RootFields {
  for (const type of Object.values(part.getTypeMap())) {
    if (isObjectType(type) || isInterfaceType(type)) {
      for (const field of Object.values(type.getFields())) {
        field.type = withSharedScalars(field.type);
        for (const argument of field.args) Object.assign(argument, { type: withSharedScalars(argument.type) });
      }
    } else if (isInputObjectType(type)) {
      for (const field of Object.values(type.getFields())) field.type = withSharedScalars(field.type);
    }
  }
  return {
    query: part.getQueryType()?.toConfig().fields ?? {},
    mutation: part.getMutationType()?.toConfig().fields ?? {},
    subscription: part.getSubscriptionType()?.toConfig().fields ?? {},
  };
}

function withSharedScalars<T extends GraphQLType>(type: T): T;
function withSharedScalars(type: GraphQLType): GraphQLType {
  if (isListType(type)) return new GraphQLList(withSharedScalars(type.ofType));
  if (isNonNullType(type)) return new GraphQLNonNull(withSharedScalars(type.ofType));
  if (!isScalarType(type)) return type;
  return type.name === POSITION_SCALAR.name ? POSITION_SCALAR : (SCALARS.get(type.name)?.type ?? type);
}
