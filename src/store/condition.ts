import { BSONRegExp } from 'bson';
import type { Document } from '../model/document.ts';
import { equalTo, equalToAny, inRange } from './comparison.ts';
import { truncateToInt64, wholeNumber } from './number.ts';
import { isMissingAt, type Path, someAt, someWholeAt, type Test } from './path.ts';
import { invalid, unsupported } from './refusal.ts';
import { compileRegex } from './regex.ts';
import { typeTest } from './type-test.ts';
import { isDocument, isNumeric, Rank, rankOf, regexParts } from './value.ts';

/** What a field must satisfy. */
export interface Condition {
  /** Whether a document satisfies it at a path. */
  readonly at: (document: Document, path: Path) => boolean;
  /** Whether one value by itself satisfies it, as elements do under `$elemMatch: {$gt: 1}`. */
  readonly one: Test;
}

/** Compiles a filter document; passed in by filter.ts, for the documents inside `$elemMatch`. */
export type CompileFilter = (filter: unknown) => (document: Document) => boolean;

/** Satisfied when some value, an array's elements included, passes. */
export function each(test: Test): Condition {
  return { at: (document, path) => someAt(document, path, test), one: test };
}

/** Satisfied when some value passes, an array as a whole. */
function whole(test: Test): Condition {
  return { at: (document, path) => someWholeAt(document, path, test), one: test };
}

function not({ at, one }: Condition): Condition {
  return { at: (document, path) => !at(document, path), one: (value) => !one(value) };
}

function allOf(conditions: readonly Condition[]): Condition {
  const [first, second] = conditions;
  if (first !== undefined && second === undefined) return first;
  return {
    at: (document, path) => {
      for (const { at } of conditions) if (!at(document, path)) return false;
      return true;
    },
    one: (value) => {
      for (const { one } of conditions) if (!one(value)) return false;
      return true;
    },
  };
}

/** Whether a value is `{$operator: …}` rather than a document to be equal to: its first field decides. */
export function isOperatorDocument(value: unknown): value is Document {
  if (!isDocument(value)) return false;
  for (const key in value) return key.startsWith('$');
  return false;
}

/** Compiles what stands behind a field name: an operator document, a regular expression, or a value to be equal to. */
export function compileCondition(operand: unknown, compileFilter: CompileFilter): Condition {
  return isOperatorDocument(operand) ? compileOperators(operand, compileFilter) : equality(operand);
}

function equality(operand: unknown): Condition {
  return each(rankOf(operand) === Rank.REGEX ? regexTest(operand) : equalTo(operand));
}

function compileOperators(operators: Document, compileFilter: CompileFilter): Condition {
  const conditions: Condition[] = [];
  for (const [operator, operand] of Object.entries(operators)) {
    // Read together with $regex.
    if (operator === '$options' && '$regex' in operators) continue;
    conditions.push(compileOperator(operator, operand, operators, compileFilter));
  }
  return allOf(conditions);
}

function compileOperator(
  operator: string,
  operand: unknown,
  operators: Document,
  compileFilter: CompileFilter,
): Condition {
  switch (operator) {
    case '$eq':
      return each(equalTo(operand));
    case '$ne':
      if (rankOf(operand) === Rank.REGEX) throw invalid('$ne cannot take a regular expression; use $not');
      return not(each(equalTo(operand)));
    case '$gt':
    case '$gte':
    case '$lt':
    case '$lte':
      return each(inRange(operator, operand));
    case '$in':
      return compileIn(operator, operand);
    case '$nin':
      return not(compileIn(operator, operand));
    case '$exists':
      return isTrue(operand) ? each(isPresent) : not(each(isPresent));
    case '$type':
      return each(typeTest(operand));
    case '$regex':
      return each(patternTest(operand, operators.$options));
    case '$options':
      throw invalid('$options needs a $regex beside it');
    case '$size':
      return whole(sizeTest(operand));
    case '$mod':
      return each(modTest(operand));
    case '$all':
      return compileAll(operand, compileFilter);
    case '$elemMatch':
      return compileElemMatch(operand, compileFilter);
    case '$not':
      return compileNot(operand, compileFilter);
    default:
      if (!operator.startsWith('$')) throw invalid(`${operator} stands among operators but is none`);
      throw unsupported(operator);
  }
}

function isPresent(value: unknown): boolean {
  return value !== undefined;
}

/** Truth as BSON has it: false, null and zero are false, all else is true. */
function isTrue(value: unknown): boolean {
  if (isNumeric(value)) return !equalTo(0)(value);
  return value !== false && value !== null && value !== undefined;
}

/**
 * `$in`: equal to one of the values, or matched by one of the regular expressions. Null alone asks as `$eq` does; among other values
 * it asks whether the path is missing as a whole ({@link isMissingAt}).
 */
