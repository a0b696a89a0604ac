import { compileCondition, isOperatorDocument } from './condition.ts';
import { compileDocument, compileFilter } from './filter.ts';
import { compareValues } from './order.ts';
import { parsePath, type Test } from './path.ts';
import { isDocument, Rank, rankOf } from './value.ts';

const ELEMENT = parsePath('element');

/**
 * Which elements `$pull` takes away: operators and regular expressions are conditions on an element as if it were a field, so that
 * an element that is an array matches by its own elements too; a document is a filter on
 * elements that are documents, any other value must be equal.
 */
export function pullTest(operand: unknown): Test {
  if (isOperatorDocument(operand) || rankOf(operand) === Rank.REGEX) {
    const { at } = compileCondition(operand, compileDocument);
    return (item) => at({ element: item }, ELEMENT);
  }
  if (isDocument(operand)) {
    const matches = compileFilter(operand);
    return (item) => isDocument(item) && matches(item);
  }
  return (item) => compareValues(item, operand) === 0;
}
