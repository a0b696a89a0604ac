import { HoldfastError, isHoldfastError } from '../errors.ts';
import type { Document } from '../model/document.ts';
import { type Entity, type Field, FieldKind } from '../model/entity.ts';
import { plainValue, SCALARS } from '../model/scalars.ts';
import type { Shape, Shapes } from './shapes.ts';

/**
 * The error as clients may see it: `current` in the entity's own names without hidden fields, `fields` as GraphQL names.
 * Other errors are returned as they are.
 */
export function presentError(shapes: Shapes, entity: Entity, error: unknown): unknown {
  if (!isHoldfastError(error)) return error;
  const { current, fields } = error.details;
  if (current === undefined && fields === undefined) return error;
  const shape = shapes.shape(entity.name);
  const details = {
    ...error.details,
    ...(isObject(current) ? { current: presented(shapes, shape, current) } : {}),
    ...(Array.isArray(fields) ? { fields: fields.map((path) => publicPath(shapes, shape, String(path))) } : {}),
  };
  return new HoldfastError(error.code, error.message, { cause: error, details });
}

/** A stored document, or an object inside one, as the plain JSON a client would have got for all its fields. */
function presented(shapes: Shapes, shape: Shape, stored: Document): Document {
  const entries = shape.fields
    .filter((field) => field.kind !== FieldKind.RELATION)
    .map((field) => [field.name, presentedValue(shapes, field, stored[field.storedName])]);
  return Object.fromEntries(entries);
}

function presentedValue(shapes: Shapes, field: Field, value: unknown): unknown {
  if (value === null || value === undefined) return null;
  if (Array.isArray(value)) return value.map((item) => presentedValue(shapes, field, item));
  if (field.kind === FieldKind.OBJECT) {
    return isObject(value) ? presented(shapes, shapes.shape(field.type), value) : null;
  }
  try {
    return SCALARS.get(field.type)?.type.serialize(value) ?? plainValue(value);
  } catch {
    return plainValue(value); // Stored by someone else in another type: shown as it is.
  }
}

/** `_id` → `id`, `address.zip-code` → `address.zipCode`; a path that is a GraphQL one already stays. */
function publicPath(shapes: Shapes, shape: Shape, path: string): string {
  const [head = '', ...rest] = path.split('.');
  const field = shape.all.find((candidate) => candidate.storedName === head);
  if (field === undefined) return path;
  if (rest.length === 0 || field.kind !== FieldKind.OBJECT) return [field.name, ...rest].join('.');
  return `${field.name}.${publicPath(shapes, shapes.shape(field.type), rest.join('.'))}`;
}

function isObject(value: unknown): value is Document {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
