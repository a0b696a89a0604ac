import { type Document, decodeValue, encodeValue } from '../model/document.ts';
import { valuesAt } from '../store/path.ts';
import type { Filter, Sort } from '../store/store.ts';
import { badInput } from './bad-input.ts';

/** Longest cursor accepted, in characters: values of the fields ordered by are inside. */
const MAX_CURSOR_LENGTH = 64 * 1024;

/**
 * The place of a document in an order: opaque text for clients, inside the sort it was made under and the document's
 * values.
 */
export function cursorOf(document: Document, sort: Sort): string {
  const values = Object.keys(sort).map((path) => valuesAt(document, path)[0] ?? null);
  return Buffer.from(encodeValue([orderText(sort), ...values])).toString('base64url');
}

/**
 * The filter of the documents after, or before, the cursor's place in the order of `sort`. The argument is named `side`.
 * @throws BAD_USER_INPUT for a cursor of another order, or none of ours.
 */
export function beyondCursor(cursor: string, sort: Sort, side: 'after' | 'before'): Filter {
  return beyond(Object.entries(side === 'after' ? sort : reversed(sort)), valuesOf(cursor, sort, side));
}

/** The same order backwards. */
export function reversed(sort: Sort): Sort {
  return Object.fromEntries(Object.entries(sort).map(([path, direction]) => [path, direction === 1 ? -1 : 1]));
}

function valuesOf(cursor: string, sort: Sort, side: string): unknown[] {
  if (cursor.length <= MAX_CURSOR_LENGTH) {
    try {
      const content = decodeValue(Buffer.from(cursor, 'base64url').toString());
      const complete = Array.isArray(content) && content.length === Object.keys(sort).length + 1;
      if (complete && content[0] === orderText(sort)) return content.slice(1);
    } catch {
      // Not one of ours: refused below.
    }
  }
  throw badInput(`${side} is not a cursor of this list in this order; take it from a page with the same orderBy`);
}

/** Equal in the first fields and further on in the next; any of the ways to be so. */
function beyond(fields: readonly (readonly [string, 1 | -1])[], values: readonly unknown[]): Filter {
  const ways = fields.flatMap(([path, direction], index): Filter[] => {
    const further = furtherOn(path, direction, values[index]);
    const equal = fields.slice(0, index).map(([before], place) => ({ [before]: { $eq: values[place] } }));
    return further.map((condition) => (equal.length === 0 ? condition : { $and: [...equal, condition] }));
  });
  return ways.length === 1 ? (ways[0] as Filter) : { $or: ways };
}

/** Null and absent come first in an order, and `$lt` and `$gt` do not compare with them. */
function furtherOn(path: string, direction: 1 | -1, value: unknown): Filter[] {
  if (value === null) return direction === 1 ? [{ [path]: { $ne: null } }] : [];
  return direction === 1 ? [{ [path]: { $gt: value } }] : [{ [path]: { $lt: value } }, { [path]: { $eq: null } }];
}

/** Cursors of another order are refused by this text. */
function orderText(sort: Sort): string {
  return Object.entries(sort)
    .map(([path, direction]) => (direction === 1 ? path : `-${path}`))
    .join(' ');
}
