import { getIntrospectionQuery } from 'graphql';
import { expect, test } from 'vitest';
import { type Answer, post, request, serve, until } from './support/serve.ts';

const nested = (depth: number) => `${'{ self '.repeat(depth - 1)}{ hello }${' }'.repeat(depth - 1)}`;
const many = (count: number, make: (n: number) => string) => Array.from({ length: count }, (_, n) => make(n)).join(' ');

function code(answer: Answer): unknown {
  return answer.errors?.[0]?.extensions.code;
}

test('tokens', async () => {
  const { url } = await serve();
  const answer = await post(url, { query: `{ ${'hello '.repeat(2000)} }` });
  expect(code(answer)).toBe('GRAPHQL_PARSE_FAILED');
  expect(answer.errors?.[0]?.message).toContain('2000 tokens');
});

test('depth, leaves included, through fragments too', async () => {
  const { url } = await serve();
  expect((await post(url, { query: nested(10) })).errors).toBeUndefined();
  const refused = await post(url, { query: nested(11) });
  expect(refused.errors?.[0]?.extensions).toMatchObject({
    code: 'QUERY_TOO_DEEP',
    depth: 11,
    max: 10,
    retryable: false,
  });
  const fragment = `{ self { ...F } } fragment F on Query ${nested(10)}`;
  expect(code(await post(url, { query: fragment }))).toBe('QUERY_TOO_DEEP');
});

test('introspection may be deeper than data', async () => {
  const { url } = await serve();
  expect((await post(url, { query: getIntrospectionQuery({ inputValueDeprecation: true }) })).errors).toBeUndefined();
});

test.each([
  ['aliases', `{ ${many(15, (n) => `a${n}: hello`)} }`, `{ ${many(16, (n) => `a${n}: hello`)} }`],
  ['root fields', `{ ${'hello '.repeat(20)} }`, `{ ${'hello '.repeat(21)} }`],
  [
    'root fields',
    `{ ${'...F '.repeat(10)} } fragment F on Query { hello strict: __typename }`,
    `{ ${'...F '.repeat(11)} } fragment F on Query { hello strict: __typename }`,
  ],
  ['directives', `{ ${'hello @skip(if: false) '.repeat(8)} }`, `{ ${'hello @skip(if: false) '.repeat(9)} }`],
  ['repetitions of one field', `{ self { ${'hello '.repeat(50)} } }`, `{ self { ${'hello '.repeat(51)} } }`],
])('%s', async (limit, allowed, refused) => {
  const { url } = await serve();
  expect((await post(url, { query: allowed })).errors).toBeUndefined();
  const answer = await post(url, { query: refused });
  expect(answer.errors?.[0]?.extensions).toMatchObject({ code: 'QUERY_TOO_COMPLEX', limit });
  expect(answer.status).toBe(200);
  expect((await post(url, { query: refused }, { accept: 'application/graphql-response+json' })).status).toBe(400);
});

test('cost: lists by their length, variables and weights resolved', async () => {
  const { url } = await serve();
  const query = 'query ($n: Int = 10, $m: Int) { teachers(limit: $n) { pupils(limit: $m) { teacher { name } } } }';
  // n × (1 + m × (1 + 1))
  expect((await post(url, { query, variables: { n: 49, m: 50 } })).errors).toBeUndefined();
  const refused = await post(url, { query, variables: { n: 50, m: 50 } });
  expect(refused.errors?.[0]?.extensions).toMatchObject({
    code: 'QUERY_TOO_COMPLEX',
    limit: 'cost',
    cost: 5050,
    max: 5000,
  });
  expect((await post(url, { query, variables: { m: 200 } })).errors).toBeUndefined();
  expect((await post(url, { query, variables: { n: 500, m: null } })).errors?.[0]?.extensions.cost).toBe(50_500);
  expect((await post(url, { query: `{ ${many(12, (n) => `e${n}: expensive { id }`)} }` })).errors).toBeUndefined();
  expect(
    (await post(url, { query: `{ ${many(13, (n) => `e${n}: expensive { id }`)} }` })).errors?.[0]?.extensions.cost,
  ).toBe(5200);
});

test.each(['toString', 'constructor', 'valueOf'])('cost: the default of a variable named %s counts', async (name) => {
  const { url } = await serve();
  const query = `query ($${name}: Int = 1000000) { teachers(limit: $${name}) { name } }`;
  expect(code(await post(url, { query }))).toBe('QUERY_TOO_COMPLEX');
});

test('cost of a connection: its length is that of the lists in it', async () => {
  const { url } = await serve({ limits: { cost: 60 } });
  const query = (n: number) => `{ teachersConnection(first: ${n}) { edges { node { name } } nodes { id } } }`;
  // 1 + n × (1 + 1) + n
  expect((await post(url, { query: query(19) })).errors).toBeUndefined();
  expect((await post(url, { query: query(20) })).errors?.[0]?.extensions).toMatchObject({ cost: 61 });
});

test('page', async () => {
  const { url } = await serve();
  const answer = await post(url, { query: '{ teachers(limit: 501) { id } }' });
  expect(answer.errors?.[0]?.extensions).toMatchObject({
    code: 'QUERY_TOO_COMPLEX',
    limit: 'page',
    count: 501,
    max: 500,
  });
  const both = 'query ($f: Int) { teachersConnection(first: $f, last: 501) { total } }';
  expect(code(await post(url, { query: both, variables: { f: null } }))).toBe('QUERY_TOO_COMPLEX');
});

