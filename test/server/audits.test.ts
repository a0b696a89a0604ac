import { serverAudits } from 'graphql-http';
import { expect, test } from 'vitest';
import { serve } from './support/serve.ts';

test('passes every audit of GraphQL over HTTP', async () => {
  const { url } = await serve({ hostCheck: 'loopback' });
  const results = await Promise.all(serverAudits({ url, fetchFn: fetch }).map((audit) => audit.fn()));
  expect(results).toHaveLength(61);
  expect(results.filter(({ status }) => status !== 'ok').map(({ id, status }) => `${id} ${status}`)).toEqual([]);
});
