import { encodeValue } from '../model/document.ts';
import { wholeNumber } from './number.ts';
import type { Test } from './path.ts';
import { invalid } from './refusal.ts';
import { TypeCode, typeCodeOf } from './value.ts';

/** The names `$type` accepts (MongoDB manual, "$type"). Types that cannot be stored are names nothing has. */
const ALIASES: Readonly<Record<string, number>> = {
  double: TypeCode.DOUBLE,
  string: TypeCode.STRING,
  object: TypeCode.OBJECT,
  array: TypeCode.ARRAY,
  binData: TypeCode.BINARY,
  undefined: 6,
  objectId: TypeCode.OBJECT_ID,
  bool: TypeCode.BOOLEAN,
  date: TypeCode.DATE,
  null: TypeCode.NULL,
  regex: TypeCode.REGEX,
  dbPointer: 12,
  javascript: 13,
  symbol: 14,
  javascriptWithScope: 15,
  int: TypeCode.INT,
  timestamp: TypeCode.TIMESTAMP,
  long: TypeCode.LONG,
  decimal: TypeCode.DECIMAL,
  minKey: TypeCode.MIN_KEY,
  maxKey: TypeCode.MAX_KEY,
};

const CODES: ReadonlySet<number> = new Set(Object.values(ALIASES));
const NUMBER_CODES: readonly number[] = [TypeCode.INT, TypeCode.LONG, TypeCode.DOUBLE, TypeCode.DECIMAL];

/**
 * `$type`: a BSON type by name or number, `number` for all four, or a list of these.
 * @throws VALIDATION_FAILED for an unknown name or number, or an empty list.
 */
export function typeTest(operand: unknown): Test {
  const names = Array.isArray(operand) ? operand : [operand];
  if (names.length === 0) throw invalid('$type must name at least one type');
  const codes = new Set<number>(names.flatMap(codesOf));
  return (value) => value !== undefined && codes.has(typeCodeOf(value));
}

function codesOf(name: unknown): readonly number[] {
  if (name === 'number') return NUMBER_CODES;
  const code = typeof name === 'string' ? aliasCode(name) : Number(wholeNumber(name) ?? Number.NaN);
  if (code === undefined || !CODES.has(code)) throw invalid(`$type does not know the type ${encodeValue(name)}`);
  return [code];
}

function aliasCode(name: string): number | undefined {
  return Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined;
}
