import { graphql, parse, subscribe } from 'graphql';
import { describe, expect, test } from 'vitest';
import { buildSyncSchema } from '../../resolvers/sync.ts';
import { buildSchema } from '../../src/api/schema.ts';
import { loadModel } from '../../src/model/load.ts';
import type { Frame, SyncSource } from '../../src/protocol/sync-source.ts';
import type { Token } from '../../src/service/token.ts';

const HELLO = {
  status: 'OK' as const,
  logId: 'ab'.repeat(16),
  epoch: 1,
  head: 7,
  floor: 1,
  epochs: [{ epoch: 1, firstSequence: 1 }],
  cursor: 'AQ',
  sdl: 'type T',
  sdlHash: 'cd'.repeat(16),
};

const FRAME: Frame = {
  epoch: 1,
  from: 6,
  to: 7,
  head: 7,
  floor: 1,
  previous: '00',
  chain: '11',
  cursor: 'Ag',
  checksum: 4_294_967_295,
  body: 'KLUv',
  digests: null,
};

/** Answers every call, and remembers what it was asked. */
function fakeSource(): { source: SyncSource; asked: unknown[][] } {
  const asked: unknown[][] = [];
  const answer =
    <T>(call: string, value: T) =>
    async (...args: unknown[]) => {
      asked.push([call, ...args]);
      return value;
    };
  const position = { epoch: 1, sequence: 7 };
  const source: SyncSource = {
    hello: answer('hello', HELLO),
    snapshot: answer('snapshot', { rows: [{ id: '"t1"', version: 1, text: '{}' }], next: null, position }),
    digests: answer('digests', { position, digests: [{ collection: 'teachers', count: 1, sum: 'ff' }] }),
    buckets: answer('buckets', { collection: 'teachers', position, buckets: 'AA' }),
    bucketRows: answer('bucketRows', { position, rows: [{ id: '"t1"', version: 1, hash: 'ff' }] }),
    rows: answer('rows', [{ id: '"t1"', version: 1, text: '{}' }]),
    chain: answer('chain', ['aa', null]),
    ack: answer('ack', undefined),
    async *changes(cursor, shape, limits, signal) {
      asked.push(['changes', cursor, shape, limits]);
      yield FRAME;
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      asked.push(['ended']);
    },
  };
  return { source, asked };
}

const contextValue = { request: { signal: new AbortController().signal } };

/** Nobody asks. */
async function* noTokens(): AsyncGenerator<never> {}

