import { type ExecutionResult, execute, type GraphQLSchema, parse, validate } from 'graphql';
import { expect, test } from 'vitest';
import { Compiler } from '../../src/server/compiler.ts';
import { Documents, type PreparedOperation } from '../../src/server/documents.ts';
import { DEFAULT_LIMITS } from '../../src/server/limits.ts';
import { schoolSchema } from './support/school.ts';

const schema = schoolSchema();
const context = { probe: { produced: 0, returned: 0, release: [], aborted: [] }, principal: 'p' };

function prepare(query: string, of: GraphQLSchema = schema): PreparedOperation {
  expect(validate(of, parse(query))).toEqual([]);
  const limits = { ...DEFAULT_LIMITS, depth: 50, aliases: 500, rootFields: 500, directives: 500 };
  const { operations, errors } = new Documents(of, { limits, production: false, compile: false }).prepare(query);
  expect(errors).toEqual([]);
  return operations[0] as PreparedOperation;
}

/** Executes until the compiler takes over; undefined when it declines. */
async function compiled(query: string, variables: Record<string, unknown> = {}, of = schema) {
  const compiler = new Compiler(of);
  const prepared = prepare(query, of);
  let result: ExecutionResult | undefined;
  for (let use = 0; use < 4; use++) result = await compiler.execute(prepared, context, variables);
  return result;
}

async function interpreted(query: string, variables: Record<string, unknown> = {}, of = schema) {
  return execute({ schema: of, document: parse(query), contextValue: context, variableValues: variables });
}

/** What the client would see: bytes, with errors in the order they are in. */
function bytes(result: ExecutionResult | undefined): string {
  return JSON.stringify({ errors: result?.errors?.map((error) => error.toJSON()), data: result?.data }, null, 1);
}

const COMPILED: [string, string, Record<string, unknown>?][] = [
  ['a scalar', '{ hello }'],
  ['aliases and __typename', '{ a: hello b: hello __typename t: __typename }'],
  ['an object by promise', '{ teacher(id: 1) { id name } }'],
  ['null for an object', '{ teacher(id: "none") { id } missing { id } }'],
  ['a list with its default argument', '{ teachers { id name } }'],
  ['a list in a list', '{ teachers(limit: 2) { name pupils(limit: 2) { name age level teacher { name } } } }'],
  ['a connection', '{ teachersConnection(first: 2) { edges { cursor node { name } } nodes { id } total } }'],
  [
    'fragments',
    'fragment T on Teacher { name ...P } fragment P on Teacher { pupils(limit: 1) { name } } { teacher(id: 1) { ...T ...P id } }',
  ],
  ['a fragment on an interface', '{ teacher(id: 1) { ... on Named { name } ... { id } } }'],
  [
    'merged selections',
    '{ teacher(id: 1) { name } teacher(id: 1) { id pupils(limit: 1) { id } pupils(limit: 1) { name } } }',
  ],
  [
    'literals in arguments',
    '{ echo(where: { name: "x", levels: [JUNIOR] }, any: { a: [1, 2.5, "s", null, true] }, list: 3) }',
  ],
  ['enum defaults and nulls', '{ a: echo(level: null) b: echo(level: JUNIOR) c: echo(where: null) }'],
  [
    'variables nested in literals',
    'query ($n: String, $l: Level!) { echo(where: { name: $n, levels: [$l] }, list: [1, 2]) }',
    { l: 'SENIOR' },
  ],
  [
    'variables left out',
    'query ($n: String, $w: Where, $a: Any) { echo(where: { name: $n }) other: echo(where: $w, any: $a) }',
  ],
  [
    'variables that are null',
    'query ($n: String, $w: Where) { echo(where: { name: $n }) other: echo(where: $w) }',
    { n: null, w: null },
  ],
  ['variables with defaults', 'query ($w: Where = { name: "d" }, $l: Level = JUNIOR) { echo(where: $w, level: $l) }'],
  ['a variable for a list item', 'query ($i: Int!) { echo(list: [$i, 2]) }', { i: 7 }],
  ['a single value for a list', 'query ($i: [Int!]) { echo(list: $i) }', { i: 7 }],
  ['any value', 'query ($a: Any) { echo(any: $a) }', { a: { deep: [{ x: null }], when: '2026' } }],
  [
    '@skip and @include',
    'query ($y: Boolean!, $n: Boolean = false) { a: hello @include(if: $y) b: hello @skip(if: $y) c: hello @include(if: $n) d: hello @skip(if: true) }',
    { y: true },
  ],
  [
    'a condition on one of two spreads',
    'query ($y: Boolean!) { teacher(id: 1) { ...N @include(if: $y) ...N } } fragment N on Teacher { name }',
    { y: false },
  ],
  [
    'a condition on one of two same fields',
    'query ($y: Boolean!) { teacher(id: 1) { name @skip(if: $y) name } }',
    { y: true },
  ],
  ['a selection that is left empty', '{ teacher(id: 1) { name @skip(if: true) } hello @skip(if: true) }'],
  ['an error thrown', '{ boom hello }'],
  ['an error with a code of its own', '{ coded hello }'],
  ['an error of a list item, nulls between', '{ items(count: 9) { id value } }'],
  ['an error in an object of a list', '{ items(count: 3) { id failing } }'],
  ['a rejected field of a list', '{ teachers(limit: 3) { id fails } }'],
  ['null for a non-null field', '{ strict }'],
  ['null for a non-null field far down', '{ hello teacher(id: 1) { id strict } }'],
  ['null that empties a list', '{ hello self { teachers(limit: 3) { id strict } } }'],
];

