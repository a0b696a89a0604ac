import type { Document } from '../../model/document.ts';
import { unsupported } from '../../store/refusal.ts';
import type { FindOptions, Sort } from '../../store/store.ts';
import { isDocument } from '../../store/value.ts';

/** A query of a driver as copies can be asked it. */
export interface Plan {
  /** As it was given; its values are not those of a store yet. */
  readonly filter: Document;
  readonly sort?: Sort | undefined;
  readonly skip: number;
  /** Undefined: all. */
  readonly limit?: number | undefined;
  readonly projection?: Document | undefined;
  /** It asks how many there are: the answer is one document of this, and none when there are none. */
  readonly count?: ((count: number) => Document) | undefined;
}

/** What a driver's `find` was given, also by the methods of its cursor. */
export interface DriverFind {
  readonly sort?: unknown;
  readonly skip?: number | undefined;
  readonly limit?: number | undefined;
  readonly projection?: Document | undefined;
}

/** Options that change what is found or how it is shown, in ways that copies do not have. */
const DECISIVE = ['collation', 'min', 'max', 'returnKey', 'showRecordId', 'tailable', 'let'] as const;

/** What filters of copies may hold; `compileFilter` has the rules. */
const LOGICAL: ReadonlySet<string> = new Set(['$and', '$or', '$nor']);
const OPERATORS: ReadonlySet<string> = new Set([
  ...['$eq', '$ne', '$gt', '$gte', '$lt', '$lte', '$in', '$nin', '$exists', '$type', '$regex', '$options'],
  ...['$size', '$mod', '$all', '$elemMatch', '$not'],
]);
const NESTED: ReadonlySet<string> = new Set(['$elemMatch', '$not']);

/**
 * A `find` as copies can be asked it. What is right is left to them; this only sees, and quickly, what they cannot do.
 * @throws UNSUPPORTED_OPERATOR (`operator`)
 */
export function planFind(filter: unknown, options: DriverFind): Plan {
  refuseOptions(options);
  refuseFilter(filter);
  refuseProjection(options.projection);
  const limit = Math.abs(options.limit ?? 0);
  return {
    filter: filter as Document,
    sort: sortOf(options.sort),
    skip: options.skip ?? 0,
    limit: limit === 0 ? undefined : limit,
    projection: options.projection,
  };
}

/** Places of the stages that a copy can be asked: it matches and sorts, then passes over, then takes, then shows or counts. */
const PLACES: Readonly<Record<string, number>> = {
  $match: 0,
  $sort: 0,
  $skip: 1,
  $limit: 2,
  $project: 3,
  $count: 4,
  $group: 4,
};

/** {@link planFind} for a pipeline: one that `find` or `countDocuments` could have asked as well. */
export function planPipeline(pipeline: readonly unknown[], options: object): Plan {
  refuseOptions(options);
  const matches: Document[] = [];
  let plan: Omit<Plan, 'filter'> = { skip: 0 };
  let place = 0;
  for (const stage of pipeline) {
    const [name = '', ...more] = isDocument(stage) ? Object.keys(stage) : [];
    const next = more.length === 0 ? PLACES[name] : undefined;
    const isInPlace = next !== undefined && (next > place || (next === 0 && place === 0));
    if (!isInPlace || (name === '$sort' && plan.sort !== undefined)) throw unsupported(name || 'pipeline');
    place = next;
    const operand = (stage as Document)[name];
    if (name === '$match') {
      refuseFilter(operand);
      matches.push(operand as Document);
    } else plan = { ...plan, ...planStage(name, operand) };
  }
  const [first = {}, ...others] = matches;
  return { filter: others.length === 0 ? first : { $and: matches }, ...plan };
}

function planStage(name: string, operand: unknown): Partial<Plan> {
  switch (name) {
    case '$sort':
      return { sort: sortOf(operand) };
    case '$skip':
      return { skip: wholeOf(name, operand) };
    case '$limit':
      if (operand === 0) throw unsupported('$limit');
      return { limit: wholeOf(name, operand) };
    case '$project':
      if (!isDocument(operand) || Object.keys(operand).length === 0) throw unsupported(name);
      refuseProjection(operand);
      return { projection: operand };
    case '$count':
      if (typeof operand !== 'string') throw unsupported(name);
      return { count: (count) => ({ [operand]: count }) };
    default:
      return { count: countingGroup(operand) };
  }
}

/** `{ $group: { _id: 1, n: { $sum: 1 } } }`, as the driver counts. */
function countingGroup(operand: unknown): (count: number) => Document {
  const { _id, ...fields } = isDocument(operand) ? operand : { _id: {} };
  const [[field, sum] = [], ...others] = Object.entries(fields);
  const isConstant = _id === null || typeof _id === 'number' || typeof _id === 'boolean';
  const counts = isDocument(sum) && Object.keys(sum).length === 1 && sum.$sum === 1;
  if (field === undefined || others.length > 0 || !isConstant || !counts) throw unsupported('$group');
  return (count) => ({ _id, [field]: count });
}

function wholeOf(name: string, operand: unknown): number {
  if (typeof operand !== 'number' || !Number.isSafeInteger(operand) || operand < 0) throw unsupported(name);
  return operand;
}

function refuseOptions(options: object): void {
  const given = options as Readonly<Record<string, unknown>>;
  const decisive = DECISIVE.find((name) => given[name] !== undefined && given[name] !== null && given[name] !== false);
  if (decisive !== undefined) throw unsupported(decisive);
  const { level } = (given.readConcern ?? {}) as { readonly level?: unknown };
  if (level === 'linearizable' || level === 'snapshot') throw unsupported(`readConcern ${level}`);
}

function refuseFilter(filter: unknown): void {
  if (!isDocument(filter) || filter instanceof Map) throw unsupported('a filter that is no document');
  for (const key in filter) {
    const value = filter[key];
    if (!key.startsWith('$')) refuseCondition(value);
    else if (LOGICAL.has(key) && Array.isArray(value)) value.forEach(refuseFilter);
    else if (key !== '$comment') throw unsupported(key);
  }
}

function refuseCondition(condition: unknown): void {
  if (typeof condition !== 'object' || condition === null || !isDocument(condition)) return;
  for (const key in condition) {
    if (!key.startsWith('$')) return;
    if (!OPERATORS.has(key)) throw unsupported(key);
    const operand = condition[key];
    if (NESTED.has(key) && isDocument(operand)) {
      const isFilter = Object.keys(operand).some((inner) => !inner.startsWith('$') || LOGICAL.has(inner));
      if (isFilter) refuseFilter(operand);
      else refuseCondition(operand);
    }
  }
}

function refuseProjection(projection: Document | undefined): void {
  for (const [path, value] of Object.entries(projection ?? {})) {
    if (path.includes('$')) throw unsupported('$');
    if (typeof value === 'object' && isDocument(value)) throw unsupported(Object.keys(value)[0] ?? path);
    if (typeof value === 'string') throw unsupported(path);
  }
}

/** A sort as the driver has it, a map, or as a stage has it. */
function sortOf(sort: unknown): FindOptions['sort'] {
  if (sort === undefined || sort === null) return undefined;
  const fields = sort instanceof Map ? [...sort] : Object.entries(sort);
  for (const [path, direction] of fields) {
    if (String(path).startsWith('$')) throw unsupported(String(path));
    if (direction !== 1 && direction !== -1) throw unsupported('$meta');
  }
  return Object.fromEntries(fields) as Sort;
}
