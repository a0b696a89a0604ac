import type { ExecutionResult } from 'graphql';
import { describe, expect, test } from 'vitest';
import type { ReadRequest } from '../../src/fallback/read-request.ts';
import type { RequestContext } from '../../src/service/data-service.ts';
import { testApi } from '../support/api.ts';

const SDL = `
type School @entity { id: ID! @id  name: String! }
type Teacher @entity { id: ID! @id  name: String!  schoolId: ID  school: School @relation(field: "schoolId") }
`;

const create = (id: string, name: string) =>
  `mutation { createTeacher(input: {id: "${id}", name: "${name}", schoolId: "s1"}) { position } }`;
const rename = (id: string, name: string) =>
  `mutation { updateTeacher(id: "${id}", set: {name: "${name}"}) { position } }`;
const remove = (id: string) => `mutation { deleteTeacher(id: "${id}") { position } }`;

async function next(events: AsyncIterator<ExecutionResult>): Promise<unknown> {
  const { value } = await events.next();
  if (value?.errors !== undefined) throw value.errors[0];
  return JSON.parse(JSON.stringify(value?.data?.teacherChanged));
}

describe('teacherChanged', () => {
  test('yields each change with the document after it', async () => {
    const { subscribe, data } = testApi(SDL);
    const events = await subscribe(
      'subscription { teacherChanged { operation id version position at teacher { name } } }',
    );
    const first = next(events);
    await data(create('t1', 'Ada'));
    await data(rename('t1', 'Bea'));
    await data(remove('t1'));
    const at = new Date(0).toISOString();
    expect(await first).toEqual({
      operation: 'CREATED',
      id: 't1',
      version: 1,
      position: '1.1',
      at,
      teacher: { name: 'Ada' },
    });
    expect(await next(events)).toEqual({
      operation: 'UPDATED',
      id: 't1',
      version: 2,
      position: '1.2',
      at,
      teacher: { name: 'Bea' },
    });
    expect(await next(events)).toEqual({
      operation: 'DELETED',
      id: 't1',
      version: 3,
      position: '1.3',
      at,
      teacher: null,
    });
  });

  test('reads what each event shows of relations as a request of its own', async () => {
    const { service, subscribe, data } = testApi(SDL);
    const seen: unknown[] = [];
    for (const method of ['find', 'findGrouped'] as const) {
      const read = service[method].bind(service) as (...args: unknown[]) => Promise<never>;
      service[method] = (...args: unknown[]) => {
        const context = args.at(-1) as RequestContext;
        seen.push([context.reads, context.provenance]);
        context.reads = {} as ReadRequest;
        context.provenance = { source: 'LIVE', asOf: '', stalenessMs: 9, position: null, degraded: true };
        return read(...args);
      };
    }
    const events = await subscribe('subscription { teacherChanged { teacher { name school { name } } } }');
    const first = next(events);
    await data(create('t1', 'Ada'));
    await first;
    await data(rename('t1', 'Bea'));
    await next(events);
    expect(seen).toEqual([
      [undefined, undefined],
      [undefined, undefined],
    ]);
  });

  test('resumes after a position', async () => {
    const { subscribe, data } = testApi(SDL);
    for (const name of ['A', 'B', 'C']) await data(create(name, name));
    const events = await subscribe('subscription { teacherChanged(after: "1.1") { id } }');
    expect([await next(events), await next(events)]).toEqual([{ id: 'B' }, { id: 'C' }]);
  });

  test('delivers what where and operations name', async () => {
    const { subscribe, data, service } = testApi(SDL);
    const events = await subscribe(
      'subscription { teacherChanged(where: {name: {startsWith: "B"}}, operations: [UPDATED], after: "1.0") { teacher { name } } }',
    );
    await data(create('t1', 'Bo'));
    await data(rename('t1', 'Al'));
    await data(rename('t1', 'Bea'));
    expect(await next(events)).toEqual({ teacher: { name: 'Bea' } });
    expect(service.calls.find(({ method }) => method === 'changes')?.args[0]).toEqual({
      filter: { name: { $regex: '^B' } },
      operations: ['UPDATED'],
      after: { epoch: 1, sequence: 0 },
    });
  });

  test('reads relations anew for each event', async () => {
    const { subscribe, data } = testApi(SDL);
    await data('mutation { createSchool(input: {id: "s1", name: "old"}) { outcome } }');
    const events = await subscribe('subscription { teacherChanged { teacher { school { name } } } }');
    const first = next(events);
    await data(create('t1', 'A'));
    expect(await first).toEqual({ teacher: { school: { name: 'old' } } });
    await data('mutation { updateSchool(id: "s1", set: {name: "new"}) { outcome } }');
    await data(rename('t1', 'B'));
    expect(await next(events)).toEqual({ teacher: { school: { name: 'new' } } });
  });

  test('ends when the subscriber leaves, also while it waits', async () => {
    const { subscribe } = testApi(SDL);
    const events = await subscribe('subscription { teacherChanged { id } }');
    const waiting = events.next();
    await events.return?.();
    expect((await waiting).done).toBe(true);
  });

  test("ends with the request's signal", async () => {
    const { subscribe } = testApi(SDL);
    const controller = new AbortController();
    const events = await subscribe('subscription { teacherChanged { id } }', { signal: controller.signal });
    const waiting = events.next();
    controller.abort();
    expect((await waiting).done).toBe(true);
  });

  test.each([
    ['a condition on a relation', 'where: {school: {is: {name: {eq: "A"}}}}'],
    ['an empty list of operations', 'operations: []'],
    ['a position that is none', 'after: "yesterday"'],
  ])('refuses %s', async (_what, args) => {
    const { subscribe } = testApi(SDL);
    await expect(subscribe(`subscription { teacherChanged(${args}) { id } }`)).rejects.toThrow();
  });
});