test.each(COMPILED)('compiled: %s', async (_name, query, variables) => {
  const result = await compiled(query, variables);
  expect(result).toBeDefined();
  expect(bytes(result)).toBe(bytes(await interpreted(query, variables)));
});

const DECLINED: [string, string, Record<string, unknown>?][] = [
  ['unions', '{ members { ... on Teacher { name } ... on Pupil { age } __typename } }'],
  ['interfaces', '{ named { name __typename } }'],
  ['a wrong argument value', 'query ($i: Int = 3) { items(count: $i) { id } hello }', { i: null }],
  ['introspection', '{ __schema { queryType { name } } __type(name: "Teacher") { name } }'],
  ['promises and functions as properties', '{ later { count list computed(by: 3) self { count } } }'],
  ['mutations', 'mutation { setName(id: 1, name: "x") { name } }'],
  ['wrong variables', 'query ($id: ID!) { teacher(id: $id) { id } }', { id: {} }],
  [
    'more conditions than variants are kept for',
    'query ($a: Boolean!, $b: Boolean!, $c: Boolean!, $d: Boolean!, $e: Boolean!) { a: hello @skip(if: $a) b: hello @skip(if: $b) c: hello @skip(if: $c) d: hello @skip(if: $d) e: hello @skip(if: $e) }',
    { a: true, b: true, c: true, d: true, e: false },
  ],
  ['names that JavaScript takes for something else', '{ __proto__: hello }'],
];

test.each(DECLINED)('left to graphql-js: %s', async (_name, query, variables) => {
  expect(await compiled(query, variables)).toBeUndefined();
});

test('several errors are the same ones, whatever their order', async () => {
  const query = '{ boom coded teachers(limit: 3) { fails strict } items(count: 11) { failing } }';
  const messages = (result: ExecutionResult | undefined) => new Set(result?.errors?.map(({ message }) => message));
  const result = await compiled(query);
  const expected = await interpreted(query);
  expect(result?.data).toEqual(expected.data);
  expect([...messages(expected)].every((message) => messages(result).has(message))).toBe(true);
});

test('compiles a query only when it comes again', async () => {
  const compiler = new Compiler(schema);
  const prepared = prepare('{ hello }');
  const answers = [1, 2, 3].map(() => compiler.execute(prepared, context, {}));
  expect(answers.map((answer) => answer === undefined)).toEqual([true, true, false]);
});

test('resolvers see the schema, type, operation and variables they would see otherwise', async () => {
  const own = schoolSchema();
  const seen: unknown[] = [];
  const field = own.getQueryType()?.getFields().hello;
  if (field !== undefined) {
    field.resolve = (_source, _args, _context, info) => {
      const { schema: infoSchema, parentType, returnType, operation, variableValues, fieldName, path } = info;
      seen.push([
        infoSchema === own,
        parentType === own.getQueryType(),
        String(returnType),
        operation.name?.value,
        variableValues,
        fieldName,
        path.key,
      ]);
      return 'x';
    };
  }
  const query = 'query Named($y: Boolean!) { alias: hello @include(if: $y) }';
  await compiled(query, { y: true }, own);
  await interpreted(query, { y: true }, own);
  expect(seen.at(-2)).toEqual(seen.at(-1));
});

test('a getter that throws spoils the answer, not the process', async () => {
  const own = schoolSchema();
  const field = own.getQueryType()?.getFields().teacher;
  const spoilt = {
    id: 1,
    get name() {
      throw new Error('getter');
    },
  };
  if (field !== undefined) field.resolve = async () => spoilt;
  expect(await compiled('{ teacher(id: 1) { name } }', {}, own)).toBeUndefined();
});

test('bombs of fragments are not compiled', async () => {
  const level = (n: number) =>
    `fragment F${n} on Query { a: self { ...F${n + 1} } b: self { ...F${n + 1} } c: self { ...F${n + 1} } }`;
  const fragments = [...Array.from({ length: 8 }, (_, n) => level(n)), 'fragment F8 on Query { hello }'];
  const compiler = new Compiler(schema);
  const prepared = prepare(`{ ...F0 } ${fragments.join(' ')}`);
  for (let use = 0; use < 4; use++) expect(compiler.execute(prepared, context, {})).toBeUndefined();
});
