import { type Document, MAX_DOCUMENT_DEPTH } from '../model/document.ts';
import { type Condition, compileCondition } from './condition.ts';
import { type Path, parsePath } from './path.ts';
import { invalid, unsupported } from './refusal.ts';
import { isDocument } from './value.ts';

/** Whether a document matches. */
export type Matcher = (document: Document) => boolean;

/**
 * Compiles a MongoDB filter document. The answer is exactly MongoDB's, or the filter is refused here; the matcher never throws
 * for a document that can be stored, keeps no state and does not change the document.
 *
 * Operators: `$and $or $nor $comment`, and on a field `$eq $ne $gt $gte $lt $lte $in $nin $exists $type $regex/$options $size
 * $mod $all $elemMatch $not`.
 * @throws VALIDATION_FAILED where MongoDB answers an error; UNSUPPORTED_OPERATOR (`operator`) for other operators.
 */
export function compileFilter(filter: Document): Matcher {
  refuseTooDeep(filter, 0);
  return compileDocument(filter);
}

/** {@link compileFilter} for a filter inside another, whose depth was checked. */
export function compileDocument(filter: unknown): Matcher {
  if (!isDocument(filter)) throw invalid('a filter must be a document');
  const matchers: Matcher[] = [];
  for (const [key, value] of Object.entries(filter)) {
    if (!key.startsWith('$')) matchers.push(compileField(parsePath(key), compileCondition(value, compileDocument)));
    else if (key !== '$comment') matchers.push(compileLogical(key, value));
  }
  return every(matchers);
}

function compileField(path: Path, condition: Condition): Matcher {
  const { at } = condition;
  return (document) => at(document, path);
}

function compileLogical(operator: string, value: unknown): Matcher {
  switch (operator) {
    case '$and':
      return every(clauses(operator, value));
    case '$or':
      return some(clauses(operator, value));
    case '$nor': {
      const any = some(clauses(operator, value));
      return (document) => !any(document);
    }
    default:
      throw unsupported(operator);
  }
}

function clauses(operator: string, value: unknown): Matcher[] {
  if (!Array.isArray(value) || value.length === 0) throw invalid(`${operator} must be a nonempty array of filters`);
  return value.map((clause) => compileDocument(clause));
}

function every(matchers: readonly Matcher[]): Matcher {
  const [first, second] = matchers;
  if (first === undefined) return () => true;
  if (second === undefined) return first;
  return (document) => {
    for (const matches of matchers) if (!matches(document)) return false;
    return true;
  };
}

function some(matchers: readonly Matcher[]): Matcher {
  return (document) => {
    for (const matches of matchers) if (matches(document)) return true;
    return false;
  };
}

/** A filter nested deeper than any BSON document would overflow the stack before it is refused elsewhere. */
function refuseTooDeep(value: unknown, depth: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth > MAX_DOCUMENT_DEPTH) throw invalid(`the filter is nested deeper than ${MAX_DOCUMENT_DEPTH} levels`);
  if (Array.isArray(value)) for (const item of value) refuseTooDeep(item, depth + 1);
  else if (isDocument(value)) for (const key of Object.keys(value)) refuseTooDeep(value[key], depth + 1);
}
