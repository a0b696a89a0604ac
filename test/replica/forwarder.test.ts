import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { Forwarder, type ForwarderOptions, httpUrlOf } from '../../replica/forwarder.ts';
import type { Position } from '../../src/model/position.ts';

interface Asked {
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

type Answer = (response: ServerResponse) => void;
const json =
  (body: unknown, status = 200): Answer =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

/** A primary that answers every request the same way. */
async function primary(answer: Answer) {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      asked.push({ headers: request.headers, body: JSON.parse(text) });
      answer(response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { url: `ws://127.0.0.1:${port}/graphql`, asked, stop, [Symbol.asyncDispose]: stop };
}

async function nobody(): Promise<string> {
  const gone = await primary(() => undefined);
  await gone.stop();
  return gone.url;
}

const MUTATION = { query: 'mutation M { a }', operationName: 'M', variables: { x: 1 } };
const request = (fields: object = {}) => ({
  headers: { authorization: 'Bearer T', 'holdfast-min-position': '1.5', 'user-agent': 'u', cookie: 'c' },
  idempotencyKey: undefined as string | undefined,
  requestId: 'r-1',
  signal: new AbortController().signal,
  ...fields,
});

function forwarder(primaries: readonly string[], options: Partial<ForwarderOptions> = {}) {
  const waited: [Position, number][] = [];
  const waitFor: ForwarderOptions['waitFor'] = async (position, timeoutMs) => {
    waited.push([position, timeoutMs]);
    return true;
  };
  return { forwarder: new Forwarder({ primaries, waitFor, ...options }), waited };
}

test("sends the client's own operation with who asks, and gives the primary's answer untouched once it is visible here", async () => {
  const answer = { data: { a: 1 }, extensions: { holdfast: { source: 'DATABASE', position: '2.41' }, other: [1] } };
  await using server = await primary(json(answer));
  const { forwarder: forward, waited } = forwarder([server.url]);
  expect(await forward.forward(MUTATION, request({ idempotencyKey: 'key-1' }))).toEqual(answer);
  expect(server.asked[0]?.body).toEqual(MUTATION);
  expect(server.asked[0]?.headers).toMatchObject({
    authorization: 'Bearer T',
    'idempotency-key': 'key-1',
    'holdfast-min-position': '1.5',
    'x-request-id': 'r-1',
  });
  expect(server.asked[0]?.headers.cookie).toBeUndefined();
  expect(waited).toEqual([[{ epoch: 2, sequence: 41 }, 2_000]]);
});

test('makes an idempotency key when the client sent none, another one each time', async () => {
  await using server = await primary(json({ data: null }));
  const { forwarder: forward, waited } = forwarder([server.url]);
  await forward.forward(MUTATION, request());
  await forward.forward(MUTATION, request());
  const keys = server.asked.map(({ headers }) => headers['idempotency-key']);
  expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
  expect(keys[0]).not.toBe(keys[1]);
  expect(waited).toEqual([]);
});

test('errors of the primary are its answer, whatever the status', async () => {
  const answer = { errors: [{ message: 'no', extensions: { code: 'FORBIDDEN' } }] };
  await using server = await primary(json(answer, 403));
  expect(await forwarder([server.url]).forwarder.forward(MUTATION, request())).toEqual(answer);
});

test('goes to the next primary when one cannot be reached', async () => {
  await using server = await primary(json({ data: { a: 1 } }));
  const { forwarder: forward } = forwarder([await nobody(), server.url]);
  expect(await forward.forward(MUTATION, request())).toEqual({ data: { a: 1 } });
});

test('no primary to be reached is DATABASE_UNAVAILABLE: nothing was written', async () => {
  const { forwarder: forward } = forwarder([await nobody(), 'ws://no-such-host.invalid/graphql']);
  await expect(forward.forward(MUTATION, request())).rejects.toMatchObject({
    code: 'DATABASE_UNAVAILABLE',
    details: { retryAfterMs: expect.any(Number) },
  });
});

test.each<[string, Answer]>([
  ['the connection breaks', (response) => response.destroy()],
  ['the answer breaks off', (response) => response.writeHead(200).write('{"da', () => response.destroy())],
  ['something else answers', (response) => response.writeHead(502).end('<html>bad gateway</html>')],
  ['JSON comes that is no GraphQL', json({ hello: 1 })],
  ['nothing comes in time', () => undefined],
])('WRITE_OUTCOME_UNKNOWN with the key when %s, and the next primary is not asked', async (_name, answer) => {
  await using server = await primary(answer);
  await using other = await primary(json({ data: {} }));
  const { forwarder: forward } = forwarder([server.url, other.url], { timeoutMs: 150 });
  await expect(forward.forward(MUTATION, request({ idempotencyKey: 'mine' }))).rejects.toMatchObject({
    code: 'WRITE_OUTCOME_UNKNOWN',
    details: { idempotencyKey: 'mine' },
  });
  expect(server.asked).toHaveLength(1);
  expect(other.asked).toHaveLength(0);
});

test('the HTTP address is that of the websocket', () => {
  expect(httpUrlOf('ws://h:1/graphql')).toBe('http://h:1/graphql');
  expect(httpUrlOf('wss://h/graphql')).toBe('https://h/graphql');
  expect(httpUrlOf('http://h/graphql')).toBe('http://h/graphql');
});

test('asks the one that is followed first, and another one when it is no longer the primary', async () => {
  const errors = [{ message: 'no', extensions: { code: 'FENCED' } }];
  await using former = await primary(json({ data: null, errors }));
  await using current = await primary(json({ data: { a: 1 } }));
  const { forwarder: both } = forwarder([former.url, current.url]);
  expect(await both.forward(MUTATION, request())).toEqual({ data: { a: 1 } });
  expect([former.asked.length, current.asked.length]).toEqual([1, 1]);
  const { forwarder: right } = forwarder([former.url, current.url], { preferred: () => current.url });
  expect(await right.forward(MUTATION, request())).toEqual({ data: { a: 1 } });
  expect([former.asked.length, current.asked.length]).toEqual([1, 2]);
  const { forwarder: alone } = forwarder([former.url, await nobody()]);
  expect(await alone.forward(MUTATION, request())).toEqual({ data: null, errors });
});
