import { Binary, Decimal128, Long } from 'bson';
import { type Document, encodeValue, isInt32 } from './document.ts';
import { storableKey } from './fields.ts';
import { SCALARS } from './scalars.ts';

/** Kinds of values seen at one place, as bits of a set. */
export const SeenKind = {
  STRING: 1,
  /** Fits an int32. */
  INT: 2,
  /** A whole number up to ±(2^53 - 1). */
  SAFE: 4,
  /** A whole number of 64 bits. */
  LONG: 8,
  DOUBLE: 16,
  DECIMAL: 32,
  BOOLEAN: 64,
  DATE: 128,
  OBJECT_ID: 256,
  BINARY: 512,
  OBJECT: 1024,
  ARRAY: 2048,
  OTHER: 4096,
} as const;

/** What all strings at one place look like, as bits of a set. */
export const StringForm = { DATE_TIME: 1, DATE: 2, UUID: 4, EMAIL: 8, URL: 16 } as const;

const ALL_FORMS = 31;

/** Objects nested deeper, and those with more keys, become JSON: they are maps, not types. */
const MAX_DEPTH = 6;
const MAX_KEYS = 200;
const MAX_KEY_LENGTH = 200;
/** Fields of one collection, whatever their depth; keys beyond are not looked at. */
const MAX_FIELDS = 5_000;
/** Values compared to tell whether a field is unique; one with more is taken for not unique. */
const MAX_DISTINCT = 1_000_000;
const MAX_DISTINCT_FIELDS = 12;

/** Counts what one collection may still keep in memory. */
class Budget {
  fields = MAX_FIELDS;
  distinctFields = MAX_DISTINCT_FIELDS;
}

