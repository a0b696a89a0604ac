import { type GraphQLFieldConfigArgumentMap, GraphQLInt } from 'graphql';
import type { Entity } from '../model/entity.ts';
import type { FindOptions } from '../store/store.ts';
import { badInput } from './bad-input.ts';
import { whereType } from './filter-types.ts';
import { type OrderInput, sortOf } from './order.ts';
import { orderType } from './order-types.ts';
import type { Shapes } from './shapes.ts';
import type { Types } from './types.ts';
import type { WhereInput } from './where.ts';

/** Documents of a list without `limit`. */
export const DEFAULT_LIMIT = 50;
/** Largest `offset`; further down, a connection's cursor is the way. */
const MAX_OFFSET = 1_000_000;

/** Arguments of a list as the client gave them. */
export interface ListArguments {
  readonly where?: WhereInput | null | undefined;
  readonly orderBy?: OrderInput | null | undefined;
  readonly limit?: number | null | undefined;
  readonly offset?: number | null | undefined;
}

/** `where, orderBy, limit = 50, offset = 0` */
export function listArguments(types: Types, entity: Entity): GraphQLFieldConfigArgumentMap {
  return {
    ...conditionArguments(types, entity),
    limit: { type: GraphQLInt, defaultValue: DEFAULT_LIMIT },
    offset: { type: GraphQLInt, defaultValue: 0 },
  };
}

/** `where, orderBy` */
export function conditionArguments(types: Types, entity: Entity): GraphQLFieldConfigArgumentMap {
  const order = orderType(types, entity.name);
  return {
    where: { type: whereType(types, entity.name) },
    ...(order === undefined ? {} : { orderBy: { type: types.list(types.required(order)) } }),
  };
}

/** Sort, skip and limit of a list. @throws BAD_USER_INPUT */
export function findOptions(shapes: Shapes, entity: Entity, list: ListArguments): FindOptions {
  return {
    sort: sortOf(shapes, entity, list.orderBy),
    limit: countArgument('limit', list.limit, Number.MAX_SAFE_INTEGER) ?? DEFAULT_LIMIT,
    skip: countArgument('offset', list.offset, MAX_OFFSET) ?? 0,
  };
}

/** `value` when it is a count from 0 to `most`; undefined for null. @throws BAD_USER_INPUT */
export function countArgument(name: string, value: number | null | undefined, most: number): number | undefined {
  if (value === null || value === undefined) return undefined;
  if (!Number.isInteger(value) || value < 0) throw badInput(`${name} must be 0 or more, not ${value}`);
  if (value > most) throw badInput(`${name} must be at most ${most}; page with the connection's cursors instead`);
  return value;
}
