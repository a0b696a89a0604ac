import { HoldfastError } from '../errors.ts';
import type { DatasetKeeper, KeeperStatus } from '../fallback/dataset/keeper.ts';
import type { Fallback, FallbackStatus } from '../fallback/fallback.ts';
import { Operation, type Scope } from '../fallback/scope.ts';
import type { Model } from '../model/entity.ts';
import type { JournalService } from './journal-service.ts';

/** What an operator asks about outages; `schema/fallback.graphql` carries exactly these calls. */
export interface FallbackService {
  /** Null where nothing answers in place of the database. */
  status(): FallbackStatus | null;
  /** `scope` as `scopeName` writes it. @throws VALIDATION_FAILED when there is no such scope; UNSUPPORTED_OPERATOR */
  force(scope: string, state: 'OPEN' | 'CLOSED'): FallbackStatus;
  /** @throws VALIDATION_FAILED when there is no such scope; UNSUPPORTED_OPERATOR */
  release(scope: string): FallbackStatus;
  /** Writes that wait for the database; undefined where none can. */
  readonly journal: JournalService | undefined;
  /** How the masked datasets of this process are. */
  datasets(): KeeperStatus;
  /** Begins a new dataset, unless one is being made; returns at once. @throws DATABASE_UNAVAILABLE, SHUTTING_DOWN */
  refresh(): KeeperStatus;
}

/** The service over the datasets of a process, and what answers in place of its database, if anything does. */
export function fallbackService(
  fallback: Fallback | undefined,
  { entities }: Model,
  keeper: Pick<DatasetKeeper, 'start' | 'status'>,
  journal?: JournalService | undefined,
): FallbackService {
  const collections = entities.map(({ collection }) => collection);
  const ordered = (order: (fallback: Fallback) => void): FallbackStatus => {
    if (fallback === undefined) throw withoutFallback();
    order(fallback);
    return fallback.status(collections);
  };
  return {
    journal,
    status: () => fallback?.status(collections) ?? null,
    force: (scope, state) => ordered((known) => known.force(parseScope(scope, collections), state)),
    release: (scope) => ordered((known) => known.release(parseScope(scope, collections))),
    datasets: () => keeper.status(),
    refresh: () => keeper.start(),
  };
}

/** What an order ends with where it has no meaning. */
export function withoutFallback(): HoldfastError {
  return new HoldfastError(
    'UNSUPPORTED_OPERATOR',
    'nothing answers in place of the database here: that is for primaries on MongoDB',
    { details: { operator: 'fallback' } },
  );
}

function parseScope(text: string, collections: readonly string[]): Scope {
  if (text === 'database') return {};
  if (collections.includes(text)) return { collection: text };
  const [collection, operation] = [text.slice(0, text.lastIndexOf(':')), text.slice(text.lastIndexOf(':') + 1)];
  if (collections.includes(collection) && Object.hasOwn(Operation, operation)) {
    return { collection, operation: operation as Operation };
  }
  throw new HoldfastError(
    'VALIDATION_FAILED',
    `there is no scope "${text.slice(0, 100)}"; one is database, a collection (${collections.slice(0, 10).join(', ')}), or a collection with :READ or :WRITE`,
  );
}
