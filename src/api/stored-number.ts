import { Decimal128, Long } from 'bson';
import { defaultFieldResolver, type GraphQLFieldResolver } from 'graphql';
import { plainValue } from '../model/scalars.ts';

/**
 * A field of type Int or Float. Other programs store numbers as int64 or decimals, which GraphQL's own scalars do not read; compiled
 * queries leave that to their serializers, and so read the property itself.
 */
export const storedNumber: GraphQLFieldResolver<unknown, unknown> = (source, given, context, info) => {
  const value: unknown = defaultFieldResolver(source, given, context, info);
  return value instanceof Promise ? value.then(asNumber) : asNumber(value);
};

/** An int64 or decimal as a number, or as its digits where no number is exact; also in a list. Other values as they are. */
export function asNumber(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asNumber);
  return value instanceof Long || value instanceof Decimal128 ? plainValue(value) : value;
}
