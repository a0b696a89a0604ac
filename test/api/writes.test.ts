import { describe, expect, test } from 'vitest';
import { createApiContext } from '../../src/api/context.ts';
import type { Document } from '../../src/model/document.ts';
import type { RequestContext, WriteContext } from '../../src/service/data-service.ts';
import { NOW, testApi } from '../support/api.ts';

const SDL = `
type Teacher @entity {
  id: ID! @id
  name: String!
  email: EmailAddress @unique
  kind: Kind! @default(value: FULL)
  salary: Decimal
  lessons: Int
  tags: [String!]! @default(value: [])
  address: Address
  contacts: [Contact!]
  secret: String @hidden
  homeTown: String @field(name: "home-town")
  createdAt: DateTime! @timestamp(on: [CREATE])
  updatedAt: DateTime! @timestamp
}
type Address { street: String!  zip: String @field(name: "zip-code")  country: String! @default(value: "GB") }
type Contact { name: String  phone: String }
enum Kind { FULL PART }
type Mark @entity { id: ID! @id }
`;

const CREATE = 'mutation($input: CreateTeacherInput!) { createTeacher(input: $input) { outcome teacher { id } } }';

function setUp() {
  const api = testApi(SDL);
  /** The one stored document that the last call of `method` was given. */
  const given = (method: string, place = 0) => {
    const call = api.service.calls.findLast((candidate) => candidate.method === method);
    return call?.args[place] as Document;
  };
  return { ...api, given };
}

describe('create', () => {
  test('stores under stored names, with defaults and timestamps, and without nulls', async () => {
    const { data, given } = setUp();
    await data(CREATE, {
      input: {
        id: 't1',
        name: 'Ada',
        homeTown: 'Ely',
        email: null,
        address: { street: 'High St', zip: 'X' },
        contacts: [{ name: 'B', phone: null }],
      },
    });
    expect(given('create')).toEqual({
      _id: 't1',
      name: 'Ada',
      kind: 'FULL',
      tags: [],
      address: { street: 'High St', 'zip-code': 'X', country: 'GB' },
      contacts: [{ name: 'B' }],
      'home-town': 'Ely',
      createdAt: NOW,
      updatedAt: NOW,
    });
  });

  test('leaves the id to the service when none is given', async () => {
    const { data, given } = setUp();
    await data(CREATE, { input: { name: 'Ada' } });
    expect(given('create')).not.toHaveProperty('_id');
  });

  test.each([
    ['a required field with a default', { name: 'Ada', kind: null }, ['kind']],
    ['a required list', { name: 'Ada', tags: null }, ['tags']],
    [
      'a required field of a nested object',
      { name: 'Ada', address: { street: 'x', country: null } },
      ['address.country'],
    ],
  ])('refuses null for %s', async (_what, input, fields) => {
    const { error, service } = setUp();
    expect(await error(CREATE, { input })).toMatchObject({ code: 'VALIDATION_FAILED', details: { fields } });
    expect(service.calls).toEqual([]);
  });

  test.each([
    ['required fields', 'name: String!'],
    ['fields with a default', 'kind: Kind'],
    ['the id', 'id: ID'],
  ])('says in its input type what it needs: %s', (_what, line) => {
    const { schema } = setUp();
    const [name = '', type] = line.split(': ');
    const input = schema.getType('CreateTeacherInput') as unknown as {
      getFields(): Record<string, { type: unknown }>;
    };
    expect(String(input.getFields()[name]?.type)).toBe(type);
    expect(Object.keys(input.getFields())).not.toEqual(expect.arrayContaining(['createdAt']));
    expect(Object.keys(input.getFields())).not.toEqual(expect.arrayContaining(['secret']));
  });

  test('tells which public field is taken already', async () => {
    const { data, error } = setUp();
    await data(CREATE, { input: { id: 't1', name: 'A', email: 'a@b.test' } });
    expect(await error(CREATE, { input: { id: 't1', name: 'B' } })).toMatchObject({
      code: 'ALREADY_EXISTS',
      details: { fields: ['id'] },
    });
    expect(await error(CREATE, { input: { name: 'B', email: 'a@b.test' } })).toMatchObject({
      details: { fields: ['email'] },
    });
  });

  test('works for an entity that is nothing but an id', async () => {
    const { data, schema } = setUp();
    expect(await data('mutation { createMark(input: {id: "m"}) { mark { id } } }')).toEqual({
      createMark: { mark: { id: 'm' } },
    });
    expect(schema.getMutationType()?.getFields()).not.toHaveProperty('updateMark');
  });
});

