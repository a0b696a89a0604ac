import type { ObjectId } from 'bson';
import { compareDoubles, compareNumbers, doubleOf } from './number.ts';
import { compareStrings, compareValues } from './order.ts';
import type { Test } from './path.ts';
import { invalid } from './refusal.ts';
import { bsonTypeName, isNumeric, Rank, rankOf } from './value.ts';

/** `$eq`: equal in BSON order. Null also stands for a missing field. */
export function equalTo(operand: unknown): Test {
  const rank = rankOf(operand);
  switch (rank) {
    case Rank.NULL:
      return (value) => value === null || value === undefined;
    case Rank.STRING:
    case Rank.BOOLEAN:
      return (value) => value === operand;
    case Rank.NUMBER:
      return equalToNumber(operand);
    case Rank.OBJECT_ID:
      return (value) => isObjectId(value) && value.equals(operand as ObjectId);
    default:
      return (value) => typeof value === 'object' && rankOf(value) === rank && compareValues(value, operand) === 0;
  }
}

function equalToNumber(operand: unknown): Test {
  const plain = doubleOf(operand);
  if (plain === undefined || Number.isNaN(plain)) {
    return (value) => isNumeric(value) && compareNumbers(value, operand) === 0;
  }
  return (value) =>
    typeof value === 'number'
      ? value === plain
      : (typeof value === 'object' || typeof value === 'bigint') &&
        isNumeric(value) &&
        compareNumbers(value, plain) === 0;
}

/** The range operators, by the signs of a comparison they accept. */
export const RANGES = {
  $gt: { below: false, equal: false, above: true },
  $gte: { below: false, equal: true, above: true },
  $lt: { below: true, equal: false, above: false },
  $lte: { below: true, equal: true, above: false },
} as const;
export type RangeOperator = keyof typeof RANGES;

/**
 * `$gt $gte $lt $lte`: only values of the operand's type (all number types are one) are in range; MinKey and MaxKey as operands
 * compare with every type. NaN is in no range but that of itself under `$gte` and `$lte`.
 * @throws VALIDATION_FAILED for a regular expression, which has no range.
 */
export function inRange(operator: RangeOperator, operand: unknown): Test {
  const { below, equal, above } = RANGES[operator];
  const accepts = (sign: number) => (sign === 0 ? equal : sign < 0 ? below : above);
  const rank = rankOf(operand);
  switch (rank) {
    case Rank.NULL:
      return equal ? equalTo(null) : () => false;
    case Rank.MIN_KEY:
      return (value) => (rankOf(value) === Rank.MIN_KEY ? equal : above);
    case Rank.MAX_KEY:
      return (value) => (rankOf(value) === Rank.MAX_KEY ? equal : below);
    case Rank.REGEX:
      throw invalid(`${operator} cannot take a regular expression`);
    case Rank.NUMBER:
      return numberInRange(operand, equal, accepts);
    case Rank.STRING:
      return (value) => typeof value === 'string' && accepts(compareStrings(value, operand as string));
    default:
      return (value) => value !== undefined && rankOf(value) === rank && accepts(compareValues(value, operand));
  }
}

function numberInRange(operand: unknown, equal: boolean, accepts: (sign: number) => boolean): Test {
  if (isNaNValue(operand)) return equal ? isNaNValue : () => false;
  const plain = doubleOf(operand);
  return (value) => {
    if (typeof value === 'number' && plain !== undefined) {
      return !Number.isNaN(value) && accepts(compareDoubles(value, plain));
    }
    return isNumeric(value) && !isNaNValue(value) && accepts(compareNumbers(value, operand));
  };
}

function isNaNValue(value: unknown): boolean {
  return isNumeric(value) && compareNumbers(value, Number.NaN) === 0;
}

/** `$in` without its regular expressions: equal to one of the operands. */
export function equalToAny(operands: readonly unknown[]): Test {
  if (operands.length === 1) return equalTo(operands[0]);
  const strings = new Set<unknown>(operands.filter((operand) => typeof operand === 'string'));
  const ids = new Set(operands.filter(isObjectId).map((id) => id.toHexString()));
  const others = operands.filter((operand) => typeof operand !== 'string' && !isObjectId(operand)).sort(compareValues);
  return (value) => {
    if (typeof value === 'string') return strings.has(value);
    if (isObjectId(value)) return ids.has(value.toHexString());
    return includesSorted(others, value);
  };
}

function isObjectId(value: unknown): value is ObjectId {
  return typeof value === 'object' && value !== null && bsonTypeName(value) === 'ObjectId';
}

function includesSorted(sorted: readonly unknown[], value: unknown): boolean {
  let low = 0;
  let high = sorted.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const sign = compareValues(sorted[middle], value);
    if (sign === 0) return true;
    if (sign < 0) low = middle + 1;
    else high = middle - 1;
  }
  return false;
}
