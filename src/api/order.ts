import { type Entity, FieldKind } from '../model/entity.ts';
import type { Sort } from '../store/store.ts';
import { badInput } from './bad-input.ts';
import type { Shapes } from './shapes.ts';

/** `orderBy` as the client gave it: one field each, its direction 1 or -1; nested objects hold their own field. */
export type OrderInput = readonly OrderField[];
/** One field of an {@link OrderInput}. */
export interface OrderField {
  readonly [field: string]: 1 | -1 | OrderField | null | undefined;
}

/**
 * The sort of an `orderBy`, by stored paths, always ended by `_id`: the order of documents is total, so that pages
 * neither repeat nor miss one. @throws BAD_USER_INPUT
 */
export function sortOf(shapes: Shapes, entity: Entity, orderBy: OrderInput | null | undefined): Sort {
  const sort: Record<string, 1 | -1> = {};
  for (const order of orderBy ?? []) {
    const [path, direction] = sortField(shapes, entity.name, order, '');
    if (Object.hasOwn(sort, path)) throw badInput(`orderBy names ${path} twice`);
    sort[path] = direction;
  }
  sort._id ??= 1;
  return sort;
}

function sortField(shapes: Shapes, name: string, order: OrderField, prefix: string): [string, 1 | -1] {
  const given = Object.entries(order);
  const [entry] = given;
  if (entry === undefined || given.length > 1) {
    throw badInput(`orderBy takes one field in each object, first first: [{name: ASC}, {id: DESC}]`);
  }
  const [fieldName, direction] = entry;
  const field = shapes.shape(name).byName.get(fieldName);
  if (field === undefined || direction === null || direction === undefined) {
    throw badInput(
      `orderBy cannot order by ${fieldName}: ${field === undefined ? 'no such field' : 'give ASC or DESC'}`,
    );
  }
  const path = prefix + field.storedName;
  if (typeof direction === 'number') return [path, direction];
  if (field.kind !== FieldKind.OBJECT) throw badInput(`orderBy: give ${fieldName} a direction`);
  return sortField(shapes, field.type, direction, `${path}.`);
}
