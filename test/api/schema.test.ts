import { readFileSync } from 'node:fs';
import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  isInputObjectType,
  isObjectType,
  parse,
} from 'graphql';
import { type CompiledQuery, compileQuery } from 'graphql-jit';
import { describe, expect, test } from 'vitest';
import { createApiContext } from '../../src/api/context.ts';
import { storedNumber } from '../../src/api/stored-number.ts';
import { testApi } from '../support/api.ts';

const SCHOOL = readFileSync(new URL('../../schema/example/school.graphql', import.meta.url), 'utf8');

const { schema: schoolSchema } = testApi(SCHOOL);

/** The fields of a type as SDL, without descriptions. */
function fieldsOf(name: string): string {
  const type = schoolSchema.getType(name);
  if (!isObjectType(type) && !isInputObjectType(type)) return '';
  return Object.values<GraphQLField<unknown, unknown> | GraphQLInputField>(type.getFields())
    .map((field) => `${field.name}${'args' in field ? argumentsOf(field.args) : ''}: ${field.type}`)
    .join('\n');
}

function argumentsOf(args: readonly GraphQLArgument[]): string {
  const texts = args.map(
    ({ name, type, defaultValue }) => `${name}: ${type}${defaultValue === undefined ? '' : ` = ${defaultValue}`}`,
  );
  return texts.length === 0 ? '' : `(${texts.join(', ')})`;
}

describe('the schema of the example', () => {
  const rootFields = (root: string) =>
    fieldsOf(root)
      .split('\n')
      .filter((line) => /teacher/i.test(line))
      .join('\n');

  test('has the documented queries', () => {
    expect(rootFields('Query')).toBe(
      `
teacher(id: ID!): Teacher
teacherByEmail(email: EmailAddress!): Teacher
teachers(where: TeacherWhere, orderBy: [TeacherOrder!], limit: Int = 50, offset: Int = 0): [Teacher!]!
teachersConnection(where: TeacherWhere, orderBy: [TeacherOrder!], first: Int, after: String, last: Int, before: String): TeacherConnection!
teachersCount(where: TeacherWhere): Int!`.trim(),
    );
  });

  test('has the documented mutations and subscription', () => {
    expect(rootFields('Mutation').split('\n').sort().join('\n')).toBe(
      `
createTeacher(input: CreateTeacherInput!): TeacherPayload!
createTeachers(inputs: [CreateTeacherInput!]!): TeachersPayload!
deleteTeacher(id: ID!, ifVersion: SafeInt): TeacherPayload!
deleteTeachers(where: TeacherWhere!): TeachersPayload!
updateTeacher(id: ID!, set: TeacherSet, inc: TeacherInc, ifVersion: SafeInt): TeacherPayload!
updateTeachers(where: TeacherWhere!, set: TeacherSet!): TeachersPayload!
upsertTeacher(where: TeacherUnique!, create: CreateTeacherInput!, update: TeacherSet!): TeacherPayload!`.trim(),
    );
    expect(rootFields('Subscription')).toBe(
      'teacherChanged(where: TeacherWhere, operations: [ChangeOperation!], after: Position): TeacherChange!',
    );
  });

  test.each([
    ['TeacherPayload', 'teacher: Teacher\noutcome: WriteOutcome!\nversion: SafeInt\nposition: Position\njournalId: ID'],
    [
      'TeachersPayload',
      'teachers: [Teacher!]!\nmatched: Int!\nwritten: Int!\nrefused: [Refusal!]!\noutcome: WriteOutcome!\nposition: Position',
    ],
    ['Refusal', 'index: Int!\ncode: String!\nmessage: String!'],
    ['TeacherConnection', 'edges: [TeacherEdge!]!\nnodes: [Teacher!]!\npageInfo: PageInfo!\ntotalCount: Int!'],
    ['TeacherEdge', 'cursor: String!\nnode: Teacher!'],
    [
      'TeacherChange',
      'operation: ChangeOperation!\nid: ID!\nteacher: Teacher\nversion: SafeInt!\nposition: Position!\nat: DateTime!',
    ],
    ['TeacherUnique', 'id: ID\nemail: EmailAddress'],
    ['TeacherInc', 'salary: Float'],
    [
      'TeacherOrder',
      'id: OrderDirection\nname: OrderDirection\nemail: OrderDirection\nphone: OrderDirection\nsalary: OrderDirection\nfullTime: OrderDirection\nhiredOn: OrderDirection\naddress: AddressOrder\nschoolId: OrderDirection\ncreatedAt: OrderDirection\nupdatedAt: OrderDirection',
    ],
    [
      'StringFilter',
      'eq: String\nne: String\nin: [String]\nnin: [String]\nlt: String\nlte: String\ngt: String\ngte: String\ncontains: String\nstartsWith: String\nendsWith: String\nisNull: Boolean',
    ],
    ['IntFilter', 'eq: Int\nne: Int\nin: [Int]\nnin: [Int]\nlt: Int\nlte: Int\ngt: Int\ngte: Int\nisNull: Boolean'],
    ['SchoolKindFilter', 'eq: SchoolKind\nne: SchoolKind\nin: [SchoolKind]\nnin: [SchoolKind]\nisNull: Boolean'],
    ['SubjectListFilter', 'has: Subject\nhasAny: [Subject!]\nhasEvery: [Subject!]\nisNull: Boolean'],
    ['SchoolFilter', 'is: SchoolWhere'],
    ['ClassListFilter', 'some: ClassWhere\nevery: ClassWhere\nnone: ClassWhere'],
    ['ContactListFilter', 'some: ContactWhere\nevery: ContactWhere\nnone: ContactWhere\nisNull: Boolean'],
  ])('has the documented type %s', (type, fields) => {
    expect(fieldsOf(type)).toBe(fields);
  });

  test('needs only a name to create a school', () => {
    const required = fieldsOf('CreateSchoolInput')
      .split('\n')
      .filter((line) => line.endsWith('!'));
    expect(required).toEqual(['name: String!']);
  });
});

