import { ObjectId } from 'bson';
import { describe, expect, test } from 'vitest';
import { shapesOf } from '../../src/api/shapes.ts';
import { filterOf, type WhereInput } from '../../src/api/where.ts';
import type { Document } from '../../src/model/document.ts';
import { loadModel } from '../../src/model/load.ts';
import { compileFilter } from '../../src/store/filter.ts';
import type { Filter } from '../../src/store/store.ts';

const model = loadModel([
  {
    file: 'where.graphql',
    text: `
type Teacher @entity {
  id: ID! @id
  name: String
  years: Int
  kind: Kind
  tags: [String!]
  homeTown: Place @field(name: "home-town")
  places: [Place!]
  schoolId: ID
  school: School @relation(field: "schoolId")
  pupils: [Pupil!]! @relation(field: "teacherId")
}
type School @entity { id: ID! @id  name: String!  teachers: [Teacher!]! @relation(field: "schoolId") }
type Pupil @entity { id: ID! @id  name: String!  grade: Int  teacherId: ID }
type Place { city: String  zip: String @field(name: "zip-code")  spot: Spot }
type Spot { x: Int  y: Int }
enum Kind { FULL PART }`,
  },
]);
const shapes = shapesOf(model);
const teacher = shapes.entity('Teacher');

const refuse = () => Promise.reject(new Error('not asked for'));

function filter(where: WhereInput, strict = false): Filter {
  return filterOf({ shapes, relatedKeys: refuse, strict }, teacher, where) as Filter;
}

/** Which of these values of `name` are found; undefined is an absent field. */
function found(where: WhereInput, values: readonly unknown[]): unknown[] {
  const matches = compileFilter(filter(where));
  return values.filter((value) => matches(value === undefined ? {} : { name: value }));
}

describe('a where becomes a filter', () => {
  test.each<[string, WhereInput, Filter]>([
    ['nothing', {}, {}],
    ['one operator', { name: { eq: 'Ada' } }, { name: { $eq: 'Ada' } }],
    ['the id under its stored name', { id: { in: ['a', 'b'] } }, { _id: { $in: ['a', 'b'] } }],
    ['several operators on a field', { years: { gte: 1, lt: 5, ne: 3 } }, { years: { $gte: 1, $lt: 5, $ne: 3 } }],
    ['several fields', { name: { ne: 'A' }, years: { nin: [1] } }, { name: { $ne: 'A' }, years: { $nin: [1] } }],
    ['enums', { kind: { eq: 'FULL' } }, { kind: { $eq: 'FULL' } }],
    [
      'nested objects by stored paths',
      { homeTown: { zip: { eq: '1' }, spot: { x: { gt: 0 } } } },
      { 'home-town.zip-code': { $eq: '1' }, 'home-town.spot.x': { $gt: 0 } },
    ],
    ['a null object', { homeTown: { isNull: true } }, { 'home-town': { $eq: null } }],
    [
      'lists',
      { tags: { has: 'a', hasAny: ['b'], hasEvery: ['c', 'd'] } },
      { tags: { $eq: 'a', $in: ['b'], $all: ['c', 'd'] } },
    ],
    ['every one of none', { tags: { hasEvery: [] } }, {}],
    [
      'some of a list of objects',
      { places: { some: { city: { eq: 'X' }, zip: { eq: '1' } } } },
      { places: { $elemMatch: { city: { $eq: 'X' }, 'zip-code': { $eq: '1' } } } },
    ],
    [
      'none of a list of objects',
      { places: { none: { city: { eq: 'X' } } } },
      { places: { $not: { $elemMatch: { city: { $eq: 'X' } } } } },
    ],
    [
      'every one of a list of objects',
      { places: { every: { city: { eq: 'X' } } } },
      { places: { $not: { $elemMatch: { $nor: [{ city: { $eq: 'X' } }] } } } },
    ],
    [
      'the same operator twice',
      { name: { contains: 'a', startsWith: 'b' } },
      { $and: [{ name: { $regex: 'a' } }, { name: { $regex: '^b' } }] },
    ],
    [
      'and',
      { and: [{ name: { eq: 'A' } }, { name: { eq: 'B' } }] },
      { $and: [{ name: { $eq: 'A' } }, { name: { $eq: 'B' } }] },
    ],
    [
      'or',
      { or: [{ name: { eq: 'A' } }, { years: { eq: 1 } }] },
      { $or: [{ name: { $eq: 'A' } }, { years: { $eq: 1 } }] },
    ],
    ['or of nothing, which finds nothing', { or: [] }, { _id: { $in: [] } }],
    ['not', { not: { name: { eq: 'A' } } }, { $nor: [{ name: { $eq: 'A' } }] }],
    ['not everything, which finds nothing', { not: {} }, { _id: { $in: [] } }],
    [
      'combinations beside fields',
      { name: { eq: 'A' }, or: [{ years: { eq: 1 } }, { years: { eq: 2 } }] },
      { $and: [{ name: { $eq: 'A' } }, { $or: [{ years: { $eq: 1 } }, { years: { $eq: 2 } }] }] },
    ],
    [
      'combinations in nested objects',
      { homeTown: { not: { city: { eq: 'X' } } } },
      { $nor: [{ 'home-town.city': { $eq: 'X' } }] },
    ],
    ['variables that were not given', { name: { eq: undefined }, years: undefined }, {}],
  ])('%s', (_name, where, expected) => {
    expect(filter(where)).toEqual(expected);
    expect(() => compileFilter(filter(where))).not.toThrow();
  });

  test('of conditions on relations by the keys of the documents found', async () => {
    const asked: unknown[] = [];
    const relatedKeys = async (entity: { name: string }, wanted: Filter, path: string) => {
      asked.push([entity.name, wanted, path]);
      return [`${entity.name}-key`];
    };
    const compiled = (where: WhereInput) => filterOf({ shapes, relatedKeys }, teacher, where);
    expect(await compiled({ school: { is: { name: { eq: 'S' } } } })).toEqual({ schoolId: { $in: ['School-key'] } });
    expect(await compiled({ pupils: { some: { grade: { gt: 1 } } } })).toEqual({ _id: { $in: ['Pupil-key'] } });
    expect(await compiled({ pupils: { none: {} } })).toEqual({ _id: { $nin: ['Pupil-key'] } });
    expect(await compiled({ pupils: { every: { grade: { gt: 1 } } } })).toEqual({ _id: { $nin: ['Pupil-key'] } });
    expect(await compiled({ or: [{ name: { eq: 'A' } }, { school: { is: { teachers: { some: {} } } } }] })).toEqual({
      $or: [{ name: { $eq: 'A' } }, { schoolId: { $in: ['School-key'] } }],
    });
    expect(asked).toEqual([
      ['School', { name: { $eq: 'S' } }, '_id'],
      ['Pupil', { grade: { $gt: 1 } }, 'teacherId'],
      ['Pupil', {}, 'teacherId'],
      ['Pupil', { $nor: [{ grade: { $gt: 1 } }] }, 'teacherId'],
      ['Teacher', {}, 'schoolId'],
      ['School', { _id: { $in: ['Teacher-key'] } }, '_id'],
    ]);
  });
});

