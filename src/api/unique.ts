import type { Entity, Field } from '../model/entity.ts';
import { badInput } from './bad-input.ts';
import type { Shapes } from './shapes.ts';

/** A `TeacherUnique` as the client gave it: the id or one unique field. */
export type UniqueInput = Readonly<Record<string, unknown>>;

/** The fields that find at most one document: the id first, then the `@unique` ones. */
export function uniqueFields(shapes: Shapes, entity: Entity): readonly Field[] {
  const { fields } = shapes.shape(entity.name);
  return [entity.id, ...fields.filter((field) => field.unique && field !== entity.id)];
}

/** The one field given, and its value. @throws BAD_USER_INPUT */
export function uniqueOf(shapes: Shapes, entity: Entity, input: UniqueInput): readonly [Field, unknown] {
  const known = uniqueFields(shapes, entity);
  const given = Object.entries(input).filter(([, value]) => value !== undefined);
  const [name, value] = given[0] ?? [];
  const field = known.find((candidate) => candidate.name === name);
  if (given.length !== 1 || field === undefined || value === null) {
    throw badInput(`where takes exactly one of ${known.map((candidate) => candidate.name).join(', ')}, and not null`);
  }
  return [field, value];
}
