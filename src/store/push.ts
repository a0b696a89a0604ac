import { wholeNumber } from './number.ts';
import { compareValues } from './order.ts';
import { fieldOf, type Path, parsePath } from './path.ts';
import { invalid } from './refusal.ts';
import { isDocument } from './value.ts';

type Change = (array: readonly unknown[]) => readonly unknown[];
type Compare = (a: unknown, b: unknown) => number;

const MODIFIERS = new Set(['$each', '$slice', '$position', '$sort']);

/** `$push`: one value, or with `$each` several, inserted at `$position` (default the end), then sorted, then cut to `$slice`. */
export function compilePush(operand: unknown): Change {
  if (!isDocument(operand) || !Object.hasOwn(operand, '$each')) return (array) => [...array, operand ?? null];
  const unknown = Object.keys(operand).find((key) => !MODIFIERS.has(key));
  if (unknown !== undefined) throw invalid(`$push does not know ${unknown} beside $each`);
  const values = eachOf('$push', operand.$each);
  const position = integerModifier(operand, '$position');
  const slice = integerModifier(operand, '$slice');
  const compare = Object.hasOwn(operand, '$sort') ? compileElementSort(operand.$sort) : undefined;
  return (array) => {
    // A negative position counts from the end; splice and slice clamp as MongoDB does.
    const at = position ?? array.length;
    const result = array.toSpliced(at, 0, ...values);
    if (compare !== undefined) result.sort(compare);
    if (slice === undefined) return result;
    return slice < 0 ? result.slice(slice) : result.slice(0, slice);
  };
}

/** `$addToSet`: appends the value, or with `$each` the values, that no element equals in BSON order. */
export function addToSet(operand: unknown): Change {
  const isEach = isDocument(operand) && Object.keys(operand)[0] === '$each';
  if (isEach && Object.keys(operand).length > 1) throw invalid('$addToSet takes no other fields beside $each');
  const values = isEach ? eachOf('$addToSet', operand.$each) : [operand ?? null];
  return (array) => {
    const result = [...array];
    for (const value of values) {
      if (!result.some((item) => compareValues(item, value) === 0)) result.push(value);
    }
    return result;
  };
}

function eachOf(operator: string, values: unknown): readonly unknown[] {
  if (!Array.isArray(values)) throw invalid(`$each of ${operator} needs an array`);
  return values.map((value) => value ?? null);
}

function integerModifier(operand: Record<string, unknown>, name: string): number | undefined {
  if (!Object.hasOwn(operand, name)) return undefined;
  const value = wholeNumber(operand[name]);
  if (value === undefined) throw invalid(`${name} of $push must be a whole number`);
  return Number(value);
}

/** `$sort`: 1 or -1 for the elements themselves, or a sort document over their fields, where an array is one value. */
function compileElementSort(sort: unknown): Compare {
  if (!isDocument(sort)) {
    const direction = directionOf(sort);
    return (a, b) => compareValues(a, b) * direction;
  }
  const fields = Object.entries(sort).map(([key, value]) => ({ path: parsePath(key), direction: directionOf(value) }));
  if (fields.length === 0 || fields.some(({ path }) => path.parts.includes(''))) {
    throw invalid('$sort of $push must name fields');
  }
  return (a, b) => {
    for (const { path, direction } of fields) {
      const sign = compareValues(valueIn(a, path), valueIn(b, path)) * direction;
      if (sign !== 0) return sign;
    }
    return 0;
  };
}

function directionOf(value: unknown): 1 | -1 {
  const direction = wholeNumber(value);
  if (direction !== 1n && direction !== -1n) throw invalid('$sort of $push must be 1 or -1');
  return direction === 1n ? 1 : -1;
}

function valueIn(element: unknown, path: Path): unknown {
  let value = element;
  for (const [i, part] of path.parts.entries()) {
    if (Array.isArray(value)) value = value[path.indexes[i] as number];
    else value = isDocument(value) ? fieldOf(value, part) : undefined;
  }
  return value;
}
