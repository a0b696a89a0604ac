import { expect, test } from 'vitest';
import { isHoldfastError } from '../../src/errors.ts';
import { schoolSchema } from './support/school.ts';
import { post, request, serve } from './support/serve.ts';

test('answers queries by POST and GET, and mutations by POST only', async () => {
  const { url } = await serve();
  expect((await post(url, { query: '{ hello }' })).data).toEqual({ hello: 'world' });
  expect((await request(`${url}?query=%7Bhello%7D`)).data).toEqual({ hello: 'world' });
  const mutation = 'mutation { setName(id: 1, name: "Ann") { name } }';
  expect((await post(url, { query: mutation })).data).toEqual({ setName: { name: 'Ann' } });
  const refused = await request(`${url}?query=${encodeURIComponent(mutation)}`);
  expect(refused.status).toBe(405);
  expect(refused.headers.get('allow')).toBe('POST');
});

test('tells where the data came from in extensions and headers', async () => {
  const provenance = { source: 'DATABASE', asOf: '2026-01-01T00:00:00.000Z', position: '1.7', degraded: false };
  const { url } = await serve({ provenance: () => provenance });
  const answer = await post(url, { query: '{ hello }' });
  expect(answer.extensions).toEqual({ holdfast: provenance });
  expect(answer.headers.get('holdfast-source')).toBe('DATABASE');
  expect(answer.headers.get('holdfast-as-of')).toBe('2026-01-01T00:00:00.000Z');
  expect(answer.headers.get('holdfast-position')).toBe('1.7');
});

test('hands mutations, and nothing else, to forward with the client’s headers', async () => {
  const forwarded: unknown[] = [];
  const { url } = await serve({
    forward: async (operation, { headers, idempotencyKey }) => {
      forwarded.push({ operation, authorization: headers.authorization, idempotencyKey });
      return {
        data: { setName: null },
        errors: [
          { message: 'there', path: ['setName'], extensions: { code: 'CONFLICT', requestId: 'theirs' } },
        ] as never,
        extensions: { holdfast: { source: 'DATABASE' } },
      };
    },
  });
  const query = 'mutation M($n: String!) { setName(id: 1, name: $n) { name } }';
  const answer = await post(
    url,
    { query, variables: { n: 'x' } },
    { authorization: 'Bearer t', 'idempotency-key': 'k1', 'x-secret': 'no' },
  );
  expect(forwarded).toEqual([
    {
      operation: { query, operationName: undefined, variables: { n: 'x' } },
      authorization: 'Bearer t',
      idempotencyKey: 'k1',
    },
  ]);
  expect(answer.data).toEqual({ setName: null });
  expect(answer.errors).toEqual([
    { message: 'there', path: ['setName'], extensions: { code: 'CONFLICT', retryable: false, requestId: 'theirs' } },
  ]);
  expect(answer.extensions).toEqual({ holdfast: { source: 'DATABASE' } });
  expect((await post(url, { query: '{ hello }' })).data).toEqual({ hello: 'world' });
  expect(forwarded).toHaveLength(1);
});

test('a port in use is told with address and flag', async () => {
  const { server } = await serve();
  const second = serve({ port: server.port, portFlag: '--ops-port' });
  const error = await second.catch((reason: unknown) => reason);
  expect(isHoldfastError(error, 'PORT_IN_USE')).toBe(true);
  expect(String(error)).toContain(`127.0.0.1:${server.port}`);
  expect(String(error)).toContain('--ops-port');
});

test('a new schema answers the requests after it, without a pause', async () => {
  const { server, url } = await serve();
  expect((await post(url, { query: '{ hello }' })).data).toEqual({ hello: 'world' });
  const schema = schoolSchema();
  const field = schema.getQueryType()?.getFields().hello;
  if (field !== undefined) field.resolve = () => 'new world';
  server.replaceSchema(schema);
  expect((await post(url, { query: '{ hello }' })).data).toEqual({ hello: 'new world' });
});
