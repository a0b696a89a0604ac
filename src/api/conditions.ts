import { HoldfastError } from '../errors.ts';
import { encodeValue } from '../model/document.ts';
import type { Entity } from '../model/entity.ts';
import { valuesAt } from '../store/path.ts';
import type { Filter, FindOptions } from '../store/store.ts';
import type { Operation } from './operation.ts';
import type { Shapes } from './shapes.ts';
import { filterOf, type WhereInput } from './where.ts';

/** Most documents a condition on a relation may look through; the keys of them all become one condition. */
const MAX_RELATED = 10_000;

/**
 * The filter of a `where`, its conditions on relations looked up through the service. `strict` is for writes; see
 * WhereScope.
 * @throws BAD_USER_INPUT, QUERY_TOO_COMPLEX, and what reading throws.
 */
export function filterFor(
  shapes: Shapes,
  entity: Entity,
  where: WhereInput | null | undefined,
  context: Operation,
  strict = false,
): Filter | Promise<Filter> {
  const keys = (target: Entity, filter: Filter, path: string) => relatedKeys(context, target, filter, path);
  return filterOf({ shapes, relatedKeys: keys, strict }, entity, where);
}

/**
 * Distinct non-null values at `path` of the documents of `entity` that match `filter`.
 * @throws QUERY_TOO_COMPLEX when more than {@link MAX_RELATED} documents match.
 */
async function relatedKeys(context: Operation, entity: Entity, filter: Filter, path: string): Promise<unknown[]> {
  const options: FindOptions = { limit: MAX_RELATED + 1, projection: { [path]: 1 } };
  const keyed = path === '_id' ? filter : { $and: [{ [path]: { $ne: null } }, filter] };
  const documents = await context.service.find(entity, keyed, options, context.request);
  if (documents.length > MAX_RELATED) {
    throw new HoldfastError(
      'QUERY_TOO_COMPLEX',
      `the condition on ${entity.names.plural} concerns more than ${MAX_RELATED} of them; narrow it with further conditions`,
    );
  }
  const keys = new Map<string, unknown>();
  for (const document of documents) {
    for (const key of valuesAt(document, path)) {
      if (key !== null && key !== undefined && !Array.isArray(key)) keys.set(encodeValue(key), key);
    }
  }
  return [...keys.values()];
}
