import { HoldfastError } from '../errors.ts';
import type { Document } from '../model/document.ts';
import { type Entity, type Field, FieldKind, type Relation } from '../model/entity.ts';
import type { Filter } from '../store/store.ts';
import { badInput } from './bad-input.ts';
import type { Shapes } from './shapes.ts';

/**
 * A `where` as the client gave it. Operators mean what MongoDB's mean: `eq: null` is null or absent, `ne` and `nin` also
 * find documents without the field, `lt…gte` compare within one type and never find null. `contains`, `startsWith` and
 * `endsWith` are case-sensitive and take their text literally. Null is refused but for `eq`, `ne` and the elements of
 * `in` and `nin`.
 */
export type WhereInput = Readonly<Record<string, unknown>>;

/** Distinct non-null values at `path` of the documents of `entity` that match; refuses more than it can hand on. */
export type RelatedKeys = (entity: Entity, filter: Filter, path: string) => Promise<readonly unknown[]>;

/** What compiling a `where` needs beside the `where`. */
export interface WhereScope {
  readonly shapes: Shapes;
  /** Asked for conditions on relations; innermost first. */
  readonly relatedKeys: RelatedKeys;
  /**
   * Refuse conditions that say nothing (`{name: {}}`, as an unset variable leaves behind): for writes, where they would
   * mean every document. A `where` of `{}` itself says so openly and is accepted, as is `{school: {is: {}}}`: any
   * school.
   */
  readonly strict?: boolean;
}

/** As {@link WhereScope}, for one `where`. */
interface Scope extends WhereScope {
  readonly lookUps: { asked: number };
}

/** A filter, or how to find it out: nothing is looked up before the whole `where` was found to be without mistake. */
type Condition = Filter | LookUp;
type LookUp = () => Promise<Filter>;

/** Most conditions and values of one `where`: its plan is made in one go, while everybody else waits. */
const MAX_PARTS = 10_000;
/** Deepest nesting of one `where`. */
const MAX_NESTING = 100;
/** Most conditions on relations in one `where`: for each, as many documents may be looked through as a condition may concern. */
const MAX_LOOK_UPS = 20;

const EVERYTHING: Filter = {};
const NOTHING: Filter = { _id: { $in: [] } };

/**
 * The MongoDB filter of a `where`; a promise only when it asks about relations.
 * @throws BAD_USER_INPUT, QUERY_TOO_COMPLEX
 */
export function filterOf(
  scope: WhereScope,
  entity: Entity,
  where: WhereInput | null | undefined,
): Filter | Promise<Filter> {
  if (where === null || where === undefined) return EVERYTHING;
  requireBounded(where, { parts: 0 }, 0);
  return settled(conditionsOf({ ...scope, lookUps: { asked: 0 } }, entity.name, where, '', ''));
}

function requireBounded(value: unknown, seen: { parts: number }, depth: number): void {
  if (++seen.parts > MAX_PARTS) tooMuch(`has more than ${MAX_PARTS} conditions and values`, MAX_PARTS);
  if (depth > MAX_NESTING) tooMuch(`is nested deeper than ${MAX_NESTING} levels`, MAX_NESTING);
  if (typeof value !== 'object' || value === null) return;
  for (const item of Object.values(value)) requireBounded(item, seen, depth + 1);
}

function tooMuch(what: string, max: number): never {
  throw new HoldfastError('QUERY_TOO_COMPLEX', `where ${what}`, { details: { max } });
}

/** All conditions of `where` on the object at `prefix` (`''` or `address.`); `at` is its place for messages. */
function conditionsOf(scope: Scope, name: string, where: WhereInput, prefix: string, at: string): Condition {
  const { byName } = scope.shapes.shape(name);
  const conditions: Condition[] = [];
  for (const [key, value] of Object.entries(where)) {
    if (value === undefined) continue;
    const place = at === '' ? key : `${at}.${key}`;
    const field = byName.get(key);
    if (field !== undefined) conditions.push(fieldCondition(scope, field, given(value, place), prefix, place));
    else conditions.push(combination(scope, name, key, given(value, place), prefix, place));
  }
  return all(conditions);
}

/** {@link conditionsOf}, where to say nothing is a mistake in a strict scope. */
function someConditionsOf(scope: Scope, name: string, where: WhereInput, prefix: string, at: string): Condition {
  if (scope.strict === true && Object.values(where).every((value) => value === undefined)) saysNothing(at);
  return conditionsOf(scope, name, where, prefix, at);
}

