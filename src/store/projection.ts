import type { Document } from '../model/document.ts';
import { equalTo } from './comparison.ts';
import { addPath, type PathTree } from './path-tree.ts';
import { invalid, unsupported } from './refusal.ts';
import { isDocument, isNumeric } from './value.ts';

/**
 * Compiles a MongoDB projection of fields to include (1, true) or leave out (0, false). Dotted paths go through documents and
 * through arrays of any depth; `_id` is included unless it is left out, and may differ from the other fields. Kept fields keep their
 * order. The result shares values with the document, which is not changed.
 * @throws VALIDATION_FAILED for including and leaving out at once, or a path inside another; UNSUPPORTED_OPERATOR for
 * `$slice`, `$elemMatch`, `$`, expressions and computed fields.
 */
export function compileProjection(projection: Document): (document: Document) => Document {
  const paths = Object.entries(projection).map(([path, value]) => ({ path, includes: includes(path, value) }));
  if (paths.length === 0) return (document) => document;
  const others = paths.filter(({ path }) => path !== '_id');
  const mode = (others[0] ?? paths[0])?.includes ?? true;
  const odd = others.find((other) => other.includes !== mode);
  if (odd !== undefined) throw invalid(`the projection includes fields and leaves out others (${odd.path})`);
  const tree: PathTree = new Map();
  const id = paths.find(({ path }) => path === '_id');
  const named = id?.includes === mode ? [...others, id] : others;
  for (const { path } of named) {
    if (!addPath(tree, path.split('.'))) throw invalid(`the projection names ${path} and a part of it`);
  }
  if (id === undefined && mode && !tree.has('_id')) tree.set('_id', true);
  return mode ? (document) => include(document, tree) : (document) => exclude(document, tree);
}

function includes(path: string, value: unknown): boolean {
  const parts = path.split('.');
  if (parts.includes('$')) throw unsupported('$', `the positional projection ${path} is not supported`);
  if (parts.some((part) => part === '' || part.startsWith('$'))) throw invalid(`"${path}" cannot be projected`);
  if (typeof value === 'boolean') return value;
  if (isNumeric(value)) return !equalTo(0)(value);
  const operator = isDocument(value) ? Object.keys(value)[0] : undefined;
  throw unsupported(
    operator ?? path,
    `the projection of ${path} is neither 1 nor 0; computed fields are not supported`,
  );
}

function include(document: Document, tree: PathTree): Document {
  const result: Document = {};
  for (const key of Object.keys(document)) {
    const branch = tree.get(key);
    if (branch === undefined) continue;
    const value = branch === true ? document[key] : includeIn(document[key], branch);
    if (value !== undefined) setOwn(result, key, value);
  }
  return result;
}

/** The included part of a value; undefined for a scalar, which has no such field. */
function includeIn(value: unknown, tree: PathTree): unknown {
  if (Array.isArray(value)) {
    return value.map((item) => includeIn(item, tree)).filter((item) => item !== undefined);
  }
  return isDocument(value) ? include(value, tree) : undefined;
}

function exclude(document: Document, tree: PathTree): Document {
  const result: Document = {};
  for (const key of Object.keys(document)) {
    const branch = tree.get(key);
    if (branch === true) continue;
    setOwn(result, key, branch === undefined ? document[key] : excludeIn(document[key], branch));
  }
  return result;
}

function excludeIn(value: unknown, tree: PathTree): unknown {
  if (Array.isArray(value)) return value.map((item) => excludeIn(item, tree));
  return isDocument(value) ? exclude(value, tree) : value;
}

/** Sets an own property, also one named `__proto__`. */
function setOwn(target: Document, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  } else target[key] = value;
}
