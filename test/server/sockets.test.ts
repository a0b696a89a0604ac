import { once } from 'node:events';
import { expect, test } from 'vitest';
import { HoldfastError } from '../../src/errors.ts';
import { bareWebsocket, RawSocket } from './support/raw-socket.ts';
import { metricValue, serve, until } from './support/serve.ts';

type Payload = { data?: Record<string, unknown>; errors?: { message: string; extensions: Record<string, unknown> }[] };

test('subscriptions, queries and mutations share a connection', async () => {
  const { socketUrl } = await serve({ provenance: () => ({ source: 'DATABASE', asOf: 'now', position: '1.2' }) });
  const client = await RawSocket.ready(socketUrl);
  client.subscribe('s', 'subscription { ticks(count: 2) { n } }');
  const extensions = { holdfast: { source: 'DATABASE', asOf: 'now', position: '1.2' } };
  expect((await client.next('next')).payload).toEqual({ data: { ticks: { n: 0 } }, extensions });
  expect((await client.next('next')).payload).toEqual({ data: { ticks: { n: 1 } }, extensions });
  expect(await client.next('complete')).toEqual({ id: 's', type: 'complete' });
  client.subscribe('q', '{ hello }');
  expect((await client.next('next')).payload).toEqual({ data: { hello: 'world' }, extensions });
  await client.next('complete');
  client.subscribe('m', 'mutation ($n: String!) { setName(id: 1, name: $n) { name } }', { variables: { n: 'Ann' } });
  expect((await client.next('next')).payload).toMatchObject({ data: { setName: { name: 'Ann' } } });
  await client.next('complete');
});

test('mutations are handed to forward, with the headers the operation says', async () => {
  const seen: unknown[] = [];
  const { socketUrl } = await serve({
    forward: async (operation, info) => {
      const { transport, idempotencyKey, minPosition, requestId } = info;
      seen.push({
        operation: operation.query,
        authorization: info.headers.authorization,
        transport,
        idempotencyKey,
        minPosition,
        requestId,
      });
      return { data: { setName: { name: 'there' } } };
    },
  });
  const client = await RawSocket.ready(socketUrl, { Authorization: 'Bearer a', 'holdfast-min-position': '1.1' });
  const query = 'mutation { setName(id: 1, name: "x") { name } }';
  client.subscribe('1', query, {
    extensions: {
      'idempotency-key': 'k',
      authorization: 'Bearer b',
      'x-request-id': 'r7',
      'holdfast-min-position': '1.9',
    },
  });
  expect((await client.next('next')).payload).toEqual({ data: { setName: { name: 'there' } } });
  expect(seen).toEqual([
    {
      operation: query,
      authorization: 'Bearer a',
      transport: 'WS',
      idempotencyKey: 'k',
      minPosition: '1.9',
      requestId: 'r7',
    },
  ]);
});

test('the caller is found once, from parameters and headers, and may be refused', async () => {
  let calls = 0;
  const { socketUrl } = await serve({
    authenticate: ({ headers, connectionParams, transport }) => {
      calls++;
      if (headers.authorization !== 'Bearer good') throw new HoldfastError('FORBIDDEN', 'No.');
      return { principal: `${transport} ${connectionParams?.name}`, roles: ['reader'] };
    },
  });
  const client = await RawSocket.ready(socketUrl, { authorization: 'Bearer good', name: 'ann' });
  client.subscribe('1', '{ principal }');
  expect((await client.next('next')).payload).toMatchObject({ data: { principal: 'WS ann' } });
  await client.next('complete');
  client.subscribe('2', '{ principal }');
  await client.next('next');
  expect(calls).toBe(1);
  const refused = await RawSocket.open(socketUrl);
  refused.send({ type: 'connection_init', payload: { authorization: 'Bearer bad' } });
  expect(await refused.closed).toEqual({ code: 4403, reason: 'Forbidden' });
});

