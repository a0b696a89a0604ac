import type { Double, Int32 } from 'bson';
import { HoldfastError } from '../errors.ts';
import { type Document, isInt32, regexOptions } from '../model/document.ts';

/**
 * Where a BSON type stands in the order of values (MongoDB manual, "Comparison/Sort Order"): types compare before values.
 * The numbers are also the first byte of a key, with 0 left free for the end of an array or document.
 */
export const Rank = {
  MIN_KEY: 0x10,
  /** An empty array as a sort key; no value has this rank. */
  EMPTY: 0x12,
  NULL: 0x14,
  NUMBER: 0x1e,
  STRING: 0x3c,
  OBJECT: 0x46,
  ARRAY: 0x50,
  BINARY: 0x5a,
  OBJECT_ID: 0x64,
  BOOLEAN: 0x6e,
  DATE: 0x78,
  TIMESTAMP: 0x82,
  REGEX: 0x8c,
  MAX_KEY: 0xf0,
} as const;
export type Rank = (typeof Rank)[keyof typeof Rank];

const RANKS: Readonly<Record<string, Rank | undefined>> = {
  ObjectId: Rank.OBJECT_ID,
  Int32: Rank.NUMBER,
  Double: Rank.NUMBER,
  Long: Rank.NUMBER,
  Decimal128: Rank.NUMBER,
  Binary: Rank.BINARY,
  BSONRegExp: Rank.REGEX,
  Timestamp: Rank.TIMESTAMP,
  MinKey: Rank.MIN_KEY,
  MaxKey: Rank.MAX_KEY,
};

/**
 * Name of the `bson` class of an object; undefined for any other object, also for a document with a field of its own named
 * `_bsontype`.
 */
export function bsonTypeName(value: object): string | undefined {
  const name = (value as { readonly _bsontype?: unknown })._bsontype;
  return typeof name === 'string' && !Object.hasOwn(value, '_bsontype') ? name : undefined;
}

/**
 * The rank of a value; `undefined` (missing) ranks as null.
 * @throws VALIDATION_FAILED for what cannot be stored (functions, symbols, BSON code, invalid dates).
 */
export function rankOf(value: unknown): Rank {
  switch (typeof value) {
    case 'string':
      return Rank.STRING;
    case 'number':
    case 'bigint':
      return Rank.NUMBER;
    case 'boolean':
      return Rank.BOOLEAN;
    case 'undefined':
      return Rank.NULL;
    case 'object':
      return value === null ? Rank.NULL : rankOfObject(value);
    default:
      throw new HoldfastError('VALIDATION_FAILED', `a ${typeof value} cannot be compared`);
  }
}

function rankOfObject(value: object): Rank {
  if (Array.isArray(value)) return Rank.ARRAY;
  const name = bsonTypeName(value);
  if (name !== undefined) {
    const rank = RANKS[name];
    if (rank === undefined) throw new HoldfastError('VALIDATION_FAILED', `a BSON ${name} cannot be compared`);
    return rank;
  }
  if (value instanceof Date) return rankOfDate(value);
  if (value instanceof Uint8Array) return Rank.BINARY;
  if (value instanceof RegExp) return Rank.REGEX;
  return Rank.OBJECT;
}

function rankOfDate(value: Date): Rank {
  if (Number.isNaN(value.getTime())) throw new HoldfastError('VALIDATION_FAILED', 'an invalid date cannot be compared');
  return Rank.DATE;
}

/** Whether a value is an embedded document: no array, no BSON or JavaScript value class. */
export function isDocument(value: unknown): value is Document {
  return typeof value === 'object' && value !== null && rankOfObject(value) === Rank.OBJECT;
}

/** Whether a value is of one of the four number types. */
export function isNumeric(value: unknown): boolean {
  if (typeof value === 'number' || typeof value === 'bigint') return true;
  return typeof value === 'object' && value !== null && rankOfObject(value) === Rank.NUMBER;
}

/** BSON's number of each type (bsonspec.org), as `$type` names them. */
export const TypeCode = {
  DOUBLE: 1,
  STRING: 2,
  OBJECT: 3,
  ARRAY: 4,
  BINARY: 5,
  OBJECT_ID: 7,
  BOOLEAN: 8,
  DATE: 9,
  NULL: 10,
  REGEX: 11,
  INT: 16,
  TIMESTAMP: 17,
  LONG: 18,
  DECIMAL: 19,
  MIN_KEY: -1,
  MAX_KEY: 127,
} as const;
export type TypeCode = (typeof TypeCode)[keyof typeof TypeCode];

const CODES: Readonly<Record<Rank, TypeCode | undefined>> = {
  [Rank.MIN_KEY]: TypeCode.MIN_KEY,
  [Rank.EMPTY]: undefined,
  [Rank.NULL]: TypeCode.NULL,
  [Rank.NUMBER]: undefined,
  [Rank.STRING]: TypeCode.STRING,
  [Rank.OBJECT]: TypeCode.OBJECT,
  [Rank.ARRAY]: TypeCode.ARRAY,
  [Rank.BINARY]: TypeCode.BINARY,
  [Rank.OBJECT_ID]: TypeCode.OBJECT_ID,
  [Rank.BOOLEAN]: TypeCode.BOOLEAN,
  [Rank.DATE]: TypeCode.DATE,
  [Rank.TIMESTAMP]: TypeCode.TIMESTAMP,
  [Rank.REGEX]: TypeCode.REGEX,
  [Rank.MAX_KEY]: TypeCode.MAX_KEY,
};

/** The BSON type of a value that is not missing. A plain number is an int32 or a double as the document text decides. */
export function typeCodeOf(value: unknown): TypeCode {
  return CODES[rankOf(value)] ?? numericTypeOf(value);
}

function numericTypeOf(value: unknown): TypeCode {
  if (typeof value === 'number') return isInt32(value) ? TypeCode.INT : TypeCode.DOUBLE;
  if (typeof value === 'bigint') return TypeCode.LONG;
  switch (bsonTypeName(value as object)) {
    case 'Int32':
      return TypeCode.INT;
    case 'Double':
      return TypeCode.DOUBLE;
    case 'Long':
      return TypeCode.LONG;
    default:
      return TypeCode.DECIMAL;
  }
}

/** The JavaScript number inside a number that is no Long, bigint or Decimal128; undefined for those and for non-numbers. */
export function plainNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'object' || value === null) return undefined;
  const name = bsonTypeName(value);
  return name === 'Int32' || name === 'Double' ? (value as Int32 | Double).value : undefined;
}

/** A regular expression value: its pattern and its options, in alphabetical order. */
export interface RegexParts {
  readonly pattern: string;
  readonly options: string;
}

/** Reads a BSONRegExp or RegExp. */
export function regexParts(value: unknown): RegexParts {
  if (value instanceof RegExp) return { pattern: value.source, options: regexOptions(value) };
  const { pattern, options } = value as RegexParts;
  return { pattern, options };
}