describe('values of every scalar', () => {
  const SDL = `
type Thing @entity {
  id: ObjectID! @id
  uuid: UUID @unique
  big: BigInt
  safe: SafeInt
  decimal: Decimal
  float: Float
  flag: Boolean
  at: DateTime
  day: Date
  time: Time
  bytes: Byte
  json: JSON
  days: [Date!]
}`;
  const input = {
    id: '5f5b5b5b5b5b5b5b5b5b5b5b',
    uuid: '6f5b5b5b-5b5b-4b5b-8b5b-5b5b5b5b5b5b',
    big: '9223372036854775807',
    safe: 9_007_199_254_740_991,
    decimal: '12345678901234567890.12345',
    float: 1.5,
    flag: false,
    at: '2026-03-01T10:00:00.123Z',
    day: '2026-03-01',
    time: '08:30:00',
    bytes: 'aGk=',
    json: { a: [1, null, { $b: true }] },
    days: ['2026-03-01'],
  };
  const FIELDS = Object.keys(input).join(' ');

  test('come back as they were sent, and are found by themselves', async () => {
    const { data } = testApi(SDL);
    const create = `mutation($input: CreateThingInput!) { createThing(input: $input) { thing { ${FIELDS} } } }`;
    expect(await data(create, { input })).toEqual({ createThing: { thing: input } });
    for (const [name, value] of Object.entries(input)) {
      if (name === 'json' || name === 'days') continue;
      const query = `query($where: ThingWhere) { things(where: $where) { id } }`;
      expect(await data(query, { where: { [name]: { eq: value } } })).toEqual({ things: [{ id: input.id }] });
    }
    expect(await data('{ things(where: {days: {has: "2026-03-01"}}) { id } }')).toEqual({ things: [{ id: input.id }] });
    expect(await data(`{ thingByUuid(uuid: "${input.uuid.toUpperCase()}") { id } }`)).toEqual({
      thingByUuid: { id: input.id },
    });
    expect(await data(`{ thing(id: "${input.id}") { uuid } }`)).toEqual({ thing: { uuid: input.uuid } });
  });
});

