import { describe, expect, test } from 'vitest';
import { plainOperation } from '../../src/server/plain-operation.ts';
import { post, request, serve } from './support/serve.ts';

const query = '{ hello }';

describe('an ordinary POST', () => {
  test.each([
    { query },
    { query, operationName: null, variables: null, extensions: null },
    { query, operationName: '', variables: {}, extensions: { clientLibrary: { name: 'any' } } },
  ])('is read without Apollo: %j', (body) => {
    expect(plainOperation({ method: 'POST', body })).toEqual({
      query,
      operationName: body.operationName ?? undefined,
      variables: body.variables ?? undefined,
    });
  });

  test.each([
    undefined,
    null,
    'text',
    [{ query }],
    {},
    { query: '' },
    { query: { kind: 'Document' } },
    { query, operationName: 1 },
    { query, variables: '{}' },
    { query, variables: [] },
    { query, extensions: '{}' },
    { query, extensions: [] },
    { query, extensions: { persistedQuery: { version: 1, sha256Hash: 'a' } } },
    { query, extensions: { persistedQuery: null } },
  ])('is not what Apollo has something to say about: %j', (body) => {
    expect(plainOperation({ method: 'POST', body })).toBeUndefined();
  });

  test('is not a GET', () => {
    expect(plainOperation({ method: 'GET', body: { query } })).toBeUndefined();
  });
});

/** A GET goes through Apollo: what a POST gets without it must be the same to the byte. */
describe('the answer is the one by way of Apollo', () => {
  const operations: readonly { query: string; operationName?: string; variables?: Record<string, unknown> }[] = [
    { query },
    { query: '{ teachers(limit: 2) { id name pupils { id name level } nick } members { __typename } missing { id } }' },
    { query: 'query($id: ID!) { teacher(id: $id) { name } }', variables: { id: '2' } },
    { query: 'query A { hello } query B { principal }', operationName: 'B' },
    { query: 'query A { hello } query B { principal }' },
    { query: 'query A { hello } query B { principal }', operationName: 'C' },
    { query: 'query($id: ID!) { teacher(id: $id) { name } }' },
    { query: 'query($n: Int!) { teachers(limit: $n) { name } }', variables: { n: 'x' } },
    { query: '{ hello boom coded notReady }' },
    { query: '{ boom }' },
    { query: '{ hello strict }' },
    { query: '{ notReady }' },
    { query: '{ teachers(limit: 3) { name fails strict } }' },
    { query: 'query($n: Int) { teachers(limit: $n) { name } }', variables: { n: 1_000_000 } },
    { query: '{ hello' },
    { query: '{ nothing }' },
    { query: '{ __schema { queryType { name } } __typename }' },
  ];
  const types = [{}, { accept: 'application/graphql-response+json' }];

  test.each(operations.flatMap((operation) => types.map((type) => ({ operation, type }))))(
    '$operation $type',
    async ({ operation, type }) => {
      const provenance = { source: 'DATABASE', asOf: '2026-01-01T00:00:00.000Z', position: '1.7' };
      const { url } = await serve({ provenance: () => provenance });
      const headers = { 'x-request-id': 'same', ...type };
      const search = new URLSearchParams({ query: operation.query });
      if (operation.operationName !== undefined) search.set('operationName', operation.operationName);
      if (operation.variables !== undefined) search.set('variables', JSON.stringify(operation.variables));

      // Often enough that the last ones are answered by compiled code.
      for (let time = 0; time < 4; time++) {
        const byApollo = await request(`${url}?${search}`, { headers });
        const plain = await post(url, operation, headers);
        expect(plain.text).toBe(byApollo.text);
        expect(plain.status).toBe(byApollo.status);
        expect(facts(plain.headers)).toEqual(facts(byApollo.headers));
      }
    },
  );
});

function facts(headers: Headers): [string, string][] {
  return [...headers].filter(([name]) => name !== 'date');
}
