import { type Decimal128, Double, Long } from 'bson';
import { isInt32 } from '../model/document.ts';
import {
  addDecimals,
  type Decimal,
  decimalOfDouble,
  decimalOfInteger,
  multiplyDecimals,
  readDecimal,
  writeDecimal,
} from './decimal.ts';
import { integerOf, isInt64 } from './number.ts';
import { invalid } from './refusal.ts';
import { plainNumber, TypeCode, typeCodeOf } from './value.ts';

interface Operation {
  readonly name: string;
  readonly integers: (a: bigint, b: bigint) => bigint;
  readonly doubles: (a: number, b: number) => number;
  readonly decimals: (a: Decimal | number, b: Decimal | number) => Decimal | number;
}

const ADDITION: Operation = {
  name: 'sum',
  integers: (a, b) => a + b,
  doubles: (a, b) => a + b,
  decimals: addDecimals,
};

const MULTIPLICATION: Operation = {
  name: 'product',
  integers: (a, b) => a * b,
  doubles: (a, b) => a * b,
  decimals: multiplyDecimals,
};

/**
 * The sum of two numbers in the wider of their types: int32, int64, double, Decimal128. An int32 sum that does not fit becomes an
 * int64.
 * @throws VALIDATION_FAILED when an int64 sum does not fit.
 */
export function add(a: unknown, b: unknown): unknown {
  return combine(ADDITION, a, b);
}

/** The product of two numbers, typed as {@link add} types a sum. */
export function multiply(a: unknown, b: unknown): unknown {
  return combine(MULTIPLICATION, a, b);
}

/** Zero in the type of a number. */
export function zeroOf(value: unknown): unknown {
  switch (typeCodeOf(value)) {
    case TypeCode.INT:
      return 0;
    case TypeCode.LONG:
      return Long.ZERO;
    case TypeCode.DOUBLE:
      return new Double(0);
    default:
      return writeDecimal({ negative: false, coefficient: 0n, exponent: 0 });
  }
}

function combine(operation: Operation, a: unknown, b: unknown): unknown {
  const types = [typeCodeOf(a), typeCodeOf(b)];
  if (types.includes(TypeCode.DECIMAL)) return writeDecimal(operation.decimals(toDecimal(a), toDecimal(b)));
  if (types.includes(TypeCode.DOUBLE)) return doubleOf(operation.doubles(toDouble(a), toDouble(b)));
  const result = operation.integers(toInteger(a), toInteger(b));
  if (!types.includes(TypeCode.LONG) && isInt32(Number(result))) return Number(result);
  if (!isInt64(result)) throw invalid(`the ${operation.name} ${result} does not fit into 64 bits`);
  return Long.fromBigInt(result);
}

/** A double as the driver gives it: an object when a plain number would read as int32. */
function doubleOf(value: number): unknown {
  return isInt32(value) ? new Double(value) : value;
}

function toInteger(value: unknown): bigint {
  return integerOf(value) ?? BigInt(plainNumber(value) as number);
}

function toDouble(value: unknown): number {
  return plainNumber(value) ?? Number(integerOf(value));
}

function toDecimal(value: unknown): Decimal | number {
  switch (typeCodeOf(value)) {
    case TypeCode.DECIMAL:
      return readDecimal(value as Decimal128);
    case TypeCode.DOUBLE:
      return decimalOfDouble(toDouble(value));
    default:
      return decimalOfInteger(toInteger(value));
  }
}
