import { Binary, Decimal128, Long, ObjectId } from 'bson';
import {
  GraphQLBoolean,
  GraphQLError,
  GraphQLFloat,
  GraphQLID,
  GraphQLInt,
  GraphQLScalarType,
  GraphQLString,
  Kind,
  type ValueNode,
  valueFromASTUntyped,
} from 'graphql';
import {
  GraphQLCountryCode,
  GraphQLCurrency,
  GraphQLDate,
  GraphQLDateTime,
  GraphQLDuration,
  GraphQLEmailAddress,
  GraphQLLocalTime,
  GraphQLUUID,
} from 'graphql-scalars';
import { isHoldfastError } from '../errors.ts';
import { formatPosition, type Position, parsePosition } from './position.ts';

/** How values of a scalar are stored; decides which filters, orders and updates make sense. */
export const ScalarForm = {
  /** A BSON string; ordered by its bytes. */
  TEXT: 'TEXT',
  /** An int32, long, double or Decimal128. */
  NUMBER: 'NUMBER',
  BOOLEAN: 'BOOLEAN',
  /** A BSON date. */
  DATE: 'DATE',
  OBJECT_ID: 'OBJECT_ID',
  BINARY: 'BINARY',
  /** Any value; compared for null only. */
  ANY: 'ANY',
} as const;
export type ScalarForm = (typeof ScalarForm)[keyof typeof ScalarForm];

/** What Holdfast knows about one scalar. */
export interface Scalar {
  /**
   * Reads literals and variables into the value that is stored, and writes stored values for the wire: between the two the
   * resolvers convert nothing.
   */
  readonly type: GraphQLScalarType;
  readonly form: ScalarForm;
  /** Whether it may be an `@id` or the key of a relation: equal values have one form only. */
  readonly key: boolean;
}

type Rule = Omit<Scalar, 'type'> & {
  readonly name: string;
  /** The stored value of what a client sent; throws what it does not accept. */
  readonly store: (value: unknown) => unknown;
  /** What a client gets for a stored value; `store`'s opposite. */
  readonly read: (stored: unknown) => unknown;
  /** Number literals are passed on as their text, so that no digit is lost. */
  readonly exact?: boolean;
};

const rules: readonly Rule[] = [
  {
    name: 'DateTime',
    form: 'DATE',
    key: false,
    store: (value) => GraphQLDateTime.parseValue(value),
    read: readDateTime,
  },
  { name: 'Date', form: 'DATE', key: false, store: (value) => GraphQLDate.parseValue(value), read: readDate },
  text('Time', (value) => withSeconds(String(GraphQLLocalTime.parseValue(value)))),
  text('Duration', (value) => GraphQLDuration.parseValue(value)),
  text('UUID', (value) => String(GraphQLUUID.parseValue(value)).toLowerCase()),
  { name: 'ObjectID', form: 'OBJECT_ID', key: true, store: storeObjectId, read: String },
  number('SafeInt', (value) => integer(value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER), true),
  { name: 'BigInt', form: 'NUMBER', key: true, store: storeBigInt, read: readBigInt, exact: true },
  { name: 'Decimal', form: 'NUMBER', key: false, store: storeDecimal, read: readNumberText, exact: true },
  number('PositiveInt', (value) => integer(value, 1, 2 ** 31 - 1)),
  number('NonNegativeInt', (value) => integer(value, 0, 2 ** 31 - 1)),
  number('NonNegativeFloat', (value) => between(value, 0, Number.MAX_VALUE)),
  number('Latitude', (value) => between(value, -90, 90)),
  number('Longitude', (value) => between(value, -180, 180)),
  text('EmailAddress', (value) => GraphQLEmailAddress.parseValue(value)),
  text('PhoneNumber', storePhoneNumber),
  text('URL', storeUrl),
  text('CountryCode', (value) => String(GraphQLCountryCode.parseValue(value)).toUpperCase()),
  text('Currency', (value) => String(GraphQLCurrency.parseValue(value)).toUpperCase()),
  { name: 'Byte', form: 'BINARY', key: false, store: storeBytes, read: readBytes },
  { name: 'JSON', form: 'ANY', key: false, store: (value) => value, read: plainValue },
  { name: 'JSONObject', form: 'ANY', key: false, store: storeObject, read: plainValue },
];

/** Every scalar a field of an entity may have, GraphQL's own included, by name. */
export const SCALARS: ReadonlyMap<string, Scalar> = new Map<string, Scalar>([
  ['ID', { type: GraphQLID, form: 'TEXT', key: true }],
  ['String', { type: GraphQLString, form: 'TEXT', key: true }],
  ['Int', { type: GraphQLInt, form: 'NUMBER', key: true }],
  ['Float', { type: GraphQLFloat, form: 'NUMBER', key: false }],
  ['Boolean', { type: GraphQLBoolean, form: 'BOOLEAN', key: false }],
  ...rules.map((rule): [string, Scalar] => [rule.name, { type: scalarType(rule), form: rule.form, key: rule.key }]),
]);

/** `"<epoch>.<sequence>"` on the wire, a {@link Position} inside. Never stored in a document. */
export const POSITION_SCALAR: GraphQLScalarType = scalarType({
  name: 'Position',
  store: (value) => parsePosition(string(value)),
  read: (value) => (typeof value === 'string' ? value : formatPosition(value as Position)),
});

function text(name: string, store: Rule['store']): Rule {
  return { name, form: 'TEXT', key: true, store, read: string };
}

function number(name: string, store: Rule['store'], key = false): Rule {
  return { name, form: 'NUMBER', key, store, read: (value) => store(plainValue(value)) };
}

