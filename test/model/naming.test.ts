import { describe, expect, it } from 'vitest';
import { entityNames, fieldNameOf, lowerFirst, operationNames, typeNameOf } from '../../src/model/naming.ts';

describe('entityNames', () => {
  it.each([
    ['Teacher', 'teacher', 'teachers', 'Teachers'],
    ['Class', 'class', 'classes', 'Classes'],
    ['Person', 'person', 'people', 'People'],
    ['APIKey', 'apiKey', 'apiKeys', 'APIKeys'],
    ['order_item', 'order_item', 'order_items', 'order_items'],
  ])('of %s are %s, %s and %s', (type, single, plural, pluralType) => {
    expect(entityNames(type)).toEqual({ type, single, plural, pluralType });
  });

  it('never has one name for one and many', () => {
    expect(entityNames('Sheep')).toMatchObject({ single: 'sheep', plural: 'sheepList', pluralType: 'SheepList' });
  });

  it('takes a plural that is given', () => {
    expect(entityNames('Person', 'staff')).toMatchObject({ plural: 'staff', pluralType: 'Staff' });
  });
});

it('operationNames are those of the API', () => {
  expect(operationNames(entityNames('Teacher'), ['email'])).toEqual({
    Query: ['teacher', 'teachers', 'teachersConnection', 'teachersCount', 'teacherByEmail'],
    Mutation: [
      'createTeacher',
      'createTeachers',
      'updateTeacher',
      'updateTeachers',
      'upsertTeacher',
      'deleteTeacher',
      'deleteTeachers',
    ],
    Subscription: ['teacherChanged'],
  });
});

it.each([
  ['items', 'Item'],
  ['album-items', 'AlbumItem'],
  ['Chinook data', 'ChinookData'],
  ['2020_sales', 'Type2020Sale'],
  ['Élèves', 'Eleve'],
  ['日本', 'Document'],
])('typeNameOf %s is %s', (text, name) => {
  expect(typeNameOf(text)).toBe(name);
});

it.each([
  ['first-name', 'firstName'],
  ['Album Id', 'albumId'],
  ['$ref', 'ref'],
  ['3d', 'field3d'],
  ['__typename', 'typename'],
  ['日本', ''],
])('fieldNameOf %s is "%s"', (key, name) => {
  expect(fieldNameOf(key)).toBe(name);
});

it.each([
  ['URLPath', 'urlPath'],
  ['URL', 'url'],
  ['Name', 'name'],
  ['already', 'already'],
])('lowerFirst %s is %s', (name, lower) => {
  expect(lowerFirst(name)).toBe(lower);
});
