import { Decimal128, Double, Long, ObjectId } from 'bson';
import type { Document } from '../../../src/model/document.ts';
import type { Filter, Projection, Sort } from '../../../src/store/store.ts';
import { commonValue } from '../../support/bson-values.ts';
import type { Choices } from '../../support/choices.ts';

/** A query as every store takes it. */
export interface Question {
  readonly filter: Filter;
  readonly options: {
    readonly sort: Sort;
    readonly skip?: number;
    readonly limit?: number;
    readonly projection?: Projection;
  };
  /** Whether the engine has no such operator and must say so. */
  readonly unsupported: boolean;
}

/** ANY: anything. Else one type: SCALAR by itself, LIST several in a list, INNER one in each document of a list. */
type Shape = 'ANY' | 'SCALAR' | 'LIST' | 'INNER';

/** What documents and questions about them are made of. */
export interface Kind {
  readonly paths: readonly string[];
  /** Paths a sort may name; where the last name of two is an array, MongoDB refuses both at once. */
  readonly sortable: readonly string[];
  readonly mostSorted: number;
  /** An operand for a path. */
  readonly operand: (choices: Choices, path: string) => unknown;
  readonly document: (choices: Choices, id: number) => Document;
  /** What is known of the values at a path. */
  readonly shapeOf: (path: string) => Shape;
}

const NAMES = ['', 'a', 'ab', 'abc', 'b', 'B', 'Ab', 'é', 'foo bar', '10', '9', '$x'];
const NUMBERS = [0, 1, 2, 3, -1, 1.5, -2.5, 1e9];

function numberOf(choices: Choices): unknown {
  const kind = choices.below(4);
  const whole = choices.below(5) - 1;
  if (kind === 0) return Long.fromNumber(whole);
  if (kind === 1) return Decimal128.fromString(choices.pick([`${whole}`, `${whole}.5`, '1E+3']));
  return kind === 2 ? new Double(whole) : choices.pick(NUMBERS);
}

const nameOf = (choices: Choices): string => choices.pick(NAMES);

/** At each path values of one type, or none. */
const TYPES: Readonly<Record<string, (choices: Choices) => unknown>> = {
  n: numberOf,
  m: (choices) => choices.below(4),
  s: nameOf,
  ok: (choices) => choices.chance(0.5),
  day: (choices) => new Date(choices.below(4) * 86_400_000 - 86_400_000),
  who: (choices) => new ObjectId(`65f0c0ffee65f0c0ffee65f${choices.below(4)}`),
  'at.x': numberOf,
  'at.y': nameOf,
  tags: nameOf,
  marks: numberOf,
  'items.x': (choices) => choices.below(4),
  'items.y': nameOf,
};

const absent = (choices: Choices): boolean => choices.chance(0.15);

function fieldsOf(choices: Choices, makers: Readonly<Record<string, () => unknown>>): Document {
  const made = Object.entries(makers).filter(() => !absent(choices));
  return Object.fromEntries(made.map(([name, make]) => [name, make()]));
}

/** A list of one to three, in which nothing is a list. */
function listOf(choices: Choices, make: () => unknown): unknown[] {
  return Array.from({ length: 1 + choices.below(3) }, make);
}

/** Fields of one type each: what every server agrees about that speaks the protocol. */
export const TYPED: Kind = {
  paths: [...Object.keys(TYPES), '_id'],
  sortable: ['n', 'm', 's', 'ok', 'day', 'who', 'at.x', 'at.y', '_id'],
  mostSorted: 3,
  operand: (choices, path) => (path === '_id' ? choices.below(60) : TYPES[path]?.(choices)),
  document(choices, _id) {
    const of = (path: string) => () => TYPES[path]?.(choices);
    const plain = Object.fromEntries(['n', 'm', 's', 'ok', 'day', 'who'].map((path) => [path, of(path)]));
    return {
      _id,
      ...fieldsOf(choices, {
        ...plain,
        at: () => fieldsOf(choices, { x: of('at.x'), y: of('at.y') }),
        tags: () => listOf(choices, of('tags')),
        marks: () => listOf(choices, of('marks')),
        // With all fields: what the stand-in makes of some that lack one is not MongoDB's.
        items: () => listOf(choices, () => ({ x: of('items.x')(), y: of('items.y')() })),
      }),
    };
  },
  shapeOf(path) {
    if (path.startsWith('items')) return 'INNER';
    return path === 'tags' || path === 'marks' ? 'LIST' : 'SCALAR';
  },
};

/** Anything anywhere. */
export const MIXED: Kind = {
  paths: ['a', 'b', 'c', 'a.x', 'b.y', 'a.0', 'b.1.x', 'c.x.y', 'missing', '_id'],
  sortable: ['a', 'b', 'c', 'a.x', 'c.x.y', 'missing', '_id'],
  mostSorted: 1,
  operand(choices, path) {
    const value = path === '_id' ? choices.below(60) : commonValue(choices);
    // A pattern is no operand of a comparison.
    return value instanceof RegExp ? 'a' : value;
  },
  document: (choices, _id) => ({
    _id,
    ...fieldsOf(choices, Object.fromEntries(['a', 'b', 'c'].map((name) => [name, () => commonValue(choices)]))),
  }),
  shapeOf: () => 'ANY',
};

