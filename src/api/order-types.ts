import { GraphQLEnumType, type GraphQLInputFieldConfigMap, type GraphQLInputObjectType } from 'graphql';
import { type Field, FieldKind } from '../model/entity.ts';
import { SCALARS } from '../model/scalars.ts';
import { inputType } from './make-type.ts';
import type { Types } from './types.ts';

/**
 * `TeacherOrder` or `AddressOrder`: one field and the direction to order by; undefined when no field can be ordered by.
 */
export function orderType(types: Types, name: string): GraphQLInputObjectType | undefined {
  if (!sortable(types, name, [])) return undefined;
  return types.shared(`${name}Order`, `the order of ${name}`, () =>
    inputType({
      name: `${name}Order`,
      description: 'Exactly one field; give several of these, first first, to order by several.',
      fields: () => {
        const fields: GraphQLInputFieldConfigMap = {};
        for (const field of types.shapes.shape(name).fields) {
          if (isSortableValue(field)) fields[field.name] = { type: directionType(types) };
          else if (field.kind === FieldKind.OBJECT && !field.list) {
            const type = orderType(types, field.type);
            if (type !== undefined) fields[field.name] = { type };
          }
        }
        return fields;
      },
    }),
  );
}

/** Whether values of this field have an order: one scalar or enum value, not JSON. */
function isSortableValue(field: Field): boolean {
  if (field.list) return false;
  if (field.kind === FieldKind.ENUM) return true;
  return field.kind === FieldKind.SCALAR && SCALARS.has(field.type) && SCALARS.get(field.type)?.form !== 'ANY';
}

/** Whether the type, or an object nested in it, has a field to order by; `above` ends types that contain themselves. */
function sortable(types: Types, name: string, above: readonly string[]): boolean {
  return types.shapes
    .shape(name)
    .fields.some(
      (field) =>
        isSortableValue(field) ||
        (field.kind === FieldKind.OBJECT &&
          !field.list &&
          !above.includes(field.type) &&
          sortable(types, field.type, [...above, name])),
    );
}

function directionType(types: Types): GraphQLEnumType {
  return types.shared(
    'OrderDirection',
    'the direction of an order',
    () => new GraphQLEnumType({ name: 'OrderDirection', values: { ASC: { value: 1 }, DESC: { value: -1 } } }),
  );
}
