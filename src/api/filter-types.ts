import {
  GraphQLBoolean,
  type GraphQLInputFieldConfigMap,
  type GraphQLInputObjectType,
  type GraphQLInputType,
} from 'graphql';
import { type Field, FieldKind } from '../model/entity.ts';
import { SCALARS } from '../model/scalars.ts';
import { inputType } from './make-type.ts';
import type { Types } from './types.ts';

/** What is not plain from the operator's name. */
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  eq: 'Null finds null and absent values.',
  ne: 'Also finds null and absent values, unless it is null.',
  nin: 'Also finds null and absent values, unless null is among these.',
  contains: 'Case-sensitive; no character has a special meaning.',
  startsWith: 'Case-sensitive.',
  endsWith: 'Case-sensitive.',
  isNull: 'Null or absent.',
  has: 'One element equals this.',
  hasAny: 'One element equals one of these.',
  hasEvery: 'Each of these equals an element.',
  every: 'Also when there is none.',
};

/**
 * `TeacherWhere` or `AddressWhere`: the condition on a document or a nested object. All that is given must hold. A
 * nested object can be asked for null, unless a field of it is called `isNull`.
 */
export function whereType(types: Types, name: string): GraphQLInputObjectType {
  return types.shared(`${name}Where`, `the filter of ${name}`, () => {
    const self = inputType({
      name: `${name}Where`,
      fields: () => {
        const fields: GraphQLInputFieldConfigMap = {};
        if (types.model.objects.has(name)) fields.isNull = { type: GraphQLBoolean };
        for (const field of types.shapes.shape(name).fields) {
          fields[field.name] = { type: fieldFilter(types, field) };
        }
        const many = types.list(types.required(self));
        return { ...fields, and: { type: many }, or: { type: many }, not: { type: self } };
      },
    });
    return self;
  });
}

function fieldFilter(types: Types, field: Field): GraphQLInputType {
  switch (field.kind) {
    case FieldKind.RELATION:
      return field.list ? someFilter(types, field.type, false) : oneFilter(types, field.type);
    case FieldKind.OBJECT:
      return field.list ? someFilter(types, field.type, true) : whereType(types, field.type);
    default:
      return field.list ? listFilter(types, field.type) : valueFilter(types, field.type);
  }
}

/** `StringFilter`, `IntFilter`, `KindFilter`: one per scalar or enum, whatever fields use it. */
function valueFilter(types: Types, name: string): GraphQLInputObjectType {
  return types.shared(`${name}Filter`, `the filter of ${name} values`, () => {
    const type = types.leaf(name);
    const list = types.list(type);
    const operators: Record<string, GraphQLInputType> = {};
    const form = SCALARS.get(name)?.form ?? 'BOOLEAN';
    if (form !== 'ANY') Object.assign(operators, { eq: type, ne: type, in: list, nin: list });
    if (form !== 'ANY' && form !== 'BOOLEAN') Object.assign(operators, { lt: type, lte: type, gt: type, gte: type });
    if (form === 'TEXT') Object.assign(operators, { contains: type, startsWith: type, endsWith: type });
    return operatorsType(`${name}Filter`, { ...operators, isNull: GraphQLBoolean });
  });
}

/** `StringListFilter`: on a list of values. */
function listFilter(types: Types, name: string): GraphQLInputObjectType {
  return types.shared(`${name}ListFilter`, `the filter of lists of ${name}`, () => {
    const type = types.leaf(name);
    const list = types.list(types.required(type));
    return operatorsType(`${name}ListFilter`, { has: type, hasAny: list, hasEvery: list, isNull: GraphQLBoolean });
  });
}

/** `TeacherListFilter`, `ContactListFilter`: on the documents of a relation, or on the objects of a list. */
function someFilter(types: Types, name: string, stored: boolean): GraphQLInputObjectType {
  return types.shared(`${name}ListFilter`, `the filter of lists of ${name}`, () => {
    const where = whereType(types, name);
    return operatorsType(`${name}ListFilter`, {
      some: where,
      every: where,
      none: where,
      ...(stored ? { isNull: GraphQLBoolean } : {}),
    });
  });
}

/** `SchoolFilter`: on the one document of a relation. */
function oneFilter(types: Types, name: string): GraphQLInputObjectType {
  return types.shared(`${name}Filter`, `the filter of a relation to ${name}`, () =>
    operatorsType(`${name}Filter`, { is: whereType(types, name) }),
  );
}

function operatorsType(name: string, operators: Readonly<Record<string, GraphQLInputType>>): GraphQLInputObjectType {
  return inputType({
    name,
    fields: Object.fromEntries(
      Object.entries(operators).map(([operator, type]) => [operator, { type, description: DESCRIPTIONS[operator] }]),
    ),
  });
}
