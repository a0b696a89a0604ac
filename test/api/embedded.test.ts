import { Decimal128 } from 'bson';
import { graphql } from 'graphql';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createApiContext } from '../../src/api/context.ts';
import { SqliteChangeLog } from '../../src/changelog/sqlite-change-log.ts';
import type { Document } from '../../src/model/document.ts';
import { PrimaryService } from '../../src/service/primary.ts';
import { Database } from '../../src/sqlite/database.ts';
import { SqliteStore } from '../../src/store/sqlite-store.ts';
import { NOW, type TestApi, testApi } from '../support/api.ts';
import { seededRandom } from '../support/random.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const SDL = `
type Teacher @entity {
  id: ID! @id
  name: String @index
  years: Int @index
  pay: Decimal
  score: Float
  born: Date @index(with: ["name"])
  kind: Kind
  active: Boolean
  tags: [String!] @index
  home: Place
  places: [Place!]
  schoolId: ID
  school: School @relation(field: "schoolId")
  createdAt: DateTime! @timestamp(on: [CREATE])
}
type School @entity { id: ID! @id  name: String! @unique  teachers: [Teacher!]! @relation(field: "schoolId") }
type Place { city: String @index  zip: Int }
enum Kind { FULL PART }
`;

const NAMES = [undefined, null, '', 'a', 'ab', 'b', 'B', 'é', 'a.b'];
const YEARS = [undefined, null, -3, 0, 1, 7];
const CITIES = [null, 'Ely', 'York'];
const TAGS = ['x', 'y', 'z'];

type Random = () => number;

function pick<T>(random: Random, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)] as T;
}

function some<T>(random: Random, values: readonly T[]): T[] {
  return values.filter(() => random() < 0.5);
}

function place(random: Random): Document | null {
  return pick(random, [
    null,
    {},
    { city: pick(random, ['Ely', 'York']) },
    { city: 'Ely', zip: Math.floor(random() * 3) },
  ]);
}

function teacher(random: Random, n: number): Document {
  const document: Document = {
    _id: `t${Math.floor(random() * 900 + 100)}-${n}`,
    name: pick(random, NAMES),
    years: pick(random, YEARS),
    pay: pick(random, [undefined, Decimal128.fromString('1.5'), Decimal128.fromString('10')]),
    born: pick(random, [undefined, new Date(0), new Date(86_400_000)]),
    kind: pick(random, [undefined, 'FULL', 'PART']),
    active: pick(random, [undefined, true, false]),
    tags: pick(random, [undefined, [], some(random, TAGS)]),
    home: place(random),
    places: pick(random, [undefined, [], [place(random), place(random)].filter((item) => item !== null)]),
    schoolId: pick(random, [undefined, 's0', 's1', 's2', 'gone']),
    createdAt: NOW,
  };
  return Object.fromEntries(Object.entries(document).filter(([, value]) => value !== undefined && value !== null));
}

/** A random condition, `depth` combinations deep at most. */
function where(random: Random, depth: number): Document {
  const given = NAMES.filter((name) => typeof name === 'string');
  const conditions: (() => Document)[] = [
    () => ({ name: { [pick(random, ['eq', 'ne', 'lt', 'lte', 'gt', 'gte'])]: pick(random, given) } }),
    () => ({ name: { [pick(random, ['contains', 'startsWith', 'endsWith'])]: pick(random, ['a', 'b', '.', '']) } }),
    () => ({ name: { [pick(random, ['eq', 'ne'])]: null } }),
    () => ({ name: { [pick(random, ['in', 'nin'])]: some(random, [...given, null]) } }),
    () => ({ years: { gte: pick(random, [-5, 0, 1]), lt: pick(random, [1, 2, 9]) } }),
    () => ({ years: { isNull: random() < 0.5 } }),
    () => ({ pay: { [pick(random, ['eq', 'gt', 'lte'])]: pick(random, ['1.50', '3']) } }),
    () => ({ born: { [pick(random, ['eq', 'ne', 'lt', 'gte'])]: '1970-01-02' } }),
    () => ({ kind: { [pick(random, ['eq', 'ne'])]: pick(random, ['FULL', 'PART']) } }),
    () => ({ active: { [pick(random, ['eq', 'ne'])]: random() < 0.5 } }),
    () => ({
      tags: pick(random, [
        { has: 'x' },
        { hasAny: some(random, TAGS) },
        { hasEvery: some(random, TAGS) },
        { isNull: true },
      ]),
    }),
    () => ({ home: pick(random, [{ city: { eq: pick(random, CITIES) } }, { zip: { gte: 1 } }, { isNull: false }]) }),
    () => ({
      places: {
        [pick(random, ['some', 'every', 'none'])]: {
          city: { eq: 'Ely' },
          ...(random() < 0.5 ? { zip: { lt: 2 } } : {}),
        },
      },
    }),
    () => ({ school: { is: { name: { lte: pick(random, ['S0', 'S1', 'S2']) } } } }),
    () => ({ id: { [pick(random, ['lt', 'gte'])]: `t${Math.floor(random() * 900 + 100)}` } }),
  ];
  if (depth > 0) {
    const nested = () => where(random, depth - 1);
    conditions.push(
      () => ({ and: [nested(), nested()] }),
      () => ({ or: [nested(), nested()] }),
      () => ({ not: nested() }),
      () => ({ ...nested(), ...nested() }),
      () => ({ or: [{ and: [nested(), nested()] }, nested()] }),
    );
  }
  return pick(random, conditions)();
}

function orderBy(random: Random): Document[] {
  const fields = some(random, ['name', 'years', 'pay', 'born', 'kind', 'active', 'schoolId']);
  const orders: Document[] = fields.map((field) => ({ [field]: pick(random, ['ASC', 'DESC']) }));
  if (random() < 0.3) orders.push({ home: { city: pick(random, ['ASC', 'DESC']) } });
  return orders.sort(() => random() - 0.5);
}

describe('over the embedded store', () => {
  let parts: AsyncDisposableStack;
  let api: TestApi;
  let service: PrimaryService;

  beforeEach(async () => {
    parts = new AsyncDisposableStack();
    const directory = parts.use(await temporaryDirectory());
    const database = parts.adopt(Database.open({ directory: directory.path }), (opened) => opened.close());
    const log = await SqliteChangeLog.open(database);
    api = testApi(SDL);
    const collections = api.model.entities.map(({ collection, indexes }) => ({ name: collection, indexes }));
    service = new PrimaryService({ log, store: await SqliteStore.open({ database, outbox: log, collections }) });
  });

  afterEach(() => parts.disposeAsync());

  async function ask(query: string, variableValues: Record<string, unknown>): Promise<Record<string, unknown>> {
    const request = { principal: 'p', signal: new AbortController().signal };
    const contextValue = createApiContext(service, request, api.model);
    const { data, errors } = await graphql({ schema: api.schema, source: query, variableValues, contextValue });
    if (errors !== undefined) throw errors[0]?.originalError ?? errors[0];
    return JSON.parse(JSON.stringify(data));
  }

  async function seed(entityName: string, documents: readonly Document[]): Promise<void> {
    const entity = api.entity(entityName);
    const context = { principal: 'p', signal: new AbortController().signal, field: 'seed', argumentsDigest: '' };
    await service.createMany(entity, documents, context);
    api.service.seed(entity, documents);
  }

  const QUERY = `query($where: TeacherWhere, $orderBy: [TeacherOrder!], $first: Int, $after: String) {
    teachersCount(where: $where)
    teachers(where: $where, orderBy: $orderBy, limit: 7, offset: 2) {
      id name years pay born kind active tags home { city zip } places { city } school { name teachers(where: $where, limit: 3) { id } } createdAt
    }
    teachersConnection(where: $where, orderBy: $orderBy, first: $first, after: $after) { nodes { id } pageInfo { endCursor hasNextPage } totalCount }
  }`;

  test('adds up Floats beyond 32 bits, and no further than a Float goes', async () => {
    await seed('Teacher', [{ ...teacher(seededRandom(1), 1), score: 2_000_000_000 }]);
    const { teachers } = await ask('{ teachers { id } }', {});
    const add = (by: number) =>
      ask('mutation($id: ID!, $by: Float!) { updateTeacher(id: $id, inc: { score: $by }) { teacher { score } } }', {
        ...{ id: (teachers as { id: string }[])[0]?.id, by },
      });
    expect(await add(2_000_000_000)).toEqual({ updateTeacher: { teacher: { score: 4_000_000_000 } } });
    expect(await add(1.7e308)).toEqual({ updateTeacher: { teacher: { score: 1.7e308 } } });
    await expect(add(1.7e308)).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
  });

  test.each([1, 2, 3])('answers random queries as the filters themselves do (seed %i)', async (seedNumber) => {
    const random = seededRandom(seedNumber);
    await seed(
      'School',
      [0, 1, 2].map((n) => ({ _id: `s${n}`, name: `S${n}` })),
    );
    await seed(
      'Teacher',
      Array.from({ length: 80 }, (_, n) => teacher(random, n)),
    );
    for (let round = 0; round < 25; round++) {
      const variables = { where: where(random, 2), orderBy: orderBy(random), first: 5 };
      let after: unknown = null;
      for (let pages = 0; pages < 3; pages++) {
        const expected: Record<string, unknown> = await api.data(QUERY, { ...variables, after });
        const answer = await ask(QUERY, { ...variables, after });
        expect(answer, JSON.stringify({ ...variables, after })).toEqual(expected);
        after = (answer.teachersConnection as { pageInfo: { endCursor: string | null } }).pageInfo.endCursor;
        if (after === null) break;
      }
    }
  });

  test('writes, refuses and upserts as documented', async () => {
    const created = await ask(
      'mutation($inputs: [CreateSchoolInput!]!) { createSchools(inputs: $inputs) { schools { id } matched written refused { index code } outcome } }',
      {
        inputs: [
          { id: 'a', name: 'A' },
          { id: 'b', name: 'A' },
          { id: 'c', name: 'C' },
        ],
      },
    );
    expect(created.createSchools).toMatchObject({
      schools: [{ id: 'a' }, { id: 'c' }],
      written: 2,
      refused: [{ index: 1, code: 'ALREADY_EXISTS' }],
      outcome: 'COMMITTED',
    });
    const upsert = `mutation($update: SchoolSet!) { upsertSchool(where: {name: "A"}, create: {id: "x"}, update: $update) { school { id name } version } }`;
    await expect(ask(upsert, { update: {} })).rejects.toThrow(/name/);
    const whole = upsert.replace('{id: "x"}', '{id: "x", name: "A"}');
    const unchanged = await ask(whole, { update: {} });
    const again = await ask(whole, { update: {} });
    expect(again).toEqual(unchanged);
    const failure = ask('mutation { updateSchool(id: "a", set: {name: "C"}) { version } }', {});
    await expect(failure).rejects.toMatchObject({ code: 'ALREADY_EXISTS', details: { fields: ['name'] } });
    const conflict = ask('mutation { updateSchool(id: "a", set: {name: "Z"}, ifVersion: 1) { version } }', {});
    await expect(conflict).rejects.toMatchObject({ code: 'CONFLICT', details: { current: { id: 'a', name: 'A' } } });
  });
});
