import { Double } from 'bson';
import { HoldfastError } from '../errors.ts';
import type { Document } from '../model/document.ts';
import { type Entity, type Field, FieldKind } from '../model/entity.ts';
import type { Update } from '../store/store.ts';
import { badInput } from './bad-input.ts';
import type { Shape, Shapes } from './shapes.ts';

/** Input of a create or a nested object: GraphQL names, stored values. */
export type FieldsInput = Readonly<Record<string, unknown>>;

/**
 * The document of a create: stored names, defaults and timestamps filled in, null left out (null and absent are one
 * thing).
 * @throws VALIDATION_FAILED with `fields` when required fields have no value.
 */
export function newDocument(shapes: Shapes, entity: Entity, input: FieldsInput, now: Date): Document {
  const missing: string[] = [];
  const document = filled(shapes, shapes.shape(entity.name), input, { now, missing, at: '', id: entity.id });
  refuseMissing(entity, missing);
  return document;
}

/** What an update was asked to do. */
export interface ChangesInput {
  readonly set?: FieldsInput | null | undefined;
  readonly inc?: FieldsInput | null | undefined;
}

/**
 * The update of a `set` and `inc`: a null in `set` removes the field, timestamps of updates are set.
 * @throws VALIDATION_FAILED for null in a required field, BAD_USER_INPUT when nothing or one field in both is given.
 */
export function updateOf(shapes: Shapes, entity: Entity, changes: ChangesInput, now: Date): Update {
  const update = writtenFields(shapes, entity, changes, now);
  if (update === undefined) throw badInput(`update ${entity.name}: give at least one field in set or inc`);
  return update;
}

/** {@link updateOf} of an upsert, where changing nothing means: leave the document that is there as it is. */
export function updateOrNothing(shapes: Shapes, entity: Entity, set: FieldsInput, now: Date): Update {
  return writtenFields(shapes, entity, { set }, now) ?? { $set: {} };
}

interface Filling {
  readonly now: Date;
  /** Collects the places of required fields without a value. */
  readonly missing: string[];
  /** Place of the object, `''` or `address.`. */
  readonly at: string;
  readonly id?: Field;
}

function filled(shapes: Shapes, shape: Shape, input: FieldsInput, filling: Filling): Document {
  refuseUnknown(shape, input, filling.at);
  const document: Document = {};
  for (const field of shape.all) {
    if (field.kind === FieldKind.RELATION) continue;
    const value = valueFor(shapes, field, input, filling);
    if (value !== null && value !== undefined) document[field.storedName] = value;
    else if (field.required && field !== filling.id) filling.missing.push(filling.at + field.name);
  }
  return document;
}

function valueFor(shapes: Shapes, field: Field, input: FieldsInput, filling: Filling): unknown {
  if (field.timestamp !== undefined) {
    return field.required || field.timestamp.includes('CREATE') ? filling.now : undefined;
  }
  const given = field.hidden || !Object.hasOwn(input, field.name) ? undefined : input[field.name];
  return given === undefined ? field.defaultValue : storedValue(shapes, field, given, filling);
}

/** Scalars and enums read themselves into stored values; objects take stored names and their own defaults. */
function storedValue(shapes: Shapes, field: Field, value: unknown, filling: Filling): unknown {
  if (value === null || field.kind !== FieldKind.OBJECT) return value;
  const shape = shapes.shape(field.type);
  const nested = (item: unknown, at: string): unknown =>
    item === null
      ? null
      : filled(shapes, shape, item as FieldsInput, { now: filling.now, missing: filling.missing, at });
  const at = `${filling.at}${field.name}.`;
  return Array.isArray(value) ? value.map((item, index) => nested(item, `${at}${index}.`)) : nested(value, at);
}

function writtenFields(shapes: Shapes, entity: Entity, changes: ChangesInput, now: Date): Update | undefined {
  const shape = shapes.shape(entity.name);
  const set: Document = {};
  const unset: Document = {};
  const increments: Document = {};
  const missing: string[] = [];
  const given = Object.entries(changes.set ?? {}).filter(([, value]) => value !== undefined);
  refuseUnknown(shape, changes.set ?? {}, '');
  for (const [name, value] of given) {
    const field = shape.byName.get(name) as Field;
    if (value === null && field.required) missing.push(name);
    else if (value === null) unset[field.storedName] = '';
    else set[field.storedName] = storedValue(shapes, field, value, { now, missing, at: '' });
  }
  refuseMissing(entity, missing);
  refuseUnknown(shape, changes.inc ?? {}, '');
  for (const [name, value] of Object.entries(changes.inc ?? {})) {
    if (value === undefined) continue;
    if (value === null) throw badInput(`inc.${name} must be a number, not null`);
    const { storedName, type } = shape.byName.get(name) as Field;
    if (storedName in set || storedName in unset)
      throw badInput(`${name} is in set and in inc; give it in one of them`);
    // A sum of whole doubles is a double, not an int64 when it is large.
    increments[storedName] = type === 'Float' ? new Double(value as number) : value;
  }
  if (Object.keys(increments).length + given.length === 0) return undefined;
  for (const field of shape.all) if (field.timestamp?.includes('UPDATE') === true) set[field.storedName] = now;
  return {
    ...(Object.keys(set).length > 0 ? { $set: set } : {}),
    ...(Object.keys(unset).length > 0 ? { $unset: unset } : {}),
    ...(Object.keys(increments).length > 0 ? { $inc: increments } : {}),
  };
}

/** GraphQL has checked what comes over the wire; this is for hand-written resolvers. */
function refuseUnknown(shape: Shape, input: FieldsInput, at: string): void {
  for (const name of Object.keys(input)) {
    if (shape.byName.has(name)) continue;
    throw new HoldfastError('VALIDATION_FAILED', `${shape.name} has no field ${at}${name}`, {
      details: { fields: [`${at}${name}`] },
    });
  }
}

function refuseMissing(entity: Entity, fields: readonly string[]): void {
  if (fields.length === 0) return;
  throw new HoldfastError('VALIDATION_FAILED', `${entity.name}: ${fields.join(', ')} must have a value`, {
    details: { fields },
  });
}