describe('null means what it means to MongoDB', () => {
  const values = [undefined, null, 'a', 'b'];

  test.each<[string, WhereInput, unknown[]]>([
    ['eq null finds null and absent', { eq: null }, [undefined, null]],
    ['ne null finds values', { ne: null }, ['a', 'b']],
    ['isNull true', { isNull: true }, [undefined, null]],
    ['isNull false', { isNull: false }, ['a', 'b']],
    ['ne also finds null and absent', { ne: 'a' }, [undefined, null, 'b']],
    ['nin also finds null and absent', { nin: ['a'] }, [undefined, null, 'b']],
    ['in with null', { in: ['a', null] }, [undefined, null, 'a']],
    ['nin with null', { nin: ['a', null] }, ['b']],
    ['lt, lte, gt and gte find values only', { gte: '' }, ['a', 'b']],
  ])('%s', (_name, operators, expected) => {
    expect(found({ name: operators }, values)).toEqual(expected);
  });

  test.each<[string, WhereInput]>([
    ['a field', { name: null }],
    ['lt', { name: { lt: null } }],
    ['in', { name: { in: null } }],
    ['has', { tags: { has: null } }],
    ['contains', { name: { contains: null } }],
    ['isNull', { name: { isNull: null } }],
    ['an object', { homeTown: null }],
    ['some', { places: { some: null } }],
    ['a relation', { school: null }],
    ['is', { school: { is: null } }],
    ['and', { and: null }],
    ['an element of or', { or: [null] }],
    ['not', { not: null }],
  ])('null is refused for %s', (_name, where) => {
    expect(() => filter(where)).toThrow(/must not be null/);
  });
});

describe('texts are taken literally', () => {
  const texts = ['a.c', 'abc', 'A.C', 'x a.c', 'a.c x', 'a.c\n', '^a$', '\\d+(]{}|*?', '', 'nul\0byte'];

  test.each<[string, WhereInput, unknown[]]>([
    ['contains', { contains: 'a.c' }, ['a.c', 'x a.c', 'a.c x', 'a.c\n']],
    ['startsWith', { startsWith: 'a.c' }, ['a.c', 'a.c x', 'a.c\n']],
    ['endsWith, also before a last line break', { endsWith: 'a.c' }, ['a.c', 'x a.c']],
    ['anchors', { contains: '^a$' }, ['^a$']],
    ['every special character', { startsWith: '\\d+(]{}|*?' }, ['\\d+(]{}|*?']],
    ['a NUL', { endsWith: '\0byte' }, ['nul\0byte']],
    ['nothing, which every text contains', { contains: '' }, texts],
  ])('%s', (_name, operators, expected) => {
    expect(found({ name: operators }, [...texts, 5, null, undefined])).toEqual(expected);
  });
});

