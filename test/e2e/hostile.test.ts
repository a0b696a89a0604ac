import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bareWebsocket, RawSocket } from '../server/support/raw-socket.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, ask, post } from '../support/graphql.ts';
import { type HoldfastProcess, runHoldfast, startHoldfast } from '../support/holdfast.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const SDL = `type Thing @entity {
  id: ID! @id
  name: String @index
  code: String @unique
  whole: Int
  number: Float
  safe: SafeInt
  data: JSON
  tags: [String!]
  parentId: ID
  parent: Thing @relation(field: "parentId")
  children: [Thing!]! @relation(field: "parentId")
}
`;
const APOLLO_CODES = [
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'BAD_USER_INPUT',
  'OPERATION_RESOLUTION_FAILURE',
  'PERSISTED_QUERY_NOT_SUPPORTED',
];
/** Sent with every request; must not be seen in answers or in the log. */
const SECRET = 'a-secret-nobody-may-read';
const CREATE =
  'mutation($input: CreateThingInput!) { createThing(input: $input) { thing { id name code number data } } }';
const FIND = 'query($where: ThingWhere) { things(where: $where) { id } }';
const MEMORY_BYTES = 700 * 1024 * 1024;

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let primary: HoldfastProcess;
let url: string;
let opsUrl: string;
let port: number;
let known: ReadonlySet<unknown>;
/** Length of the log that was looked at. */
let logged = 0;

beforeAll(async () => {
  directory = await temporaryDirectory();
  await mkdir(join(directory.path, 'schema'));
  await writeFile(join(directory.path, 'schema', 'thing.graphql'), SDL);
  const manual = await readFile(resolve(import.meta.dirname, '../../docs/errors.md'), 'utf8');
  known = new Set([...manual.matchAll(/^## ([A-Z_]+)$/gm)].map(([, code]) => code).concat(APOLLO_CODES));
  primary = startHoldfast(
    [
      ...['start', '--port', '0', '--ops-port', '0', '--schema', join(directory.path, 'schema')],
      ...['--data', join(directory.path, 'primary')],
    ],
    { NODE_ENV: 'production' },
  );
  ({ url, opsUrl } = await primary.ready);
  port = Number(new URL(url).port);
});

/** Whatever was sent: it answers, has not grown, and nothing failed that was not expected to. */
afterEach(async () => {
  expect(await ask(url, '{ thing(id: "nobody") { id } }')).toEqual({ thing: null });
  const metrics = await (await fetch(new URL('/metrics', opsUrl))).text();
  const bytes = Number(/^process_resident_memory_bytes (\S+)$/m.exec(metrics)?.[1]);
  expect(bytes).toBeLessThan(MEMORY_BYTES);
  const log = primary.output().slice(logged);
  logged += log.length;
  // A forged epoch looks like that of a promoted replica: the operator is told, and nothing else happens.
  const bad = /^(?!.*a replica follows a newer primary).*("level":[56]0|INTERNAL_SERVER_ERROR|a-secret-nobody).*$/gm;
  expect(log.match(bad)).toBeNull();
});

afterAll(async () => {
  await primary?.kill();
  await directory?.[Symbol.asyncDispose]();
});

/** Sends bytes as a request; the answer must be GraphQL's, every error coded, documented and without a stack. */
async function send(body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${SECRET}`, ...headers },
    body,
    signal: AbortSignal.timeout(15_000),
  });
  const text = await response.text();
  expect(text).not.toMatch(/ {4}at |node_modules|file:\/\//);
  expect(text).not.toContain(SECRET);
  const answer = JSON.parse(text) as Answer;
  for (const { extensions } of answer.errors ?? []) {
    expect(known).toContain(extensions.code);
    expect(extensions.code).not.toBe('INTERNAL_SERVER_ERROR');
    expect(extensions).toMatchObject({ retryable: expect.any(Boolean), requestId: expect.any(String) });
  }
  return answer;
}

const run = (query: string, variables: unknown = {}, headers: Record<string, string> = {}) =>
  send(JSON.stringify({ query, variables }), headers);
/** The variables as JSON that no JavaScript value gives. */
const runText = (query: string, variables: string) =>
  send(`{"query":${JSON.stringify(query)},"variables":${variables}}`);