function compileIn(operator: string, operand: unknown): Condition {
  if (!Array.isArray(operand)) throw invalid(`${operator} needs an array`);
  if (operand.some(isOperatorDocument)) throw invalid(`${operator} takes values, not operators`);
  const regexes = operand.filter((item) => rankOf(item) === Rank.REGEX).map(regexTest);
  const equal = equalToAny(operand);
  const test: Test =
    regexes.length === 0 ? equal : (value) => equal(value) || regexes.some((matches) => matches(value));
  if (operand.length === 1 || !equal(null)) return each(test);
  const present: Test = (value) => value !== undefined && test(value);
  return { at: (document, path) => someAt(document, path, present) || isMissingAt(document, path), one: test };
}

/** A regular expression as a filter value: matches strings, and the same regular expression as a value. */
function regexTest(operand: unknown): Test {
  const { pattern, options } = regexParts(operand);
  return testOfPattern(pattern, options);
}

function testOfPattern(pattern: string, options: string): Test {
  const matches = compileRegex(pattern, options);
  const same = equalTo(new BSONRegExp(pattern, options));
  return (value) => (typeof value === 'string' ? matches(value) : same(value));
}

/** `$regex` with `$options`; a regular expression as operand may bring its options itself, but not both. */
function patternTest(operand: unknown, options: unknown): Test {
  if (options !== undefined && typeof options !== 'string') throw invalid('$options must be a string');
  if (typeof operand === 'string') return testOfPattern(operand, options ?? '');
  if (rankOf(operand) !== Rank.REGEX) throw invalid('$regex must be a string or a regular expression');
  const own = regexParts(operand);
  if (own.options !== '' && options) throw invalid('options stand both in $regex and in $options');
  return testOfPattern(own.pattern, options || own.options);
}

function sizeTest(operand: unknown): Test {
  const size = wholeNumber(operand);
  if (size === undefined || size < 0n) throw invalid('$size must be a whole number, 0 or more');
  return (value) => Array.isArray(value) && BigInt(value.length) === size;
}

/** `$mod: [divisor, remainder]`: all three numbers are cut to integers of 64 bits; a value that has none does not match. */
function modTest(operand: unknown): Test {
  if (!Array.isArray(operand) || operand.length !== 2) throw invalid('$mod must be [divisor, remainder]');
  const [divisor, remainder] = operand.map(truncateToInt64);
  if (divisor === undefined || remainder === undefined) throw invalid('$mod must be two finite numbers of 64 bits');
  if (divisor === 0n) throw invalid('the divisor of $mod must not be 0');
  return (value) => {
    const dividend = isNumeric(value) ? truncateToInt64(value) : undefined;
    return dividend !== undefined && dividend % divisor === remainder;
  };
}

function compileAll(operand: unknown, compileFilter: CompileFilter): Condition {
  if (!Array.isArray(operand)) throw invalid('$all needs an array');
  if (operand.length === 0) return each(() => false);
  const elemMatches = operand.filter(isElemMatch);
  if (elemMatches.length === operand.length) {
    return allOf(elemMatches.map((item) => compileElemMatch(item.$elemMatch, compileFilter)));
  }
  if (operand.some(isOperatorDocument)) throw invalid('$all takes values, or only $elemMatch');
  return allOf(operand.map(equality));
}

function isElemMatch(value: unknown): value is Document {
  return isOperatorDocument(value) && Object.keys(value)[0] === '$elemMatch';
}

const LOGICAL = new Set(['$and', '$or', '$nor']);

/** `$elemMatch`: operators ask about an element itself, anything else about its fields. An array is a document of its indexes. */
function compileElemMatch(operand: unknown, compileFilter: CompileFilter): Condition {
  if (!isDocument(operand)) throw invalid('$elemMatch needs a document');
  if (isOperatorDocument(operand) && !LOGICAL.has(Object.keys(operand)[0] ?? '')) {
    const { one } = compileOperators(operand, compileFilter);
    return whole((value) => Array.isArray(value) && value.some((item) => one(item ?? null)));
  }
  const matches = compileFilter(operand);
  const matchesElement = (item: unknown) =>
    Array.isArray(item) ? matches({ ...item } as Document) : isDocument(item) && matches(item);
  return whole((value) => Array.isArray(value) && value.some(matchesElement));
}

function compileNot(operand: unknown, compileFilter: CompileFilter): Condition {
  if (isOperatorDocument(operand)) return not(compileOperators(operand, compileFilter));
  if (rankOf(operand) === Rank.REGEX) return not(each(regexTest(operand)));
  throw invalid('$not needs operators or a regular expression');
}
