import { EJSON, Long } from 'bson';
import { HoldfastError } from '../errors.ts';
import { type Document, isInt32, MAX_DOCUMENT_DEPTH } from './document.ts';

/**
 * Reads one document written as JSON or MongoDB extended JSON, relaxed or canonical. A whole number past 2^53 becomes a Long,
 * so that no digit is lost; other plain numbers stay numbers.
 * @throws VALIDATION_FAILED for text that is not a JSON object, and for values that cannot be stored.
 */
export function parseExtendedJson(text: string): Document {
  const value = revive(parse(text), 0);
  if (LONE_SURROGATE.test(text) && !isWellFormed(value))
    throw refusal('it holds half a Unicode character (a lone surrogate)');
  if (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.getPrototypeOf(value) === Object.prototype
  ) {
    return value as Document;
  }
  throw refusal(
    `it is ${Array.isArray(value) ? 'an array' : value === null ? 'null' : 'a single value'}, not an object`,
  );
}

/**
 * A document with its values written as extended JSON, wherever they are, replaced by what they mean; changed in place.
 * @throws VALIDATION_FAILED for values that cannot be stored
 */
export function reviveExtendedJson(document: Document): Document {
  return revive(document, 0) as Document;
}

/** An escape of a surrogate, which may or may not have its other half. */
const LONE_SURROGATE = /\\u[dD][89a-fA-F]/;

/** Digits enough for a whole number that a double may not hold. */
const LONG_NUMBER = /\d{16}/;

function parse(text: string): unknown {
  try {
    return LONG_NUMBER.test(text) ? JSON.parse(text, keepDigits) : JSON.parse(text);
  } catch (error) {
    throw refusal((error as Error).message, error);
  }
}

/** A reviver: `context.source` is the number as it was written. */
function keepDigits(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const digits = context?.source;
  if (typeof value !== 'number' || Number.isSafeInteger(value) || digits === undefined || !/^-?\d+$/.test(digits))
    return value;
  return fitsLong(digits) ? Long.fromString(digits) : value;
}

function fitsLong(digits: string): boolean {
  return BigInt.asIntN(64, BigInt(digits)) === BigInt(digits);
}

/** The value with tagged objects replaced by BSON values; the same reference when there are none. */
function revive(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date || isBson(value)) return value;
  if (depth > MAX_DOCUMENT_DEPTH) throw refusal(`it is nested deeper than ${MAX_DOCUMENT_DEPTH} levels`);
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = revive(value[i], depth + 1);
    return value;
  }
  const fields = value as Document;
  const keys = Object.keys(fields);
  if (keys[0]?.startsWith('$')) return untag(fields, keys[0], depth);
  let copy: [string, unknown][] | undefined;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] ?? '';
    const item = revive(fields[key], depth + 1);
    if (copy === undefined && item !== fields[key])
      copy = keys.slice(0, i).map((earlier) => [earlier, fields[earlier]]);
    copy?.push([key, item]);
  }
  // Not by assignment: a key may be "__proto__".
  return copy === undefined ? fields : Object.fromEntries(copy);
}

function isBson(value: object): boolean {
  return !Object.hasOwn(value, '_bsontype') && '_bsontype' in value;
}

function untag(fields: Document, tag: string, depth: number): unknown {
  const value = fields[tag];
  switch (tag) {
    case '$date':
      return untagDate(value);
    case '$numberInt':
      if (typeof value === 'string' && /^-?\d+$/.test(value) && isInt32(Number(value))) return Number(value);
      throw invalid(tag, value);
    case '$numberLong':
      if (typeof value === 'string' && /^-?\d{1,19}$/.test(value) && fitsLong(value)) return Long.fromString(value);
      throw invalid(tag, value);
    case '$symbol':
      if (typeof value === 'string') return value;
      throw invalid(tag, value);
    case '$oid':
    case '$uuid':
    case '$numberDouble':
    case '$numberDecimal':
    case '$binary':
    case '$regularExpression':
    case '$regex':
    case '$timestamp':
    case '$minKey':
    case '$maxKey':
    case '$undefined':
      return untagByDriver(fields, tag);
    case '$code':
    case '$scope':
    case '$ref':
    case '$dbPointer':
      throw refusal(`it holds a ${tag}, which cannot be stored`);
    default:
      // Not a type: a document with such a key.
      return Object.fromEntries(Object.entries(fields).map(([key, item]) => [key, revive(item, depth + 1)]));
  }
}

function untagDate(value: unknown): Date {
  const long = (value as { readonly $numberLong?: unknown } | null)?.$numberLong;
  const given = typeof long === 'string' && /^-?\d{1,16}$/.test(long) ? Number(long) : value;
  if (typeof given !== 'string' && typeof given !== 'number') throw invalid('$date', value);
  const date = new Date(given);
  if (Number.isNaN(date.getTime())) throw invalid('$date', value);
  return date;
}

function untagByDriver(fields: Document, tag: string): unknown {
  let value: unknown;
  try {
    value = EJSON.deserialize(fields, { relaxed: false });
  } catch (error) {
    throw invalid(tag, fields[tag], error);
  }
  if ((value as { readonly _bsontype?: unknown } | null)?._bsontype !== 'Double') return value;
  const number = Number(value);
  // A double that is also an int32 stays an object, or it would be stored as an int32.
  return isInt32(number) ? value : number;
}

/** Whether every string and key can be written as UTF-8. */
function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, item]) => key.isWellFormed() && isWellFormed(item));
}

function invalid(tag: string, value: unknown, cause?: unknown): HoldfastError {
  // Objects may be nested too deep to be shown.
  const isObject = typeof value === 'object' && value !== null;
  const shown = Array.isArray(value) ? 'a list' : isObject ? 'an object' : JSON.stringify(value)?.slice(0, 60);
  return refusal(`${shown} is not a value of ${tag}`, cause);
}

function refusal(message: string, cause?: unknown): HoldfastError {
  return new HoldfastError('VALIDATION_FAILED', message, { cause });
}
