import {
  type Document,
  type DocumentText,
  decodeDocument,
  encodeDocument,
  isPlain,
  MAX_DOCUMENT_DEPTH,
} from './document.ts';

/** A document as it is stored, and as every reader will get it. */
export interface Canonical {
  readonly text: DocumentText;
  /** What the text is read back as; it shares no object with the document it was made of. */
  readonly document: Document;
}

/**
 * Writes a document as text, and makes what that text is read back as. Most documents hold nothing that changes on that way: those
 * are copied, which costs a fifth of parsing their text.
 * @throws VALIDATION_FAILED as {@link encodeDocument}
 */
export function canonical(document: Document): Canonical {
  const copy = copied(document);
  if (copy !== undefined) return { text: encodeDocument(copy), document: copy };
  const text = encodeDocument(document);
  return { text, document: decodeDocument(text) };
}

/** The document as it is read back from its text; undefined when only its text can tell. */
function copied(document: Document, depth = 0): Document | undefined {
  if (depth > MAX_DOCUMENT_DEPTH) return undefined;
  const prototype: unknown = Object.getPrototypeOf(document);
  if (prototype !== Object.prototype && prototype !== null) return undefined;
  const copy: Document = {};
  for (const key of Object.keys(document)) {
    if (key === '__proto__' || key === 'toJSON' || key.startsWith('$')) return undefined;
    const value = copiedValue(document[key], depth + 1);
    if (value === undefined) return undefined;
    copy[key] = value;
  }
  return copy;
}

function copiedValue(value: unknown, depth: number): unknown {
  if (isPlain(value)) return value;
  if (typeof value !== 'object') return undefined;
  if (Array.isArray(value)) return copiedArray(value, depth);
  return value instanceof Date ? copiedDate(value) : copied(value as Document, depth);
}

function copiedArray(values: readonly unknown[], depth: number): unknown[] | undefined {
  if (depth > MAX_DOCUMENT_DEPTH) return undefined;
  const copy: unknown[] = [];
  for (let i = 0; i < values.length; i++) {
    const value = copiedValue(values[i], depth + 1);
    if (value === undefined) return undefined;
    copy.push(value);
  }
  return copy;
}

function copiedDate(date: Date): Date | undefined {
  const ms = date.getTime();
  return Number.isNaN(ms) ? undefined : new Date(ms);
}