describe('createMany', () => {
  const MANY = `mutation($inputs: [CreateTeacherInput!]!) {
    createTeachers(inputs: $inputs) { teachers { id } matched written refused { index code message } outcome position }
  }`;

  test('creates what it can and lists what it refused by its place in the input', async () => {
    const { data } = setUp();
    const inputs = [
      { id: 'a', name: 'A' },
      { id: 'b', name: 'B', kind: null },
      { id: 'a', name: 'C' },
      { id: 'd', name: 'D' },
    ];
    const { createTeachers } = await data<Record<'createTeachers', object>>(MANY, { inputs });
    expect(createTeachers).toEqual({
      teachers: [{ id: 'a' }, { id: 'd' }],
      matched: 3,
      written: 2,
      refused: [
        { index: 1, code: 'VALIDATION_FAILED', message: 'Teacher: kind must have a value' },
        { index: 2, code: 'ALREADY_EXISTS', message: 'another Teacher has the same _id' },
      ],
      outcome: 'COMMITTED',
      position: '1.2',
    });
  });

  test('asks nothing of the service when there is nothing to create', async () => {
    const { data, service } = setUp();
    const result = await data(MANY, { inputs: [{ name: 'B', kind: null }] });
    expect(result).toMatchObject({ createTeachers: { written: 0, refused: [{ index: 0 }], position: null } });
    expect(service.calls).toEqual([]);
  });

  test('refuses more than 1,000 inputs', async () => {
    const { error } = setUp();
    const inputs = Array.from({ length: 1001 }, () => ({ name: 'A' }));
    expect(await error(MANY, { inputs })).toMatchObject({ code: 'BAD_USER_INPUT' });
  });
});

