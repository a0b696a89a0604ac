import { get } from 'node:http';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { post, request, serve } from './support/serve.ts';

const QUERY = { query: '{ hello }' };
const CORS = 'https://app.example.com';

/** What browsers send; `fetch` here sends only what it is told. */
const REFUSED: [string, RequestInit & { query?: string }][] = [
  [
    'a form of another site',
    {
      method: 'POST',
      headers: {
        origin: 'https://evil.example',
        'sec-fetch-site': 'cross-site',
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: 'query=%7Bhello%7D',
    },
  ],
  [
    'a form with enctype text/plain',
    {
      method: 'POST',
      headers: { origin: 'https://evil.example', 'content-type': 'text/plain' },
      body: JSON.stringify(QUERY),
    },
  ],
  [
    'a multipart form',
    {
      method: 'POST',
      headers: { origin: 'https://evil.example', 'content-type': 'multipart/form-data; boundary=x' },
      body: '--x--',
    },
  ],
  [
    'a simple request without Origin, as old browsers send',
    { method: 'POST', headers: { 'content-type': 'text/plain;charset=UTF-8' }, body: JSON.stringify(QUERY) },
  ],
  [
    'a beacon without a type',
    {
      method: 'POST',
      headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
      body: new Uint8Array(Buffer.from(JSON.stringify(QUERY))),
    },
  ],
  [
    'an image',
    {
      query: '{ hello }',
      headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' },
    },
  ],
  [
    'an image on a neighbouring host',
    {
      query: '{ hello }',
      headers: { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' },
    },
  ],
  [
    'a link of another site',
    {
      query: '{ hello }',
      headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
    },
  ],
  [
    'fetch of another site with JSON',
    {
      method: 'POST',
      headers: { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site', 'content-type': 'application/json' },
      body: JSON.stringify(QUERY),
    },
  ],
  [
    'fetch of another site by GET',
    {
      query: '{ hello }',
      headers: { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' },
    },
  ],
  [
    'a sandboxed page',
    { method: 'POST', headers: { origin: 'null', 'content-type': 'application/json' }, body: JSON.stringify(QUERY) },
  ],
  [
    'another port of this host',
    {
      method: 'POST',
      headers: { origin: 'http://127.0.0.1:1', 'sec-fetch-site': 'same-site', 'content-type': 'application/json' },
      body: JSON.stringify(QUERY),
    },
  ],
  [
    'an origin that only begins like an allowed one',
    {
      method: 'POST',
      headers: { origin: `${CORS}.evil.example`, 'content-type': 'application/json' },
      body: JSON.stringify(QUERY),
    },
  ],
];

test.each(REFUSED)('refuses %s', async (_name, { query, ...init }) => {
  const { url, log } = await serve({ cors: [CORS] });
  const answer = await request(query === undefined ? url : `${url}?query=${encodeURIComponent(query)}`, init);
  expect(answer.status === 403 || answer.status === 415).toBe(true);
  expect(answer.data).toBeUndefined();
  expect(answer.errors?.[0]?.extensions.code).toMatch(/^(FORBIDDEN|BAD_REQUEST)$/);
  expect(answer.errors?.[0]?.extensions.requestId).toBe(answer.headers.get('x-request-id'));
  expect(answer.headers.get('access-control-allow-origin')).toBeNull();
  expect(log.some(({ type }) => type === 'query')).toBe(false);
});

test('serves programs, pages of its own and address bars', async () => {
  const { url, server } = await serve({ cors: [CORS] });
  expect((await post(url, QUERY)).status).toBe(200);
  expect((await post(url, QUERY, { origin: server.url, 'sec-fetch-site': 'same-origin' })).status).toBe(200);
  const typed = { headers: { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', accept: 'text/html,*/*;q=0.8' } };
  expect((await request(`${url}?query=%7Bhello%7D`, typed)).data).toEqual({ hello: 'world' });
});

test('answers the preflight of allowed origins only, and lets them read the answer', async () => {
  const { url } = await serve({ cors: [`${CORS}/`] });
  const preflight = (origin: string) =>
    request(url, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } });
  const allowed = await preflight(CORS);
  expect(allowed.status).toBe(204);
  expect(allowed.headers.get('access-control-allow-origin')).toBe(CORS);
  expect(allowed.headers.get('access-control-allow-headers')).toContain('idempotency-key');
  const refused = await preflight('https://evil.example');
  expect(refused.status).toBe(403);
  expect(refused.headers.get('access-control-allow-origin')).toBeNull();
  const answer = await post(url, QUERY, { origin: CORS, 'sec-fetch-site': 'cross-site' });
  expect(answer.data).toEqual({ hello: 'world' });
  expect(answer.headers.get('access-control-allow-origin')).toBe(CORS);
  expect(answer.headers.get('access-control-expose-headers')).toContain('holdfast-position');
  expect(answer.headers.get('vary')).toContain('origin');
  const failed = await post(url, '{', { origin: CORS });
  expect(failed.headers.get('access-control-allow-origin')).toBe(CORS);
});

test.each([
  ['evil.example', 403],
  ['127.0.0.1.evil.example', 403],
  ['localhost.evil.example:4000', 403],
  ['10.0.0.1', 403],
  ['%', 403],
  ['localhost:4000', 200],
  ['app.localhost', 200],
  ['127.0.0.2', 200],
  ['[::1]:4000', 200],
  ['LOCALHOST', 200],
])('with the loopback check, a request for host %j is answered %i', async (host, status) => {
  const { server } = await serve({
    hostCheck: 'loopback',
    health: () => ({ live: true, ready: true, degraded: false, components: {} }),
  });
  expect(await statusFor(server.port, '/graphql?query=%7Bhello%7D', host)).toBe(status);
  expect(await statusFor(server.port, '/health/live', host)).toBe(status);
  expect(await upgradeStatus(server.port, { host })).toBe(status === 200 ? 101 : 403);
});

test('without the check any host is served', async () => {
  const { server } = await serve();
  expect(await statusFor(server.port, '/graphql?query=%7Bhello%7D', 'api.example.com')).toBe(200);
});

test('websockets of foreign pages are refused', async () => {
  const { server } = await serve({ cors: [CORS] });
  expect(await upgradeStatus(server.port, { origin: 'https://evil.example' })).toBe(403);
  expect(await upgradeStatus(server.port, { origin: 'null' })).toBe(403);
  expect(await upgradeStatus(server.port, { 'sec-fetch-site': 'cross-site' })).toBe(403);
  expect(await upgradeStatus(server.port, { origin: CORS, 'sec-fetch-site': 'cross-site' })).toBe(101);
  expect(await upgradeStatus(server.port, { origin: server.url, 'sec-fetch-site': 'same-origin' })).toBe(101);
  expect(await upgradeStatus(server.port, {})).toBe(101);
});

/** `fetch` does not let us choose Host. */
function statusFor(port: number, path: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get({ port, path, host: '127.0.0.1', setHost: false, headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on('error', reject);
  });
}

function upgradeStatus(port: number, headers: Record<string, string>): Promise<number | undefined> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/graphql`, 'graphql-transport-ws', { headers });
  return new Promise((resolve) => {
    socket.on('error', () => {});
    socket.on('unexpected-response', (_request, response) => resolve(response.statusCode));
    socket.on('open', () => {
      socket.close();
      resolve(101);
    });
  });
}