test.each([
  ['a document with a mistake', '{ nope }', 'GRAPHQL_VALIDATION_FAILED'],
  ['a document that cannot be read', '{', 'GRAPHQL_PARSE_FAILED'],
  ['a document that is too deep', `${'{ self '.repeat(11)}{ hello }${' }'.repeat(11)}`, 'QUERY_TOO_DEEP'],
  ['an unknown operation', 'query A { hello } query B { hello }', 'OPERATION_RESOLUTION_FAILURE'],
])('%s is an error message', async (_name, query, code) => {
  const { socketUrl } = await serve();
  const client = await RawSocket.ready(socketUrl);
  client.subscribe('1', query);
  const [error] = (await client.next('error')).payload as Payload['errors'] & object;
  expect(error?.extensions).toMatchObject({ code, retryable: false });
  expect(error?.extensions.requestId).toBeDefined();
  client.subscribe('1', '{ hello }'); // the id is free again
  await client.next('next');
});

test.each([
  ['limits', 'subscription { ticks(count: 1) { n } } ', { cost: 0 }, 'QUERY_TOO_COMPLEX', {}],
  ['a refusal by the resolver', 'subscription { refused { n } }', {}, 'CURSOR_EXPIRED', { oldest: '1.5' }],
  ['variables', 'subscription ($c: Int!) { ticks(count: $c) { n } }', {}, 'BAD_USER_INPUT', {}],
])('a subscription that cannot start says why: %s', async (_name, query, limits, code, details) => {
  const { socketUrl } = await serve({ limits });
  const client = await RawSocket.ready(socketUrl);
  client.subscribe('1', query);
  const { errors } = (await client.next('next')).payload as Payload;
  expect(errors?.[0]?.extensions).toMatchObject({ code, ...details });
  await client.next('complete');
});

test('errors within and at the end of a subscription have codes', async () => {
  const { socketUrl } = await serve({ production: true });
  const client = await RawSocket.ready(socketUrl);
  client.subscribe('1', 'subscription { ticks(count: 1) { n bad } }');
  expect((await client.next('next')).payload).toMatchObject({
    data: { ticks: { n: 0, bad: null } },
    errors: [{ message: 'Gone.', path: ['ticks', 'bad'], extensions: { code: 'NOT_FOUND', retryable: false } }],
  });
  await client.next('complete');
  client.subscribe('2', 'subscription { failing { n } }');
  await client.next('next');
  expect((await client.next('error')).payload).toMatchObject([
    { message: 'Too old.', extensions: { code: 'CURSOR_EXPIRED', oldest: '1.5' } },
  ]);
});

test('ending a subscription aborts its signal and runs its clean-up, even while it waits', async () => {
  const { socketUrl, probe, metrics } = await serve();
  const client = await RawSocket.ready(socketUrl);
  client.subscribe('1', 'subscription { waits { n } }');
  await client.next('next');
  client.send({ id: '1', type: 'complete' });
  await until(() => probe.returned === 1);
  client.subscribe('2', 'subscription { waits { n } }');
  await client.next('next');
  client.socket.terminate();
  await until(() => probe.returned === 2);
  expect(await metricValue(metrics, 'holdfast_subscriptions_active')).toBe(0);
});

test('a closed connection ends the queries it asked', async () => {
  const { socketUrl, probe } = await serve();
  const client = await RawSocket.ready(socketUrl);
  client.subscribe('1', '{ slow }');
  await until(() => probe.release.length === 1);
  client.socket.terminate();
  await until(() => probe.aborted.length === 1);
});

test('a client that stops reading stops the generator; its close ends it', async () => {
  const { socketUrl, probe } = await serve();
  const other = await RawSocket.ready(socketUrl);
  const client = await RawSocket.ready(socketUrl);
  client.socket.pause();
  client.subscribe('1', 'subscription { ticks(count: 100000, large: true) { n payload } }');
  await until(() => probe.produced > 10);
  await other.roundTrips(1_000);
  const produced = probe.produced;
  expect(produced).toBeLessThan(500); // of 64 KiB each: what fits into the buffers of both ends
  await other.roundTrips(200);
  expect(probe.produced).toBe(produced);
  client.socket.terminate();
  await until(() => probe.returned === 1);
  expect(probe.produced).toBeLessThan(500);
});

test('a client that asks without reading is not read any more', async () => {
  const { socketUrl } = await serve();
  const other = await RawSocket.ready(socketUrl);
  const client = await RawSocket.ready(socketUrl);
  client.socket.pause();
  const payload = { fill: 'x'.repeat(200_000) };
  for (let n = 0; n < 150; n++) client.send({ type: 'ping', payload });
  await other.roundTrips(1_000);
  const waiting = client.socket.bufferedAmount;
  expect(waiting).toBeGreaterThan(10_000_000); // its own end has to keep it
  await other.roundTrips(200);
  expect(client.socket.bufferedAmount).toBe(waiting);
  client.socket.resume();
  for (let n = 0; n < 150; n++) await client.next('pong');
});

