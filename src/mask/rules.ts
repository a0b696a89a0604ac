import { hash } from 'node:crypto';
import { HoldfastError } from '../errors.ts';
import { type Entity, type Field, FieldKind, type Model, Sanitizer } from '../model/entity.ts';
import { SCALARS } from '../model/scalars.ts';
import { type Bounds, FakeKind } from './fake.ts';

/** Why a field is kept: `@sanitize(with: NONE)`; an id or the key of a relation; a number, date, enum or code. */
export const Kept = { EXEMPT: 'EXEMPT', KEY: 'KEY', TYPE: 'TYPE' } as const;
export type Kept = (typeof Kept)[keyof typeof Kept];

/** What becomes of the values of a field. */
export type MaskAction =
  | { readonly action: 'KEEP'; readonly why: Kept }
  | { readonly action: 'NULL' }
  | { readonly action: 'FAKE'; readonly kind: FakeKind; readonly bounds?: Bounds | undefined }
  /** A nested object: its fields decide. */
  | { readonly action: 'INSIDE' };

export interface FieldRule {
  readonly field: Field;
  readonly action: MaskAction;
}

/** The rules of one entity, and what they come to, as stored paths in the order of the SDL. */
export interface EntityRules {
  readonly entity: Entity;
  readonly fields: readonly FieldRule[];
  /** Fields whose values are fakes or empty. Below a type that holds itself, the path where it begins again stands for all inside. */
  readonly masked: readonly string[];
  /** Fields with `@sanitize(with: NONE)`. */
  readonly exempt: readonly string[];
}

/** How the documents of a model are masked. */
export interface MaskRules {
  /** By the name of the entity. */
  readonly entities: ReadonlyMap<string, EntityRules>;
  /** By the name of the nested type. */
  readonly objects: ReadonlyMap<string, readonly FieldRule[]>;
  /** Digest of all rules, 32 hexadecimal digits. */
  readonly hash: string;
}

/** Numbers that the scalar takes; a scalar that is not here takes any. */
const BOUNDS: Readonly<Record<string, Bounds>> = {
  Int: { least: -(2 ** 31), most: 2 ** 31 - 1 },
  PositiveInt: { least: 1, most: 2 ** 31 - 1 },
  NonNegativeInt: { least: 0, most: 2 ** 31 - 1 },
  SafeInt: { least: Number.MIN_SAFE_INTEGER, most: Number.MAX_SAFE_INTEGER },
  BigInt: { least: -(2 ** 53), most: 2 ** 53 },
  NonNegativeFloat: { least: 0, most: Number.MAX_VALUE },
  Latitude: { least: -90, most: 90 },
  Longitude: { least: -180, most: 180 },
};
/** Text with a form of its own: a fake has it too, whatever the sanitizer. */
const FORMS: Readonly<Record<string, FakeKind>> = {
  EmailAddress: FakeKind.EMAIL,
  PhoneNumber: FakeKind.PHONE,
  URL: FakeKind.URL,
  UUID: FakeKind.UUID,
  ObjectID: FakeKind.OBJECT_ID,
  Byte: FakeKind.BYTES,
};
/** Kept unless the SDL says otherwise: they name one of a few things that are nobody's own. */
const CODES: readonly string[] = ['Time', 'Duration', 'CountryCode', 'Currency'];
/** Ids of these types are taken for what they look like: without a meaning. */
const IDENTIFIERS: readonly string[] = ['ID', 'UUID', 'ObjectID'];
/** Numbers that say where somebody is. */
const PLACES: readonly string[] = ['Latitude', 'Longitude'];

/**
 * The rules of a model: what `@sanitize` says, else by type, and denied when in doubt. Fields that a relation joins have one rule.
 * @throws SCHEMA_INVALID when the fields of one relation say different things
 */
export function maskRules(model: Model): MaskRules {
  const joined = joinedFields(model);
  const objects = new Map<string, readonly FieldRule[]>();
  for (const { name, fields } of model.objects.values()) {
    objects.set(
      name,
      rulesOf(fields, () => undefined),
    );
  }
  const entities = new Map<string, EntityRules>();
  for (const entity of model.entities) {
    const fields = rulesOf(entity.fields, ({ storedName }) => joined.get(placeOf(entity.name, storedName)));
    const [masked, exempt]: [string[], string[]] = [[], []];
    collectPaths(fields, objects, '', [], masked, exempt);
    entities.set(entity.name, { entity, fields, masked, exempt });
  }
  const digested = [...entities.values()].map(({ entity, fields }) => [entity.collection, textOf(fields)]);
  const nested = [...objects].map(([name, fields]) => [name, textOf(fields)]);
  return { entities, objects, hash: hash('sha256', JSON.stringify([digested, nested]), 'hex').slice(0, 32) };
}

function rulesOf(fields: readonly Field[], joined: (field: Field) => MaskAction | undefined): FieldRule[] {
  return fields
    .filter(({ kind }) => kind !== FieldKind.RELATION)
    .map((field) => ({ field, action: joined(field) ?? actionOf(field) }));
}