/** What was seen at one place of the documents. Its size depends on how documents differ, not on how many there are. */
export class ValueSummary {
  /** How many documents or objects had the key, null included. */
  present = 0;
  nulls = 0;
  /** Bits of {@link SeenKind}, null not counted. */
  kinds = 0;
  /** Bits of {@link StringForm} that every string has. */
  forms = ALL_FORMS;
  object: ObjectSummary | undefined;
  /** Elements of the arrays. */
  items: ValueSummary | undefined;
  distinct: DistinctValues | undefined;
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  add(value: unknown, depth: number): void {
    this.present++;
    if (value === null || value === undefined) {
      this.nulls++;
      return;
    }
    const kind = kindOf(value);
    this.kinds |= kind;
    if (kind === SeenKind.STRING) this.forms = formsOf(value as string, this.forms);
    else if (kind === SeenKind.OBJECT) {
      this.object ??= new ObjectSummary(this.#budget);
      this.object.add(value as Document, depth + 1);
    } else if (kind === SeenKind.ARRAY) {
      this.items ??= new ValueSummary(this.#budget);
      // An array in an array is JSON whatever it holds.
      for (const item of value as unknown[]) this.items.add(Array.isArray(item) ? [] : item, depth);
    }
    this.distinct?.add(value);
  }
}

/** The keys seen in the objects at one place. */
export class ObjectSummary {
  /** How many objects. */
  count = 0;
  /** By the key under which documents are stored. */
  readonly fields = new Map<string, ValueSummary>();
  /** Whether the objects are too deep or too different for a type. */
  isMap = false;
  readonly #budget: Budget;

  constructor(budget: Budget = new Budget()) {
    this.#budget = budget;
  }

  /** `depth` is 0 for whole documents; `isUnique` says for which of their keys values are compared; the first of all keys is marked. */
  add(document: Document, depth: number, isUnique?: (key: string, isFirst: boolean) => boolean): void {
    this.count++;
    if (depth > MAX_DEPTH) this.isMap = true;
    if (this.isMap) return;
    for (const [key, value] of Object.entries(document)) {
      this.#field(storableKey(key), depth, isUnique)?.add(value, depth);
      if (this.isMap) return;
    }
  }

  #field(key: string, depth: number, isUnique?: (key: string, isFirst: boolean) => boolean): ValueSummary | undefined {
    const known = this.fields.get(key);
    if (known !== undefined) return known;
    if (depth > 0 && (this.fields.size >= MAX_KEYS || key.length > MAX_KEY_LENGTH)) {
      this.isMap = true;
      this.#budget.fields += this.fields.size;
      this.fields.clear();
      return undefined;
    }
    if (this.#budget.fields === 0) return undefined;
    this.#budget.fields--;
    const field = new ValueSummary(this.#budget);
    if (isUnique?.(key, this.fields.size === 0) && this.#budget.distinctFields > 0) {
      this.#budget.distinctFields--;
      field.distinct = new DistinctValues();
    }
    this.fields.set(key, field);
    return field;
  }
}

/** Whether all values of a field differ. Errs on the safe side: two that differ are rarely taken for equal, never the opposite. */
class DistinctValues {
  #hashes: Set<number> | undefined = new Set();
  /** Values compared so far. */
  count = 0;
  /** Whether two were equal. */
  repeated = false;

  add(value: unknown): void {
    if (this.#hashes === undefined) return;
    const hash = hashOf(typeof value === 'string' ? value : encodeValue(value));
    this.repeated = this.#hashes.has(hash);
    this.#hashes.add(hash);
    this.count++;
    if (this.repeated || this.count > MAX_DISTINCT) this.#hashes = undefined;
  }

  /** Whether every value was compared and none repeated. */
  get isProven(): boolean {
    return this.#hashes !== undefined;
  }
}

/** 53 bits of a string. */
function hashOf(text: string): number {
  let a = 0x811c9dc5;
  let b = 0x1b873593;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x85ebca6b) + 1;
  }
  return (b >>> 11) * 2 ** 32 + (a >>> 0);
}

function kindOf(value: unknown): number {
  switch (typeof value) {
    case 'string':
      return SeenKind.STRING;
    case 'boolean':
      return SeenKind.BOOLEAN;
    case 'number':
      return numberKind(value);
    case 'bigint':
      return integerKind(Number(value));
    case 'object':
      return objectKind(value as object);
    default:
      return SeenKind.OTHER;
  }
}

function numberKind(value: number): number {
  if (!Number.isFinite(value)) return SeenKind.OTHER;
  return Number.isSafeInteger(value) && !Object.is(value, -0) ? integerKind(value) : SeenKind.DOUBLE;
}

function integerKind(value: number): number {
  if (isInt32(value)) return SeenKind.INT;
  return Number.isSafeInteger(value) ? SeenKind.SAFE : SeenKind.LONG;
}

function objectKind(value: object): number {
  if (Array.isArray(value)) return SeenKind.ARRAY;
  if (value instanceof Date) return SeenKind.DATE;
  if (value instanceof Long) return integerKind(value.toNumber());
  if (value instanceof Decimal128) return /^-?(?:NaN|Inf)/i.test(value.toString()) ? SeenKind.OTHER : SeenKind.DECIMAL;
  if (value instanceof Binary) return value.sub_type === Binary.SUBTYPE_DEFAULT ? SeenKind.BINARY : SeenKind.OTHER;
  if (value instanceof Uint8Array) return SeenKind.BINARY;
  switch ((value as { _bsontype?: unknown })._bsontype) {
    case undefined:
      return SeenKind.OBJECT;
    case 'ObjectId':
      return SeenKind.OBJECT_ID;
    case 'Int32':
      return SeenKind.INT;
    case 'Double':
      return Number.isFinite(Number(value)) ? SeenKind.DOUBLE : SeenKind.OTHER;
    default:
      return SeenKind.OTHER;
  }
}

/** Which of `forms` the string has too. */
function formsOf(text: string, forms: number): number {
  if (forms === 0) return 0;
  let left = 0;
  for (const [form, pattern, scalar] of FORMS) {
    if ((forms & form) !== 0 && text.length <= 400 && pattern.test(text) && accepts(scalar, text)) left |= form;
  }
  return left;
}

/** Only where reading and writing the scalar gives back what the string says: no finer than ms, UUIDs in lower case. */
const FORMS: readonly (readonly [form: number, pattern: RegExp, scalar: string])[] = [
  [StringForm.DATE_TIME, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?(?:Z|[+-]\d\d:\d\d)$/, 'DateTime'],
  [StringForm.DATE, /^\d{4}-\d\d-\d\d$/, 'Date'],
  [StringForm.UUID, /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'UUID'],
  [StringForm.EMAIL, /@/, 'EmailAddress'],
  [StringForm.URL, /^https?:\/\//, 'URL'],
];

function accepts(scalar: string, text: string): boolean {
  try {
    SCALARS.get(scalar)?.type.parseValue(text);
    return true;
  } catch {
    return false;
  }
}
