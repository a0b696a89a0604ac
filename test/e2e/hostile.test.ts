import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { ask, post } from '../support/graphql.ts';
import { runHoldfast, startHoldfast } from '../support/holdfast.ts';
import { shared } from '../support/servers/shared.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { CREATE, codeOf, FIND, startTarget } from './support/target.ts';

const target = shared(startTarget);
afterEach(() => target().expectWell());

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
    expect(codeOf(await target().send(body, headers))).toBe(code);
  });

  it('that are no UTF-8 do not get past the parser as something else', async () => {
    const bytes = new Uint8Array(Buffer.from('{"query":"{ thing(id: \\"\xff\xfe\\") { id } }"}', 'latin1'));
    expect(await target().send(bytes)).toMatchObject({ data: { thing: null } });
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
    expect(codeOf(await target().run(query))).toBe(code);
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
    expect(codeOf(await target().runText(FIND, `{"where":${where}}`))).toBe(code);
  });

  it('take text literally, whatever it looks like', async () => {
    await target().run(CREATE, { input: { id: 'literal', name: "100% (a+)+$ 'quoted'; DROP TABLE things; --" } });
    const find = (text: string) => target().run(FIND, { where: { name: { contains: text } } });
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
    const answer = await target().run(CREATE, { input });
    expect(answer.errors).toBeUndefined();
    const { thing } = (answer.data as { createThing: { thing: { id: string } } }).createThing;
    expect(thing).toMatchObject(input);
    expect(
      await ask(target().url, 'query($id: ID!) { thing(id: $id) { id name code number data } }', { id: thing.id }),
    ).toEqual({
      thing,
    });
  });

  it('keep `__proto__` as the name of a field', async () => {
    await target().run(
      'mutation { createThing(input: { id: "proto", data: { __proto__: { polluted: true } } }) { outcome } }',
    );
    const response = await fetch(target().url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: '{ thing(id: "proto") { data } }' }),
    });
    expect(await response.text()).toContain('{"thing":{"data":{"__proto__":{"polluted":true}}}}');
  });

  it('keep halves of surrogate pairs apart from each other and from the replacement character', async () => {
    const halves = ['\ud800', '\ud801', '\udfff', '\ufffd'];
    for (const half of halves)
      expect((await target().run(CREATE, { input: { id: half, code: half } })).errors).toBeUndefined();
    for (const half of halves)
      expect(
        await target().run('query($code: String!) { thingByCode(code: $code) { id } }', { code: half }),
      ).toMatchObject({
        data: { thingByCode: { id: half } },
      });
  });

  it.each<[string, string]>([
    ['beyond 2^53', '{"safe":9007199254740993}'],
    ['beyond 32 bits', '{"whole":2147483648}'],
    ['beyond doubles', '{"number":1e400}'],
    ['that are text', '{"number":"NaN"}'],
  ])('that are numbers %s are refused', async (_name, input) => {
    expect(codeOf(await target().runText(CREATE, `{"input":${input}}`))).toBe('BAD_USER_INPUT');
  });

  it.each([150, 5_000, 50_000])('nested %i levels deep are refused', async (levels) => {
    const answer = await target().runText(CREATE, `{"input":{"data":${nested('[', levels, ']')}}}`);
    expect(codeOf(answer)).toBe('VALIDATION_FAILED');
  });

  it('of a name that is no field of the input are refused, prototypes among them', async () => {
    expect(codeOf(await target().runText(CREATE, '{"input":{"__proto__":{"name":"x"}}}'))).toBe('BAD_REQUEST');
    expect(codeOf(await target().runText(CREATE, '{"input":{"constructor":{}}}'))).toBe('BAD_USER_INPUT');
  });

  it('make a document of 16 MiB at most', async () => {
    await using large = await temporaryDirectory();
    await using server = startHoldfast(
      [
        ...['start', '--port', '0', '--ops-port', '0', '--data', large.path],
        ...['--schema', join(target().directory, 'schema')],
      ],
      { HOLDFAST_LIMITS_BODY_BYTES: String(64 << 20) },
    );
    const { url } = await server.ready;
    const create = (bytes: number) => post(url, CREATE, { input: { id: 'large', name: 'x'.repeat(bytes) } });
    expect(codeOf(await create((16 << 20) + 1))).toBe('VALIDATION_FAILED');
    expect((await create((16 << 20) - 1_000)).errors).toBeUndefined();
    expect(await ask(url, '{ thingsCount }')).toEqual({ thingsCount: 1 });
  });
});

describe('cursors and headers', () => {
  it.each(['', 'x', 'AAAA', '\0', Buffer.from('[1,2,3]').toString('base64url'), 'x'.repeat(20_000)])(
    'that are no cursor are refused: %j',
    async (after) => {
      const query = 'query($after: String) { thingsConnection(first: 1, after: $after) { nodes { id } } }';
      expect(codeOf(await target().run(query, { after }))).toBe('BAD_USER_INPUT');
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
    expect(codeOf(await target().run('{ thingsCount }', {}, { [header]: value }))).toBe(code);
  });

  it('with a request id that would forge a log line or a page are given a plain one', async () => {
    const answer = await target().run('{ nope }', {}, { 'x-request-id': '"><script>{"level":60}' });
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
    expect(codeOf(await target().run(operation[argument] ?? '', { value }))).toBe(code);
  });

  it('with a forged page token never leaves the collection', async () => {
    const page =
      'query($after: String) { syncSnapshot(collection: "things", after: $after, limit: 2) { rows { id } } }';
    for (const after of ["'; DROP TABLE log", 'AAAA', '{"a":1}', '['.repeat(10_000)]) {
      const answer = await target().run(page, { after });
      if (answer.errors === undefined) expect(JSON.stringify(answer.data)).toMatch(/^\{"syncSnapshot":\{"rows":/);
    }
  });

  it('with one bit of a cursor changed is never taken for ours', async () => {
    const { syncHello } = await ask<{ syncHello: { cursor: string } }>(target().url, '{ syncHello { cursor } }');
    const bytes = Buffer.from(syncHello.cursor, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit += 7) {
      const forged = Buffer.from(bytes);
      forged.writeUInt8((forged[bit >> 3] as number) ^ (1 << (bit & 7)), bit >> 3);
      const answer = await target().run('query($cursor: String!) { syncHello(cursor: $cursor) { status } }', {
        cursor: forged.toString('base64url'),
      });
      expect(answer.data).not.toMatchObject({ syncHello: { status: 'OK' } });
    }
  });
});

it('a replica takes over all of it, and is proven equal', async () => {
  await using replica = startHoldfast([
    ...['replica', '--primary', target().url.replace(/^http/, 'ws'), '--port', '0', '--ops-port', '0'],
    ...['--data', join(target().directory, 'replica')],
  ]);
  const ready = await replica.ready;
  const verified = await eventually('it follows', async () => {
    const result = await runHoldfast(['replica', 'verify', '--deep', '--url', ready.opsUrl]);
    return result.code === 1 ? undefined : result;
  });
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
  const every = '{ things(limit: 500, orderBy: [{ id: ASC }]) { id name code whole number safe data tags } }';
  expect(await ask(ready.url, every)).toEqual(await ask(target().url, every));
});
