import type { Document } from '../model/document.ts';
import { compareStrings } from './order.ts';
import { fieldOf, type Path, parsePath } from './path.ts';
import { invalid, unsupported } from './refusal.ts';
import { isDocument } from './value.ts';

/** What an update operator does at the end of its path. */
export interface Edit {
  /**
   * The new value for the current one, where `undefined` stands for missing: both when given and as the result. Must return
   * the very same value when nothing changes.
   */
  readonly change: (current: unknown) => unknown;
  /** Whether missing documents on the way are created; else a missing path changes nothing. */
  readonly creates: boolean;
  /** Whether a path that a scalar or an array blocks changes nothing; else it is refused. */
  readonly tolerant: boolean;
}

/** Most nulls that a `$set` beyond the end of an array may fill in, as in MongoDB. */
const MAX_PADDING = 1_500_000;

/** @throws VALIDATION_FAILED for an empty part or one that starts with `$`, UNSUPPORTED_OPERATOR for positional operators. */
export function parseUpdatePath(text: string): Path {
  const path = parsePath(text);
  for (const part of path.parts) {
    if (part === '$' || part.startsWith('$[')) throw unsupported(part, `the positional path ${text} is not supported`);
    if (part.startsWith('$')) throw invalid(`the path ${text} has a part that starts with $`);
    if (part === '') throw invalid(`the path "${text}" has an empty part`);
  }
  return path;
}

/** The order in which MongoDB applies the paths of an update: by part, numbers by size, other names by their bytes. */
export function comparePaths(a: Path, b: Path): number {
  const end = Math.min(a.parts.length, b.parts.length);
  for (let i = 0; i < end; i++) {
    const x = a.indexes[i] as number;
    const y = b.indexes[i] as number;
    const sign = x >= 0 && y >= 0 ? x - y : compareStrings(a.parts[i] as string, b.parts[i] as string);
    if (sign !== 0) return sign;
  }
  return a.parts.length - b.parts.length;
}

/**
 * The document with an edit made at a path; the same document when it changes nothing. Containers on the way are copied, all else is
 * shared.
 * @throws VALIDATION_FAILED when the path is blocked and the edit does not tolerate it.
 */
export function editAt(document: Document, path: Path, edit: Edit): Document {
  return editDocument(document, path, 0, edit);
}

function editDocument(document: Document, path: Path, i: number, edit: Edit): Document {
  const name = path.parts[i] as string;
  const current = fieldOf(document, name);
  const next = editValue(current, path, i + 1, edit);
  if (Object.is(next, current)) return document;
  if (next !== undefined) return withField(document, name, next);
  const { [name]: _removed, ...rest } = document;
  return rest;
}

function editArray(array: readonly unknown[], path: Path, i: number, edit: Edit): readonly unknown[] {
  const index = path.indexes[i] as number;
  if (index < 0) {
    if (edit.tolerant) return array;
    throw invalid(`${path.text}: an array has no field ${path.parts[i]}`);
  }
  const current = index < array.length ? (array[index] ?? null) : undefined;
  const edited = editValue(current, path, i + 1, edit);
  // An element taken away leaves null: the others keep their places.
  const next = edited === undefined && current !== undefined ? null : edited;
  if (Object.is(next, current)) return array;
  if (index > array.length + MAX_PADDING) throw invalid(`${path.text} lies too far beyond the end of the array`);
  const copy = array.slice();
  while (copy.length < index) copy.push(null);
  copy[index] = next;
  return copy;
}

/** The value at part `i`, edited further down or, at the end, by the edit itself. */
function editValue(current: unknown, path: Path, i: number, edit: Edit): unknown {
  if (current === undefined) return edit.creates ? created(path, i, edit) : undefined;
  if (i === path.parts.length) return edit.change(current);
  if (Array.isArray(current)) return editArray(current, path, i, edit);
  if (isDocument(current)) return editDocument(current, path, i, edit);
  if (edit.tolerant) return current;
  throw invalid(`${path.text}: there is a value that has no fields before ${path.parts[i]}`);
}

function created(path: Path, i: number, edit: Edit): unknown {
  let value = edit.change(undefined);
  for (let k = path.parts.length - 1; k >= i; k--) value = withField({}, path.parts[k] as string, value);
  return value;
}

/** A copy with a field set in its place, or at the end. A computed name in a literal also makes `__proto__` a field. */
function withField(document: Document, name: string, value: unknown): Document {
  return { ...document, [name]: value };
}
