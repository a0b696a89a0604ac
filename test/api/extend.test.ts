import { GraphQLScalarType } from 'graphql';
import { describe, expect, test } from 'vitest';
import type { ApiContext } from '../../src/api/context.ts';
import { testApi } from '../support/api.ts';

const SDL = `
type Teacher @entity { id: ID! @id  name: String!  born: Date }
extend type Teacher { shout(times: Int = 1): String!  colleagues(where: TeacherWhere): [Teacher!]! }
extend type Query { teacherStats: Stats!  teachersCount: Int!  search(text: Shout): [Found!]!  at: DateTime }
extend type Mutation { hire(name: String!, at: Rank): TeacherPayload! }
type Stats { count: Int!  since: Decimal }
interface Named { name: String! }
type Room implements Named { name: String!  floor: Int }
union Found = Teacher | Room
enum Rank { JUNIOR SENIOR }
scalar Shout
input Unused { rank: Rank }
`;

interface Row {
  readonly name: string;
}

const RESOLVERS = {
  Teacher: {
    shout: ({ name }: Row, { times }: { times: number }) => name.toUpperCase() + '!'.repeat(times),
    colleagues: (_source: Row, { where }: { where?: object }, context: ApiContext) =>
      context.db.teachers?.find({ where: where as never }),
    name: ({ name }: Row) => `Dr ${name}`,
  },
  Query: {
    teacherStats: async (_source: unknown, _args: unknown, context: ApiContext) => ({
      count: await context.db.teachers?.count(),
    }),
    teachersCount: () => 42,
    search: (_source: unknown, { text }: { text: string }) => [
      { name: text, floor: 1 },
      { id: 't1', name: text },
    ],
  },
  Mutation: {
    hire: (_source: unknown, { name }: { name: string }, context: ApiContext) => context.db.teachers?.create({ name }),
  },
  Found: { __resolveType: (row: object) => ('floor' in row ? 'Room' : 'Teacher') },
  Shout: new GraphQLScalarType({
    name: 'Shout',
    parseValue: (value) => String(value).toUpperCase(),
    parseLiteral: (node) => ('value' in node ? String(node.value).toUpperCase() : null),
  }),
};

describe('hand-written types and resolvers', () => {
  test('answer beside the generated ones', async () => {
    const { data } = testApi(SDL, { resolvers: RESOLVERS });
    expect(await data('mutation { hire(name: "Ada", at: SENIOR) { outcome version teacher { name } } }')).toEqual({
      hire: { outcome: 'COMMITTED', version: 1, teacher: { name: 'Dr Ada' } },
    });
    expect(
      await data(`{
        teachers { shout(times: 2) colleagues(where: {name: {eq: "Ada"}}) { name } }
        teacherStats { count since }
        search(text: "x") { __typename ... on Room { name floor } ... on Teacher { id } }
      }`),
    ).toEqual({
      teachers: [{ shout: 'ADA!!', colleagues: [{ name: 'Dr Ada' }] }],
      teacherStats: { count: 1, since: null },
      search: [
        { __typename: 'Room', name: 'X', floor: 1 },
        { __typename: 'Teacher', id: 't1' },
      ],
    });
  });

  test('win over generated ones of the same name, and it is told', async () => {
    const overridden: string[] = [];
    const { data } = testApi(SDL, { resolvers: RESOLVERS, onOverride: (field) => overridden.push(field) });
    expect(await data('{ teachersCount }')).toEqual({ teachersCount: 42 });
    expect(overridden.sort()).toEqual(['Query.teachersCount', 'Teacher.name']);
  });

  test('may be missing: the fields are null', async () => {
    const { run } = testApi(SDL);
    expect((await run('{ at }')).data).toEqual({ at: null });
  });

  test('leave the scalars of other schemas alone', () => {
    const one = testApi(SDL, { resolvers: RESOLVERS }).schema;
    const other = testApi(SDL).schema;
    expect(one.getType('Shout')).not.toBe(other.getType('Shout'));
  });

  test.each([
    ['an unknown type', { Teecher: { name: () => '' } }, /Teecher.*did you mean Teacher\?/],
    ['an unknown field', { Query: { techers: () => [] } }, /Query\.techers.*did you mean Query\.teachers\?/],
    ['a scalar of Holdfast', { Date: new GraphQLScalarType({ name: 'Date' }) }, /Date/],
    ['a type resolver that means nothing', { Teacher: { __resolveType: () => 'Teacher' } }, /__resolveType/],
  ])('for %s are refused', (_what, resolvers, message) => {
    expect(() => testApi(SDL, { resolvers: resolvers as never })).toThrow(message);
  });

  test('whose types take generated names are refused', () => {
    expect(() =>
      testApi(
        `type A @entity { id: ID! @id  name: String } type StringFilter { a: Int } extend type Query { f: StringFilter }`,
      ),
    ).toThrow(/StringFilter/);
  });

  test('that do not make a valid schema are refused', () => {
    expect(() =>
      testApi(
        `${SDL} interface Aged { age: Int! } type Cat implements Aged { name: String } extend type Query { cat: Cat }`,
      ),
    ).toThrow(expect.objectContaining({ code: 'SCHEMA_INVALID' }));
  });
});
