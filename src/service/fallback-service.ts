import { HoldfastError } from '../errors.ts';
import { Operation, type Scope } from '../fallback/breaker.ts';
import type { Fallback, FallbackStatus } from '../fallback/fallback.ts';
import type { Model } from '../model/entity.ts';

/** What an operator asks about outages; `schema/fallback.graphql` carries exactly these calls. */
export interface FallbackService {
  status(): FallbackStatus;
  /** `scope` as `scopeName` writes it. @throws VALIDATION_FAILED when there is no such scope */
  force(scope: string, state: 'OPEN' | 'CLOSED'): FallbackStatus;
  /** @throws VALIDATION_FAILED when there is no such scope */
  release(scope: string): FallbackStatus;
}

/** The service over a fallback of these entities. */
export function fallbackService(fallback: Fallback, { entities }: Model): FallbackService {
  const collections = entities.map(({ collection }) => collection);
  const status = (): FallbackStatus => fallback.status(collections);
  return {
    status,
    force(scope, state) {
      fallback.force(parseScope(scope, collections), state);
      return status();
    },
    release(scope) {
      fallback.release(parseScope(scope, collections));
      return status();
    },
  };
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