test('bombs of fragments and fragment cycles cost no more than their text', async () => {
  const { url } = await serve();
  const bomb = many(20, (n) => `fragment F${n} on Query { ${many(10, () => `...F${n + 1}`)} }`);
  const answer = await post(url, { query: `{ ...F0 } ${bomb} fragment F20 on Query { hello }` });
  expect(answer.errors?.[0]?.extensions).toMatchObject({ code: 'QUERY_TOO_COMPLEX', limit: 'root fields' });
  const wide = many(7, (n) => `fragment G${n} on Query { a: self { ...G${n + 1} } self { ...G${n + 1} } }`);
  const costly = await post(url, { query: `{ self { ...G0 } } ${wide} fragment G7 on Query { teachers { id } }` });
  expect(costly.errors?.[0]?.extensions).toMatchObject({ code: 'QUERY_TOO_COMPLEX', limit: 'cost', cost: 6655 });
  const cycle = await post(url, { query: '{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }' });
  expect(code(cycle)).toBe('GRAPHQL_VALIDATION_FAILED');
  expect(cycle.errors?.[0]?.message).toContain('Cannot spread fragment');
});

test('no more than five validation errors', async () => {
  const { url } = await serve();
  const answer = await post(url, { query: `{ ${many(15, (n) => `nope${n}`)} }` });
  expect(answer.errors).toHaveLength(6);
  expect(answer.errors?.[5]?.message).toContain('Too many validation errors');
});

test('in production neither introspection nor suggestions', async () => {
  const { url } = await serve({ production: true });
  const introspection = await post(url, { query: '{ __schema { queryType { name } } }' });
  expect(code(introspection)).toBe('GRAPHQL_VALIDATION_FAILED');
  const misspelt = await post(url, { query: '{ helo teacher(i: 1) { nam } }' });
  expect(misspelt.errors?.length).toBeGreaterThan(1);
  expect(misspelt.text).not.toContain('Did you mean');
  const input = 'query ($w: Where) { echo(where: $w) }';
  expect((await post(url, { query: input, variables: { w: { nam: 1 } } })).text).not.toContain('Did you mean');
  const { url: open } = await serve();
  expect((await post(open, { query: '{ helo }' })).text).toContain('Did you mean');
});

test('body', async () => {
  const { url } = await serve();
  const answer = await post(url, { query: '{ hello }', variables: { fill: 'x'.repeat(2 * 1024 * 1024) } });
  expect(answer.status).toBe(413);
  expect(answer.errors?.[0]?.extensions).toMatchObject({ code: 'PAYLOAD_TOO_LARGE', max: 1024 * 1024 });
  expect((await post(url, { query: '{ hello }' })).status).toBe(200);
});

test('execution: the caller is told and the resolvers’ signal aborts', async () => {
  const { url, probe } = await serve({ limits: { executionMs: 20 } });
  const answer = await post(url, { query: '{ hello slow }' });
  expect(answer.status).toBe(504);
  expect(answer.data).toBeUndefined();
  expect(answer.errors?.[0]?.extensions).toMatchObject({ code: 'REQUEST_TIMEOUT', limitMs: 20, retryable: true });
  expect(probe.aborted).toHaveLength(1);
});

test('rate: by principal, else by address', async () => {
  const { url } = await serve({
    limits: { rate: { perSecond: 0.001, burst: 4 } },
    authenticate: ({ headers }) => ({ principal: headers.authorization ?? 'anonymous', roles: [] }),
  });
  const ask = (authorization: string) => post(url, { query: '{ hello }' }, { authorization });
  expect((await ask('ann')).status).toBe(200); // two: the text is new
  expect((await ask('ann')).status).toBe(200);
  expect((await ask('ann')).status).toBe(200);
  const refused = await ask('ann');
  expect(refused.status).toBe(429);
  expect(refused.errors?.[0]?.extensions).toMatchObject({ code: 'RATE_LIMITED', retryable: true });
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await ask('bob')).status).toBe(200);
});

test('rate: texts that were never seen count before they are parsed', async () => {
  const { url } = await serve({ limits: { rate: { perSecond: 0.001, burst: 2 } } });
  expect(code(await post(url, { query: '{ nope1 }' }))).toBe('GRAPHQL_VALIDATION_FAILED');
  expect(code(await post(url, { query: '{ nope2 }' }))).toBe('GRAPHQL_VALIDATION_FAILED');
  expect(code(await post(url, { query: '{ nope3 }' }))).toBe('RATE_LIMITED');
});

test('page, cost, rate and execution limits are waived for exempt operations only', async () => {
  const seen: unknown[] = [];
  const { url, probe } = await serve({
    limits: { page: 5, cost: 5, executionMs: 20, rate: { perSecond: 0.001, burst: 5 } },
    authenticate: ({ headers }) => ({ principal: headers.authorization ?? '', roles: [] }),
    exempt: (info, operation) => {
      seen.push([info.principal, operation.type, operation.fields]);
      return info.principal === 'replica';
    },
  });
  const query = '{ slow ...F } fragment F on Query { teachers(limit: 50) { id } }';
  const exempt = post(url, { query }, { authorization: 'replica' });
  await until(() => probe.release.length === 1);
  expect(code(await post(url, { query: '{ slow }' }, { authorization: 'ann' }))).toBe('REQUEST_TIMEOUT');
  probe.release[0]?.();
  expect((await exempt).errors).toBeUndefined();
  expect(code(await post(url, { query }, { authorization: 'ann' }))).toBe('QUERY_TOO_COMPLEX');
  expect(seen[0]).toEqual(['replica', 'query', ['slow', 'teachers']]);
});

test('a client that goes away ends its request', async () => {
  const { url, probe } = await serve();
  const abort = new AbortController();
  const gone = request(`${url}?query=%7Bslow%7D`, { signal: abort.signal }).catch((error: Error) => error.name);
  await until(() => probe.release.length === 1);
  abort.abort();
  expect(await gone).toBe('AbortError');
  await until(() => probe.aborted.length === 1);
});
