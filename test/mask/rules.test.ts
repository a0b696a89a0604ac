import { expect, it } from 'vitest';
import { maskRules } from '../../src/mask/rules.ts';
import { loadModel } from '../../src/model/load.ts';

function rulesOf(text: string) {
  return maskRules(loadModel([{ file: 'test.graphql', text }]));
}

function actions(text: string, entity: string): Record<string, unknown> {
  const { fields } = rulesOf(text).entities.get(entity)!;
  return Object.fromEntries(
    fields.map(({ field, action }) => [
      field.name,
      'kind' in action ? action.kind : 'why' in action ? action.why : action.action,
    ]),
  );
}

it('masks by type what has no rule, when in doubt', () => {
  const sdl = `type T @entity {
    id: ID! @id  text: String  other: ID  mail: EmailAddress  tel: PhoneNumber  site: URL  uuid: UUID  oid: ObjectID  bytes: Byte
    json: JSON  lat: Latitude  n: Int  f: Float  d: DateTime  b: Boolean  e: E  country: CountryCode  time: Time
  }
  enum E { A B }`;
  expect(actions(sdl, 'T')).toEqual({
    ...{
      id: 'KEY',
      text: 'TEXT',
      other: 'HASH',
      mail: 'EMAIL',
      tel: 'PHONE',
      site: 'URL',
      uuid: 'UUID',
      oid: 'OBJECT_ID',
    },
    ...{ bytes: 'BYTES', json: 'NULL', lat: 'NUMBER', n: 'TYPE', f: 'TYPE', d: 'TYPE', b: 'TYPE', e: 'TYPE' },
    ...{ country: 'TYPE', time: 'TYPE' },
  });
});

it('keeps ids that mean nothing, and masks those that do, with all keys that refer to them', () => {
  const sdl = `
    type Person @entity { email: EmailAddress! @id  posts: [Post!]! @relation(field: "author") }
    type Post @entity { id: ID! @id  author: EmailAddress  person: Person @relation(field: "author")  listId: ID  list: List @relation(field: "listId") }
    type List @entity { id: ID! @id @sanitize(with: HASH) }`;
  expect(actions(sdl, 'Person')).toEqual({ email: 'EMAIL' });
  expect(actions(sdl, 'Post')).toEqual({ id: 'KEY', author: 'EMAIL', listId: 'HASH' });
  expect(actions(sdl, 'List')).toEqual({ id: 'HASH' });
});

it('refuses different rules for the two ends of a relation', () => {
  const sdl = `
    type A @entity { id: ID! @id @sanitize(with: HASH) }
    type B @entity { id: ID! @id  aId: ID @sanitize(with: NONE)  a: A @relation(field: "aId") }`;
  expect(() => rulesOf(sdl)).toThrow(/are joined by a relation, but have different @sanitize/);
});

it('lists what is masked and what is exempt, to the bottom of nested types that hold themselves', () => {
  const sdl = `
    type T @entity { id: ID! @id  tree: Tree  free: String @sanitize(with: NONE) }
    type Tree { label: String  size: Int  branches: [Tree!]! }`;
  expect(rulesOf(sdl).entities.get('T')).toMatchObject({ masked: ['tree.label', 'tree.branches'], exempt: ['free'] });
});

it('has another hash for other rules, the same for another order of words', () => {
  const one = rulesOf('type T @entity { id: ID! @id  a: String }');
  expect(rulesOf('# note\ntype T @entity { id: ID! @id a: String }').hash).toBe(one.hash);
  expect(rulesOf('type T @entity { id: ID! @id  a: String @sanitize(with: NAME) }').hash).not.toBe(one.hash);
});

it.each([
  ['n: Int @sanitize(with: EMAIL)', 'EMAIL makes no Int'],
  ['n: String! @sanitize(with: NULL)', 'the field is non-null'],
  ['n: Boolean @sanitize(with: HASH)', 'HASH makes no Boolean'],
  ['n: CountryCode @sanitize(with: TEXT)', 'TEXT makes no CountryCode'],
])('is a mistake in the schema: %s', (field, message) => {
  expect(() => rulesOf(`type T @entity { id: ID! @id  ${field} }`)).toThrow(message);
});