const codeOf = ({ errors }: Answer) => errors?.[0]?.extensions.code;
const nested = (open: string, times: number, close: string, inner = '') =>
  open.repeat(times) + inner + close.repeat(times);

describe('bodies', () => {
  it.each<[string, string, Record<string, string>, string]>([
    ['malformed JSON', '{"query": "{ thingsCount }"', {}, 'BAD_REQUEST'],
    ['no JSON', 'query=%7BthingsCount%7D', { 'content-type': 'application/x-www-form-urlencoded' }, 'BAD_REQUEST'],
    ['a simple request of a browser', '{"query":"{ thingsCount }"}', { 'content-type': 'text/plain' }, 'BAD_REQUEST'],
    ['a batch', '[{"query":"{ thingsCount }"},{"query":"{ thingsCount }"}]', {}, 'BAD_REQUEST'],
    ['two megabytes', JSON.stringify({ query: '{ thingsCount }', x: 'x'.repeat(2 << 20) }), {}, 'PAYLOAD_TOO_LARGE'],
    ['a prototype to set', '{"query":"{ thingsCount }","__proto__":{"x":1}}', {}, 'BAD_REQUEST'],
    ['compressed garbage', '{"query":"{ thingsCount }"}', { 'content-encoding': 'gzip' }, 'BAD_REQUEST'],
  ])('of %s are refused', async (_name, body, headers, code) => {
    expect(codeOf(await send(body, headers))).toBe(code);
  });

  it('that are no UTF-8 do not get past the parser as something else', async () => {
    const bytes = new Uint8Array(Buffer.from('{"query":"{ thing(id: \\"\xff\xfe\\") { id } }"}', 'latin1'));
    expect(await send(bytes)).toMatchObject({ data: { thing: null } });
  });
});

describe('documents that ask for too much', () => {
  const fragments = Array.from({ length: 60 }, (_, i) => `fragment F${i} on Query { ...F${i + 1} ...F${i + 1} }`);
  it.each<[string, string, string]>([
    ['deep', `{ things { ${nested('parent { ', 40, '}', 'id ')} } }`, 'QUERY_TOO_DEEP'],
    [
      'full of aliases',
      `{ ${Array.from({ length: 40 }, (_, i) => `a${i}: thingsCount`).join(' ')} }`,
      'QUERY_TOO_COMPLEX',
    ],
    ['full of directives', `{ thingsCount ${'@include(if: true) '.repeat(50)} }`, 'QUERY_TOO_COMPLEX'],
    [
      'doubling in fragments',
      `{ ...F0 } ${fragments.join(' ')} fragment F60 on Query { thingsCount }`,
      'QUERY_TOO_COMPLEX',
    ],
    [
      'a circle of fragments',
      '{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }',
      'GRAPHQL_VALIDATION_FAILED',
    ],
    ['of many tokens', `{ ${'thingsCount '.repeat(3_000)} }`, 'GRAPHQL_PARSE_FAILED'],
    ['costly', '{ things(limit: 500) { children(limit: 500) { id } } }', 'QUERY_TOO_COMPLEX'],
    ['a long page', '{ things(limit: 501) { id } }', 'QUERY_TOO_COMPLEX'],
    ['a page far away', '{ things(offset: 2147483647) { id } }', 'BAD_USER_INPUT'],
    ['a negative page', '{ things(limit: -1) { id } }', 'BAD_USER_INPUT'],
    ['introspection', '{ __schema { types { name } } }', 'GRAPHQL_VALIDATION_FAILED'],
    [
      'a long page beside a follower’s question',
      '{ syncHello { head } things(limit: 100000) { id } }',
      'QUERY_TOO_COMPLEX',
    ],
  ])('are refused: %s', async (_name, query, code) => {
    expect(codeOf(await run(query))).toBe(code);
  });
});

