import type { Document } from '../model/document.ts';
import { fieldOf } from './path.ts';
import { isDocument } from './value.ts';

/**
 * The document without the fields at `paths` that are null or undefined: a sparse unique index would take null for a value that only
 * one document may have. So null in a unique field is stored, logged and read as no field at all; filters ask for
 * both in the same way. The very input when there is none.
 */
export function withoutNulls(document: Document, paths: readonly string[]): Document {
  return paths.reduce((result, path) => without(result, path.split('.'), 0), document);
}

function without(document: Document, parts: readonly string[], i: number): Document {
  const name = parts[i] as string;
  if (!Object.hasOwn(document, name)) return document;
  const value = fieldOf(document, name);
  if (i === parts.length - 1) {
    if (value !== null && value !== undefined) return document;
    const { [name]: _none, ...rest } = document;
    return rest;
  }
  if (!isDocument(value)) return document;
  const inner = without(value, parts, i + 1);
  return inner === value ? document : { ...document, [name]: inner };
}
