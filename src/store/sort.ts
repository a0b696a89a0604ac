import type { Document } from '../model/document.ts';
import { wholeNumber } from './number.ts';
import { compareValues } from './order.ts';
import { fieldOf, type Path, parsePath } from './path.ts';
import { invalid } from './refusal.ts';
import { isDocument, Rank, rankOf } from './value.ts';

/** Stands for an empty array, which sorts before null. */
const EMPTY = Symbol('empty array');

/**
 * Compiles a MongoDB sort document into a comparison, by BSON order. Of an array the smallest element counts when ascending, the
 * largest when descending; an empty array comes before null; missing is null. A total preorder: documents that
 * compare as 0 differ in no sort field. An empty sort compares everything as 0.
 * @throws VALIDATION_FAILED for a direction other than 1 and -1, or a path with an empty part or one that starts with `$`.
 */
export function compileSort(sort: Document): (a: Document, b: Document) => number {
  const [first, ...rest] = Object.entries(sort).map(([key, direction]) =>
    compileField(key, directionOf(key, direction)),
  );
  if (first === undefined) return () => 0;
  if (rest.length === 0) return first;
  return (a, b) => {
    const sign = first(a, b);
    if (sign !== 0) return sign;
    for (const compare of rest) {
      const next = compare(a, b);
      if (next !== 0) return next;
    }
    return 0;
  };
}

function directionOf(key: string, value: unknown): 1 | -1 {
  const direction = Number(wholeNumber(value) ?? 0);
  if (direction !== 1 && direction !== -1) throw invalid(`the sort direction of ${key} must be 1 or -1`);
  if (key.split('.').some((part) => part === '' || part.startsWith('$'))) throw invalid(`"${key}" cannot be sorted by`);
  return direction;
}

function compileField(key: string, direction: 1 | -1): (a: Document, b: Document) => number {
  const path = parsePath(key);
  if (direction === 1) return (a, b) => compareSortKeys(sortKey(a, path, 1), sortKey(b, path, 1));
  return (a, b) => compareSortKeys(sortKey(b, path, -1), sortKey(a, path, -1));
}

function compareSortKeys(a: unknown, b: unknown): number {
  return a === EMPTY || b === EMPTY ? sortRank(a) - sortRank(b) : compareValues(a, b);
}

function sortRank(value: unknown): number {
  return value === EMPTY ? Rank.EMPTY : rankOf(value);
}

/** The value a document is sorted by: the first in the direction of all that the path reaches. */
function sortKey(document: Document, path: Path, direction: 1 | -1): unknown {
  return keyInDocument(document, path, 0, direction);
}

function keyInDocument(document: Document, path: Path, from: number, direction: 1 | -1): unknown {
  let current = document;
  for (let i = from; i < path.parts.length; i++) {
    const value = fieldOf(current, path.parts[i] as string);
    if (Array.isArray(value)) return keyInArray(value, path, i + 1, direction);
    if (i === path.parts.length - 1) return value ?? null;
    if (!isDocument(value)) return null;
    current = value;
  }
  return null;
}

/** The first key of an array's elements; part `from` of the path comes after the array. */
function keyInArray(array: readonly unknown[], path: Path, from: number, direction: 1 | -1): unknown {
  const atEnd = from === path.parts.length;
  if (array.length === 0) return atEnd ? EMPTY : null;
  const index = atEnd ? -1 : (path.indexes[from] as number);
  if (index >= 0 && index < array.length) return keyOfElement(array[index], path, from + 1, direction);
  let best: unknown;
  for (let i = 0; i < array.length; i++) {
    const key = atEnd
      ? (array[i] ?? null)
      : keyOfElement(isDocument(array[i]) ? array[i] : null, path, from, direction);
    if (i === 0 || compareSortKeys(key, best) * direction < 0) best = key;
  }
  return best;
}

function keyOfElement(element: unknown, path: Path, from: number, direction: 1 | -1): unknown {
  if (Array.isArray(element)) return keyInArray(element, path, from, direction);
  if (from === path.parts.length) return element ?? null;
  return isDocument(element) ? keyInDocument(element, path, from, direction) : null;
}
