import { HoldfastError } from '../errors.ts';
import type { Document } from '../model/document.ts';
import { isDocument } from '../store/value.ts';
import type { CollectionRules } from './question.ts';

/** The first masked path that one of the filters or other paths mentions: it, something within it, or what it is in. */
export function mentioned(
  maskedPaths: readonly string[],
  filters: readonly Document[],
  paths: readonly string[],
): string | undefined {
  const named = [...paths, ...filters.flatMap(pathsOf)];
  return maskedPaths.find((masked) => named.some((path) => overlap(masked, path)));
}

/**
 * Takes the made-up values out of documents, unless they are to be shown: null, and in a field that is never null an error, which
 * is thrown where the field is asked for.
 */
export function masked(
  maskedPaths: readonly string[],
  { entity, requiredPaths, masked: shown }: CollectionRules,
): (document: Document) => Document {
  if (shown === 'SHOW') return (document) => document;
  const paths = maskedPaths.map((path) => ({
    parts: path.split('.'),
    value: requiredPaths.includes(path) ? refusal(entity, path) : null,
  }));
  return (document) => paths.reduce((changed, { parts, value }) => replaced(changed, parts, value), document);
}

function refusal(entity: string, path: string): HoldfastError {
  return new HoldfastError(
    'FALLBACK_MASKED',
    `the database is away, and the copy that answers does not have the real ${path} of ${entity}`,
    { details: { fields: [path] } },
  );
}

/** Stored paths that a filter names. */
function pathsOf(filter: Document): string[] {
  return Object.entries(filter).flatMap(([key, value]) => {
    if (!key.startsWith('$')) return [key];
    return Array.isArray(value) ? value.filter(isDocument).flatMap(pathsOf) : [];
  });
}

function overlap(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}.`) || b.startsWith(`${a}.`);
}

function replaced(document: Document, [part, ...rest]: readonly string[], value: unknown): Document {
  if (part === undefined || !Object.hasOwn(document, part)) return document;
  const inner = document[part];
  if (rest.length === 0) return { ...document, [part]: value };
  if (Array.isArray(inner)) {
    return { ...document, [part]: inner.map((item) => (isDocument(item) ? replaced(item, rest, value) : item)) };
  }
  return isDocument(inner) ? { ...document, [part]: replaced(inner, rest, value) } : document;
}
