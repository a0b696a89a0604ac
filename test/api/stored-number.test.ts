import { Decimal128, Double, Long } from 'bson';
import { expect, test } from 'vitest';
import { createApiContext } from '../../src/api/context.ts';
import { Compiler } from '../../src/server/compiler.ts';
import { Documents, type PreparedOperation } from '../../src/server/documents.ts';
import { DEFAULT_LIMITS } from '../../src/server/limits.ts';
import { testApi } from '../support/api.ts';

const SDL =
  'type Thing @entity { id: ID! @id  n: Int  f: Float  list: [Int!]  old: Int @field(name: "was")  in: Part } type Part { n: Int! }';
const QUERY = '{ things { n f list old in { n } } }';
const STORED = [
  {
    ...{ _id: 'a', n: Long.fromInt(7), f: Long.fromNumber(5_000_000_000), list: [1, Long.fromInt(2)] },
    ...{ was: Long.fromInt(-3), in: { n: Long.fromInt(4) } },
  },
  { _id: 'b', n: new Double(7), f: Decimal128.fromString('0.5'), list: null, was: 1, in: { n: 2 ** 31 - 1 } },
];
const SEEN = [
  { n: 7, f: 5_000_000_000, list: [1, 2], old: -3, in: { n: 4 } },
  { n: 7, f: 0.5, list: null, old: 1, in: { n: 2 ** 31 - 1 } },
];

function setUp(documents = STORED as readonly Record<string, unknown>[]) {
  const api = testApi(SDL);
  api.service.seed(api.entity('Thing'), documents);
  return api;
}

test('numbers that other programs stored are read as Int and Float', async () => {
  expect(await setUp().data(QUERY)).toEqual({ things: SEEN });
});

test('also by compiled queries', async () => {
  const { schema, service, model } = setUp();
  const compiler = new Compiler(schema);
  const [prepared] = new Documents(schema, { limits: DEFAULT_LIMITS, production: false, compile: false }).prepare(QUERY)
    .operations as [PreparedOperation];
  const answer = () =>
    compiler.execute(
      prepared,
      createApiContext(service, { principal: 'p', signal: new AbortController().signal }, model),
      {},
    );
  for (let use = 0; use < 3; use++) await answer();
  expect(JSON.parse(JSON.stringify(await answer()))).toEqual({ data: { things: SEEN } });
});

test.each([Long.fromNumber(2 ** 31), Long.fromString('9007199254740993'), 0.5, Decimal128.fromString('0.5')])(
  'what is no Int is none: %s',
  async (n) => {
    const { errors } = await setUp([{ _id: 'a', n }]).run('{ things { n } }');
    expect(errors?.[0]?.message).toMatch(/^Int cannot represent non/);
  },
);
