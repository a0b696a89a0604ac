import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { HoldfastError } from '../../src/errors.ts';
import { post, request, type Served, serve } from './support/serve.ts';

let served: Served | undefined;

/** Whatever was sent, the next request is answered. */
afterEach(async () => {
  if (served !== undefined) expect((await post(served.url, { query: '{ hello }' })).status).toBe(200);
  served = undefined;
});

const JSON_TYPE = { 'content-type': 'application/json' };
const BODIES: [string, number, string, RequestInit][] = [
  ['malformed JSON', 400, 'BAD_REQUEST', { headers: JSON_TYPE, body: '{"query": "{ hello }"' }],
  ['no body', 400, 'BAD_REQUEST', { headers: JSON_TYPE }],
  ['null', 400, 'BAD_REQUEST', { headers: JSON_TYPE, body: 'null' }],
  ['a number', 400, 'BAD_REQUEST', { headers: JSON_TYPE, body: '7' }],
  ['a batch', 400, 'BAD_REQUEST', { headers: JSON_TYPE, body: '[{"query":"{ hello }"},{"query":"{ hello }"}]' }],
  ['an empty batch', 400, 'BAD_REQUEST', { headers: JSON_TYPE, body: '[]' }],
  ['no query', 400, 'BAD_REQUEST', { headers: JSON_TYPE, body: '{"variables":{}}' }],
  ['an empty query', 400, 'BAD_REQUEST', { headers: JSON_TYPE, body: '{"query":""}' }],
  ['a query that is no text', 400, 'BAD_REQUEST', { headers: JSON_TYPE, body: '{"query":{"a":1}}' }],
  [
    'variables that are a list',
    400,
    'BAD_REQUEST',
    { headers: JSON_TYPE, body: '{"query":"{ hello }","variables":[1]}' },
  ],
  ['a prototype to set', 400, 'BAD_REQUEST', { headers: JSON_TYPE, body: '{"query":"{ hello }","__proto__":{"x":1}}' }],
  ...['"__proto__" : {}', '"\\u005f_proto__":{}', '"__\\u0070roto__":{}', '"constructor":{"prototype":{}}'].map(
    (field): (typeof BODIES)[number] => [
      `a prototype to set in a variable: ${field}`,
      400,
      'BAD_REQUEST',
      { headers: JSON_TYPE, body: `{"query":"{ hello }","variables":{"a":[{${field}}]}}` },
    ],
  ),
  [
    'a persisted query',
    200,
    'PERSISTED_QUERY_NOT_SUPPORTED',
    { headers: JSON_TYPE, body: '{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"x"}}}' },
  ],
  ['a query of comments', 200, 'GRAPHQL_PARSE_FAILED', { headers: JSON_TYPE, body: '{"query":"# nothing"}' }],
  [
    'only a fragment',
    200,
    'GRAPHQL_VALIDATION_FAILED',
    { headers: JSON_TYPE, body: '{"query":"fragment F on Query { hello }"}' },
  ],
  [
    'a type system document',
    200,
    'GRAPHQL_VALIDATION_FAILED',
    { headers: JSON_TYPE, body: '{"query":"type X { a: Int }"}' },
  ],
  [
    'an unknown operation',
    200,
    'OPERATION_RESOLUTION_FAILURE',
    { headers: JSON_TYPE, body: '{"query":"{ hello }","operationName":"X"}' },
  ],
  [
    'two operations without a choice',
    200,
    'OPERATION_RESOLUTION_FAILURE',
    { headers: JSON_TYPE, body: '{"query":"query A { hello } query B { hello }"}' },
  ],
  [
    'a variable of the wrong type',
    200,
    'BAD_USER_INPUT',
    { headers: JSON_TYPE, body: '{"query":"query ($n: Int!) { items(count: $n) { id } }","variables":{"n":"x"}}' },
  ],
  [
    'a variable that is missing',
    200,
    'BAD_USER_INPUT',
    { headers: JSON_TYPE, body: '{"query":"query ($n: Int!) { items(count: $n) { id } }"}' },
  ],
  [
    'null for an argument that must not be',
    200,
    'BAD_USER_INPUT',
    { headers: JSON_TYPE, body: '{"query":"query ($n: Int = 1) { items(count: $n) { id } }","variables":{"n":null}}' },
  ],
  ['a subscription', 400, 'BAD_REQUEST', { headers: JSON_TYPE, body: '{"query":"subscription { waits { n } }"}' }],
  ['an unknown content type', 415, 'BAD_REQUEST', { headers: { 'content-type': 'application/xml' }, body: '<query/>' }],
  ['a content type that is none', 415, 'BAD_REQUEST', { headers: { 'content-type': ';;;' }, body: '{}' }],
  [
    'an unknown charset',
    415,
    'BAD_REQUEST',
    { headers: { 'content-type': 'application/json; charset=utf-7' }, body: '{"query":"{ hello }"}' },
  ],
  ['a compressed body', 415, 'BAD_REQUEST', { headers: { ...JSON_TYPE, 'content-encoding': 'gzip' }, body: 'x' }],
  [
    'an answer nobody can give',
    406,
    'BAD_REQUEST',
    { headers: { ...JSON_TYPE, accept: 'text/csv' }, body: '{"query":"{ hello }"}' },
  ],
];