describe('update', () => {
  const UPDATE = `mutation($set: TeacherSet, $inc: TeacherInc, $ifVersion: SafeInt) {
    updateTeacher(id: "t1", set: $set, inc: $inc, ifVersion: $ifVersion) { version teacher { name lessons homeTown } }
  }`;

  async function withTeacher() {
    const api = setUp();
    await api.data(CREATE, { input: { id: 't1', name: 'Ada', lessons: 2, homeTown: 'Ely' } });
    return api;
  }

  test('sets, removes what is set to null, adds, and stamps the time', async () => {
    const { data, given } = await withTeacher();
    const set = { name: 'Bea', homeTown: null, address: { street: 'S' } };
    expect(await data(UPDATE, { set, inc: { lessons: 3 } })).toEqual({
      updateTeacher: { version: 2, teacher: { name: 'Bea', lessons: 5, homeTown: null } },
    });
    expect(given('update', 1)).toEqual({
      $set: { name: 'Bea', address: { street: 'S', country: 'GB' }, updatedAt: NOW },
      $unset: { 'home-town': '' },
      $inc: { lessons: 3 },
    });
  });

  test.each([
    ['null for a required field', { set: { name: null } }, 'VALIDATION_FAILED'],
    ['a field in set and in inc', { set: { lessons: 1 }, inc: { lessons: 1 } }, 'BAD_USER_INPUT'],
    ['a field removed and increased', { set: { lessons: null }, inc: { lessons: 1 } }, 'BAD_USER_INPUT'],
    ['null in inc', { inc: { lessons: null } }, 'BAD_USER_INPUT'],
    ['an empty set', { set: {} }, 'BAD_USER_INPUT'],
    ['nothing at all', {}, 'BAD_USER_INPUT'],
  ])('refuses %s', async (_what, variables, code) => {
    const { error, service } = await withTeacher();
    service.take();
    expect((await error(UPDATE, variables)).code).toBe(code);
    expect(service.calls).toEqual([]);
  });

  test('answers CONFLICT with the current document as the API shows it', async () => {
    const api = setUp();
    const stored = {
      _id: 't1',
      name: 'Ada',
      kind: 'FULL',
      tags: ['x'],
      secret: 's3',
      'home-town': 'Ely',
      updatedAt: NOW,
    };
    api.service.seed(api.entity('Teacher'), [{ ...stored, address: { street: 'S', 'zip-code': 'Z' } }]);
    const error = await api.error(UPDATE, { set: { name: 'B' }, ifVersion: 9 });
    expect(error).toMatchObject({ code: 'CONFLICT', details: { currentVersion: 1 } });
    expect((error.details as { current: object }).current).toEqual({
      id: 't1',
      name: 'Ada',
      email: null,
      kind: 'FULL',
      salary: null,
      lessons: null,
      tags: ['x'],
      address: { street: 'S', zip: 'Z', country: null },
      contacts: null,
      homeTown: 'Ely',
      createdAt: null,
      updatedAt: NOW.toISOString(),
    });
  });

  test('answers NOT_FOUND for an id that is not there', async () => {
    const { error } = setUp();
    expect((await error(UPDATE, { set: { name: 'B' } })).code).toBe('NOT_FOUND');
  });

  test('adds to decimals exactly', async () => {
    const { data } = setUp();
    await data(CREATE, { input: { id: 't1', name: 'Ada', salary: '0.1' } });
    const query = 'mutation { updateTeacher(id: "t1", inc: {salary: "0.2"}) { teacher { salary } } }';
    expect(await data(query)).toEqual({ updateTeacher: { teacher: { salary: '0.3' } } });
  });
});

describe('updateMany and deleteMany', () => {
  test('change every document that matches', async () => {
    const { data } = setUp();
    for (const id of ['a', 'b', 'c']) await data(CREATE, { input: { id, name: id } });
    const update =
      'mutation { updateTeachers(where: {id: {in: ["a", "b"]}}, set: {kind: PART}) { matched written teachers { kind } } }';
    expect(await data(update)).toEqual({
      updateTeachers: { matched: 2, written: 2, teachers: [{ kind: 'PART' }, { kind: 'PART' }] },
    });
    const remove = 'mutation { deleteTeachers(where: {kind: {eq: PART}}) { written teachers { id } } }';
    expect(await data(remove)).toEqual({ deleteTeachers: { written: 2, teachers: [{ id: 'a' }, { id: 'b' }] } });
    expect(await data('{ teachersCount }')).toEqual({ teachersCount: 1 });
  });

  test('refuse a where that lost its condition, and accept one that openly has none', async () => {
    const { data, error, service } = setUp();
    await data(CREATE, { input: { name: 'A' } });
    const query = 'mutation($name: String) { deleteTeachers(where: {name: {eq: $name}}) { written } }';
    expect((await error(query)).code).toBe('BAD_USER_INPUT');
    expect(service.take()).toEqual(['create Teacher']);
    expect(await data('mutation { deleteTeachers(where: {}) { written } }')).toEqual({
      deleteTeachers: { written: 1 },
    });
  });
});