function scalarType({ name, store, read, exact = false }: Pick<Rule, 'name' | 'store' | 'read' | 'exact'>) {
  const checked = (convert: (value: unknown) => unknown) => (value: unknown) => {
    try {
      return convert(value);
    } catch (error) {
      if (error instanceof GraphQLError || isHoldfastError(error)) throw new GraphQLError(`${name}: ${error.message}`);
      throw error;
    }
  };
  const parseValue = checked(store);
  const literal = (node: ValueNode, variables?: Record<string, unknown> | null) =>
    exact && (node.kind === Kind.INT || node.kind === Kind.FLOAT) ? node.value : valueFromASTUntyped(node, variables);
  return new GraphQLScalarType({
    name,
    parseValue,
    parseLiteral: (node, variables) => parseValue(literal(node, variables)),
    serialize: checked(read),
  });
}

function refuse(value: unknown, wanted: string): never {
  const shown = typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : typeof value;
  throw new GraphQLError(`${typeof value === 'number' ? value : shown} is not ${wanted}`);
}

function string(value: unknown): string {
  return typeof value === 'string' ? value : refuse(value, 'a string');
}

function integer(value: unknown, least: number, most: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    return refuse(value, `a whole number from ${least} to ${most}`);
  }
  return value;
}

function between(value: unknown, least: number, most: number): number {
  if (typeof value !== 'number' || !(value >= least && value <= most)) {
    return refuse(
      value,
      most === Number.MAX_VALUE ? `a number of ${least} or more` : `a number from ${least} to ${most}`,
    );
  }
  return value;
}

function readDateTime(stored: unknown): string {
  const date = GraphQLDateTime.serialize(stored) as Date;
  return date.toISOString();
}

function readDate(stored: unknown): unknown {
  return GraphQLDate.serialize(stored);
}

function withSeconds(time: string): string {
  return time.length === 5 ? `${time}:00` : time;
}

function storeObjectId(value: unknown): ObjectId {
  if (value instanceof ObjectId) return value;
  if (typeof value !== 'string' || !/^[0-9a-fA-F]{24}$/.test(value)) return refuse(value, '24 hexadecimal digits');
  return new ObjectId(value);
}

function storeBigInt(value: unknown): Long {
  const digits = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value;
  if (typeof digits !== 'string' || !/^-?\d{1,19}$/.test(digits)) return refuse(value, 'a whole number of 64 bits');
  const long = Long.fromString(digits);
  return BigInt(digits) === long.toBigInt() ? long : refuse(value, 'a whole number of 64 bits');
}

function readBigInt(stored: unknown): string {
  const digits = readNumberText(stored);
  return /^-?\d+$/.test(digits) ? digits : refuse(stored, 'a whole number');
}

function storeDecimal(value: unknown): Decimal128 {
  const digits = typeof value === 'number' && Number.isFinite(value) ? String(value) : value;
  if (typeof digits === 'string' && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(digits) && digits.length <= 100) {
    try {
      return Decimal128.fromString(digits);
    } catch {
      // Refused below: more digits or a larger exponent than a Decimal128 holds.
    }
  }
  return refuse(value, 'a decimal number of at most 34 digits');
}

/** A stored number of any BSON type as its digits. */
function readNumberText(stored: unknown): string {
  if (typeof stored === 'number' || stored instanceof Long || stored instanceof Decimal128) return stored.toString();
  const plain = plainValue(stored);
  return typeof plain === 'number' ? String(plain) : refuse(stored, 'a number');
}

// graphql-scalars' own expression takes exponential time on long digits followed by a letter.
function storePhoneNumber(value: unknown): string {
  const accepted = typeof value === 'string' && value.length <= 40 && /^\+?[\d\s().-]*\d$/.test(value);
  return accepted && /\d.*\d.*\d/.test(value) ? value : refuse(value, 'a telephone number');
}

function storeUrl(value: unknown): string {
  return URL.canParse(string(value)) ? string(value) : refuse(value, 'an absolute URL');
}

function storeBytes(value: unknown): Binary {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(string(value))) {
    return refuse(value, 'base64');
  }
  return new Binary(Buffer.from(string(value), 'base64'));
}

function readBytes(stored: unknown): string {
  if (stored instanceof Binary) return stored.toString('base64');
  return stored instanceof Uint8Array ? Buffer.from(stored).toString('base64') : refuse(stored, 'binary');
}

function storeObject(value: unknown): unknown {
  const accepted = typeof value === 'object' && value !== null && !Array.isArray(value);
  return accepted ? value : refuse(value, 'a JSON object');
}

/**
 * A stored value as plain JSON: longs beyond 2^53 and decimals become strings, dates ISO 8601, ids hexadecimal, binary
 * base64. The same reference when there is nothing to change.
 */
export function plainValue(value: unknown): unknown {
  if (typeof value === 'bigint') return plainLong(Long.fromBigInt(value));
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return plainArray(value);
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Long) return plainLong(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  const type = (value as { _bsontype?: unknown })._bsontype;
  if (typeof type !== 'string') return plainObject(value as Record<string, unknown>);
  if (type === 'Double' || type === 'Int32') return Number(value);
  return value instanceof Binary ? value.toString('base64') : String(value);
}

function plainLong(value: Long): unknown {
  const plain = value.toNumber();
  return Number.isSafeInteger(plain) ? plain : value.toString();
}

function plainArray(values: readonly unknown[]): unknown {
  const plain = values.map(plainValue);
  return plain.some((value, index) => value !== values[index]) ? plain : values;
}

function plainObject(fields: Record<string, unknown>): unknown {
  const entries = Object.entries(fields).map(([key, value]): [string, unknown] => [key, plainValue(value)]);
  return entries.some(([key, value]) => value !== fields[key]) ? Object.fromEntries(entries) : fields;
}