function textOf(fields: readonly FieldRule[]): unknown {
  return fields.map(({ field, action }) => [field.storedName, field.type, field.list, action]);
}

/** What a field that no relation joins to another comes to. */
function actionOf(field: Field): MaskAction {
  const { sanitize, kind, type } = field;
  if (sanitize === Sanitizer.NONE) return { action: 'KEEP', why: Kept.EXEMPT };
  if (sanitize === Sanitizer.NULL) return { action: 'NULL' };
  if (kind === FieldKind.OBJECT) return { action: 'INSIDE' };
  if (kind === FieldKind.ENUM || CODES.includes(type)) return { action: 'KEEP', why: Kept.TYPE };
  const kindOfFake = fakeKindOf(type, sanitize);
  if (kindOfFake === undefined)
    return type.startsWith('JSON') ? { action: 'NULL' } : { action: 'KEEP', why: Kept.TYPE };
  return { action: 'FAKE', kind: kindOfFake, bounds: BOUNDS[type] };
}

/** Undefined for what has no fakes: it is kept, unless it is JSON. */
function fakeKindOf(type: string, sanitize: Sanitizer | undefined): FakeKind | undefined {
  switch (SCALARS.get(type)?.form) {
    case 'TEXT':
      return FORMS[type] ?? (sanitize === undefined ? textKindOf(type) : FakeKind[sanitize as keyof typeof FakeKind]);
    case 'NUMBER':
      return sanitize !== undefined || PLACES.includes(type) ? FakeKind.NUMBER : undefined;
    case 'DATE':
      return sanitize === undefined ? undefined : FakeKind.DATE;
    case 'OBJECT_ID':
    case 'BINARY':
      return FORMS[type];
    default:
      return undefined;
  }
}

function textKindOf(type: string): FakeKind {
  return type === 'ID' ? FakeKind.HASH : FakeKind.TEXT;
}

/** By place, the rule of every field that relations join to others, ids included. */
function joinedFields(model: Model): Map<string, MaskAction> {
  const groups = new Map<string, Set<string>>();
  const fields = new Map<string, { readonly field: Field; readonly isId: boolean }>();
  for (const { name, fields: own, id } of model.entities) {
    for (const field of own) {
      if (field.kind === FieldKind.RELATION) continue;
      fields.set(placeOf(name, field.storedName), { field, isId: field.storedName === id.storedName });
    }
    groups.set(placeOf(name, id.storedName), new Set([placeOf(name, id.storedName)]));
  }
  for (const { name, fields: own } of model.entities) {
    for (const { relation } of own) {
      if (relation === undefined) continue;
      join(groups, placeOf(name, relation.ownerPath), placeOf(relation.target, relation.targetPath));
    }
  }
  const rules = new Map<string, MaskAction>();
  for (const group of new Set(groups.values())) {
    const members = [...group].map((place) => ({ place, ...fields.get(place)! }));
    const rule = actionOfJoined(members);
    for (const { place } of members) rules.set(place, rule);
  }
  return rules;
}

function join(groups: Map<string, Set<string>>, one: string, other: string): void {
  const group = new Set([...(groups.get(one) ?? [one]), ...(groups.get(other) ?? [other])]);
  for (const place of group) groups.set(place, group);
}

function actionOfJoined(members: readonly { readonly place: string; readonly field: Field }[]): MaskAction {
  const said = members.filter(({ field }) => field.sanitize !== undefined);
  const [first] = said;
  const other = said.find(({ field }) => field.sanitize !== first?.field.sanitize);
  if (first !== undefined && other !== undefined) {
    const message = `${first.place} and ${other.place} are joined by a relation, but have different @sanitize: write the same, or one of them only`;
    throw new HoldfastError('SCHEMA_INVALID', message, { details: { mistakes: [] } });
  }
  if (first !== undefined) return actionOf(first.field);
  const { field } = members[0]!;
  const form = SCALARS.get(field.type)?.form;
  const isIdentifier = members.every(({ field: { type } }) => IDENTIFIERS.includes(type));
  return isIdentifier || form === 'NUMBER' ? { action: 'KEEP', why: Kept.KEY } : actionOf(field);
}

function placeOf(entity: string, storedName: string): string {
  return `${entity}.${storedName}`;
}

function collectPaths(
  rules: readonly FieldRule[],
  objects: ReadonlyMap<string, readonly FieldRule[]>,
  prefix: string,
  around: readonly string[],
  masked: string[],
  exempt: string[],
): void {
  for (const { field, action } of rules) {
    const path = `${prefix}${field.storedName}`;
    if (action.action === 'KEEP') {
      if (action.why === Kept.EXEMPT) exempt.push(path);
    } else if (action.action !== 'INSIDE' || around.includes(field.type)) masked.push(path);
    else collectPaths(objects.get(field.type) ?? [], objects, `${path}.`, [...around, field.type], masked, exempt);
  }
}
