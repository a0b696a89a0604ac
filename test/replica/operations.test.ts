import { readFileSync } from 'node:fs';
import { buildSchema, parse, validate } from 'graphql';
import { expect, test } from 'vitest';
import { OPERATIONS } from '../../replica/operations.ts';

const schema = buildSchema(readFileSync(new URL('../../schema/sync.graphql', import.meta.url), 'utf8'));

test.each(Object.entries(OPERATIONS))('%s is an operation of schema/sync.graphql', (_name, text) => {
  expect(validate(schema, parse(text)).map((error) => error.message)).toEqual([]);
});

test('a field the schema does not have is found', () => {
  expect(validate(schema, parse(OPERATIONS.rows.replace('version', 'revision')))).not.toEqual([]);
});
