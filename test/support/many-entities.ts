/** SDL of so many entities with fields of many kinds, a unique one, an indexed one, and each related to its neighbours. */
export function manyEntities(count: number): string {
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