const UNSUPPORTED: readonly Filter[] = [
  { $expr: { $gt: ['$n', 1] } },
  { $where: 'this.n > 1' },
  { $jsonSchema: { required: ['n'] } },
  { $text: { $search: 'a' } },
  { n: { $bitsAllSet: 1 } },
  { at: { $geoWithin: { $center: [[0, 0], 1] } } },
];

export function questionOf(choices: Choices, kind: Kind): Question {
  const unsupported = choices.chance(0.01);
  const filter = unsupported ? choices.pick(UNSUPPORTED) : filterOf(choices, kind);
  const window = {
    ...(choices.chance(0.25) && { skip: choices.below(10) }),
    ...(choices.chance(0.4) && { limit: 1 + choices.below(20) }),
  };
  const projection = choices.chance(0.25) ? { projection: projectionOf(choices, kind) } : {};
  return { filter, options: { sort: sortOf(choices, kind), ...window, ...projection }, unsupported };
}

/** Ends in `_id`, so that there is one right order. */
function sortOf(choices: Choices, { sortable, mostSorted }: Kind): Sort {
  const fields = choices.list(mostSorted, () => [choices.pick(sortable), choices.pick([1, -1] as const)] as const);
  return { ...Object.fromEntries(fields.filter(([path]) => path !== '_id')), _id: choices.pick([1, -1] as const) };
}

function projectionOf(choices: Choices, { paths }: Kind): Projection {
  const shown = choices.pick([0, 1] as const);
  const named = choices.pick(paths.filter((path) => path !== '_id'));
  const [root] = named.split('.');
  const other = choices.pick(paths.filter((path) => path !== '_id' && path.split('.')[0] !== root));
  return { [named]: shown, [other]: shown, ...(choices.chance(0.2) && { _id: 0 }) };
}

function filterOf(choices: Choices, kind: Kind, depth = 0): Filter {
  const fields = choices.list(2, () => {
    const path = choices.pick(kind.paths);
    return [path, conditionOf(choices, kind, path)] as const;
  });
  const filter: Filter = Object.fromEntries(fields);
  if (depth < 2 && choices.chance(0.25)) {
    filter[choices.pick(['$and', '$or', '$nor'])] = Array.from({ length: 1 + choices.below(2) }, () =>
      filterOf(choices, kind, depth + 1),
    );
  }
  return filter;
}

/** What a field is asked for; `inner` leaves out what holds conditions itself. */
function conditionOf(choices: Choices, kind: Kind, path: string, inner = false): unknown {
  const value = (): unknown => kind.operand(choices, path);
  const values = (): unknown[] => Array.from({ length: 1 + choices.below(3) }, value);
  const nested = (): unknown => operatorsOf(conditionOf(choices, kind, path, true));
  const shape = kind.shapeOf(path);
  const conditions: (() => unknown)[] = [
    value,
    () => ({ $eq: value() }),
    () => ({ $ne: value() }),
    () => ({ [choices.pick(['$gt', '$gte', '$lt', '$lte'])]: value() }),
    () => ({ $in: values() }),
    () => ({ $nin: values() }),
    () => ({ $exists: choices.chance(0.5) }),
    () => ({ $type: choices.pick(['number', 'string', 'array', 'object', 'bool', 'date', 'objectId', 'int']) }),
    () => ({ $mod: [1 + choices.below(3), choices.below(2)] }),
  ];
  // The stand-in wants one element within both bounds, and finds no single value by $all, also within $elemMatch; MongoDB's
  // manual says otherwise.
  if (shape === 'ANY' || shape === 'SCALAR') conditions.push(() => ({ $gte: value(), $lt: value() }));
  if (shape === 'ANY' || (shape === 'LIST' && !inner))
    conditions.push(
      () => ({ $all: values() }),
      () => ({ $size: choices.below(4) }),
    );
  // It matches what other types look like as text, too.
  if (shape === 'ANY' || typeof value() === 'string') conditions.push(() => patternOf(choices));
  if (shape === 'ANY')
    conditions.push(
      () => null,
      () => ({ $in: [null, value()] }),
      () => ({ $gte: null }),
    );
  // Of documents in a list it looks for one that does not satisfy the condition.
  if (!inner && shape !== 'INNER')
    conditions.push(
      () => ({ $not: nested() }),
      () => ({ $elemMatch: nested() }),
    );
  if (!inner && shape === 'ANY') conditions.push(() => ({ $elemMatch: { x: conditionOf(choices, kind, 'x', true) } }));
  return choices.pick(conditions)();
}

function patternOf(choices: Choices): unknown {
  return { $regex: choices.pick(['^a', 'b', '^$', 'B$', 'o b']), $options: choices.pick(['', 'i']) };
}

/** A condition as `$not` and `$elemMatch` take one. */
function operatorsOf(condition: unknown): unknown {
  const isOperators =
    typeof condition === 'object' && condition !== null && Object.keys(condition)[0]?.startsWith('$') === true;
  return isOperators ? condition : { $eq: condition };
}
