import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { HoldfastError } from '../../src/errors.ts';
import type { Caller, HttpOptions } from '../../src/server/options.ts';
import { RawSocket } from './support/raw-socket.ts';
import { post, request, serve, until } from './support/serve.ts';

const GOOD = { authorization: 'Bearer good' };
const OPS = { authorization: 'Bearer ops' };

/** Two callers: `good` with no rights on pages, `ops` with them. */
const authenticate: NonNullable<HttpOptions['authenticate']> = ({ headers }) => {
  if (headers.authorization === GOOD.authorization) return { principal: 'good', roles: ['reader'] };
  if (headers.authorization === OPS.authorization) return { principal: 'ops', roles: ['operator'] };
  throw new HoldfastError('UNAUTHENTICATED', 'Who are you?');
};

function refuseUnless(role: string): (caller: Caller) => void {
  return ({ roles }) => {
    if (!roles.includes(role)) throw new HoldfastError('FORBIDDEN', `Not for ${roles.join()}.`);
  };
}

test('a request without a token is 401, asks for a bearer token, and ends its connection', async () => {
  const { url, metrics } = await serve({ authenticate });
  const { status, headers, errors } = await post(url, { query: '{ hello }' });
  expect(status).toBe(401);
  expect(headers.get('www-authenticate')).toBe('Bearer');
  expect(headers.get('connection')).toBe('close');
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED', retryable: false } }]);
  expect(await (await metrics.getSingleMetric('holdfast_errors_total'))?.get()).toMatchObject({
    values: [{ labels: { code: 'UNAUTHENTICATED' }, value: 1 }],
  });
});

test.each(['GET', 'POST'])('%s with a token is answered', async (method) => {
  const { url } = await serve({ authenticate });
  const answer =
    method === 'GET'
      ? await request(`${url}?query={principal}`, { headers: GOOD })
      : await post(url, { query: '{ principal }' }, GOOD);
  expect(answer).toMatchObject({ status: 200, data: { principal: 'good' } });
});

test('a caller is found also when that takes a while', async () => {
  const { url } = await serve({ authenticate: async (credentials) => authenticate(credentials) });
  expect(await post(url, { query: '{ principal }' }, GOOD)).toMatchObject({ data: { principal: 'good' } });
  expect((await post(url, { query: '{ principal }' })).status).toBe(401);
});

test('the body of a caller that is not known is never waited for', async () => {
  const { server } = await serve({ authenticate });
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(
    'POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 900000\r\n\r\n{',
  );
  let answer = '';
  for await (const chunk of socket) answer += String(chunk);
  expect(answer).toMatch(/^HTTP\/1\.1 401 /);
});

test('what is asked without a right is 403, and is not executed', async () => {
  const asked: unknown[] = [];
  const { url } = await serve({
    authenticate,
    authorize: ({ roles }, { type, fields }) => {
      asked.push([roles, type, fields]);
      if (type === 'mutation') throw new HoldfastError('FORBIDDEN', 'Readers only read.');
    },
    forward: () => {
      throw new Error('it must not be forwarded either');
    },
  });
  const { status, errors, data } = await post(url, { query: 'mutation { a: fail }' }, GOOD);
  expect({ status, data, code: errors?.[0]?.extensions.code }).toEqual({
    status: 403,
    data: undefined,
    code: 'FORBIDDEN',
  });
  expect((await post(url, { query: '{ hello }' }, GOOD)).status).toBe(200);
  expect(asked).toEqual([
    [['reader'], 'mutation', ['fail']],
    [['reader'], 'query', ['hello']],
  ]);
});

test.each(['connection_init', 'the handshake'])('a websocket shows its token in %s', async (place) => {
  const { socketUrl } = await serve({ authenticate });
  const client =
    place === 'connection_init'
      ? await RawSocket.ready(socketUrl, { Authorization: GOOD.authorization })
      : await RawSocket.ready(socketUrl, undefined, { headers: GOOD });
  client.subscribe('1', '{ principal }');
  expect((await client.next('next')).payload).toMatchObject({ data: { principal: 'good' } });
});

