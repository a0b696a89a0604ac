import { type Document, encodeValue } from '../model/document.ts';
import type { Update } from '../store/store.ts';
import { applyUpdate } from '../store/update.ts';

/** Operators whose order with others of their kind does not matter: they are made on whatever is there. */
const COMMUTATIVE: ReadonlySet<string> = new Set(['$inc', '$min', '$max', '$push', '$addToSet', '$pull', '$pullAll']);

/** Whether an update may be made on any version: it only counts, collects and so on, and sets fields in `free`. */
export function isCommutative(update: Update, free: ReadonlySet<string>): boolean {
  return Object.entries(update).every(
    ([operator, operands]) =>
      COMMUTATIVE.has(operator) ||
      Object.keys(operands as Document).every((path) => free.has(path.split('.', 1)[0] as string)),
  );
}

/** An update and the two documents it meets. */
export interface Meeting {
  readonly update: Update;
  /** What the update was made on. */
  readonly base: Document;
  /** What is there. */
  readonly current: Document;
  /** Stored fields that both sides may set without a conflict: timestamps. */
  readonly free: ReadonlySet<string>;
}

/** What of an update goes together with the document that is there. */
export interface Merged {
  /** The update less what it did not really change, for the document that is there. */
  readonly update: Update;
  /** Stored fields that both sides changed, each to something else; the two can be joined when there is none. */
  readonly overlap: readonly string[];
}

/**
 * Joins field by field, three ways: a field counts as changed by a side when that side's value is not the base's, and absent is the same
 * as null. False, 0 and '' are values like any other. Pure. @throws VALIDATION_FAILED where the update cannot be made on its base
 */
export function merge({ update, base, current, free }: Meeting): Merged {
  const kept: [string, unknown][] = [];
  const overlap = new Set<string>();
  for (const [operator, operands] of Object.entries(update)) {
    if (COMMUTATIVE.has(operator)) {
      kept.push([operator, operands]);
      continue;
    }
    const paths = Object.entries(operands as Document).filter(([path, operand]) => {
      const field = path.split('.', 1)[0] as string;
      if (free.has(field)) return true;
      const proposed = applyUpdate(base, { [operator]: { [path]: operand } }).document[field];
      if (isSame(proposed, base[field])) return false;
      if (!isSame(current[field], base[field]) && !isSame(current[field], proposed)) overlap.add(field);
      return true;
    });
    if (paths.length > 0) kept.push([operator, Object.fromEntries(paths)]);
  }
  return { update: kept.length === 0 ? { $set: {} } : Object.fromEntries(kept), overlap: [...overlap] };
}

function isSame(a: unknown, b: unknown): boolean {
  return encodeValue(a ?? null) === encodeValue(b ?? null);
}