test.each(BODIES)('%s', async (_name, status, code, init) => {
  served = await serve();
  const answer = await request(served.url, { method: 'POST', ...init });
  expect(answer.status).toBe(status);
  const extensions = answer.errors?.[0]?.extensions;
  expect(extensions?.code).toBe(code);
  expect(extensions?.retryable).toBe(false);
  expect(extensions?.requestId).toBe(answer.headers.get('x-request-id'));
  expect(Object.values(answer.data ?? {}).filter((value) => value !== null)).toEqual([]);
});

test.each([
  ['variables that are not JSON', '?query=%7Bhello%7D&variables=%7B', 400],
  ['a parameter twice', '?query=%7Bhello%7D&query=%7Bhello%7D', 400],
  ['no query', '', 400],
  ['broken percent encoding', '?query=%E0%A4%A', 200],
])('by GET: %s', async (_name, search, status) => {
  served = await serve();
  const answer = await request(`${served.url}${search}`);
  expect(answer.status).toBe(status);
  expect(answer.errors?.[0]?.extensions.requestId).toBeDefined();
});

test('other paths and methods', async () => {
  served = await serve();
  expect((await request(`${served.server.url}/nope?secret=1`)).status).toBe(404);
  const answer = await request(served.url, { method: 'DELETE' });
  expect(answer.status).toBe(405);
  expect(answer.headers.get('allow')).toBe('GET, POST');
  expect(answer.errors?.[0]?.extensions.code).toBe('BAD_REQUEST');
});

test('bytes that are not HTTP', async () => {
  served = await serve();
  const socket = connect(served.server.port, '127.0.0.1');
  const answer = await new Promise<string>((resolve) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.on('close', () => resolve(text));
    socket.write('\u0000\u0001 nonsense\r\n\r\n');
  });
  expect(answer).toContain('400 Bad Request');
});

test('a request id is taken over when it is a plain one', async () => {
  served = await serve();
  const ask = (id: string) => post(served?.url ?? '', { query: '{ hello }' }, { 'x-request-id': id });
  expect((await ask('abc-123/4')).headers.get('x-request-id')).toBe('abc-123/4');
  const drawn = (await ask('two words {"level":50}')).headers.get('x-request-id');
  expect(drawn).toMatch(/^[\w-]{14,}$/);
  expect((await ask('x'.repeat(200))).headers.get('x-request-id')).toMatch(/^[\w-]{14,40}$/);
});

test('errors carry code, retryable and requestId; details of ours; nothing internal in production', async () => {
  served = await serve({ production: true });
  const query = '{ hello boom coded strict items(count: 2) { failing } }';
  const answer = await post(served.url, { query }, { 'x-request-id': 'r1' });
  expect(answer.status).toBe(200);
  const byPath = Object.fromEntries((answer.errors ?? []).map((error) => [error.path?.[0], error]));
  expect(answer.text).not.toContain('secret internals');
  expect(byPath.strict?.message).toBe('Cannot return null for non-nullable field Query.strict.');
  const named = await post(
    served.url,
    { query: '{ hello boom coded items(count: 2) { failing } }' },
    { 'x-request-id': 'r2' },
  );
  expect(named.data).toEqual({
    hello: 'world',
    boom: null,
    coded: null,
    items: [{ failing: 'f0' }, { failing: null }],
  });
  expect(named.errors?.map(({ path, message, extensions }) => [path?.join('.'), message, extensions])).toEqual(
    expect.arrayContaining([
      [
        'boom',
        'Something failed inside; the log says more under the requestId.',
        { code: 'INTERNAL_SERVER_ERROR', retryable: false, requestId: 'r2' },
      ],
      ['coded', 'own code', { code: 'OWN', hint: 'h', retryable: false, requestId: 'r2' }],
      ['items.1.failing', 'No such item.', { code: 'NOT_FOUND', id: 1, retryable: false, requestId: 'r2' }],
    ]),
  );
  expect(served.log.filter(({ level, requestId }) => level === 50 && requestId === 'r2')).toHaveLength(1);
});

test('a whole request that failed with a code of the catalogue has its status', async () => {
  served = await serve();
  expect((await post(served.url, { query: '{ notReady }' })).status).toBe(503);
  expect((await post(served.url, { query: '{ notReady hello }' })).status).toBe(503); // data is null: hello went with it
  expect((await post(served.url, { query: '{ boom }' })).status).toBe(200);
  expect((await post(served.url, { query: 'mutation { fail }' })).errors?.[0]?.extensions).toMatchObject({
    code: 'CONFLICT',
    currentVersion: 7,
  });
});

test('what the context throws is the answer', async () => {
  const context = () => {
    throw new HoldfastError('NOT_READY', 'Not yet.');
  };
  const { url } = await serve({ context });
  const answer = await post(url, { query: '{ hello }' });
  expect(answer.status).toBe(503);
  expect(answer.errors?.[0]).toMatchObject({ message: 'Not yet.', extensions: { code: 'NOT_READY', retryable: true } });
});

test('what checkReady throws is the answer, whatever the query says', async () => {
  let ready = false;
  const checkReady = () => {
    if (!ready) throw new HoldfastError('NOT_READY', 'Not yet.');
  };
  const { url } = await serve({ checkReady });
  for (const query of ['{ hello }', '{ notInThisSchema }', 'mutation { fail }']) {
    const answer = await post(url, { query });
    expect(answer.status).toBe(503);
    expect(answer.errors?.[0]?.extensions.code).toBe('NOT_READY');
  }
  ready = true;
  expect((await post(url, { query: '{ hello }' })).status).toBe(200);
});
