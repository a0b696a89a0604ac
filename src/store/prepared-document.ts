import { HoldfastError } from '../errors.ts';
import { canonical } from '../model/canonical.ts';
import { type Document, type DocumentText, encodeValue } from '../model/document.ts';
import { keyOf } from './key.ts';

/** A document as it will be stored: checked and written as text once, before it is written. */
export interface PreparedDocument {
  readonly id: DocumentText;
  readonly key: Uint8Array;
  readonly text: DocumentText;
  /** Read back from the text: what every reader will get. */
  readonly document: Document;
}

/** @throws VALIDATION_FAILED for a document without a usable `_id`, or one that cannot be stored */
export function prepareDocument(document: Document): PreparedDocument {
  const { _id } = document;
  if (_id === undefined || Array.isArray(_id) || isExpression(_id)) {
    const reason = _id === undefined ? 'has no _id' : 'has an array or a regular expression as _id';
    throw new HoldfastError('VALIDATION_FAILED', `the document ${reason}; every document needs one value there`);
  }
  const { text, document: read } = canonical(document);
  return { id: encodeValue(_id), key: keyOf(_id), text, document: read };
}

function isExpression(value: unknown): boolean {
  return value instanceof RegExp || (value as { _bsontype?: unknown } | null)?._bsontype === 'BSONRegExp';
}
