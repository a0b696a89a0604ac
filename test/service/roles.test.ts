import { readFileSync } from 'node:fs';
import { buildASTSchema, parse } from 'graphql';
import { describe, expect, test } from 'vitest';
import { ACCESS_ROLES, type AccessRole } from '../../src/config.ts';
import { Action, dataActions, isSync, may, opsActions, requireActions } from '../../src/service/roles.ts';

const { QUERY, SUBSCRIPTION, MUTATION, SYNC, OPERATE, ADMINISTER } = Action;

/** The rules again, as the manual states them. */
const ALLOWED: Record<AccessRole, readonly Action[]> = {
  reader: [QUERY, SUBSCRIPTION],
  writer: [QUERY, SUBSCRIPTION, MUTATION],
  replica: [SYNC],
  operator: [OPERATE],
  admin: [QUERY, SUBSCRIPTION, MUTATION, SYNC, OPERATE, ADMINISTER],
};

const CELLS = ACCESS_ROLES.flatMap((role) =>
  Object.values(Action).map((action) => [role, action, ALLOWED[role].includes(action)] as const),
);

describe('the rules of roles', () => {
  test.each(CELLS)('%s, %s: %s', (role, action, allowed) => {
    expect(may([role], action)).toBe(allowed);
    const asked = () => requireActions([role], [action]);
    if (allowed) asked();
    else
      expect(asked).toThrow(
        expect.objectContaining({ code: 'FORBIDDEN', details: expect.objectContaining({ action }) }),
      );
  });

  test('a caller may what any of its roles may, and nothing without one', () => {
    requireActions(['replica', 'reader'], [SYNC, QUERY]);
    expect(() => requireActions(['replica', 'reader'], [SYNC, MUTATION])).toThrow('a mutation needs');
    for (const action of Object.values(Action)) {
      expect(may([], action)).toBe(false);
      expect(may(['constructor', 'ADMIN', ''], action)).toBe(false);
    }
  });
});

describe('what an operation wants', () => {
  const sync = fieldsOf('sync.graphql');
  const ops = ['ops.graphql', 'dr.graphql', 'audit.graphql'].flatMap(fieldsOf);

  test.each(sync)('%s of type %s is the sync API', (field, type) => {
    expect(dataActions({ type, fields: [field] })).toEqual(new Set([SYNC]));
    expect(isSync({ type, fields: [field] })).toBe(true);
  });

  test.each(ops)('%s of type %s is for operators, but for tokens', (field, type) => {
    expect(opsActions({ type, fields: [field] })).toEqual(new Set([/^token/.test(field) ? ADMINISTER : OPERATE]));
  });

  test.each([QUERY, MUTATION, SUBSCRIPTION] as const)('a %s of an entity is one of data', (type) => {
    expect(dataActions({ type, fields: ['teachers', '__typename', '__schema'] })).toEqual(new Set([type]));
  });

  test('entities with names that begin like the sync API are entities', () => {
    expect(dataActions({ type: 'query', fields: ['syncs', 'syncHellos'] })).toEqual(new Set([QUERY]));
    expect(isSync({ type: 'query', fields: ['syncs'] })).toBe(false);
  });

  test('fields of several kinds want all of them', () => {
    const mixed = { type: 'mutation', fields: ['syncAck', 'createTeacher'] } as const;
    expect(dataActions(mixed)).toEqual(new Set([SYNC, MUTATION]));
    expect(isSync(mixed)).toBe(false);
    expect(opsActions({ type: 'mutation', fields: ['replicaVerify', 'tokenRevoke'] })).toEqual(
      new Set([OPERATE, ADMINISTER]),
    );
  });
});

function fieldsOf(file: string): [string, Action & ('query' | 'mutation' | 'subscription')][] {
  const schema = buildASTSchema(parse(readFileSync(new URL(`../../schema/${file}`, import.meta.url), 'utf8')));
  const fields = (type: { getFields(): object } | null | undefined) => Object.keys(type?.getFields() ?? {});
  return [
    ...fields(schema.getQueryType()).map((field) => [field, QUERY] as [string, typeof QUERY]),
    ...fields(schema.getMutationType()).map((field) => [field, MUTATION] as [string, typeof MUTATION]),
    ...fields(schema.getSubscriptionType()).map((field) => [field, SUBSCRIPTION] as [string, typeof SUBSCRIPTION]),
  ];
}