describe('plain fields', () => {
  test('have no resolver but that of numbers, the id included: compiled queries read them in place', () => {
    const { schema } = testApi(SCHOOL);
    const fields = (
      schema.getType('Teacher') as unknown as { getFields(): Record<string, { resolve?: typeof storedNumber }> }
    ).getFields();
    const resolved = Object.keys(fields).filter((name) => ![undefined, storedNumber].includes(fields[name]?.resolve));
    expect(resolved).toEqual(['school', 'classes', 'assists']);
  });

  test('may take the stored name of each other', async () => {
    const { data, service, entity } = testApi(
      'type Row @entity { key: ID! @id  id: String @field(name: "a")  a: String @field(name: "b")  _id2: String @field(name: "id") }',
    );
    service.seed(entity('Row'), [{ _id: 'k', a: 'in a', b: 'in b', id: 'in id' }]);
    expect(await data('{ rows { key id a _id2 } }')).toEqual({
      rows: [{ key: 'k', id: 'in a', a: 'in b', _id2: 'in id' }],
    });
  });
});

test('graphql-jit answers as graphql-js does', async () => {
  const { schema, service, model, run, data } = testApi(SCHOOL);
  await data('mutation { createSchool(input: {id: "s1", name: "Holm", address: {city: "Ely"}}) { outcome } }');
  for (const id of ['t1', 't2', 't3']) {
    await data(
      `mutation { createTeacher(input: {id: "${id}", name: "${id}", schoolId: "s1", subjects: [ART]}) { outcome } }`,
    );
  }
  const query = `query($n: Int) {
    teachers(limit: $n) { id name subjects createdAt school { name address { city } teachers(limit: 2) { id } } }
    teachersConnection(first: 2) { edges { cursor node { id } } pageInfo { endCursor hasNextPage } totalCount }
  }`;
  const compiled = compileQuery(schema, parse(query)) as CompiledQuery;
  const request = { principal: 'p', signal: new AbortController().signal };
  const answer = await compiled.query(null, createApiContext(service, request, model), { n: 2 });
  const expected = await run(query, { n: 2 });
  expect(JSON.parse(JSON.stringify(answer))).toEqual({ data: expected.data });
});

test('fields stored under the names of what every object has are like others', async () => {
  const { data } = testApi(`
    type Row @entity { id: ID! @id  maker: String @field(name: "constructor")  text: String @field(name: "toString")  part: Part }
    type Part { worth: Int @field(name: "valueOf") }`);
  const row = '{ id maker text part { worth } }';
  const create = `mutation($input: CreateRowInput!) { createRow(input: $input) { row ${row} } }`;
  const empty = { id: 'a', maker: null, text: null, part: { worth: null } };
  expect(await data(create, { input: { id: 'a', part: {} } })).toEqual({ createRow: { row: empty } });
  const full = { id: 'b', maker: 'm', text: 't', part: { worth: 1 } };
  expect(await data(create, { input: full })).toEqual({ createRow: { row: full } });
  const list = '{ rows(where: {maker: {eq: "m"}, part: {worth: {gt: 0}}}, orderBy: [{maker: ASC}]) { id } }';
  expect(await data(list)).toEqual({ rows: [{ id: 'b' }] });
  const update = 'mutation { updateRow(id: "b", set: {maker: null, text: "u"}) { row { maker text } } }';
  expect(await data(update)).toEqual({ updateRow: { row: { maker: null, text: 'u' } } });
});

test('@cost and @deprecated reach the schema', () => {
  const { schema } = testApi(`
    type Row @entity @cost(weight: 3) { id: ID! @id  old: String @deprecated(reason: "gone")  big: [Part!]! @cost(weight: 7) }
    type Part { a: Int @deprecated }
    extend type Query { slow: Int @cost(weight: 100) }`);
  const type = (name: string) =>
    schema.getType(name) as unknown as {
      extensions: object;
      getFields(): Record<string, { extensions: object; deprecationReason?: string }>;
    };
  expect(type('Row').extensions).toMatchObject({ cost: 3 });
  expect(type('Row').getFields().big?.extensions).toMatchObject({ cost: 7 });
  expect(type('Query').getFields().slow?.extensions).toMatchObject({ cost: 100 });
  expect(type('Row').getFields().old?.deprecationReason).toBe('gone');
  expect(type('Part').getFields().a?.deprecationReason).toBe('No longer supported');
});
