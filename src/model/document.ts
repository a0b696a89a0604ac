import { Binary, BSONRegExp, Decimal128, Double, type Int32, Long, MaxKey, MinKey, ObjectId, Timestamp } from 'bson';
import { HoldfastError } from '../errors.ts';

/** A stored document: field names to BSON values as the MongoDB driver gives them (`Long`, `Double` and friends stay objects). */
export type Document = Record<string, unknown>;

/**
 * The document text: JSON whose tagged objects (`{"$oid": …}`) carry the BSON types that JSON lacks. Strings, booleans, null,
 * documents and arrays are themselves; a plain number is an int32 when it is an integer of that range and a double
 * otherwise, as the driver's serializer decides. It is written once, where a change is made, and travels unaltered through
 * log, frame and replica: hashes are taken over it. A document with a key that starts with `$` is `{"$object": [[key, value], …]}`.
 */
export type DocumentText = string;

/** Largest document in bytes of document text (UTF-8), as in MongoDB. */
export const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;

/** Deepest nesting of a document, as in MongoDB. */
export const MAX_DOCUMENT_DEPTH = 100;

/**
 * Writes one value or document as document text. A property that is `undefined` is left out; in an array it is null.
 * @throws VALIDATION_FAILED for a value BSON does not have (functions, symbols, invalid dates) or nesting past 100 levels.
 */
export function encodeValue(value: unknown): DocumentText {
  return JSON.stringify(tagged(value, 0));
}

/**
 * {@link encodeValue} for a whole document.
 * @throws VALIDATION_FAILED also when the text is larger than 16 MiB.
 */
export function encodeDocument(document: Document): DocumentText {
  const text = encodeValue(document);
  if (text.length * 3 > MAX_DOCUMENT_BYTES && Buffer.byteLength(text) > MAX_DOCUMENT_BYTES) {
    throw new HoldfastError(
      'VALIDATION_FAILED',
      `the document has ${Buffer.byteLength(text)} bytes; at most ${MAX_DOCUMENT_BYTES} are stored`,
    );
  }
  return text;
}

/** Reads what {@link encodeValue} wrote. The text is trusted: it came from our own store or passed its checksum. */
export function decodeValue(text: DocumentText): unknown {
  const value: unknown = JSON.parse(text);
  // A tag always opens an object, and a quote inside a string is escaped: without this mark there is nothing to revive.
  return text.includes('{"$') ? revived(value) : value;
}

/** {@link decodeValue} for a whole document. */
export function decodeDocument(text: DocumentText): Document {
  return decodeValue(text) as Document;
}

const INT32_MIN = -0x80000000;
const INT32_MAX = 0x7fffffff;

/** Whether a JavaScript number is stored as int32; every other number is a double. */
export function isInt32(value: number): boolean {
  return Number.isInteger(value) && value >= INT32_MIN && value <= INT32_MAX && !Object.is(value, -0);
}

const DOLLAR = '$'.charCodeAt(0);

/** Whether a value that is no object is written as it is, and read back so. */
export function isPlain(value: unknown): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0);
    default:
      return value === null;
  }
}

/** The value with BSON types replaced by tagged objects; the same reference when there is nothing to replace. */
function tagged(value: unknown, depth: number): unknown {
  if (isPlain(value)) return value;
  switch (typeof value) {
    case 'number':
      return { $numberDouble: doubleText(value) };
    case 'bigint':
      return { $numberLong: value.toString() };
    case 'undefined':
      return null;
    case 'object':
      return taggedObject(value as object, depth);
    default:
      throw new HoldfastError('VALIDATION_FAILED', `a ${typeof value} cannot be stored`);
  }
}

function doubleText(value: number): string {
  if (Object.is(value, -0)) return '-0.0';
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}

function taggedObject(value: object, depth: number): unknown {
  if (depth > MAX_DOCUMENT_DEPTH) {
    throw new HoldfastError('VALIDATION_FAILED', `the document is nested deeper than ${MAX_DOCUMENT_DEPTH} levels`);
  }
  if (Array.isArray(value)) return taggedArray(value, depth);
  if (value instanceof Date) {
    const ms = value.getTime();
    if (Number.isNaN(ms)) throw new HoldfastError('VALIDATION_FAILED', 'an invalid date cannot be stored');
    return { $date: ms };
  }
  if (value instanceof Uint8Array) return { $binary: { base64: Buffer.from(value).toString('base64'), subType: '00' } };
  if (value instanceof RegExp) {
    return { $regularExpression: { pattern: value.source, options: regexOptions(value) } };
  }
  // A field of that name makes no BSON value of a document.
  const type = Object.hasOwn(value, '_bsontype') ? undefined : (value as { _bsontype?: unknown })._bsontype;
  return typeof type === 'string' ? taggedBson(value, type) : taggedFields(value as Document, depth);
}

