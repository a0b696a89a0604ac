import { HoldfastError } from '../errors.ts';
import type { Document } from '../model/document.ts';
import { isDocument } from './value.ts';

/** A dotted path, taken apart once. */
export interface Path {
  readonly text: string;
  readonly parts: readonly string[];
  /** For each part the array index it may also mean (`0`, `12`, not `01`), else -1. */
  readonly indexes: readonly number[];
}

/** Longest path in parts; no document is nested deeper. */
const MAX_PARTS = 200;

/** @throws VALIDATION_FAILED for a path longer than any document is deep. */
export function parsePath(text: string): Path {
  const parts = text.split('.');
  if (parts.length > MAX_PARTS) {
    throw new HoldfastError('VALIDATION_FAILED', `the path ${text.slice(0, 40)}… has more than ${MAX_PARTS} parts`);
  }
  return { text, parts, indexes: parts.map(indexOfPart) };
}

/** The array index a path part names, or -1. */
function indexOfPart(part: string): number {
  return /^(?:0|[1-9]\d{0,8})$/.test(part) ? Number(part) : -1;
}

/** A question about one value; `undefined` stands for a missing field. */
export type Test = (value: unknown) => boolean;

/** The field's own value; `undefined` when the document has no such field, whatever its prototype has. */
export function fieldOf(document: Document, name: string): unknown {
  return Object.hasOwn(document, name) ? document[name] : undefined;
}

/**
 * Whether `test` holds for some value that a filter path reaches, as MongoDB's matcher walks: an array in the middle is passed
 * through by its documents and, where the part is a number, also by that element; an array at the end is tested
 * element by element and then as a whole. A missing field or element is tested as `undefined`; an array without documents that is
 * asked for a named field gives no value at all.
 */
export function someAt(document: Document, path: Path, test: Test): boolean {
  return someInDocument(document, path, 0, test, true);
}

/** {@link someAt} without the elements of an array at the end: for `$size` and `$elemMatch`, which ask about the array. */
export function someWholeAt(document: Document, path: Path, test: Test): boolean {
  return someInDocument(document, path, 0, test, false);
}

/** Every value that {@link someAt} tests, in its order. */
export function valuesAt(document: Document, path: string | Path): unknown[] {
  const values: unknown[] = [];
  someAt(document, typeof path === 'string' ? parsePath(path) : path, (value) => {
    values.push(value);
    return false;
  });
  return values;
}

function someInDocument(document: Document, path: Path, from: number, test: Test, elements: boolean): boolean {
  const { parts } = path;
  const last = parts.length - 1;
  let current = document;
  for (let i = from; i < last; i++) {
    const value = fieldOf(current, parts[i] as string);
    if (Array.isArray(value)) return someInArray(value, path, i + 1, test, elements);
    if (!isDocument(value)) return test(undefined);
    current = value;
  }
  const value = fieldOf(current, parts[last] as string);
  return Array.isArray(value) && elements ? someElement(value, test) : test(value);
}

function someElement(array: readonly unknown[], test: Test): boolean {
  for (let i = 0; i < array.length; i++) if (test(array[i] ?? null)) return true;
  return test(array);
}

/** Goes on at part `from` inside an array: in its documents, and in the element that the part may be the index of. */
function someInArray(array: readonly unknown[], path: Path, from: number, test: Test, elements: boolean): boolean {
  for (let i = 0; i < array.length; i++) {
    const item = array[i];
    if (isDocument(item) && someInDocument(item, path, from, test, elements)) return true;
  }
  const index = path.indexes[from] as number;
  return index >= 0 && someInElement(array[index], path, from + 1, index < array.length, test, elements);
}

/** Goes on in one element found by its index. When it is an array at the end of the path, it is one value. */
function someInElement(
  element: unknown,
  path: Path,
  from: number,
  present: boolean,
  test: Test,
  elements: boolean,
): boolean {
  if (!present) return test(undefined);
  if (from === path.parts.length) return test(element ?? null);
  if (isDocument(element)) return someInDocument(element, path, from, test, elements);
  return Array.isArray(element) ? someInArray(element, path, from, test, elements) : test(undefined);
}

/**
 * Whether a path is missing as a whole, as `$in` with null among other values asks: unlike {@link someAt}, which finds each
 * place where it is missing, this is false when a document in an array lacks the path but the element of the same index has it, and
 * when a document in an array has a scalar on the way.
 */
export function isMissingAt(document: Document, path: Path): boolean {
  let value: unknown = document;
  for (let i = 0; i < path.parts.length; i++) {
    if (Array.isArray(value)) return isMissingInArray(value, path, i);
    if (!isDocument(value)) return true;
    value = fieldOf(value, path.parts[i] as string);
  }
  return value === undefined;
}

function isMissingInArray(array: readonly unknown[], path: Path, from: number): boolean {
  const index = path.indexes[from] as number;
  if (index >= 0 && index < array.length && !isMissingIn(array[index], path, from + 1)) return false;
  return array.some((item) => isDocument(item) && isMissingIn(item, path, from));
}

/** Whether the rest of the path is missing in a value inside an array; a scalar on the way is no missing field here. */
function isMissingIn(value: unknown, path: Path, from: number): boolean {
  let current = value;
  for (let i = from; i < path.parts.length; i++) {
    if (current === undefined) return true;
    if (Array.isArray(current)) return isMissingInArray(current, path, i);
    if (!isDocument(current)) return false;
    current = fieldOf(current, path.parts[i] as string);
  }
  return current === undefined;
}
