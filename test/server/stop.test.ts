import { request as httpRequest } from 'node:http';
import { expect, test } from 'vitest';
import { RawSocket } from './support/raw-socket.ts';
import { schoolSchema } from './support/school.ts';
import { post, serve, until } from './support/serve.ts';

test('requests under way are answered, new ones get SHUTTING_DOWN, then nobody listens', async () => {
  const { server, url, probe } = await serve();
  const running = post(url, { query: '{ slow }' });
  await until(() => probe.release.length === 1);
  const stopped = server.stop();
  expect(server.state).toBe('draining');
  const refused = await post(url, { query: '{ hello }' });
  expect(refused.status).toBe(503);
  expect(refused.headers.get('connection')).toBe('close');
  expect(refused.errors?.[0]?.extensions).toMatchObject({ code: 'SHUTTING_DOWN', retryable: true });
  probe.release[0]?.();
  const answer = await running;
  expect([answer.status, answer.data]).toEqual([200, { slow: 'done' }]);
  expect(answer.headers.get('connection')).toBe('close');
  await stopped;
  expect(server.state).toBe('stopped');
  await expect(fetch(url)).rejects.toThrow('fetch failed');
});

test('after the grace requests are ended with SHUTTING_DOWN', async () => {
  const { server, url, probe } = await serve();
  const running = post(url, { query: '{ slow }' });
  await until(() => probe.release.length === 1);
  const stopped = server.stop({ graceMs: 20 });
  const answer = await running;
  expect(answer.status).toBe(503);
  expect(answer.errors?.[0]?.extensions.code).toBe('SHUTTING_DOWN');
  expect(probe.aborted).toHaveLength(1);
  await stopped;
});

test('a body that never arrives does not hold up the stop', async () => {
  const { server } = await serve();
  const headers = { 'content-type': 'application/json', 'content-length': 1000 };
  const hanging = httpRequest(`${server.url}/graphql`, { method: 'POST', headers });
  const cut = new Promise((resolve) => hanging.on('error', resolve));
  hanging.write('{"query":');
  await post(`${server.url}/graphql`, { query: '{ hello }' });
  await server.stop({ graceMs: 20 });
  expect(await cut).toBeDefined();
});

test('readiness fails for drainMs before anything is refused', async () => {
  let go: () => void = () => {};
  const { server, url } = await serve({
    drainMs: 5_000,
    delay: () =>
      new Promise<void>((resolve) => {
        go = resolve;
      }),
    health: () => ({ live: true, ready: true, degraded: false, components: {} }),
  });
  const stopped = server.stop();
  expect((await fetch(`${server.url}/health/ready`)).status).toBe(503);
  expect((await post(url, { query: '{ hello }' })).status).toBe(200);
  go();
  await stopped;
});

test('websocket clients are sent away with 1001, the busy ones after their answer', async () => {
  const { server, socketUrl, probe } = await serve();
  const clients = await Promise.all(Array.from({ length: 50 }, () => RawSocket.ready(socketUrl)));
  for (const client of clients) {
    client.subscribe('1', 'subscription { waits { n } }');
    await client.next('next');
  }
  const busy = await RawSocket.ready(socketUrl);
  busy.subscribe('q', 'mutation { slowly }');
  await until(() => probe.release.length === 1);
  const stopped = server.stop();
  const codes = await Promise.all(clients.map(({ closed }) => closed.then(({ code }) => code)));
  expect(new Set(codes)).toEqual(new Set([1001]));
  await until(() => probe.returned === 50);
  busy.subscribe('late', '{ hello }');
  expect((await busy.next('error')).payload).toMatchObject([{ extensions: { code: 'SHUTTING_DOWN' } }]);
  probe.release[0]?.();
  expect((await busy.next('next')).payload).toMatchObject({ data: { slowly: 'done' } });
  expect((await busy.closed).code).toBe(1001);
  await stopped;
  expect(await new RawSocket(socketUrl).closed).toMatchObject({ code: 1006 });
});

test('a client that does not close is cut off', async () => {
  const { server, socketUrl } = await serve();
  const client = await RawSocket.ready(socketUrl);
  client.socket.pause();
  await server.stop({ graceMs: 20 });
  client.socket.resume();
  await client.closed;
});

test('stopping twice is stopping once', async () => {
  const { server } = await serve();
  await Promise.all([server.stop(), server.stop(), server[Symbol.asyncDispose]()]);
  expect(server.state).toBe('stopped');
});

test('open subscriptions and running requests keep the schema they began with', async () => {
  const { server, socketUrl, probe } = await serve();
  const client = await RawSocket.ready(socketUrl);
  client.subscribe('1', 'subscription { waits { n } }');
  await client.next('next');
  client.subscribe('2', '{ slow }');
  await until(() => probe.release.length === 1);
  server.replaceSchema(schoolSchema());
  probe.release[0]?.();
  expect((await client.next('next')).payload).toMatchObject({ data: { slow: 'done' } });
  expect(client.socket.readyState).toBe(client.socket.OPEN);
  expect(probe.returned).toBe(0);
});