function combination(
  scope: Scope,
  name: string,
  key: string,
  value: unknown,
  prefix: string,
  place: string,
): Condition {
  const nested = (where: unknown, at: string) =>
    someConditionsOf(scope, name, given(where, at) as WhereInput, prefix, at);
  switch (key) {
    case 'and':
      if (scope.strict === true && (value as unknown[]).length === 0) saysNothing(place);
      return all((value as unknown[]).map((where, index) => nested(where, `${place}.${index}`)));
    case 'or':
      return joined(
        (value as unknown[]).map((where, index) => nested(where, `${place}.${index}`)),
        anyFilter,
      );
    case 'not':
      return then(nested(value, place), negated);
    case 'isNull':
      // At '' it is an element of a list: whether that is null is not a question MongoDB's filters can put.
      if (prefix !== '') return nullCondition(prefix.slice(0, -1), value, false);
      throw badInput(`${place}: there is no such condition on the elements of a list`);
    default:
      throw badInput(`${place}: there is no such field`);
  }
}

function fieldCondition(scope: Scope, field: Field, value: unknown, prefix: string, place: string): Condition {
  const path = prefix + field.storedName;
  if (typeof value !== 'object') throw badInput(`${place} takes operators, e.g. {eq: …}`);
  if (field.kind === FieldKind.RELATION) return relationCondition(scope, field, value as WhereInput, prefix, place);
  if (field.kind !== FieldKind.OBJECT) return valueCondition(scope, field, value as WhereInput, path, place);
  if (!field.list) return someConditionsOf(scope, field.type, value as WhereInput, `${path}.`, place);
  return elementsCondition(scope, field, value as WhereInput, path, place);
}

/** Operators on a value or a list of values. */
function valueCondition(scope: Scope, field: Field, operators: WhereInput, path: string, place: string): Filter {
  const conditions: Filter[] = [];
  for (const [operator, value] of Object.entries(operators)) {
    if (value === undefined) continue;
    if (value === null && operator !== 'eq' && operator !== 'ne') notNull(`${place}.${operator}`);
    conditions.push(operatorCondition(field, path, operator, value, place));
  }
  if (conditions.length === 0 && scope.strict === true) saysNothing(place);
  return allFilters(conditions);
}

function operatorCondition(field: Field, path: string, operator: string, value: unknown, place: string): Filter {
  switch (operator) {
    case 'eq':
    case 'has':
      return { [path]: { $eq: value } };
    case 'ne':
    case 'in':
    case 'nin':
    case 'lt':
    case 'lte':
    case 'gt':
    case 'gte':
      return { [path]: { [`$${operator}`]: value } };
    case 'contains':
      return { [path]: { $regex: literally(value as string) } };
    case 'startsWith':
      return { [path]: { $regex: `^${literally(value as string)}` } };
    case 'endsWith':
      // Not `$`: to MongoDB's expressions that is also the place before a last line break.
      return { [path]: { $regex: `${literally(value as string)}(?![\\s\\S])` } };
    case 'hasAny':
      return { [path]: { $in: value } };
    case 'hasEvery':
      return (value as unknown[]).length === 0 ? EVERYTHING : { [path]: { $all: value } };
    case 'isNull':
      return nullCondition(path, value, field.list);
    default:
      throw badInput(`${place}.${operator}: there is no such operator`);
  }
}

/** A list that has a null among its elements is found by `$eq: null` as well, and is none. */
function nullCondition(path: string, isNull: unknown, isList: boolean): Filter {
  if (!isList) return { [path]: isNull === true ? { $eq: null } : { $ne: null } };
  if (isNull === true) return { [path]: { $eq: null, $not: { $type: 'array' } } };
  return { $or: [{ [path]: { $ne: null } }, { [path]: { $type: 'array' } }] };
}

/** The text as a regular expression that finds just this text, to MongoDB's engine and to JavaScript's. */
function literally(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&').replaceAll('\0', '\\x00');
}

/** Conditions on the objects of a stored list. */
function elementsCondition(scope: Scope, field: Field, operators: WhereInput, path: string, place: string): Condition {
  const conditions = Object.entries(operators).flatMap(([operator, value]): Condition[] => {
    if (value === undefined) return [];
    const at = `${place}.${operator}`;
    if (operator === 'isNull') return [nullCondition(path, given(value, at), true)];
    const element = conditionsOf(scope, field.type, given(value, at) as WhereInput, '', at);
    return [then(element, (filter) => ({ [path]: quantified(operator, filter) }))];
  });
  if (conditions.length === 0 && scope.strict === true) saysNothing(place);
  return all(conditions);
}

