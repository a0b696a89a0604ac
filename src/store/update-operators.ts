import type { Document } from '../model/document.ts';
import { add, multiply, zeroOf } from './arithmetic.ts';
import { identical } from './identical.ts';
import { wholeNumber } from './number.ts';
import { compareValues } from './order.ts';
import { fieldOf, type Path } from './path.ts';
import { pullTest } from './pull.ts';
import { addToSet, compilePush } from './push.ts';
import { invalid, unsupported } from './refusal.ts';
import { type Edit, editAt } from './update-path.ts';
import { isDocument, isNumeric } from './value.ts';

/** One change of an update. */
export type Step = (document: Document) => Document;

/**
 * Compiles one operator with one operand; undefined when it has nothing to do (`$setOnInsert` without an insert).
 * @throws VALIDATION_FAILED for an operand MongoDB refuses, UNSUPPORTED_OPERATOR for other operators.
 */
export function compileOperator(operator: string, operand: unknown, path: Path, insert: boolean): Edit | undefined {
  switch (operator) {
    case '$set':
      return setting(operand ?? null);
    case '$setOnInsert':
      return insert ? setting(operand ?? null) : undefined;
    case '$unset':
      return REMOVAL;
    case '$inc':
      return arithmetic(operator, operand, path, (current) =>
        current === undefined ? operand : add(current, operand),
      );
    case '$mul':
      return arithmetic(operator, operand, path, (current) =>
        current === undefined ? zeroOf(operand) : multiply(current, operand),
      );
    case '$min':
      return extreme(operand, -1);
    case '$max':
      return extreme(operand, 1);
    case '$push':
      return creating(onArray(operator, path, compilePush(operand)));
    case '$addToSet':
      return creating(onArray(operator, path, addToSet(operand)));
    case '$pull':
      return culling(operator, path, pullTest(operand));
    case '$pullAll': {
      if (!Array.isArray(operand)) throw invalid('$pullAll needs an array');
      return culling(operator, path, (item) => operand.some((value) => compareValues(item, value) === 0));
    }
    case '$pop':
      return pop(operand, path);
    default:
      throw unsupported(operator);
  }
}

const REMOVAL: Edit = { change: () => undefined, creates: false, tolerant: true };

function setting(value: unknown): Edit {
  return creating((current) => (identical(current, value) ? current : value));
}

function creating(change: Edit['change']): Edit {
  return { change, creates: true, tolerant: false };
}

function arithmetic(operator: string, operand: unknown, path: Path, change: Edit['change']): Edit {
  if (!isNumeric(operand)) throw invalid(`${operator} of ${path.text} needs a number`);
  return creating((current) => {
    if (current !== undefined && !isNumeric(current)) throw invalid(`${operator}: ${path.text} is not a number`);
    const next = change(current);
    return identical(current, next) ? current : next;
  });
}

function extreme(operand: unknown, direction: 1 | -1): Edit {
  return creating((current) =>
    current === undefined || compareValues(operand, current) * direction > 0 ? (operand ?? null) : current,
  );
}

/** A change of an array's elements; a missing field counts as empty, any other value is refused. */
function onArray(
  operator: string,
  path: Path,
  change: (array: readonly unknown[]) => readonly unknown[],
): Edit['change'] {
  return (current) => {
    if (current === undefined) return change([]);
    if (!Array.isArray(current)) throw invalid(`${operator}: ${path.text} is not an array`);
    const next = change(current);
    return identical(current, next) ? current : next;
  };
}

/** Takes the elements that pass the test away. */
function culling(operator: string, path: Path, test: (item: unknown) => boolean): Edit {
  const change = onArray(operator, path, (array) => array.filter((item) => !test(item ?? null)));
  return { change, creates: false, tolerant: false };
}

function pop(operand: unknown, path: Path): Edit {
  const end = wholeNumber(operand);
  if (end !== 1n && end !== -1n) throw invalid(`$pop of ${path.text} needs 1 (the last element) or -1 (the first)`);
  const change = onArray('$pop', path, (array) => (end === 1n ? array.slice(0, -1) : array.slice(1)));
  return { change, creates: false, tolerant: false };
}

/**
 * `$rename`: takes a field away, and what stands under the new path, and sets the value there, last in its document. Neither path
 * may lead through an array; a missing field changes nothing.
 * @param claim registers the new path as one this update changes
 */
export function compileRename(from: Path, operand: unknown, claim: (path: string) => Path): Step {
  if (typeof operand !== 'string') throw invalid(`$rename of ${from.text} needs the new path as a string`);
  const to = claim(operand);
  return (document) => {
    const value = renamedValue(document, from);
    if (value === undefined) return document;
    refuseArrays(document, to);
    const without = editAt(editAt(document, from, REMOVAL), to, REMOVAL);
    return editAt(without, to, setting(value));
  };
}

/** The value to rename, `undefined` when it is missing. An array on the way is refused, unless it lacks the very element named. */
function renamedValue(document: Document, path: Path): unknown {
  let value: unknown = document;
  for (const [i, part] of path.parts.entries()) {
    if (value === undefined) return undefined;
    if (Array.isArray(value) && (path.indexes[i] as number) >= value.length) return undefined;
    if (!isDocument(value)) throw invalid(`$rename: ${path.text} leads through a value that is not a document`);
    value = fieldOf(value, part);
  }
  return value;
}

function refuseArrays(document: Document, path: Path): void {
  let value: unknown = document;
  for (const part of path.parts) {
    if (Array.isArray(value)) throw invalid(`$rename: ${path.text} leads through an array`);
    if (!isDocument(value)) return;
    value = fieldOf(value, part);
  }
}