describe('the sync fields', () => {
  test('carry each call to the source', async () => {
    const { source, asked } = fakeSource();
    const schema = buildSyncSchema({ source, tokens: noTokens });
    const query = `{
      syncHello(cursor: "AQ", shape: {collections: ["teachers"]}) { status logId head sdl }
      syncSnapshot(collection: "teachers", after: "x") { rows { id version text } next position }
      syncDigests(at: "1.7") { position digests { collection count sum } }
      syncBuckets(collection: "teachers") { buckets position }
      syncBucketRows(collection: "teachers", bucket: 4095) { rows { id version hash } }
      syncRows(collection: "teachers", ids: ["\\"t1\\""]) { text }
      syncChain(sequences: [6, 7])
    }`;
    const { data, errors } = await graphql({ schema, source: query, contextValue });
    expect(errors).toBeUndefined();
    expect(data).toMatchObject({
      syncHello: { status: 'OK', head: 7 },
      syncSnapshot: { position: '1.7' },
      syncChain: ['aa', null],
    });
    expect(asked).toEqual([
      ['hello', 'AQ', { collections: ['teachers'] }, []],
      ['snapshot', 'teachers', 'x', 1000],
      ['digests', { epoch: 1, sequence: 7 }],
      ['buckets', 'teachers', null],
      ['bucketRows', 'teachers', 4095],
      ['rows', 'teachers', ['"t1"']],
      ['chain', [6, 7]],
    ]);
  });

  test('take a new follower, which has no cursor, and its acknowledgement', async () => {
    const { source, asked } = fakeSource();
    const schema = buildSyncSchema({ source, tokens: noTokens });
    await graphql({
      schema,
      source: '{ syncHello(epochs: [{ epoch: 1, firstSequence: 1 }]) { status } }',
      contextValue,
    });
    const ack = '{replica: "r1", applied: 0, epoch: 1, state: "LIVE"}';
    const result = await graphql({ schema, source: `mutation { syncAck(ack: ${ack}) }`, contextValue });
    expect(result.data).toEqual({ syncAck: true });
    expect(asked).toEqual([
      ['hello', null, { collections: null }, [{ epoch: 1, firstSequence: 1 }]],
      ['ack', { replica: 'r1', applied: 0, epoch: 1, state: 'LIVE', url: null }],
    ]);
  });

  test('stream frames, and end the stream of a follower that leaves', async () => {
    const { source, asked } = fakeSource();
    const document = parse(
      'subscription { syncChanges(cursor: "AQ", maxBatch: 10) { from to checksum body digests { sum } } }',
    );
    const stream = await subscribe({ schema: buildSyncSchema({ source, tokens: noTokens }), document, contextValue });
    if (!(Symbol.asyncIterator in stream)) throw new Error(JSON.stringify(stream));
    expect((await stream.next()).value).toEqual({
      data: { syncChanges: { from: 6, to: 7, checksum: 4_294_967_295, body: 'KLUv', digests: null } },
    });
    const next = stream.next();
    await stream.return?.();
    expect((await next).done).toBe(true);
    expect(asked).toEqual([['changes', 'AQ', { collections: null }, { maxBatch: 10, maxBytes: 524_288 }], ['ended']]);
  });

  test.each([
    ['a cursor too long', `syncHello(cursor: "${'A'.repeat(20_000)}") { status }`],
    ['an empty cursor', 'syncHello(cursor: "") { status }'],
    ['a bucket that does not exist', 'syncBucketRows(collection: "t", bucket: 4096) { position }'],
    ['a negative bucket', 'syncBucketRows(collection: "t", bucket: -1) { position }'],
    ['too many ids', `syncRows(collection: "t", ids: [${'"1",'.repeat(1001)}]) { id }`],
    ['a page of nothing', 'syncSnapshot(collection: "t", limit: 0) { next }'],
    ['a page too large', 'syncSnapshot(collection: "t", limit: 1000000) { next }'],
    ['a collection without name', 'syncBuckets(collection: "") { buckets }'],
    ['a sequence before the first', 'syncChain(sequences: [0])'],
  ])('refuse %s', async (_what, field) => {
    const { source, asked } = fakeSource();
    const { errors } = await graphql({
      schema: buildSyncSchema({ source, tokens: noTokens }),
      source: `{ ${field} }`,
      contextValue,
    });
    expect(errors?.[0]?.originalError).toMatchObject({ code: 'VALIDATION_FAILED' });
    expect(asked).toEqual([]);
  });

  test('tell the tokens of the node, and each change of them', async () => {
    const { source } = fakeSource();
    const token: Token = {
      ...{ id: 'ab'.repeat(8), name: 'ci', hash: 'ab'.repeat(32), roles: ['reader'] },
      ...{ createdAt: null, expiresAt: null, revokedAt: null },
    };
    const schema = buildSyncSchema({
      source,
      async *tokens() {
        yield [token];
        yield [];
      },
    });
    const document = parse('subscription { syncTokens { id hash roles } }');
    const stream = (await subscribe({ schema, document, contextValue })) as AsyncIterable<unknown>;
    const told: unknown[] = [];
    for await (const item of stream) told.push(JSON.parse(JSON.stringify(item)));
    expect(told).toEqual([
      { data: { syncTokens: [{ id: token.id, hash: token.hash, roles: ['reader'] }] } },
      { data: { syncTokens: [] } },
    ]);
  });

  test('stand beside the generated API on the data port', async () => {
    const { source } = fakeSource();
    const model = loadModel([{ file: 't.graphql', text: 'type Teacher @entity { id: ID! @id  name: String! }' }]);
    const schema = buildSchema(model, { parts: [buildSyncSchema({ source, tokens: noTokens })] });
    const fields = Object.keys(schema.getQueryType()?.getFields() ?? {});
    expect(fields).toEqual(expect.arrayContaining(['teachers', 'syncHello']));
    const result = await graphql({ schema, source: '{ syncHello { status head } }', contextValue });
    expect(result.data).toEqual({ syncHello: { status: 'OK', head: 7 } });
  });
});