describe('upsert', () => {
  const UPSERT = `mutation($where: TeacherUnique!, $create: CreateTeacherInput!, $update: TeacherSet!) {
    upsertTeacher(where: $where, create: $create, update: $update) { teacher { id name email } }
  }`;
  const where = { email: 'a@b.test' };

  test('creates with the key filled in, then updates', async () => {
    const { data } = setUp();
    const variables = { where, create: { id: 't1', name: 'New' }, update: { name: 'Old' } };
    const teacher = { id: 't1', email: 'a@b.test' };
    expect(await data(UPSERT, variables)).toEqual({ upsertTeacher: { teacher: { ...teacher, name: 'New' } } });
    expect(await data(UPSERT, variables)).toEqual({ upsertTeacher: { teacher: { ...teacher, name: 'Old' } } });
  });

  test('leaves what is there when there is nothing to update', async () => {
    const { data, given } = setUp();
    await data(UPSERT, { where, create: { name: 'New' }, update: {} });
    expect(await data(UPSERT, { where, create: { name: 'Newer' }, update: {} })).toMatchObject({
      upsertTeacher: { teacher: { name: 'New' } },
    });
    expect(given('upsert', 2)).toEqual({ $set: {} });
  });

  test.each([
    ['no key', {}],
    ['two keys', { id: 't1', email: 'a@b.test' }],
    ['null as the key', { email: null }],
  ])('refuses %s', async (_what, key) => {
    const { error } = setUp();
    expect((await error(UPSERT, { where: key, create: { name: 'A' }, update: {} })).code).toBe('BAD_USER_INPUT');
  });

  test('refuses to create under another key', async () => {
    const { error } = setUp();
    const create = { name: 'A', email: 'other@b.test' };
    expect((await error(UPSERT, { where, create, update: {} })).code).toBe('BAD_USER_INPUT');
  });
});

describe('an idempotent mutation', () => {
  const two = `mutation { first: createTeacher(input: {name: "A"}) { outcome } createTeacher(input: {name: "A"}) { outcome } }`;

  test('names each write by its response path, with a digest of its arguments', async () => {
    const { run, service } = setUp();
    await run(two, {}, { idempotencyKey: 'k1' });
    const contexts = service.calls.map((call) => call.args[1] as WriteContext);
    expect(contexts.map((context) => context.field)).toEqual(['first', 'createTeacher']);
    expect(contexts[0]?.argumentsDigest).toMatch(/^[0-9a-f]{32}$/);
    expect(contexts[0]?.argumentsDigest).toBe(contexts[1]?.argumentsDigest);
  });

  test('has another digest for other arguments and for another mutation', async () => {
    const { run, service } = setUp();
    const request = { idempotencyKey: 'k1' };
    await run('mutation { m: createTeacher(input: {id: "a", name: "A"}) { outcome } }', {}, request);
    await run('mutation { m: createTeacher(input: {id: "a", name: "B"}) { outcome } }', {}, request);
    await run('mutation { m: createMark(input: {id: "a"}) { outcome } }', {}, request);
    await run('mutation { m: deleteTeacher(id: "a") { outcome } }', {}, request);
    await run('mutation { m: deleteMark(id: "a") { outcome } }', {}, request);
    const digests = service.calls.map((call) => (call.args.at(-1) as WriteContext).argumentsDigest);
    expect(new Set(digests).size).toBe(5);
  });

  test('has the same digest whatever the order of the fields in the input', async () => {
    const { run, service } = setUp();
    const request = { idempotencyKey: 'k1' };
    await run(CREATE, { input: { id: 'a', name: 'A' } }, request);
    await run(CREATE, { input: { name: 'A', id: 'a' } }, request);
    const [one, other] = service.calls.map((call) => (call.args[1] as WriteContext).argumentsDigest);
    expect(one).toBe(other);
  });
});

test('a mutation tells the request where its answer came from', async () => {
  const { service, model } = setUp();
  const request: RequestContext = { principal: 'p', signal: new AbortController().signal };
  await createApiContext(service, request, model).db.teachers?.create({ name: 'A' });
  expect(request.provenance?.source).toBe('DATABASE');
});
