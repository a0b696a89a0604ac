import { Binary, type DBRef, type Double, type Int32 } from 'bson';
import type { Collection as DriverCollection } from 'mongodb';
import { type Document, isInt32 } from '../model/document.ts';

/** A collection of the driver, as the store uses it. */
export type Raw = DriverCollection<Document>;

/**
 * How documents are read: every number keeps its type (`fromBson` makes plain ones plain), and text that is not UTF-8, which only
 * writers beside the gateway can leave, is read with replacement characters rather than failing the read.
 */
export const READ_OPTIONS = {
  promoteValues: false,
  promoteLongs: false,
  bsonRegExp: true,
  enableUtf8Validation: false,
} as const;

/** How documents are written: they were checked and written as text before, so only what text can hold is left. */
export const WRITE_OPTIONS = { ignoreUndefined: true } as const;

/**
 * A value read with {@link READ_OPTIONS} as `decodeDocument` would give it; documents and arrays are changed in place. Types that
 * document text does not have are read as the nearest it has: code and symbols as strings, references as documents. They stay
 * what they are in the database until their field is written.
 */
export function fromBson(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = fromBson(value[i]) ?? null;
    return value;
  }
  const type = Object.hasOwn(value, '_bsontype') ? undefined : (value as { _bsontype?: unknown })._bsontype;
  return typeof type === 'string' ? plainOf(value, type) : fromFields(value as Document);
}

function fromFields(document: Document): Document {
  for (const key of Object.keys(document)) {
    const value = document[key];
    if (value === undefined) delete document[key];
    else if (typeof value === 'object' && value !== null) setOwn(document, key, fromBson(value));
  }
  return document;
}

/** Sets an own property, also one named `__proto__`. */
function setOwn(target: Document, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  } else target[key] = value;
}

function plainOf(value: object, type: string): unknown {
  switch (type) {
    case 'Int32':
      return (value as Int32).value;
    case 'Double': {
      const number = (value as Double).value;
      // A double that is also an int32 stays an object, or it would be written as an int32 the next time.
      return isInt32(number) ? value : number;
    }
    case 'Binary': {
      const { buffer, sub_type } = value as Binary;
      // The driver's UUID is a class of its own.
      return sub_type === Binary.SUBTYPE_UUID ? new Binary(buffer, sub_type) : value;
    }
    case 'Code':
      return (value as { readonly code: string }).code;
    case 'BSONSymbol':
      return (value as { readonly value: string }).value;
    case 'DBRef': {
      const { collection, oid, db, fields } = value as DBRef;
      return fromFields({ $ref: collection, $id: oid, ...(db === undefined ? {} : { $db: db }), ...fields });
    }
    default:
      return value;
  }
}

/** A number of our own metadata, whatever type a server gave it. */
export function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : Number(String(value));
}

/**
 * The code of an error as the driver documents it. Where numbers keep their type ({@link READ_OPTIONS}) so does the code of an error, and
 * is equal to no number then.
 */
export function plainCode(code: unknown): unknown {
  return typeof code === 'object' && code !== null && '_bsontype' in code ? numberOf(code) : code;
}
