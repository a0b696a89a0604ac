import { expect, test } from 'vitest';
import { answerType } from '../../src/server/negotiate.ts';

const JSON_TYPE = 'application/json';
const RESPONSE = 'application/graphql-response+json';

test.each([
  [undefined, JSON_TYPE],
  ['', JSON_TYPE],
  ['*/*', JSON_TYPE],
  ['application/*', JSON_TYPE],
  [JSON_TYPE, JSON_TYPE],
  [RESPONSE, RESPONSE],
  [`${RESPONSE}; charset=utf-8, ${JSON_TYPE}; charset=utf-8`, RESPONSE],
  [`${JSON_TYPE}, ${RESPONSE}`, JSON_TYPE],
  [`${JSON_TYPE};q=0.5, ${RESPONSE};q=0.9`, RESPONSE],
  [`${RESPONSE};q=0.5, */*;q=0.4`, RESPONSE],
  [`${RESPONSE};q=0, */*`, JSON_TYPE],
  ['text/html, application/xhtml+xml, */*;q=0.8', JSON_TYPE],
  ['APPLICATION/JSON', JSON_TYPE],
  ['text/html', undefined],
  [`${JSON_TYPE};q=0`, undefined],
  [';;;,,', undefined],
])('accept %j is answered with %j', (accept, type) => {
  expect(answerType(accept)).toBe(type);
});