describe('a where of a write', () => {
  test.each<[string, WhereInput]>([
    ['a field', { name: {} }],
    ['a variable that was not given', { name: { eq: undefined } }],
    ['an object', { homeTown: {} }],
    ['a list of objects', { places: {} }],
    ['a relation', { school: {} }],
    ['and', { and: [] }],
    ['an element of and', { and: [{}] }],
    ['one of several', { years: { eq: 1 }, name: {} }],
  ])('that lost its condition is refused: %s', (_name, where) => {
    expect(() => filter(where, true)).toThrow(/every document/);
    expect(() => filter(where)).not.toThrow();
  });

  test('that openly means every document is accepted', () => {
    expect(filter({}, true)).toEqual({});
  });

  test('may ask whether there is anything at all in a list', () => {
    expect(filter({ places: { some: {} } }, true)).toEqual({ places: { $elemMatch: {} } });
    expect(() => filter({ places: { some: { city: {} } } }, true)).toThrow(/every document/);
  });
});

test('conditions on the elements of a list and on what they hold', () => {
  const documents: Document[] = [
    { _id: 1, places: [{ city: 'X' }, { city: 'Y' }] },
    { _id: 2, places: [{ city: 'X' }] },
    { _id: 3, places: [] },
    { _id: 4 },
  ];
  const ids = (where: WhereInput) => documents.filter(compileFilter(filter(where))).map((document) => document._id);
  expect(ids({ places: { some: { city: { eq: 'X' } } } })).toEqual([1, 2]);
  expect(ids({ places: { every: { city: { eq: 'X' } } } })).toEqual([2, 3, 4]);
  expect(ids({ places: { every: {} } })).toEqual([1, 2, 3, 4]);
  expect(ids({ places: { none: { city: { eq: 'Y' } } } })).toEqual([2, 3, 4]);
  expect(ids({ places: { some: {} } })).toEqual([1, 2]);
  expect(ids({ places: { isNull: true } })).toEqual([4]);
  expect(() => ids({ places: { some: { isNull: true } } })).toThrow(/elements/);
});

test('a list with a null among its elements is no null', () => {
  const documents: Document[] = [
    { _id: 1, tags: ['a', null] },
    { _id: 2, tags: [] },
    { _id: 3, tags: null },
    { _id: 4 },
  ];
  const ids = (where: WhereInput) => documents.filter(compileFilter(filter(where))).map((document) => document._id);
  expect(ids({ tags: { isNull: true } })).toEqual([3, 4]);
  expect(ids({ tags: { isNull: false } })).toEqual([1, 2]);
});

test('conditions on relations are counted before anything is looked up', async () => {
  let asked = 0;
  const relatedKeys = async () => [`key ${asked++}`];
  const compiled = async (count: number) =>
    filterOf({ shapes, relatedKeys }, teacher, { or: Array.from({ length: count }, () => ({ school: { is: {} } })) });
  await compiled(20);
  expect(asked).toBe(20);
  await expect(compiled(21)).rejects.toMatchObject({ code: 'QUERY_TOO_COMPLEX', details: { max: 20 } });
  expect(asked).toBe(20);
});

test('a value of any BSON type is compared as it is', () => {
  const id = new ObjectId();
  expect(filter({ id: { eq: id } })).toEqual({ _id: { $eq: id } });
});

test('nothing is looked up for a where with a mistake', () => {
  const asked: unknown[] = [];
  const relatedKeys = async () => {
    asked.push('keys');
    return [];
  };
  const where = { and: [{ school: { is: {} } }, { nowhere: {} }] };
  expect(() => filterOf({ shapes, relatedKeys }, teacher, where)).toThrow('and.1.nowhere: there is no such field');
  expect(asked).toEqual([]);
});

test('a where with too many parts or levels is refused before anything is made of it', () => {
  const inside = (levels: number): WhereInput => (levels === 0 ? {} : { not: inside(levels - 1) });
  const list = (count: number): WhereInput => ({ name: { in: Array.from({ length: count }, (_, i) => `${i}`) } });
  for (const where of [list(10_001), inside(101), inside(5_000)])
    expect(() => filter(where)).toThrow(expect.objectContaining({ code: 'QUERY_TOO_COMPLEX' }));
  expect(filter(list(9_000))).toHaveProperty('name.$in.length', 9_000);
  expect(filter(inside(40))).toBeDefined();
});