test.each([
  ['no token', undefined],
  ['a wrong token', { authorization: 'Bearer bad' }],
  ['a token that is no text', { authorization: ['Bearer good'] }],
])('a websocket with %s is closed with 4401', async (_name, payload) => {
  const { socketUrl } = await serve({ authenticate });
  const client = await RawSocket.open(socketUrl);
  client.send({ type: 'connection_init', payload });
  expect(await client.closed).toEqual({ code: 4401, reason: 'Unauthorized' });
});

test('an operation before the token is closed with 4401', async () => {
  const { socketUrl } = await serve({ authenticate });
  const client = await RawSocket.open(socketUrl, undefined, { headers: GOOD });
  client.subscribe('1', '{ principal }');
  expect((await client.closed).code).toBe(4401);
});

test('an operation cannot bring another token than its websocket', async () => {
  const { socketUrl } = await serve({ authenticate });
  const client = await RawSocket.ready(socketUrl, GOOD);
  client.subscribe('1', '{ principal }', { extensions: OPS });
  expect((await client.next('next')).payload).toMatchObject({ data: { principal: 'good' } });
});

test('an operation over a websocket without a right is an error message', async () => {
  const { socketUrl } = await serve({ authenticate, authorize: refuseUnless('writer') });
  const client = await RawSocket.ready(socketUrl, GOOD);
  client.subscribe('1', '{ hello }');
  const { payload } = await client.next('next');
  expect(payload).toMatchObject({ errors: [{ extensions: { code: 'FORBIDDEN' } }] });
  client.subscribe('2', 'subscription { ticks(count: 3) { n } }');
  await until(() => client.messages.some(({ id }) => id === '2'));
  expect(JSON.stringify(client.messages)).toContain('FORBIDDEN');
});

test('open websockets of a caller that is not current any more are closed with 4401, their subscriptions ended', async () => {
  const current = new Set(['good', 'ops']);
  const { socketUrl, probe } = await serve({ authenticate, isCurrent: ({ principal }) => current.has(principal) });
  const revoked = await RawSocket.ready(socketUrl, GOOD);
  const other = await RawSocket.ready(socketUrl, OPS);
  revoked.subscribe('1', 'subscription { waits { n } }');
  await revoked.next('next');
  current.delete('good');
  expect(await revoked.closed).toEqual({ code: 4401, reason: 'The token was revoked or has expired' });
  await until(() => probe.returned === 1);
  other.subscribe('1', '{ principal }');
  expect((await other.next('next')).payload).toMatchObject({ data: { principal: 'ops' } });
});

test('the ops pages: health for everybody, what it is made of and metrics for those who may', async () => {
  const health = () => ({ live: true, ready: true, degraded: false, components: { store: 'SQLite' } });
  const { server } = await serve({ authenticate, authorizePages: refuseUnless('operator'), health });
  const get = (path: string, headers = {}) => request(`${server.url}${path}`, { headers });
  expect((await get('/health/live')).text).toBe('{"live":true}');
  expect((await get('/health/ready')).text).toBe('{"status":"ready"}');
  expect((await get('/health/ready', GOOD)).text).toBe('{"status":"ready"}');
  expect((await get('/health/ready', OPS)).text).toBe('{"status":"ready","components":{"store":"SQLite"}}');
  expect((await get('/metrics')).status).toBe(401);
  expect((await get('/metrics', GOOD)).status).toBe(403);
  expect((await get('/metrics', OPS)).text).toContain('holdfast_requests_total');
  expect((await get('/graphiql')).status).toBe(200);
});

test('hundreds of wrong tokens do not keep others from being answered', async () => {
  const { url } = await serve({ authenticate });
  let refused = 0;
  let served = 0;
  const attack = async (): Promise<void> => {
    for (let n = 0; n < 60; n++) {
      const { status } = await fetch(url, { method: 'POST', headers: { authorization: `Bearer ${n}` }, body: 'x' });
      refused += Number(status === 401);
    }
  };
  const serveOthers = async (): Promise<void> => {
    for (let n = 0; n < 50; n++) served += Number((await post(url, { query: '{ hello }' }, GOOD)).status === 200);
  };
  await Promise.all([...Array.from({ length: 8 }, attack), serveOthers()]);
  expect({ refused, served }).toEqual({ refused: 480, served: 50 });
});
