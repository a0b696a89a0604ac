import { expect, it } from 'vitest';
import { MongoClient } from '../../../src/fallback/client/mongo-client.ts';

it.each([
  ['mongodb://127.0.0.1/db', {}],
  ['mongodb://127.0.0.1/db?retryWrites=true', {}],
  ['mongodb://127.0.0.1/db', { retryWrites: true }],
])('sends no write twice: %s %j', (url, options) => {
  expect(new MongoClient(url, options).options.retryWrites).toBe(false);
});