describe('filters', () => {
  const many = (count: number) => Array.from({ length: count }, (_, i) => `name ${i}`);
  it.each<[string, string, string]>([
    ['an unknown operator', '{"name":{"$where":"1"}}', 'BAD_USER_INPUT'],
    ['operators for a value', '{"id":{"eq":{"$ne":null}}}', 'BAD_USER_INPUT'],
    ['the wrong type', '{"whole":{"gt":"1"}}', 'BAD_USER_INPUT'],
    ['an `in` of 50,000', JSON.stringify({ name: { in: many(50_000) } }), 'QUERY_TOO_COMPLEX'],
    ['an `or` of 20,000', JSON.stringify({ or: many(20_000).map((eq) => ({ name: { eq } })) }), 'QUERY_TOO_COMPLEX'],
    ['3,000 levels', nested('{"not":', 3_000, '}', '{}'), 'QUERY_TOO_COMPLEX'],
    ['100,000 levels', nested('{"not":', 100_000, '}', '{}'), 'BAD_USER_INPUT'],
    ['relations of relations of …', nested('{"parent":{"is":', 200, '}}', '{}'), 'QUERY_TOO_COMPLEX'],
    ['a prototype', '{"__proto__":{"name":{"eq":"x"}}}', 'BAD_REQUEST'],
    ['the name of a method', '{"constructor":{"eq":1}}', 'BAD_USER_INPUT'],
  ])('are refused: %s', async (_name, where, code) => {
    expect(codeOf(await runText(FIND, `{"where":${where}}`))).toBe(code);
  });

  it('take text literally, whatever it looks like', async () => {
    await run(CREATE, { input: { id: 'literal', name: "100% (a+)+$ 'quoted'; DROP TABLE things; --" } });
    const find = (text: string) => run(FIND, { where: { name: { contains: text } } });
    expect(await find('% (a+)+$')).toMatchObject({ data: { things: [{ id: 'literal' }] } });
    expect(await find("'; DROP TABLE")).toMatchObject({ data: { things: [{ id: 'literal' }] } });
    expect(await find('.*')).toMatchObject({ data: { things: [] } });
    expect(await find('_')).toMatchObject({ data: { things: [] } });
  });
});

describe('values', () => {
  it.each<[string, Record<string, unknown>]>([
    ['names of a prototype', { data: { constructor: 1, hasOwnProperty: {}, toString: null } }],
    ['names of operators and paths', { data: { $set: 1, 'a.b': 2, '': 3, $oid: 'x', $object: [] } }],
    ['zero bytes', { id: 'zero\0', name: 'a\0b', data: { 'k\0': 'v\0' } }],
    ['the largest numbers', { number: 1e308, data: [2 ** 53 + 2, -(2 ** 63), 5e-324] }],
    ['a text of 500,000 characters', { code: 'x'.repeat(500_000) }],
    ['an empty id', { id: '' }],
  ])('come back as they were sent: %s', async (_name, input) => {
    const answer = await run(CREATE, { input });
    expect(answer.errors).toBeUndefined();
    const { thing } = (answer.data as { createThing: { thing: { id: string } } }).createThing;
    expect(thing).toMatchObject(input);
    expect(await ask(url, 'query($id: ID!) { thing(id: $id) { id name code number data } }', { id: thing.id })).toEqual(
      {
        thing,
      },
    );
  });

  it('keep `__proto__` as the name of a field', async () => {
    await run('mutation { createThing(input: { id: "proto", data: { __proto__: { polluted: true } } }) { outcome } }');
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: '{ thing(id: "proto") { data } }' }),
    });
    expect(await response.text()).toContain('{"thing":{"data":{"__proto__":{"polluted":true}}}}');
  });

  it('keep halves of surrogate pairs apart from each other and from the replacement character', async () => {
    const halves = ['\ud800', '\ud801', '\udfff', '\ufffd'];
    for (const half of halves) expect((await run(CREATE, { input: { id: half, code: half } })).errors).toBeUndefined();
    for (const half of halves)
      expect(await run('query($code: String!) { thingByCode(code: $code) { id } }', { code: half })).toMatchObject({
        data: { thingByCode: { id: half } },
      });
  });

  it.each<[string, string]>([
    ['beyond 2^53', '{"safe":9007199254740993}'],
    ['beyond 32 bits', '{"whole":2147483648}'],
    ['beyond doubles', '{"number":1e400}'],
    ['that are text', '{"number":"NaN"}'],
  ])('that are numbers %s are refused', async (_name, input) => {
    expect(codeOf(await runText(CREATE, `{"input":${input}}`))).toBe('BAD_USER_INPUT');
  });

  it.each([150, 5_000, 50_000])('nested %i levels deep are refused', async (levels) => {
    const answer = await runText(CREATE, `{"input":{"data":${nested('[', levels, ']')}}}`);
    expect(codeOf(answer)).toBe('VALIDATION_FAILED');
  });

  it('of a name that is no field of the input are refused, prototypes among them', async () => {
    expect(codeOf(await runText(CREATE, '{"input":{"__proto__":{"name":"x"}}}'))).toBe('BAD_REQUEST');
    expect(codeOf(await runText(CREATE, '{"input":{"constructor":{}}}'))).toBe('BAD_USER_INPUT');
  });

  it('make a document of 16 MiB at most', async () => {
    await using large = await temporaryDirectory();
    await using server = startHoldfast(
      [
        ...['start', '--port', '0', '--ops-port', '0', '--data', large.path],
        ...['--schema', join(directory.path, 'schema')],
      ],
      { HOLDFAST_LIMITS_BODY_BYTES: String(64 << 20) },
    );
    const target = (await server.ready).url;
    const create = (bytes: number) => post(target, CREATE, { input: { id: 'large', name: 'x'.repeat(bytes) } });
    expect(codeOf(await create((16 << 20) + 1))).toBe('VALIDATION_FAILED');
    expect((await create((16 << 20) - 1_000)).errors).toBeUndefined();
    expect(await ask(target, '{ thingsCount }')).toEqual({ thingsCount: 1 });
  });
});

