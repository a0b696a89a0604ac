import type { Decimal128, Long } from 'bson';
import { type Decimal, readDecimal } from './decimal.ts';
import { bsonTypeName, isNumeric, plainNumber } from './value.ts';

/**
 * A number in a form that compares exactly across int32, int64, double and Decimal128. Most numbers are doubles; the others
 * (a Long beyond 2^53, 0.1 as Decimal128) lie strictly between two doubles and keep their digits.
 */
export interface ExactNumber {
  /** The number itself, or the next double toward zero; −0 only for a negative number between zero and the smallest double. */
  readonly double: number;
  /** The digits of a number that is not a double; undefined when `double` is all there is. */
  readonly digits: Digits | undefined;
}

/** A magnitude: 0.ddd · 10^point, without leading or trailing zeros, so that equal magnitudes have equal digits. */
export interface Digits {
  readonly text: string;
  readonly point: number;
}

/** Compares two numbers of any types exactly. NaN equals NaN and is below −Infinity; −0 equals 0. */
export function compareNumbers(a: unknown, b: unknown): number {
  const x = doubleOf(a);
  const y = doubleOf(b);
  return x !== undefined && y !== undefined ? compareDoubles(x, y) : compareExact(exactNumber(a), exactNumber(b));
}

/** Compares doubles as {@link compareNumbers} does. */
export function compareDoubles(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  if (a === b) return 0;
  return (Number.isNaN(a) ? 0 : 1) - (Number.isNaN(b) ? 0 : 1);
}

function compareExact(a: ExactNumber, b: ExactNumber): number {
  const doubles = compareDoubles(a.double, b.double);
  if (doubles !== 0) return doubles;
  const signs = excessSign(a) - excessSign(b);
  if (signs !== 0 || a.digits === undefined || b.digits === undefined) return Math.sign(signs);
  return isNegative(a.double) ? compareDigits(b.digits, a.digits) : compareDigits(a.digits, b.digits);
}

/** On which side of its double a number lies: away from zero, or 0 for on it. */
function excessSign(number: ExactNumber): number {
  if (number.digits === undefined) return 0;
  return isNegative(number.double) ? -1 : 1;
}

function isNegative(double: number): boolean {
  return double < 0 || Object.is(double, -0);
}

function compareDigits(a: Digits, b: Digits): number {
  if (a.point !== b.point) return a.point < b.point ? -1 : 1;
  if (a.text === b.text) return 0;
  return a.text < b.text ? -1 : 1;
}

/** The exact form of a number of any type; the value must be numeric. */
export function exactNumber(value: unknown): ExactNumber {
  const double = doubleOf(value);
  // Adding 0 turns −0 into 0, which is the same number.
  if (double !== undefined) return { double: double + 0, digits: undefined };
  const integer = integerOf(value);
  return integer !== undefined ? exactInteger(integer) : exactDecimal(readDecimal(value as Decimal128));
}

/** The double that a number is; undefined for a Long beyond 2^53, a bigint or a Decimal128, which need a closer look. */
export function doubleOf(value: unknown): number | undefined {
  if (typeof value !== 'object' || value === null || bsonTypeName(value) !== 'Long') return plainNumber(value);
  const { high, low, unsigned } = value as Long;
  return high >= -0x20_0000 && high < 0x20_0000 && !unsigned ? high * 0x1_0000_0000 + (low >>> 0) : undefined;
}

/** The value of a Long or bigint; undefined for other values. */
export function integerOf(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'object' && value !== null && bsonTypeName(value) === 'Long') return (value as Long).toBigInt();
  return undefined;
}

function exactInteger(value: bigint): ExactNumber {
  const double = Number(value);
  if (Number.isSafeInteger(double)) return { double, digits: undefined };
  return exactDecimal({ negative: value < 0n, coefficient: value < 0n ? -value : value, exponent: 0 });
}

function exactDecimal(decimal: Decimal | number): ExactNumber {
  if (typeof decimal === 'number') return { double: decimal, digits: undefined };
  const { negative, coefficient, exponent } = decimal;
  if (coefficient === 0n) return { double: 0, digits: undefined };
  const text = coefficient.toString();
  const nearest = Math.min(Number(`${text}e${exponent}`), Number.MAX_VALUE);
  const side = nearest === 0 ? -1 : compareWithDouble(nearest, coefficient, exponent);
  const magnitude = side > 0 ? previousDouble(nearest) : nearest;
  const double = negative ? -magnitude : magnitude;
  if (side === 0) return { double, digits: undefined };
  return { double, digits: { text: text.replace(/0+$/, ''), point: text.length + exponent } };
}

const scratch = new DataView(new ArrayBuffer(8));

/** The sign of double − coefficient · 10^exponent; the double is finite and above zero. */
function compareWithDouble(double: number, coefficient: bigint, exponent: number): number {
  // Above the largest double the exponents may be thousands apart; there the answer is known.
  if (double === Number.MAX_VALUE && coefficient.toString().length + exponent > 309) return -1;
  scratch.setFloat64(0, double);
  const bits = scratch.getBigUint64(0);
  const biased = Number(bits >> 52n);
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  const mantissa = biased === 0 ? fraction : fraction | (1n << 52n);
  const power = Math.max(biased, 1) - 1075;
  // mantissa · 2^power against coefficient · 10^exponent, both made integers.
  let left = mantissa;
  let right = coefficient;
  if (power >= 0) left <<= BigInt(power);
  else right <<= BigInt(-power);
  if (exponent >= 0) right *= 10n ** BigInt(exponent);
  else left *= 10n ** BigInt(-exponent);
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function previousDouble(double: number): number {
  scratch.setFloat64(0, double);
  scratch.setBigUint64(0, scratch.getBigUint64(0) - 1n);
  return scratch.getFloat64(0);
}

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** Whether an integer fits into 64 bits. */
export function isInt64(value: bigint): boolean {
  return value >= INT64_MIN && value <= INT64_MAX;
}

/** A number without its fraction; undefined for a non-number, NaN, infinities and what 64 bits do not hold. */
export function truncateToInt64(value: unknown): bigint | undefined {
  const truncated = truncated64(value);
  return truncated !== undefined && isInt64(truncated) ? truncated : undefined;
}

/** {@link truncateToInt64} of a number without a fraction; undefined for one with a fraction too. */
export function wholeNumber(value: unknown): bigint | undefined {
  const whole = truncateToInt64(value);
  return whole !== undefined && compareNumbers(whole, value) === 0 ? whole : undefined;
}

function truncated64(value: unknown): bigint | undefined {
  const number = plainNumber(value);
  if (number !== undefined) return Number.isFinite(number) ? BigInt(Math.trunc(number)) : undefined;
  if (!isNumeric(value)) return undefined;
  const integer = integerOf(value);
  if (integer !== undefined) return integer;
  const decimal = readDecimal(value as Decimal128);
  if (typeof decimal === 'number') return undefined;
  const { negative, coefficient, exponent } = decimal;
  // Nothing but zero times 10^20 fits; do not build a number of thousands of digits to find out.
  if (exponent >= 20) return coefficient === 0n ? 0n : undefined;
  const scale = 10n ** BigInt(Math.abs(exponent));
  const magnitude = exponent >= 0 ? coefficient * scale : coefficient / scale;
  return negative ? -magnitude : magnitude;
}
