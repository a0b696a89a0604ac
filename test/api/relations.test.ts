import { describe, expect, test, vi } from 'vitest';
import { createApiContext } from '../../src/api/context.ts';
import { shapesOf } from '../../src/api/shapes.ts';
import { testApi } from '../support/api.ts';

const SDL = `
type School @entity { id: ID! @id  name: String!  teachers: [Teacher!]! @relation(field: "schoolId")  head: Head @relation(field: "schoolId") }
type Head @entity { id: ID! @id  name: String!  schoolId: ID @unique  school: School @relation(field: "schoolId") }
type Teacher @entity {
  id: ID! @id
  name: String!
  schoolId: ID
  school: School @relation(field: "schoolId")
  classes: [Class!]! @relation(field: "teacherId")
  assists: [Class!]! @relation(field: "assistantIds")
}
type Class @entity {
  id: ID! @id
  year: Int!
  teacherId: ID
  teacher: Teacher @relation(field: "teacherId")
  assistantIds: [ID!]
  assistants: [Teacher!]! @relation(field: "assistantIds")
}
`;

/** Two schools, six teachers in turn (the last in none), twelve classes in turn. */
function setUp() {
  const api = testApi(SDL);
  const seed = (name: string, documents: Record<string, unknown>[]) => api.service.seed(api.entity(name), documents);
  seed(
    'School',
    ['s1', 's2'].map((id) => ({ _id: id, name: id.toUpperCase() })),
  );
  seed('Head', [{ _id: 'h1', name: 'H', schoolId: 's1' }]);
  seed(
    'Teacher',
    [0, 1, 2, 3, 4, 5].map((n) => ({ _id: `t${n}`, name: `T${n}`, ...(n < 5 ? { schoolId: `s${(n % 2) + 1}` } : {}) })),
  );
  seed(
    'Class',
    Array.from({ length: 12 }, (_, n) => ({
      _id: `c${String(n).padStart(2, '0')}`,
      year: 2020 + (n % 3),
      teacherId: `t${n % 6}`,
      assistantIds: n === 0 ? ['t3', 't1', 't1'] : [`t${(n + 1) % 6}`],
    })),
  );
  return api;
}

describe('relations', () => {
  test('are followed both ways, to one and to many', async () => {
    const { data } = setUp();
    expect(
      await data(`{
        teacher(id: "t0") { school { id head { name school { id } } } classes { id } assists { id } }
        lonely: teacher(id: "t5") { school { id } }
        headless: school(id: "s2") { head { id } teachers { id } }
      }`),
    ).toEqual({
      teacher: {
        school: { id: 's1', head: { name: 'H', school: { id: 's1' } } },
        classes: [{ id: 'c00' }, { id: 'c06' }],
        assists: [{ id: 'c05' }, { id: 'c11' }],
      },
      lonely: { school: null },
      headless: { head: null, teachers: [{ id: 't1' }, { id: 't3' }] },
    });
  });

  test('cost one call of the service for each level, however many documents it has', async () => {
    const { data, service } = setUp();
    await data('{ schools { teachers { classes { teacher { school { name } } } } } }');
    expect(service.take()).toEqual([
      'find School',
      'findGrouped Teacher',
      'findGrouped Class',
      'findGrouped Teacher',
      'findGrouped School',
    ]);
  });

  test('ask for each key once', async () => {
    const { data, service } = setUp();
    await data('{ teachers { school { id } } }');
    const call = service.calls.find(({ method }) => method === 'findGrouped');
    expect(call?.args.slice(0, 2)).toEqual(['_id', ['s1', 's2']]);
  });

  test('ask nothing for documents without a key', async () => {
    const { data, service } = setUp();
    await data('{ teacher(id: "t5") { school { id } } }');
    expect(service.take()).toEqual(['find Teacher']);
  });

  test('cost one call for each set of arguments', async () => {
    const { data, service } = setUp();
    const result = await data(`{ teachers(limit: 2) {
      classes(where: {year: {gt: 2020}}) { id }
      first: classes(orderBy: [{year: DESC}], limit: 1) { id year }
      again: classes(orderBy: [{year: DESC}], limit: 1) { year }
      second: classes(limit: 1, offset: 1) { id }
    } }`);
    expect(result).toEqual({
      teachers: [
        { classes: [], first: [{ id: 'c00', year: 2020 }], again: [{ year: 2020 }], second: [{ id: 'c06' }] },
        {
          classes: [{ id: 'c01' }, { id: 'c07' }],
          first: [{ id: 'c01', year: 2021 }],
          again: [{ year: 2021 }],
          second: [{ id: 'c07' }],
        },
      ],
    });
    expect(service.take()).toEqual(['find Teacher', 'findGrouped Class', 'findGrouped Class', 'findGrouped Class']);
  });

  test('by a list of keys keep its order and name nobody twice', async () => {
    const { data } = setUp();
    const assistants = (list: string) => data(`{ class(id: "c00") { assistants${list} { id } } }`);
    expect(await assistants('')).toEqual({ class: { assistants: [{ id: 't3' }, { id: 't1' }] } });
    expect(await assistants('(orderBy: [{name: ASC}])')).toEqual({
      class: { assistants: [{ id: 't1' }, { id: 't3' }] },
    });
    expect(await assistants('(limit: 1, offset: 1)')).toEqual({ class: { assistants: [{ id: 't1' }] } });
    expect(await assistants('(where: {name: {eq: "T1"}})')).toEqual({ class: { assistants: [{ id: 't1' }] } });
    expect(await assistants('(limit: 0)')).toEqual({ class: { assistants: [] } });
  });

  test('by lists of keys cost one call for a whole level too', async () => {
    const { data, service } = setUp();
    await data('{ classes { assistants { id } } }');
    expect(service.take()).toEqual(['find Class', 'findGrouped Teacher']);
  });

  test('to one are there at once when they were read ahead', async () => {
    const { service, model, entity } = setUp();
    const { loaders } = createApiContext(service, { principal: 'p', signal: new AbortController().signal }, model);
    const source = { target: entity('School'), path: '_id', view: shapesOf(model).view(entity('School')) };
    await loaders.ahead(source, ['s1', 'none']);
    expect(loaders.one(source, 's1')).toMatchObject({ id: 's1', name: 'S1' });
    expect(loaders.one(source, 'none')).toBeNull();
    expect(await loaders.one(source, 's2')).toMatchObject({ id: 's2' });
    expect(service.take()).toEqual(['findGrouped School', 'findGrouped School']);
  });

  test('of a list are asked for again, and fail field by field, when they cannot be read ahead', async () => {
    const { run, service } = setUp();
    const failing = vi.spyOn(service, 'findGrouped').mockRejectedValue(new Error('gone'));
    const { data, errors } = await run('{ teachers(limit: 2) { id school { id } } }');
    expect(data).toEqual({
      teachers: [
        { id: 't0', school: null },
        { id: 't1', school: null },
      ],
    });
    expect(errors?.map(({ path }) => path)).toEqual([
      ['teachers', 0, 'school'],
      ['teachers', 1, 'school'],
    ]);
    failing.mockRestore();
  });

  test('of a list are not read ahead where a hand-written resolver follows them, or a condition may leave them out', async () => {
    const school = { id: 'mine', name: 'M' };
    const api = testApi(SDL, { resolvers: { Teacher: { school: () => school } } });
    api.service.seed(
      api.entity('Teacher'),
      [0, 1].map((n) => ({ _id: `t${n}`, name: `T${n}`, schoolId: 's1' })),
    );
    expect(await api.data('{ teachers { school { id } } }')).toEqual({
      teachers: [{ school: { id: 'mine' } }, { school: { id: 'mine' } }],
    });
    expect(api.service.take()).toEqual(['find Teacher']);
    const { data, service } = setUp();
    await data('query($no: Boolean = false) { teachers { id school @include(if: $no) { id } } }');
    expect(service.take()).toEqual(['find Teacher']);
  });

  test('are read again after a mutation of the same request', async () => {
    const { run } = setUp();
    const { data } = await run(`mutation {
      before: updateTeacher(id: "t0", set: {name: "A"}) { teacher { school { name } } }
      createTeacher(input: {id: "t9", name: "new", schoolId: "s1"}) { teacher { school { teachers { id } } } }
      renamed: updateSchool(id: "s1", set: {name: "renamed"}) { school { teachers { school { name } } } }
    }`);
    expect(data).toMatchObject({
      before: { teacher: { school: { name: 'S1' } } },
      createTeacher: { teacher: { school: { teachers: [{ id: 't0' }, { id: 't2' }, { id: 't4' }, { id: 't9' }] } } },
      renamed: { school: { teachers: Array(4).fill({ school: { name: 'renamed' } }) } },
    });
  });
});

