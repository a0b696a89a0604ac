import { isInputObjectType, isObjectType } from 'graphql';
import { describe, expect, test } from 'vitest';
import { buildSchema } from '../../src/api/schema.ts';
import { loadModel } from '../../src/model/load.ts';

/** Entities with fields of many kinds, each related to its neighbours. */
function entities(count: number): string {
  const types = Array.from(
    { length: count },
    (_, n) => `type Thing${n} @entity {
      id: ID! @id  name: String! @index  email: EmailAddress @unique  kind: Kind!  count: Int!  price: Decimal  born: Date
      at: DateTime  tags: [String!]!  address: Address  addresses: [Address!]!  parentId: ID
      parent: Thing${(n + 1) % count} @relation(field: "parentId")
      children: [Thing${(n + count - 1) % count}!]! @relation(field: "parentId")
    }`,
  );
  return `enum Kind { A B C }  type Address { street: String  city: String  zip: String }\n${types.join('\n')}`;
}

function typesOf(count: number) {
  const schema = buildSchema(loadModel([{ file: 'x.graphql', text: entities(count) }]));
  return Object.values(schema.getTypeMap()).filter((type) => !type.name.startsWith('__'));
}

describe('the size of a schema', () => {
  test('grows by 14 types with an entity, whatever its fields', () => {
    expect(typesOf(40).length - typesOf(20).length).toBe(20 * 14);
  });

  test('has one filter, order and input type for each scalar, enum and nested type', () => {
    const shared = typesOf(20)
      .map((type) => type.name)
      .filter((name) => !/^(Thing|Create)/.test(name) && /(Filter|Order|Input|Where)$/.test(name));
    expect(shared.sort()).toEqual([
      'AddressInput',
      'AddressListFilter',
      'AddressOrder',
      'AddressWhere',
      'DateFilter',
      'DateTimeFilter',
      'DecimalFilter',
      'EmailAddressFilter',
      'IDFilter',
      'IntFilter',
      'KindFilter',
      'StringFilter',
      'StringListFilter',
    ]);
  });

  test('has one wrapper object for each list and non-null type', () => {
    const wrappers = new Map<string, Set<unknown>>();
    for (const type of typesOf(20)) {
      if (!isObjectType(type) && !isInputObjectType(type)) continue;
      for (const field of Object.values(type.getFields())) {
        const known = wrappers.get(String(field.type)) ?? new Set();
        wrappers.set(String(field.type), known.add(field.type));
      }
    }
    expect([...wrappers].filter(([, objects]) => objects.size > 1).map(([name]) => name)).toEqual([]);
  });
});
