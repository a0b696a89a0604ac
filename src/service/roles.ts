import type { AccessRole } from '../config.ts';
import { HoldfastError } from '../errors.ts';

/** What a caller can want. */
export const Action = {
  /** Read and subscribe to data. */
  QUERY: 'query',
  SUBSCRIPTION: 'subscription',
  /** Write data. */
  MUTATION: 'mutation',
  /** Copy the data and its history: the sync API. */
  SYNC: 'sync',
  /** Look after a process: the ops API and the metrics. */
  OPERATE: 'operate',
  /** Give and take tokens. */
  ADMINISTER: 'administer',
} as const;
export type Action = (typeof Action)[keyof typeof Action];

/** The rules: what each role may. A caller may what any of its roles may. */
const RULES: Readonly<Record<AccessRole, ReadonlySet<Action>>> = {
  reader: new Set([Action.QUERY, Action.SUBSCRIPTION]),
  writer: new Set([Action.QUERY, Action.SUBSCRIPTION, Action.MUTATION]),
  replica: new Set([Action.SYNC]),
  operator: new Set([Action.OPERATE]),
  admin: new Set(Object.values(Action)),
};

/** Root fields of the sync API (`schema/sync.graphql`); an entity may have fields that begin alike. */
const SYNC_FIELDS: ReadonlySet<string> = new Set([
  ...['syncHello', 'syncSnapshot', 'syncDigests', 'syncBuckets', 'syncBucketRows', 'syncRows', 'syncChain'],
  ...['syncAck', 'syncChanges', 'syncTokens'],
]);
/** Root fields of the ops API that are about tokens. */
const TOKEN_FIELDS: ReadonlySet<string> = new Set(['tokens', 'tokenCreate', 'tokenRevoke']);

/** An operation, as far as the rules look at it. */
export interface Wanted {
  readonly type: 'query' | 'mutation' | 'subscription';
  /** Names of the root fields, without aliases. */
  readonly fields: readonly string[];
}

/** Whether an operation is a follower's as a whole: about this node's own log and documents. */
export function isSync({ fields }: Wanted): boolean {
  return fields.every((field) => SYNC_FIELDS.has(field));
}

/** Everything that an operation on the data port wants. */
export function dataActions({ type, fields }: Wanted): ReadonlySet<Action> {
  return new Set(fields.map((field) => (SYNC_FIELDS.has(field) ? Action.SYNC : type)));
}

/** Everything that an operation on the ops port wants. */
export function opsActions({ fields }: Wanted): ReadonlySet<Action> {
  return new Set(fields.map((field) => (TOKEN_FIELDS.has(field) ? Action.ADMINISTER : Action.OPERATE)));
}

/** Whether one of the roles may. Names that are no roles may nothing. */
export function may(roles: readonly string[], action: Action): boolean {
  return roles.some((role) => Object.hasOwn(RULES, role) && RULES[role as AccessRole].has(action));
}

/** @throws FORBIDDEN (`action`, `roles` that may) when none of the caller's roles may one of the actions */
export function requireActions(roles: readonly string[], actions: Iterable<Action>): void {
  for (const action of actions) {
    if (may(roles, action)) continue;
    const wanted = Object.keys(RULES).filter((role) => may([role], action));
    throw new HoldfastError(
      'FORBIDDEN',
      `${WORDS[action]} needs a token of role ${wanted.join(' or ')}; this one has ${roles.join(', ') || 'none'}`,
      { details: { action, roles: wanted } },
    );
  }
}

const WORDS: Readonly<Record<Action, string>> = {
  query: 'a query',
  subscription: 'a subscription',
  mutation: 'a mutation',
  sync: 'the sync API',
  operate: 'this port',
  administer: 'the administration of tokens',
};
