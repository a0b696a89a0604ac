import { HoldfastError } from '../errors.ts';
import type { Document } from '../model/document.ts';
import type { Entity, Field } from '../model/entity.ts';
import { plainValue, SCALARS } from '../model/scalars.ts';
import type { Update, WriteOptions } from '../store/store.ts';

/**
 * Refuses the sum of an `$inc` that its field's type cannot hold: the store would keep it (an int32 becomes an int64), and nobody could
 * read it any more. Undefined for an update that adds nothing.
 */
export function sumsFit({ name, fields }: Pick<Entity, 'name' | 'fields'>, { $inc }: Update): WriteOptions['accept'] {
  if ($inc === undefined) return undefined;
  const summed = fields.filter(({ storedName }) => Object.hasOwn($inc as Document, storedName));
  return (document) => {
    for (const field of summed) requireReadable(name, field, document[field.storedName]);
  };
}

function requireReadable(entity: string, { name, type }: Field, sum: unknown): void {
  try {
    SCALARS.get(type)?.type.serialize(plainValue(sum));
  } catch (cause) {
    throw new HoldfastError('VALIDATION_FAILED', `${entity}.${name} would become ${sum}, which is no ${type}`, {
      details: { fields: [name] },
      cause,
    });
  }
}