describe('conditions on relations', () => {
  test.each([
    ['is', 'teachers(where: {school: {is: {name: {eq: "S2"}}}})', ['t1', 't3']],
    ['not is anything', 'teachers(where: {not: {school: {is: {}}}})', ['t5']],
    ['some', 'teachers(where: {classes: {some: {year: {eq: 2022}}}})', ['t2', 't5']],
    ['none', 'teachers(where: {classes: {none: {year: {eq: 2022}}}})', ['t0', 't1', 't3', 't4']],
    ['every', 'teachers(where: {classes: {every: {year: {eq: 2020}}}})', ['t0', 't3']],
    ['some through a list of keys', 'teachers(where: {assists: {some: {id: {eq: "c00"}}}})', ['t1', 't3']],
    ['relations of relations', 'schools(where: {teachers: {some: {classes: {some: {id: {eq: "c01"}}}}}})', ['s2']],
    ['a reverse relation to one', 'schools(where: {head: {is: {name: {eq: "H"}}}})', ['s1']],
    ['of a child list', 'school(id: "s1") { teachers(where: {classes: {some: {id: {eq: "c02"}}}})', ['t2']],
  ])('%s', async (_name, field, ids) => {
    const { data } = setUp();
    const nested = field.includes('{ teachers');
    const answer = JSON.stringify(await data(nested ? `{ ${field} { id } } }` : `{ ${field} { id } }`));
    expect([...answer.matchAll(/"id":"(\w+)"/g)].map((match) => match[1])).toEqual(ids);
  });

  test('are looked up once for a child list, not once for each parent', async () => {
    const { data, service } = setUp();
    await data('{ schools { teachers(where: {classes: {some: {year: {eq: 2022}}}}) { id } } }');
    expect(service.take()).toEqual(['find School', 'find Class', 'findGrouped Teacher']);
  });

  test('beyond 10,000 documents are refused with what to do', async () => {
    const { error, service, entity } = setUp();
    const many = Array.from({ length: 10_001 }, (_, n) => ({ _id: `x${n}`, year: 1999, teacherId: `t${n % 6}` }));
    service.seed(entity('Class'), many);
    const refusal = await error('{ teachers(where: {classes: {some: {year: {eq: 1999}}}}) { id } }');
    expect(refusal).toMatchObject({ code: 'QUERY_TOO_COMPLEX', message: expect.stringContaining('narrow') });
  });
});