function quantified(operator: string, element: Filter): Document {
  switch (operator) {
    case 'some':
      return { $elemMatch: element };
    case 'none':
      return { $not: { $elemMatch: element } };
    default:
      return { $not: { $elemMatch: negated(element) } };
  }
}

/** Conditions on the documents a relation leads to: they are looked up first, and their keys are the condition. */
function relationCondition(
  scope: Scope,
  field: Field,
  operators: WhereInput,
  prefix: string,
  place: string,
): Condition {
  const relation = field.relation as Relation;
  const target = scope.shapes.entity(relation.target);
  const path = prefix + relation.ownerPath;
  const conditions = Object.entries(operators).flatMap(([operator, value]): Condition[] => {
    if (value === undefined) return [];
    const at = `${place}.${operator}`;
    if (++scope.lookUps.asked > MAX_LOOK_UPS) {
      tooMuch(`has more than ${MAX_LOOK_UPS} conditions on relations`, MAX_LOOK_UPS);
    }
    const where = conditionsOf(scope, target.name, given(value, at) as WhereInput, '', at);
    const wanted = then(where, operator === 'every' ? negated : (filter) => filter);
    const comparison = operator === 'some' || operator === 'is' ? '$in' : '$nin';
    return [
      async () => {
        const keys = await scope.relatedKeys(target, await settled(wanted), relation.targetPath);
        return { [path]: { [comparison]: keys } };
      },
    ];
  });
  if (conditions.length === 0 && scope.strict === true) saysNothing(place);
  return all(conditions);
}

function all(conditions: readonly Condition[]): Condition {
  return joined(conditions, allFilters);
}

function joined(conditions: readonly Condition[], join: (filters: readonly Filter[]) => Filter): Condition {
  if (!conditions.some(isLookUp)) return join(conditions as readonly Filter[]);
  return async () => join(await Promise.all(conditions.map(settled)));
}

/**
 * One filter that holds when all do. Conditions on fields are put side by side, where a store looks for its indexes.
 */
function allFilters(filters: readonly Filter[]): Filter {
  const fields: Document = {};
  const rest = filters.filter((filter) => !joins(fields, filter));
  const parts = Object.keys(fields).length === 0 ? rest : [fields, ...rest];
  return parts.length > 1 ? { $and: parts } : (parts[0] ?? EVERYTHING);
}

/** Adds the operators of `filter` to `fields`, unless one of them is there already. */
function joins(fields: Document, filter: Filter): boolean {
  const fits = Object.entries(filter).every(
    ([path, operators]) =>
      !path.startsWith('$') &&
      Object.keys(operators as Document).every(
        (operator) => !(Object.hasOwn(fields, path) && Object.hasOwn(fields[path] as Document, operator)),
      ),
  );
  if (fits) {
    for (const [path, operators] of Object.entries(filter)) {
      const known = Object.hasOwn(fields, path) ? (fields[path] as Document) : {};
      fields[path] = { ...known, ...(operators as Document) };
    }
  }
  return fits;
}

function anyFilter(filters: readonly Filter[]): Filter {
  if (filters.length === 0) return NOTHING;
  return filters.length === 1 ? (filters[0] as Filter) : { $or: filters };
}

function negated(filter: Filter): Filter {
  return Object.keys(filter).length === 0 ? NOTHING : { $nor: [filter] };
}

function then(condition: Condition, next: (filter: Filter) => Filter): Condition {
  return isLookUp(condition) ? async () => next(await condition()) : next(condition);
}

function settled(condition: Condition): Filter | Promise<Filter> {
  return isLookUp(condition) ? condition() : condition;
}

function isLookUp(condition: Condition): condition is LookUp {
  return typeof condition === 'function';
}

function given(value: unknown, place: string): unknown {
  return value === null ? notNull(place) : value;
}

function notNull(place: string): never {
  throw badInput(`${place} must not be null; {isNull: true} and {eq: null} find null and absent values`);
}

function saysNothing(place: string): never {
  throw badInput(`${place} holds no condition, so it would concern every document; leave it out if that is meant`);
}
