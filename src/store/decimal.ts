import { Decimal128 } from 'bson';

/** A finite decimal number: (−1)^negative · coefficient · 10^exponent, exactly; the exponent keeps trailing zeros (1.50 is 150·10⁻²). */
export interface Decimal {
  readonly negative: boolean;
  /** Not negative. */
  readonly coefficient: bigint;
  readonly exponent: number;
}

const MAX_DIGITS = 34;
const MAX_COEFFICIENT = 10n ** 34n - 1n;
const MIN_EXPONENT = -6176;
const MAX_EXPONENT = 6111;

const SPECIAL_MASK = 0x7800_0000_0000_0000n;
const NAN_MASK = 0x7c00_0000_0000_0000n;
const LARGE_MASK = 0x6000_0000_0000_0000n;
const SIGN_BIT = 1n << 63n;

/** Reads a Decimal128 (IEEE 754-2008, binary integer coefficient): a {@link Decimal}, or NaN, Infinity, -Infinity as a number. */
export function readDecimal(value: Decimal128): Decimal | number {
  const { bytes } = value;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const low = view.getBigUint64(0, true);
  const high = view.getBigUint64(8, true);
  const negative = (high & SIGN_BIT) !== 0n;
  if ((high & SPECIAL_MASK) === SPECIAL_MASK) {
    if ((high & NAN_MASK) === NAN_MASK) return Number.NaN;
    return negative ? -Infinity : Infinity;
  }
  // With both bits set the coefficient would exceed 34 digits; the standard reads such non-canonical encodings as zero.
  if ((high & LARGE_MASK) === LARGE_MASK) {
    return { negative, coefficient: 0n, exponent: Number((high >> 47n) & 0x3fffn) + MIN_EXPONENT };
  }
  const coefficient = ((high & 0x1_ffff_ffff_ffffn) << 64n) | low;
  return {
    negative,
    coefficient: coefficient > MAX_COEFFICIENT ? 0n : coefficient,
    exponent: Number((high >> 49n) & 0x3fffn) + MIN_EXPONENT,
  };
}

/** The Decimal128 nearest to a decimal, ties to even; infinite when it is too large, zero when too small. NaN and infinities pass. */
export function writeDecimal(value: Decimal | number): Decimal128 {
  if (typeof value === 'number') return Decimal128.fromString(String(value));
  let { coefficient, exponent } = rounded(value, MAX_DIGITS);
  if (exponent < MIN_EXPONENT) {
    coefficient = dropDigits(coefficient, MIN_EXPONENT - exponent);
    exponent = MIN_EXPONENT;
  }
  while (exponent > MAX_EXPONENT && coefficient !== 0n && coefficient * 10n <= MAX_COEFFICIENT) {
    coefficient *= 10n;
    exponent -= 1;
  }
  if (exponent > MAX_EXPONENT) {
    if (coefficient !== 0n) return Decimal128.fromString(value.negative ? '-Infinity' : 'Infinity');
    exponent = MAX_EXPONENT;
  }
  return encode(value.negative, coefficient, exponent);
}

/** Exact, or NaN for Infinity − Infinity; the exponent is the smaller one, as IEEE 754 prefers. */
export function addDecimals(a: Decimal | number, b: Decimal | number): Decimal | number {
  if (typeof a === 'number' || typeof b === 'number') {
    return (typeof a === 'number' ? a : 0) + (typeof b === 'number' ? b : 0);
  }
  if (b.exponent < a.exponent) return addDecimals(b, a);
  const sum = signed(a) + signed(b) * 10n ** BigInt(b.exponent - a.exponent);
  const negative = sum < 0n || (sum === 0n && a.negative && b.negative);
  return { negative, coefficient: sum < 0n ? -sum : sum, exponent: a.exponent };
}

/** Exact, or NaN for 0 · Infinity; the exponents add up, as IEEE 754 prefers. */
export function multiplyDecimals(a: Decimal | number, b: Decimal | number): Decimal | number {
  if (typeof a === 'number' || typeof b === 'number') return signOf(a) * signOf(b) * Infinity;
  return {
    negative: a.negative !== b.negative,
    coefficient: a.coefficient * b.coefficient,
    exponent: a.exponent + b.exponent,
  };
}

/**
 * The decimal a double stands for in arithmetic: its first 15 significant digits, as MongoDB converts it, so that 0.1 is
 * a tenth and 2.5 + 1 (Decimal128) is 3.50000000000000. NaN and infinities pass.
 */
export function decimalOfDouble(value: number): Decimal | number {
  if (!Number.isFinite(value)) return value;
  if (value === 0) return { negative: Object.is(value, -0), coefficient: 0n, exponent: -15 };
  const [mantissa = '', power = ''] = Math.abs(value).toExponential(14).split('e');
  return { negative: value < 0, coefficient: BigInt(mantissa.replace('.', '')), exponent: Number(power) - 14 };
}

/** An integer as a decimal. */
export function decimalOfInteger(value: bigint): Decimal {
  return { negative: value < 0n, coefficient: value < 0n ? -value : value, exponent: 0 };
}

function signed(value: Decimal): bigint {
  return value.negative ? -value.coefficient : value.coefficient;
}

function signOf(value: Decimal | number): number {
  if (typeof value === 'number') return Math.sign(value);
  if (value.coefficient === 0n) return 0;
  return value.negative ? -1 : 1;
}

function rounded(value: Decimal, digits: number): { coefficient: bigint; exponent: number } {
  const surplus = value.coefficient.toString().length - digits;
  if (surplus <= 0) return value;
  const coefficient = dropDigits(value.coefficient, surplus);
  // 999…9 rounds up to one digit more; the last one is then a zero.
  return coefficient > MAX_COEFFICIENT
    ? { coefficient: coefficient / 10n, exponent: value.exponent + surplus + 1 }
    : { coefficient, exponent: value.exponent + surplus };
}

/** Divides by 10^count, half to even. */
function dropDigits(coefficient: bigint, count: number): bigint {
  const divisor = 10n ** BigInt(count);
  const quotient = coefficient / divisor;
  const twice = (coefficient % divisor) * 2n;
  const up = twice > divisor || (twice === divisor && (quotient & 1n) === 1n);
  return up ? quotient + 1n : quotient;
}

function encode(negative: boolean, coefficient: bigint, exponent: number): Decimal128 {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  const sign = negative ? SIGN_BIT : 0n;
  view.setBigUint64(0, BigInt.asUintN(64, coefficient), true);
  view.setBigUint64(8, sign | (BigInt(exponent - MIN_EXPONENT) << 49n) | (coefficient >> 64n), true);
  return new Decimal128(bytes);
}