test('too many operations at once are refused', async () => {
  const { socketUrl } = await serve({ limits: { socketOperations: 2 } });
  const client = await RawSocket.ready(socketUrl);
  client.subscribe('1', 'subscription { waits { n } }');
  client.subscribe('2', 'subscription { waits { n } }');
  await client.next('next');
  await client.next('next');
  client.subscribe('3', '{ hello }');
  expect((await client.next('error')).payload).toMatchObject([{ extensions: { code: 'RATE_LIMITED', max: 2 } }]);
});

const CLOSED: [string, number, (client: RawSocket) => void][] = [
  ['no JSON', 4400, (client) => client.send('{')],
  ['no message', 4400, (client) => client.send('[]')],
  ['an unknown type', 4400, (client) => client.send({ type: 'nonsense' })],
  ['a message only servers send', 4400, (client) => client.send({ type: 'next', id: '1', payload: {} })],
  ['binary data', 4400, (client) => client.socket.send(Buffer.from('{"type":"ping"}'))],
  ['a subscription without id', 4400, (client) => client.send({ type: 'subscribe', payload: { query: '{ hello }' } })],
  ['a query that is no text', 4400, (client) => client.send({ type: 'subscribe', id: '1', payload: { query: 1 } })],
  ['a second introduction', 4429, (client) => client.send({ type: 'connection_init' })],
  [
    'an id twice',
    4409,
    (client) => {
      client.subscribe('1', 'subscription { waits { n } }');
      client.subscribe('1', 'subscription { waits { n } }');
    },
  ],
  [
    'a message larger than allowed',
    1009,
    (client) => client.send({ type: 'ping', payload: { x: 'x'.repeat(2 ** 21) } }),
  ],
];

test.each(CLOSED)('closes for %s with %i', async (_name, code, act) => {
  const { socketUrl } = await serve();
  const client = await RawSocket.ready(socketUrl);
  act(client);
  expect((await client.closed).code).toBe(code);
  await RawSocket.ready(socketUrl);
});

test('closes with 4401 who subscribes before the introduction, with 4408 who never introduces itself', async () => {
  const { socketUrl } = await serve({ limits: { socketInitMs: 30 } });
  const early = await RawSocket.open(socketUrl);
  early.subscribe('1', '{ hello }');
  expect((await early.closed).code).toBe(4401);
  const silent = await RawSocket.open(socketUrl);
  expect((await silent.closed).code).toBe(4408);
});

test('closes with 4406 who speaks another protocol or none', async () => {
  const { socketUrl } = await serve();
  expect(await (await RawSocket.open(socketUrl, 'graphql-ws')).closed).toEqual({
    code: 4406,
    reason: 'Subprotocol not acceptable',
  });
  expect((await (await RawSocket.open(socketUrl, [])).closed).code).toBe(4406);
  await RawSocket.ready(socketUrl, undefined, {});
});

test.each([
  ['a frame without mask', Buffer.from([0x81, 0x01, 0x41])],
  ['a reserved opcode', Buffer.from([0x83, 0x80, 0, 0, 0, 0])],
  ['text that is not UTF-8', Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe])],
  ['a length of 2^63', Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
])('closes for %s and stays up', async (_name, bytes) => {
  const { server, socketUrl } = await serve();
  const socket = await bareWebsocket(server.port);
  socket.write(bytes);
  await once(socket, 'close');
  await RawSocket.ready(socketUrl);
});

test('an upgrade of another path is refused', async () => {
  const { server } = await serve();
  const client = new RawSocket(`ws://127.0.0.1:${server.port}/other`);
  const [, response] = await once(client.socket, 'unexpected-response');
  expect(response.statusCode).toBe(404);
});

test('cuts off a client that answers no pings', async () => {
  const { socketUrl, metrics } = await serve({ pingMs: 20 });
  const dead = await RawSocket.ready(socketUrl, undefined, { autoPong: false });
  expect((await dead.closed).code).toBe(1006);
  await until(async () => (await metricValue(metrics, 'holdfast_websocket_connections')) === 0);
});
