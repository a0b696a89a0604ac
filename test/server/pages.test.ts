import { expect, test } from 'vitest';
import type { Health } from '../../src/server/options.ts';
import { createRegistry } from '../../src/telemetry/metrics.ts';
import { post, request, serve } from './support/serve.ts';

const WELL: Health = { live: true, ready: true, degraded: false, components: { store: 'open' } };

test.each<[string, Partial<Health>, number, number, number, string]>([
  ['well', {}, 200, 200, 200, 'ready'],
  ['degraded', { degraded: true }, 200, 200, 503, 'degraded'],
  ['not ready', { ready: false }, 200, 503, 503, 'not ready'],
  ['not live', { live: false, ready: false }, 503, 503, 503, 'not ready'],
])('health when %s', async (_name, state, live, ready, strict, status) => {
  const { server } = await serve({ health: () => ({ ...WELL, ...state }) });
  expect((await fetch(`${server.url}/health/live`)).status).toBe(live);
  const answer = await fetch(`${server.url}/health/ready`);
  expect(answer.status).toBe(ready);
  expect(await answer.json()).toEqual({ status, components: { store: 'open' } });
  expect((await fetch(`${server.url}/health/ready?strict`)).status).toBe(strict);
  expect((await fetch(`${server.url}/health/ready?strict=false`)).status).toBe(ready);
});

test('metrics count requests, errors and time by few labels', async () => {
  const metrics = createRegistry({ process: true });
  const { server, url } = await serve({ metrics, health: () => WELL });
  await post(url, { query: 'query SomeName { hello }' });
  await post(url, { query: '{ nope }' });
  await post(url, { query: '{ boom hello }' });
  await post(url, 'x');
  const text = await (await fetch(`${server.url}/metrics`)).text();
  expect(text).toContain('holdfast_requests_total{transport="http",operation="query",outcome="ok"} 1');
  expect(text).toContain('holdfast_requests_total{transport="http",operation="query",outcome="error"} 1');
  expect(text).toContain('holdfast_requests_total{transport="http",operation="invalid",outcome="refused"} 2');
  expect(text).toContain('holdfast_errors_total{code="GRAPHQL_VALIDATION_FAILED"} 1');
  expect(text).toContain('holdfast_request_duration_seconds_count{transport="http",operation="query"} 2');
  expect(text).toContain('holdfast_requests_in_flight 0');
  expect(text).toContain('process_cpu_user_seconds_total');
  expect(text).not.toContain('SomeName');
});

test('codes that resolvers invent do not multiply labels without end', async () => {
  const metrics = createRegistry();
  let n = 0;
  const { url } = await serve({
    metrics,
    formatError: ({ message }) => ({ message, extensions: { code: `CODE_${n++}` } }),
  });
  for (let request = 0; request < 120; request++) await post(url, { query: '{ boom }' });
  const { values } = (await metrics.getSingleMetric('holdfast_errors_total')?.get()) ?? { values: [] };
  expect(values.length).toBeLessThanOrEqual(101);
  expect(values.find(({ labels }) => labels.code === 'other')?.value).toBe(20);
});

test('the explorer is served from here, under a policy that allows nothing else', async () => {
  const { server } = await serve({
    health: () => WELL,
    explore: [
      { name: 'data', url: 'http://127.0.0.1:4000/graphql' },
      { name: 'ops & "more"', url: '/graphql' },
    ],
  });
  const page = await fetch(`${server.url}/graphiql`);
  const html = await page.text();
  const policy = page.headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("script-src 'self';");
  expect(policy).toContain("connect-src 'self' http://127.0.0.1:4000 ws://127.0.0.1:4000");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(html).toContain('data-url="http://127.0.0.1:4000/graphql"');
  expect(html).toContain('ops &#38; &#34;more&#34;');
  expect(html).not.toMatch(/<script>|https?:\/\/(?!127\.0\.0\.1)/);
  expect(await (await fetch(`${server.url}/graphiql?api=ops%20%26%20%22more%22`)).text()).toContain(
    'data-url="/graphql"',
  );
  for (const [, file] of html.matchAll(/(?:src|href)="(\/graphiql\/[^"]+)"/g)) {
    const asset = await fetch(`${server.url}${file}`);
    expect(asset.status).toBe(200);
    expect(asset.headers.get('content-encoding')).toBe('gzip');
    const etag = asset.headers.get('etag') ?? '';
    expect((await asset.text()).length).toBeGreaterThan(100);
    expect((await fetch(`${server.url}${file}`, { headers: { 'if-none-match': etag } })).status).toBe(304);
  }
  for (const worker of ['editorWorkerService', 'json', 'graphql']) {
    expect((await fetch(`${server.url}/graphiql/${worker}.js`)).status).toBe(200);
  }
  expect((await fetch(`${server.url}/graphiql/other.js`)).status).toBe(404);
});

test('who cannot unpack gets the files as they are', async () => {
  const { server } = await serve({ health: () => WELL });
  const plain = await fetch(`${server.url}/graphiql/start.js`, { headers: { 'accept-encoding': 'identity' } });
  expect(plain.headers.get('content-encoding')).toBeNull();
  expect(await plain.text()).toContain('MonacoEnvironment');
});

test('a page at / lists what is there', async () => {
  const { server: ops } = await serve({ health: () => WELL });
  expect(await (await fetch(ops.url)).text()).toContain('href="/health/ready"');
  const { server: data } = await serve();
  const page = await (await fetch(data.url)).text();
  expect(page).toContain('href="/graphql"');
  expect(page).not.toContain('/metrics');
  expect((await request(`${data.url}/metrics`)).status).toBe(404);
  expect((await request(`${data.url}/graphiql`)).status).toBe(404);
});

test('each request is one log line, without secrets and variables', async () => {
  const { url, log } = await serve();
  const query = 'query Named($i: ID!) { teacher(id: $i) { name } }';
  await post(
    url,
    { query, variables: { i: 'private-variable' } },
    { authorization: 'Bearer secret', 'x-request-id': 'r9' },
  );
  const lines = log.filter(({ requestId }) => requestId === 'r9');
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    transport: 'http',
    type: 'query',
    name: 'Named',
    principal: 'anonymous',
    status: 200,
    msg: 'request',
  });
  expect(JSON.stringify(log)).not.toMatch(/secret|private-variable/);
  await request(`${url}?query=%7Bnope%7D&variables=%7B%22a%22%3A%22private-variable%22%7D`, {
    method: 'GET',
    headers: { origin: 'https://evil.example' },
  });
  expect(log.at(-1)).toMatchObject({ status: 403, code: 'FORBIDDEN', path: '/graphql', method: 'GET' });
  expect(JSON.stringify(log)).not.toContain('private-variable');
});
