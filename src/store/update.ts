import type { Document } from '../model/document.ts';
import { identical } from './identical.ts';
import { fieldOf, type Path } from './path.ts';
import { addPath, type PathTree } from './path-tree.ts';
import { invalid } from './refusal.ts';
import { compileOperator, compileRename, type Step } from './update-operators.ts';
import { comparePaths, editAt, parseUpdatePath } from './update-path.ts';
import { isDocument } from './value.ts';

export interface UpdateOptions {
  /** The document is about to be inserted (an upsert): `$setOnInsert` applies, and `_id` may be set. Default false. */
  readonly insert?: boolean | undefined;
  /** Throws when the changed document must not be. */
  readonly accept?: ((document: Document) => void) | undefined;
}

export interface UpdateResult {
  /** The document after the update; the very input when nothing changed. Shares unchanged parts with the input and the update. */
  readonly document: Document;
  /** Whether the stored document would differ: another type of the same number does, an equal value does not. */
  readonly modified: boolean;
}

/**
 * Applies a MongoDB update document (operators only) to one document, whole or not at all; the input is never changed. Paths
 * are applied in MongoDB's order (by name, numbers by size), whatever the order in the update.
 *
 * Operators: `$set $unset $inc $mul $min $max $push ($each $slice $position $sort) $addToSet ($each) $pull $pullAll $pop $rename
 * $setOnInsert`.
 * @throws VALIDATION_FAILED where MongoDB answers an error (conflicting paths, wrong types, blocked paths, a changed `_id`),
 * UNSUPPORTED_OPERATOR (`operator`) for other operators and positional paths.
 */
export function applyUpdate(document: Document, update: Document, options: UpdateOptions = {}): UpdateResult {
  return compileUpdate(update, options)(document);
}

/** {@link applyUpdate} for one update and many documents. */
export function compileUpdate(update: Document, options: UpdateOptions = {}): (document: Document) => UpdateResult {
  const steps = compileSteps(update, options);
  return (document) => {
    let result = document;
    for (const step of steps) result = step(result);
    if (result === document) return { document, modified: false };
    const id = fieldOf(document, '_id');
    const mayBeSet = options.insert === true && id === undefined;
    if (!mayBeSet && !identical(id, fieldOf(result, '_id'))) throw invalid('the update would change _id');
    options.accept?.(result);
    return { document: result, modified: true };
  };
}

function compileSteps(update: Document, { insert = false }: UpdateOptions): Step[] {
  if (!isDocument(update) || Object.keys(update).length === 0) throw invalid('an update must name an operator');
  const steps: Step[] = [];
  const taken: PathTree = new Map();
  const claim = (text: string): Path => {
    const path = parseUpdatePath(text);
    if (!addPath(taken, path.parts)) throw invalid(`the update has two changes at ${text}, or at a part of it`);
    return path;
  };
  for (const [operator, operands] of Object.entries(update)) {
    if (!operator.startsWith('$')) throw invalid(`an update has operators only; ${operator} is none`);
    if (!isDocument(operands)) throw invalid(`${operator} needs a document of paths`);
    const paths = Object.keys(operands)
      .map((text) => claim(text))
      .sort(comparePaths);
    for (const path of paths) {
      const operand = operands[path.text];
      const edit = operator === '$rename' ? undefined : compileOperator(operator, operand, path, insert);
      if (operator === '$rename') steps.push(compileRename(path, operand, claim));
      else if (edit !== undefined) steps.push((document) => editAt(document, path, edit));
    }
  }
  return steps;
}
