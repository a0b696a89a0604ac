import { makeExecutableSchema } from '@graphql-tools/schema';
import { GraphQLError } from 'graphql';
import { HoldfastError } from '../../../src/errors.ts';

/** What a test can see of the server from inside. */
export interface Probe {
  /** Items the `ticks` generators have produced. */
  produced: number;
  /** Generators whose `finally` has run. */
  returned: number;
  /** Resolves the field `slow`; set by its resolver. */
  release: (() => void)[];
  /** Signals that were aborted, with their reasons. */
  aborted: unknown[];
}

export interface SchoolContext {
  readonly probe: Probe;
  readonly signal: AbortSignal;
  readonly principal: string;
}

const PAYLOAD = 'x'.repeat(64 * 1024);

export const typeDefs = /* GraphQL */ `
  enum Level { JUNIOR SENIOR }
  union Member = Teacher | Pupil
  interface Named { name: String! }
  scalar Any
  input Where { name: String, age: Int = 7, levels: [Level!] }
  type Teacher implements Named { id: ID! name: String! pupils(limit: Int = 50): [Pupil!]! nick: String fails: String strict: String! }
  type Pupil implements Named { id: ID! name: String! age: Int teacher: Teacher level: Level }
  type TeacherEdge { node: Teacher! cursor: String! }
  type TeacherConnection { edges: [TeacherEdge!]! nodes: [Teacher!]! total: Int! }
  type Later { count: Int list: [Int] self: Later computed(by: Int = 2): Int }
  type Query {
    hello: String!
    principal: String!
    teacher(id: ID!): Teacher
    teachers(limit: Int = 50, where: Where): [Teacher!]!
    teachersConnection(first: Int, last: Int): TeacherConnection!
    members: [Member!]!
    named: [Named]
    missing: Teacher
    strict: String!
    notReady: String!
    boom: String
    coded: String
    echo(where: Where, any: Any, list: [Int!], level: Level = SENIOR): String
    later: Later
    items(count: Int!): [Item]
    expensive: Item
    slow: String
    self: Query
  }
  type Item { id: Int value: String failing: String }
  type Mutation { setName(id: ID!, name: String!): Teacher slowly: String fail: String }
  type Subscription { ticks(count: Int!, large: Boolean = false): Tick! waits: Tick! failing: Tick! refused: Tick! }
  type Tick { n: Int! payload: String bad: String }
`;

const names = ['Ada', 'Grace', 'Edsger'];
const teacher = (id: string | number) => ({
  __typename: 'Teacher',
  id: String(id),
  name: names[Number(id) % 3] ?? 'Barbara',
});
const pupil = (n: number) => ({
  __typename: 'Pupil',
  id: `p${n}`,
  name: `Pupil ${n}`,
  age: n === 1 ? null : n,
  level: 'JUNIOR',
});
const some = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n));

/** A hand-written schema with a bit of everything that executors treat differently. */
export function schoolSchema() {
  const schema = makeExecutableSchema<SchoolContext>({
    typeDefs,
    resolvers: {
      Query: {
        hello: () => 'world',
        principal: (_source, _args, { principal }) => principal,
        teacher: async (_source, { id }) => (id === 'none' ? null : teacher(id)),
        teachers: (_source, { limit }) => some(Math.min(limit, 5), teacher),
        teachersConnection: (_source, { first = 3 }) => ({
          edges: some(first ?? 3, (n) => ({ node: teacher(n), cursor: `c${n}` })),
          nodes: some(first ?? 3, teacher),
          total: 3,
        }),
        members: () => [teacher(0), pupil(1), teacher(2)],
        named: async () => [teacher(0), Promise.resolve(pupil(1)), null],
        missing: () => undefined,
        strict: () => null,
        notReady: () => {
          throw new HoldfastError('NOT_READY', 'Not proven equal yet.');
        },
        boom: () => {
          throw new Error('secret internals');
        },
        coded: async () => {
          throw new GraphQLError('own code', { extensions: { code: 'OWN', hint: 'h', http: { status: 401 } } });
        },
        echo: (_source, args) => JSON.stringify(args),
        later: () => ({
          count: Promise.resolve(1),
          list: async () => [1, 2],
          self: () => ({ count: () => 2 }),
          computed: ({ by }: { by: number }) => by * 21,
        }),
        items: (_source, { count }) =>
          some(count, (n) =>
            n % 7 === 3 ? Promise.reject(new Error(`item ${n}`)) : n % 5 === 4 ? null : { id: n, value: `v${n}` },
          ),
        expensive: () => ({ id: 1 }),
        slow: (_source, _args, { probe, signal }) => {
          signal.addEventListener('abort', () => probe.aborted.push(signal.reason));
          return new Promise((resolve) => probe.release.push(() => resolve('done')));
        },
        self: () => ({}),
      },
      Teacher: {
        pupils: async ({ id }, { limit }) => some(Math.min(limit, 3), (n) => pupil(Number(id) * 10 + n)),
        fails: ({ id }) => (id === '1' ? Promise.reject(new Error(`fails ${id}`)) : 'fine'),
        strict: async ({ id }) => (id === '1' ? null : 'fine'),
      },
      Pupil: { teacher: () => teacher(1) },
      Item: {
        failing: ({ id }) => {
          if (id === 1) throw new HoldfastError('NOT_FOUND', 'No such item.', { details: { id } });
          return `f${id}`;
        },
      },
      Mutation: {
        setName: (_source, { id, name }) => ({ ...teacher(id), name }),
        slowly: (_source, _args, { probe }) => new Promise((resolve) => probe.release.push(() => resolve('done'))),
        fail: () => {
          throw new HoldfastError('CONFLICT', 'Changed meanwhile.', { details: { currentVersion: 7 } });
        },
      },
      Subscription: {
        ticks: {
          subscribe: async function* (_source, { count, large }, { probe }) {
            try {
              for (let n = 0; n < count; n++) {
                probe.produced++;
                yield { ticks: { n, payload: large ? PAYLOAD : null } };
              }
            } finally {
              probe.returned++;
            }
          },
        },
        waits: {
          subscribe: async function* (_source, _args, { probe, signal }) {
            try {
              probe.produced++;
              yield { waits: { n: 0 } };
              await new Promise((resolve) => signal.addEventListener('abort', resolve));
            } finally {
              probe.returned++;
            }
          },
        },
        failing: {
          subscribe: async function* () {
            yield { failing: { n: 1 } };
            throw new HoldfastError('CURSOR_EXPIRED', 'Too old.', { details: { oldest: '1.5' } });
          },
        },
        refused: {
          subscribe: () => {
            throw new HoldfastError('CURSOR_EXPIRED', 'Too old.', { details: { oldest: '1.5' } });
          },
        },
      },
      Tick: {
        bad: () => {
          throw new HoldfastError('NOT_FOUND', 'Gone.');
        },
      },
    },
  });
  const expensive = schema.getQueryType()?.getFields().expensive;
  if (expensive !== undefined) expensive.extensions = { cost: 400 };
  return schema;
}