/** The BSON options of a RegExp: of its flags those that change what matches and that BSON has (i, m and s), in order. */
export function regexOptions(expression: RegExp): string {
  return expression.flags.replace(/[^ims]/g, '');
}

function taggedArray(value: readonly unknown[], depth: number): unknown {
  let copy: unknown[] | undefined;
  for (let i = 0; i < value.length; i++) {
    const item = tagged(value[i], depth + 1);
    if (copy === undefined && item !== value[i]) copy = value.slice(0, i);
    copy?.push(item);
  }
  return copy ?? value;
}

function taggedFields(value: Document, depth: number): unknown {
  const keys = Object.keys(value);
  let dollar = false;
  /** Made at the first field that is not written as it is: most documents have none. */
  let copy: Document | undefined;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as string;
    const item = value[key];
    dollar ||= key.charCodeAt(0) === DOLLAR && item !== undefined;
    const next = item === undefined ? undefined : tagged(item, depth + 1);
    if (copy === undefined && (next !== item || item === undefined)) {
      copy = {};
      for (const earlier of keys.slice(0, i)) setOwn(copy, earlier, value[earlier]);
    }
    if (copy !== undefined && next !== undefined) setOwn(copy, key, next);
  }
  return dollar ? { $object: Object.entries(copy ?? value) } : (copy ?? value);
}

function taggedBson(value: object, type: string): unknown {
  switch (type) {
    case 'ObjectId':
      return { $oid: (value as ObjectId).toHexString() };
    case 'Int32':
      return (value as Int32).value;
    case 'Double':
      return taggedDouble((value as Double).value);
    case 'Long':
      return { $numberLong: (value as Long).toString() };
    case 'Decimal128':
      return { $numberDecimal: (value as Decimal128).toString() };
    case 'Binary': {
      const binary = value as Binary;
      return { $binary: { base64: binary.toString('base64'), subType: binary.sub_type.toString(16).padStart(2, '0') } };
    }
    case 'BSONRegExp': {
      const expression = value as BSONRegExp;
      return { $regularExpression: { pattern: expression.pattern, options: expression.options } };
    }
    case 'Timestamp': {
      const time = value as Timestamp;
      return { $timestamp: { t: time.getHighBitsUnsigned(), i: time.getLowBitsUnsigned() } };
    }
    case 'MinKey':
      return { $minKey: 1 };
    case 'MaxKey':
      return { $maxKey: 1 };
    default:
      throw new HoldfastError('VALIDATION_FAILED', `a BSON ${type} cannot be stored`);
  }
}

function taggedDouble(value: number): unknown {
  return isPlain(value) && !isInt32(value) ? value : { $numberDouble: doubleText(value) };
}

/** The parsed text with tagged objects replaced by BSON values, in place. */
function revived(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = revived(value[i]);
    return value;
  }
  const fields = value as Document;
  for (const key in fields) {
    if (key.charCodeAt(0) === DOLLAR) return untagged(key, fields[key]);
    const item = fields[key];
    if (typeof item !== 'object' || item === null) continue;
    const value = revived(item);
    if (value !== item) setOwn(fields, key, value);
  }
  return fields;
}

/** Sets an own property, also one named `__proto__`. */
function setOwn(target: Document, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  else target[key] = value;
}

function untagged(tag: string, value: unknown): unknown {
  switch (tag) {
    case '$oid':
      return new ObjectId(value as string);
    case '$date':
      return new Date(value as number);
    case '$numberLong':
      return Long.fromString(value as string);
    case '$numberDouble':
      return revivedDouble(value as string);
    case '$numberDecimal':
      return Decimal128.fromString(value as string);
    case '$binary': {
      const { base64, subType } = value as { base64: string; subType: string };
      return new Binary(Buffer.from(base64, 'base64'), Number.parseInt(subType, 16));
    }
    case '$regularExpression': {
      const { pattern, options } = value as { pattern: string; options: string };
      return new BSONRegExp(pattern, options);
    }
    case '$timestamp':
      return new Timestamp(value as { t: number; i: number });
    case '$minKey':
      return new MinKey();
    case '$maxKey':
      return new MaxKey();
    case '$object': {
      const fields: Document = {};
      for (const [key, item] of value as [string, unknown][]) setOwn(fields, key, revived(item));
      return fields;
    }
    default:
      throw new HoldfastError('VALIDATION_FAILED', `the document text holds the unknown type ${tag}`);
  }
}

/** A double that is also an int32 must stay an object, or it would be written as an int32 the next time. */
function revivedDouble(text: string): unknown {
  const value = Number(text);
  return isInt32(value) ? new Double(value) : value;
}
