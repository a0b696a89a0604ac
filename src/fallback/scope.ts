/** Reads and writes of a collection are judged apart. */
export const Operation = { READ: 'READ', WRITE: 'WRITE' } as const;
export type Operation = (typeof Operation)[keyof typeof Operation];

/** What a breaker is about: the database, a collection (by force only), or one operation on it. */
export interface Scope {
  /** Undefined: the database. */
  readonly collection?: string | undefined;
  /** Undefined: the whole collection. */
  readonly operation?: Operation | undefined;
}

/** How a scope is written: `database`, `things`, `things:READ`. */
export function scopeName({ collection, operation }: Scope): string {
  if (collection === undefined) return 'database';
  return operation === undefined ? collection : `${collection}:${operation}`;
}

/** Whether a call is within a scope. */
export function isWithin(scope: Scope, collection: string, operation: Operation): boolean {
  if (scope.collection !== undefined && scope.collection !== collection) return false;
  return scope.operation === undefined || scope.operation === operation;
}