describe('cursors and headers', () => {
  it.each(['', 'x', 'AAAA', '\0', Buffer.from('[1,2,3]').toString('base64url'), 'x'.repeat(20_000)])(
    'that are no cursor are refused: %j',
    async (after) => {
      const query = 'query($after: String) { thingsConnection(first: 1, after: $after) { nodes { id } } }';
      expect(codeOf(await run(query, { after }))).toBe('BAD_USER_INPUT');
    },
  );

  it.each<[string, string, string]>([
    ['holdfast-min-position', 'garbage', 'VALIDATION_FAILED'],
    ['holdfast-min-position', '1.9007199254740993', 'VALIDATION_FAILED'],
    ['holdfast-min-position', '-1.5', 'VALIDATION_FAILED'],
    ['holdfast-min-position', '1.999999', 'STALE_READ'],
    ['holdfast-min-position', '999999.1', 'STALE_READ'],
    ['holdfast-max-staleness-ms', '1e9', 'VALIDATION_FAILED'],
    ['holdfast-max-staleness-ms', '-1', 'VALIDATION_FAILED'],
    ['idempotency-key', 'k'.repeat(10_000), 'VALIDATION_FAILED'],
    ['idempotency-key', '', 'VALIDATION_FAILED'],
  ])('%s: %s is refused', async (header, value, code) => {
    expect(codeOf(await run('{ thingsCount }', {}, { [header]: value }))).toBe(code);
  });

  it('with a request id that would forge a log line or a page are given a plain one', async () => {
    const answer = await run('{ nope }', {}, { 'x-request-id': '"><script>{"level":60}' });
    expect(answer.errors?.[0]?.extensions.requestId).toMatch(/^[\w-]+$/);
  });
});

describe('what followers ask', () => {
  const deep = nested('[', 3_000, ']');
  it.each<[string, string, unknown, string]>([
    ['10,000 rows', 'ids', Array.from({ length: 10_000 }, (_, i) => `"${i}"`), 'VALIDATION_FAILED'],
    ['rows by no ids', 'ids', ['a', '{', '\0'], 'VALIDATION_FAILED'],
    ['a row by a tag that is none', 'ids', ['{"$oid":"x"}'], 'VALIDATION_FAILED'],
    ['a row by a deep id', 'ids', [deep], 'VALIDATION_FAILED'],
    ['bucket -1', 'bucket', -1, 'VALIDATION_FAILED'],
    ['bucket 4096', 'bucket', 4_096, 'VALIDATION_FAILED'],
    ['a page of 10,001', 'limit', 10_001, 'VALIDATION_FAILED'],
    ['a collection of ours', 'collection', 'log', 'NOT_FOUND'],
    ['a collection of a prototype', 'collection', '__proto__', 'NOT_FOUND'],
    ['a collection with SQL', 'collection', 'things"; DROP TABLE log; --', 'NOT_FOUND'],
    ['a cursor that is none', 'cursor', 'x', 'VALIDATION_FAILED'],
    ['a cursor of 20,000 characters', 'cursor', 'A'.repeat(20_000), 'VALIDATION_FAILED'],
    ['digests of the future', 'at', '1.999999', 'CURSOR_EXPIRED'],
    ['digests of another epoch', 'at', '7.1', 'CURSOR_EXPIRED'],
    ['the chain at 0', 'sequences', [0], 'VALIDATION_FAILED'],
  ])('is refused: %s', async (_name, argument, value, code) => {
    const operation: Record<string, string> = {
      ids: 'query($value: [String!]!) { syncRows(collection: "things", ids: $value) { id } }',
      bucket: 'query($value: Int!) { syncBucketRows(collection: "things", bucket: $value) { position } }',
      limit: 'query($value: Int!) { syncSnapshot(collection: "things", limit: $value) { next } }',
      collection: 'query($value: String!) { syncSnapshot(collection: $value) { next } }',
      cursor: 'query($value: String!) { syncHello(cursor: $value) { status } }',
      at: 'query($value: Position!) { syncDigests(at: $value) { position } }',
      sequences: 'query($value: [SafeInt!]!) { syncChain(sequences: $value) }',
    };
    expect(codeOf(await run(operation[argument] ?? '', { value }))).toBe(code);
  });

  it('with a forged page token never leaves the collection', async () => {
    const page =
      'query($after: String) { syncSnapshot(collection: "things", after: $after, limit: 2) { rows { id } } }';
    for (const after of ["'; DROP TABLE log", 'AAAA', '{"a":1}', '['.repeat(10_000)]) {
      const answer = await run(page, { after });
      if (answer.errors === undefined) expect(JSON.stringify(answer.data)).toMatch(/^\{"syncSnapshot":\{"rows":/);
    }
  });

  it('with one bit of a cursor changed is never taken for ours', async () => {
    const { syncHello } = await ask<{ syncHello: { cursor: string } }>(url, '{ syncHello { cursor } }');
    const bytes = Buffer.from(syncHello.cursor, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit += 7) {
      const forged = Buffer.from(bytes);
      forged.writeUInt8((forged[bit >> 3] as number) ^ (1 << (bit & 7)), bit >> 3);
      const answer = await run('query($cursor: String!) { syncHello(cursor: $cursor) { status } }', {
        cursor: forged.toString('base64url'),
      });
      expect(answer.data).not.toMatchObject({ syncHello: { status: 'OK' } });
    }
  });
});

describe('connections', () => {
  const raw = async (text: string | Buffer): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.write(text);
    return socket;
  };
  const answered = async (socket: Socket): Promise<string> => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    await once(socket, 'close');
    return text;
  };
  const head = `POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n`;

  it.each<[string, string]>([
    ['garbage', '\x16\x03\x01garbage\r\n\r\n'],
    ['a version there is not', 'GET /graphql HTTP/9.9\r\n\r\n'],
    ['two lengths (smuggling)', `${head}content-length: 10\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['a negative length', `${head}content-length: -5\r\n\r\n`],
  ])('of %s are answered 400 with a code, and closed', async (_name, text) => {
    expect(await answered(await raw(text))).toMatch(/^HTTP\/1\.1 400 .*"code":"BAD_REQUEST"/s);
  });

  it('with headers that are too long are answered 431', async () => {
    expect(await answered(await raw(`${head}x-long: ${'x'.repeat(40_000)}\r\n\r\n`))).toMatch(
      /^HTTP\/1\.1 431 .*"code":"BAD_REQUEST"/s,
    );
  });

  it('that stop in the middle of a request, by the hundred, keep nobody waiting', async () => {
    const halves = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        raw(i % 2 === 0 ? head.slice(0, 60) : `${head}content-length: 100\r\n\r\n{`),
      ),
    );
    expect(await ask(url, '{ thing(id: "nobody") { id } }')).toEqual({ thing: null });
    for (const socket of halves) socket.resetAndDestroy();
  });

  it('that vanish while their mutation runs leave it done once', async () => {
    const body = JSON.stringify({ query: CREATE, variables: { input: { id: 'vanished', name: 'x' } } });
    const request = `${head}idempotency-key: vanished\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    for (let i = 0; i < 20; i++) (await raw(request)).resetAndDestroy();
    const again = await run(CREATE, { input: { id: 'vanished', name: 'x' } }, { 'idempotency-key': 'vanished' });
    expect(again.errors).toBeUndefined();
    expect(await run(FIND, { where: { name: { eq: 'x' } } })).toMatchObject({ data: { things: [{ id: 'vanished' }] } });
  });
});

describe('websockets', () => {
  const socketUrl = () => url.replace(/^http/, 'ws');

  it.each<[string, unknown, number]>([
    ['JSON that is none', 'hello', 4400],
    ['an unknown type', { type: 'launch' }, 4400],
    ['a list', '[]', 4400],
    [
      'a subscription before the introduction',
      { id: '1', type: 'subscribe', payload: { query: '{ thingsCount }' } },
      4401,
    ],
    ['a message of 2 MB', 'x'.repeat(2 << 20), 1009],
  ])('with %s are closed with %s', async (_name, message, code) => {
    const client = await RawSocket.open(socketUrl());
    client.send(message);
    expect((await client.closed).code).toBe(code);
  });

  it('that never introduce themselves, or twice, or speak another protocol, are closed', async () => {
    const silent = await RawSocket.open(socketUrl());
    expect((await silent.closed).code).toBe(4408);
    const twice = await RawSocket.ready(socketUrl());
    twice.send({ type: 'connection_init' });
    expect((await twice.closed).code).toBe(4429);
    const other = new RawSocket(socketUrl(), 'graphql-ws');
    expect([1006, 4406]).toContain((await other.closed).code);
  });

  it('with frames that are none are closed', async () => {
    for (const bytes of [
      Buffer.from([0xff, 0xff, 0xff, 0xff]),
      Buffer.from([0x81, 0x02, 0x7b, 0x7d]),
      Buffer.alloc(64),
    ]) {
      const socket = await bareWebsocket(port);
      socket.on('error', () => {});
      const closed = once(socket, 'close');
      socket.resume();
      socket.write(bytes);
      await closed;
    }
  });

  it('get coded errors for operations that are not right, and go on', async () => {
    const client = await RawSocket.ready(socketUrl());
    const refused = async (query: string, rest: Record<string, unknown> = {}) => {
      client.subscribe('1', query, rest);
      const { payload } = (await client.next('error')) as { payload: Answer['errors'] };
      expect(known).toContain(payload?.[0]?.extensions.code);
      return payload?.[0]?.extensions.code;
    };
    expect(await refused('{')).toBe('GRAPHQL_PARSE_FAILED');
    expect(await refused('subscription { nope }')).toBe('GRAPHQL_VALIDATION_FAILED');
    expect(await refused('subscription { thingChanged(after: "x") { id } }')).toBe('GRAPHQL_VALIDATION_FAILED');
    expect(await refused('subscription { syncChanges(cursor: "x") { to } }')).toBe('VALIDATION_FAILED');
    expect(await refused('subscription { a: thingChanged { id } b: thingChanged { id } }')).toBe(
      'GRAPHQL_VALIDATION_FAILED',
    );
    client.subscribe('3', 'subscription { thingChanged(after: "1.999999") { id } }');
    expect(await client.next('next')).toMatchObject({
      payload: { errors: [{ extensions: { code: 'VALIDATION_FAILED' } }] },
    });
    await client.next('complete');
    client.subscribe('2', '{ thing(id: "nobody") { id } }');
    expect(await client.next('next')).toMatchObject({ payload: { data: { thing: null } } });
  });
});

it('a replica takes over all of it, and is proven equal', async () => {
  await using replica = startHoldfast([
    ...['replica', '--primary', url.replace(/^http/, 'ws'), '--port', '0', '--ops-port', '0'],
    ...['--data', join(directory.path, 'replica')],
  ]);
  const ready = await replica.ready;
  const verified = await eventually('it follows', async () => {
    const result = await runHoldfast(['replica', 'verify', '--deep', '--url', ready.opsUrl]);
    return result.code === 1 ? undefined : result;
  });
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
  const every = '{ things(limit: 500, orderBy: [{ id: ASC }]) { id name code whole number safe data tags } }';
  expect(await ask(ready.url, every)).toEqual(await ask(url, every));
});
