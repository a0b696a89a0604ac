import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Kind } from 'graphql';
import { describe, expect, it } from 'vitest';
import { isHoldfastError } from '../../src/errors.ts';
import { loadModel, MAX_SDL_LENGTH, readSchemaDirectory } from '../../src/model/load.ts';
import type { Mistake } from '../../src/model/mistakes.ts';
import { temporaryDirectory } from '../support/temporary.ts';

function load(...texts: string[]) {
  return loadModel(texts.map((text, index) => ({ file: `${index}.graphql`, text })));
}

/** The mistakes of a schema as `file:line:column message; suggestion`. */
function mistakesOf(...texts: string[]): string[] {
  try {
    load(...texts);
  } catch (error) {
    if (!isHoldfastError(error, 'SCHEMA_INVALID')) throw error;
    return (error.details.mistakes as Mistake[]).map(
      ({ file, line, column, message, suggestion }) =>
        `${file}:${line}:${column} ${message}${suggestion === undefined ? '' : `; ${suggestion}`}`,
    );
  }
  return [];
}

/** An entity with these fields beside its id. */
function entity(fields: string, name = 'Teacher'): string {
  return `type ${name} @entity { id: ID! @id ${fields} }`;
}

describe('an entity', () => {
  it('has its fields, names, collection and id', () => {
    const [teacher] = load(entity('"As on letters." name: String! @field(name: "full name") tags: [String!]')).entities;
    expect(teacher).toMatchObject({
      name: 'Teacher',
      collection: 'teachers',
      names: { single: 'teacher', plural: 'teachers', type: 'Teacher', pluralType: 'Teachers' },
      id: { name: 'id', storedName: '_id', required: true },
      replicates: true,
    });
    expect(teacher?.fields).toMatchObject([
      { name: 'id' },
      {
        name: 'name',
        storedName: 'full name',
        type: 'String',
        required: true,
        list: false,
        description: 'As on letters.',
      },
      { name: 'tags', type: 'String', list: true, required: false, itemRequired: true },
    ]);
    expect(teacher?.fields).toContain(teacher?.id);
  });

  it('may name its collection and plural, and stay off replicas', () => {
    const sdl = 'type Person @entity(collection: "staff_2", plural: "staff") @replicate(mode: NONE) { key: Int! @id }';
    expect(load(sdl).entities[0]).toMatchObject({
      collection: 'staff_2',
      names: { plural: 'staff', pluralType: 'Staff' },
      replicates: false,
      id: { name: 'key', storedName: '_id', type: 'Int' },
    });
  });

  it('keeps defaults as values to store', () => {
    const sdl = `${entity(
      'n: Int! @default(value: 3) on: Date @default(value: "2026-02-01") kind: Kind! @default(value: B) tags: [String!]! @default(value: ["x"]) all: [Address!]! @default(value: [])',
    )} enum Kind { A B } type Address { city: String }`;
    const values = Object.fromEntries(load(sdl).entities[0]!.fields.map((field) => [field.name, field.defaultValue]));
    expect(values).toEqual({ id: undefined, n: 3, on: new Date('2026-02-01'), kind: 'B', tags: ['x'], all: [] });
  });

  it('keeps time stamps, costs and what is hidden', () => {
    const sdl = entity('a: DateTime! @timestamp b: DateTime @timestamp(on: [CREATE]) c: Int @hidden @cost(weight: 7)');
    expect(load(sdl).entities[0]?.fields.slice(1)).toMatchObject([
      { timestamp: ['CREATE', 'UPDATE'] },
      { timestamp: ['CREATE'] },
      { hidden: true, cost: 7, timestamp: undefined },
    ]);
  });

  it('needs exactly one @id, a single non-null key', () => {
    expect(mistakesOf('type A @entity { x: Int }')).toEqual(['0.graphql:1:6 A has no @id; write: id: ID! @id']);
    expect(mistakesOf('type A @entity { a: ID! @id b: ID! @id }')).toEqual([
      '0.graphql:1:29 A has two @id: a and b; keep one',
    ]);
    for (const type of ['ID', '[ID!]!', 'JSON!', 'Float!', 'Date!']) {
      expect(mistakesOf(`type A @entity { id: ${type} @id }`), type).toHaveLength(1);
    }
  });
});

describe('nested types', () => {
  it('are found at any depth, also inside themselves', () => {
    const model = load(entity('a: A'), 'type A { b: [B!]! } type B { a: A _id: Int }', 'type Unused { x: Int }');
    expect([...model.objects.keys()]).toEqual(['A', 'B']);
  });

  it('cannot need themselves without end', () => {
    expect(mistakesOf(`${entity('a: A')} type A { b: B! } type B { a: A! }`)).toEqual([
      '0.graphql:1:48 A contains itself without end; make one of the fields nullable',
      '0.graphql:1:65 B contains itself without end; make one of the fields nullable',
    ]);
  });

  it('cannot hold entities', () => {
    const found = mistakesOf(`${entity('a: A')} type A { friend: Teacher @relation(field: "friendId") friendId: ID }`);
    expect(found).toEqual([expect.stringContaining('store its key instead: friendId: ID')]);
  });

  it('cannot hide every field', () => {
    expect(mistakesOf(`${entity('a: A')} type A { x: Int @hidden }`)).toHaveLength(1);
  });
});

describe('indexes', () => {
  const indexesOf = (...texts: string[]) =>
    Object.fromEntries(
      load(...texts).entities.map(({ name, indexes }) => [
        name,
        indexes.map((index) => `${index.name}${index.unique ? '!' : ''}`),
      ]),
    );

  it('come from @unique and @index, with stored paths, each paths once', () => {
    const fields = 'a: Int @unique @index b: Int @field(name: "b b") @index(with: ["a"]) @index(name: "mine") c: Int';
    expect(indexesOf(entity(fields))).toEqual({ Teacher: ['a_1!', 'b b_1_a_1', 'mine'] });
  });

  it('reach into nested types, one level into those that hold themselves', () => {
    const sdl = `${entity('home: Address all: [Address!]')} type Address { city: String @index next: Address }`;
    expect(indexesOf(sdl)).toEqual({ Teacher: ['home.city_1', 'all.city_1'] });
  });

  it('are made for the keys of relations on the side that stores them', () => {
    const school = entity('teachers: [Teacher!]! @relation(field: "schoolId")', 'School');
    expect(indexesOf(school, entity('schoolId: ID'))).toEqual({ School: [], Teacher: ['schoolId_1'] });
    const model = load(school, entity('schoolId: ID'));
    expect(model.entities[1]?.fields.find((field) => field.name === 'schoolId')?.indexed).toBe(true);
  });

  it('name fields of the same type', () => {
    expect(mistakesOf(entity('a: Int @index(with: ["bb"]) b: Int c: Int @index(with: ["c"])'))).toEqual([
      '0.graphql:1:43 @index on a: no field "bb" that can be indexed; did you mean "b"?',
      '0.graphql:1:78 @index on c: c stands in it twice; remove one',
    ]);
  });
});

describe('relations', () => {
  const relationsOf = (...texts: string[]) =>
    Object.fromEntries(
      load(...texts)
        .entities.flatMap((each) => each.fields.map((field) => [`${each.name}.${field.name}`, field.relation] as const))
        .filter(([, relation]) => relation !== undefined)
        .map(([name, relation]) => [name, `${relation?.ownerPath} = ${relation?.target}.${relation?.targetPath}`]),
    );

  it('go both ways over one stored key', () => {
    expect(
      relationsOf(
        entity('teachers: [Teacher!]! @relation(field: "schoolId") head: Head @relation(field: "schoolId")', 'School'),
        entity('schoolId: ID @field(name: "school") school: School @relation(field: "schoolId")'),
        entity('schoolId: ID @unique', 'Head'),
      ),
    ).toEqual({
      'School.teachers': '_id = Teacher.school',
      'School.head': '_id = Head.schoolId',
      'Teacher.school': 'school = School._id',
    });
  });

  it('go many to many over a list of keys', () => {
    expect(
      relationsOf(
        entity('classIds: [ID!]! classes: [Class!]! @relation(field: "classIds")'),
        entity('teachers: [Teacher!]! @relation(field: "classIds")', 'Class'),
      ),
    ).toEqual({ 'Teacher.classes': 'classIds = Class._id', 'Class.teachers': '_id = Teacher.classIds' });
  });

  it('join an entity to itself', () => {
    const fields =
      'bossId: ID boss: Person @relation(field: "bossId") staff: [Person!]! @relation(field: "bossId") friendIds: [ID!] friends: [Person!]! @relation(field: "friendIds") friendOf: [Person!]! @relation(field: "friendIds", side: OTHER)';
    expect(relationsOf(entity(fields, 'Person'))).toEqual({
      'Person.boss': 'bossId = Person._id',
      'Person.staff': '_id = Person.bossId',
      'Person.friends': 'friendIds = Person._id',
      'Person.friendOf': '_id = Person.friendIds',
    });
  });

  it('may refer to another field than the id', () => {
    expect(
      relationsOf(
        entity(
          'code: String @unique teachers: [Teacher!]! @relation(field: "schoolCode", references: "code")',
          'School',
        ),
        entity('schoolCode: String school: School @relation(field: "schoolCode", references: "code")'),
      ),
    ).toEqual({ 'School.teachers': 'code = Teacher.schoolCode', 'Teacher.school': 'schoolCode = School.code' });
  });

  it.each([
    [
      'an entity without @relation',
      'schoolId: ID school: School',
      'write: school: School @relation(field: "schoolId")',
    ],
    ['a key that is not there', 'schoolId: ID school: School @relation(field: "scoolId")', 'did you mean "schoolId"?'],
    ['a key of another type', 'schoolId: Int school: School @relation(field: "schoolId")', 'make schoolId ID'],
    ['one document by a list', 'ids: [ID!] school: School @relation(field: "ids")', 'write: school: [School!]!'],
    [
      'a reference that repeats',
      'n: String school: School @relation(field: "n", references: "name")',
      'mark name @unique',
    ],
    ['an unknown reference', 'n: ID school: School @relation(field: "n", references: "nam")', 'did you mean "name"?'],
    ['non-null by a nullable key', 'n: ID school: School! @relation(field: "n")', 'write: school: School'],
    ['a key that is an object', 'n: JSON school: School @relation(field: "n")', 'use ID, or the type of the @id'],
    ['what is no entity', 'n: Int @relation(field: "n")', 'put it beside the key'],
    ['an index on a relation', 'n: ID school: School @relation(field: "n") @index', 'put it on the key'],
  ])('cannot be %s', (_what, fields, suggestion) => {
    const found = mistakesOf(entity('name: String', 'School'), entity(fields));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(suggestion);
  });

  it('do not take the key of the wrong side', () => {
    const found = mistakesOf(
      entity('', 'School'),
      entity('schoolId: ID teachers: [Teacher!]! @relation(field: "schoolId")', 'Class'),
      entity('name: String'),
    );
    expect(found).toEqual([expect.stringContaining('Teacher has no field "schoolId"')]);
  });
});

describe('mistakes', () => {
  it('are reported all at once, in the order of the files, with a message to read', () => {
    const broken =
      'type A @entity {\n  id: ID! @id\n  x: \n}\ntype B @entity {\n id: ID! @id\n  a: Strin\n  q: Aa\n}\ntype C {';
    const found = mistakesOf(broken, 'type D @entity { x: Int! }');
    expect(found).toEqual([
      '0.graphql:4:1 Syntax Error: Expected Name, found "}".',
      '0.graphql:7:6 unknown type "Strin"; did you mean "String"?',
      '0.graphql:8:6 unknown type "Aa"',
      '0.graphql:10:9 Syntax Error: Expected Name, found <EOF>.',
      '1.graphql:1:6 D has no @id; write: id: ID! @id',
    ]);
    expect(() => load(broken)).toThrow(
      'the schema has 4 mistakes:\n  0.graphql:4:1: Syntax Error: Expected Name, found "}".\n',
    );
  });

  it('do not follow from a definition that cannot be read', () => {
    expect(mistakesOf('type School @entity {\n id: ID! @id\n : }\n', entity('schoolId: ID school: School'))).toEqual([
      '0.graphql:3:2 Syntax Error: Expected Name, found ":".',
    ]);
  });

  it.each([
    ['an unknown type', entity('n: Strng'), 'did you mean "String"?'],
    ['an unknown directive', entity('n: Int @uniqe'), 'did you mean "@unique"?'],
    ['an unknown argument', entity('n: Int @index(wiht: ["id"])'), 'did you mean "with"?'],
    ['a missing argument', entity('n: Int @default'), 'write: @default(value: …)'],
    ['an argument of another type', entity('n: Int @cost(weight: "x")'), 'takes Int!, not "x"'],
    ['null for an argument', entity('n: Int @default(value: null)'), 'cannot be null'],
    [
      'an unknown enum value',
      'type A @entity @replicate(mode: SOME) { id: ID! @id }',
      'takes ReplicateMode!, not SOME',
    ],
    ['a directive twice', entity('n: Int @unique @unique'), 'remove one'],
    ['a directive in the wrong place', 'type A @entity @unique { id: ID! @id }', 'it goes on a field'],
    ['a directive on an extension', `${entity('')} extend type Teacher { n: Int @index }`, 'is not stored'],
    ['a field twice', entity('n: Int n: Int'), 'field n is defined twice'],
    ['a field of an extension twice', `${entity('n: Int')} extend type Teacher { n: Int }`, 'field n is defined twice'],
    ['a stored name twice', entity('n: Int m: Int @field(name: "n")'), 'm and n are both stored as "n"'],
    ['a stored name with a dot', entity('n: Int @field(name: "a.b")'), 'documents cannot have the key "a.b"'],
    ['a stored name with a dollar', entity('n: Int @field(name: "$a")'), 'documents cannot have the key'],
    ['a field stored as _id', entity('_id: Int'), 'mark this field @id'],
    ['another name for the id', 'type A @entity { id: ID! @id @field(name: "key") }', 'remove @field'],
    ['a name of filters', entity('and: Int'), 'keep the stored one: @field(name: "and")'],
    ['a name of GraphQL', entity('__n: Int'), 'does not begin with "__"'],
    ['arguments on a stored field', entity('n(x: Int): Int'), 'takes arguments, but is stored'],
    ['a list of lists', entity('n: [[Int]]'), 'lists of lists are not supported'],
    ['a Position', entity('n: Position'), 'which documents do not hold'],
    ['an unknown scalar', `scalar Money ${entity('n: Money')}`, 'does not know how to store'],
    ['an interface', `interface I { n: Int } ${entity('n: I')}`, 'is an interface'],
    ['a union', `union U = X type X { n: Int } ${entity('n: U')}`, 'is a union'],
    ['an input type', `input In { n: Int } ${entity('n: In')}`, 'write: type In { … }'],
    [
      'an entity with an interface',
      `interface I { id: ID! } type A implements I @entity { id: ID! @id }`,
      'cannot implement I',
    ],
    ['a unique list', entity('n: [Int] @unique'), 'use @index'],
    ['a unique object', `${entity('n: A @unique')} type A { n: Int }`, 'only scalars and enums can be unique'],
    ['an index on JSON', entity('n: JSON @index'), 'only scalars and enums can be indexed'],
    [
      'a unique field of a nested type',
      `${entity('n: A')} type A { n: Int @unique }`,
      'only fields of entities have it',
    ],
    ['a default of another type', entity('n: Int @default(value: "x")'), 'the default "x" is not of type Int'],
    ['a default that is no enum value', `enum E { A } ${entity('n: E @default(value: B)')}`, 'not a value of E: A'],
    ['a single default of a list', entity('n: [Int] @default(value: 3)'), 'the default 3 is not a list of Int'],
    [
      'a default of an object',
      `${entity('n: A @default(value: {n: 1})')} type A { n: Int }`,
      'only scalars, enums, lists',
    ],
    ['a default of the id', 'type A @entity { id: ID! @id @default(value: "x") }', 'remove it'],
    ['a time stamp on text', entity('n: String @timestamp'), 'use DateTime'],
    [
      'a time stamp with a default',
      entity('n: DateTime @timestamp @default(value: "2026-01-01T00:00:00Z")'),
      'remove one',
    ],
    ['a needed field nobody sees', entity('n: Int! @hidden'), 'make it nullable or give it a @default'],
    ['a negative cost', entity('n: Int @cost(weight: -1)'), 'a weight is 0 or more'],
    ['a type twice', `${entity('')} type Teacher { n: Int }`, 'type Teacher is defined twice, first at 0.graphql:1'],
    ['a root type', `${entity('')} type Query { n: Int }`, 'write: extend type Query { … }'],
    ['a schema definition', `${entity('')} schema { query: Query }`, 'remove the schema definition'],
    ['an operation', `${entity('')} query { teachers { id } }`, 'move operations to the client'],
    ['a type of Holdfast', `${entity('')} type DateTime { n: Int }`, 'is a type of Holdfast'],
    ['a directive of Holdfast', `${entity('')} directive @id on OBJECT`, 'is already defined'],
    ['an extension of nothing', `${entity('')} extend type Teachr { n: Int }`, 'did you mean "Teacher"?'],
    ['a forgotten @entity', `${entity('')} type School { id: ID! @id }`, 'write: type School @entity'],
    ['entities that differ by case', `${entity('')} ${entity('', 'teacher')}`, 'differ only by case'],
    [
      'entities in one collection',
      `${entity('')} type A @entity(collection: "teachers") { id: ID! @id }`,
      'the same collection',
    ],
    ['colliding queries', `${entity('email: Int @unique')} ${entity('', 'TeacherByEmail')}`, '"teacherByEmail"'],
    ['colliding generated types', `${entity('')} type TeacherWhere { n: Int }`, 'a type generated for Teacher'],
    [
      'colliding types of nested types',
      `${entity('n: A')} type A { n: Int } enum AWhere { X }`,
      'a type generated for A',
    ],
    ['colliding filters', `${entity('')} type StringFilter { n: Int }`, 'a type generated for String'],
    ['a type of all entities', `${entity('')} enum PageInfo { X }`, 'a type generated for all entities'],
    ['a plural that is none', 'type A @entity(plural: "a b") { id: ID! @id }', 'cannot be the plural'],
    [
      'a collection that is none',
      'type A @entity(collection: "a$b") { id: ID! @id }',
      'cannot be the name of a collection',
    ],
    ['two indexes of one name', entity('a: Int @index(name: "x") b: Int @index(name: "x")'), 'two indexes "x"'],
  ])('name %s', (_what, sdl, text) => {
    const found = mistakesOf(sdl);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(text);
  });

  it('tell entities whose plural is the singular of another', () => {
    expect(mistakesOf(`${entity('')} ${entity('', 'Teachers')}`)[0]).toContain('both need the query "teachers"');
  });

  it('include an SDL without entities', () => {
    for (const text of ['', '# nothing\n', '\ufeff', 'type A { n: Int }']) {
      expect(mistakesOf(text), text).toEqual([
        expect.stringMatching(/^0\.graphql:1:1 no type is an entity; write: type/),
      ]);
    }
    expect(() => loadModel([])).toThrow('no type is an entity');
  });

  it('end with SDL that is nested too deeply or too long', () => {
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
    expect(mistakesOf(entity(`n: JSON @default(value: ${deep})`))).toEqual([
      expect.stringContaining('nested too deeply'),
    ]);
    expect(() => load('#'.repeat(MAX_SDL_LENGTH + 1))).toThrow('at most');
  });
});

describe('types for hand-written resolvers', () => {
  it('stay in the document and may use generated types', () => {
    const model = load(
      `scalar DateTime ${entity('n: Int')}`,
      `extend type Query { top(n: Int): [Report!]! all: TeacherConnection }
       type Report { teacher: Teacher where: String at: DateTime }
       extend type Teacher { initials: String! }
       directive @mine on FIELD_DEFINITION
       input Range { from: Int }
       interface Named { name: String @mine }`,
    );
    expect(model.entities[0]?.fields.map((field) => field.name)).toEqual(['id', 'n']);
    expect(model.document.definitions).toHaveLength(7);
    expect(model.document.definitions.some((node) => node.kind === Kind.SCALAR_TYPE_DEFINITION)).toBe(false);
    expect(model.objects.size).toBe(0);
  });
});

describe('the SDL of a model', () => {
  it('loads to the same model again', () => {
    const model = load('# comment\ntype A @entity { id: ID! @id b: B }', '"B" type B { n: Int }');
    const again = loadModel([{ file: 'sdl', text: model.sdl }]);
    expect(again.sdlHash).toBe(model.sdlHash);
    expect(again.entities).toEqual(model.entities);
  });
});

describe('readSchemaDirectory', () => {
  it('reads the *.graphql files of the directory itself, in the order of their names', async () => {
    await using directory = await temporaryDirectory();
    await mkdir(join(directory.path, 'ops'));
    await writeFile(join(directory.path, 'ops', 'c.graphql'), 'type C { n: Int }');
    await writeFile(join(directory.path, 'b.graphql'), entity('', 'B'));
    await writeFile(join(directory.path, 'a.graphql'), entity('', 'A'));
    await writeFile(join(directory.path, 'notes.txt'), 'no SDL');
    expect(loadModel(readSchemaDirectory(directory.path)).entities.map((each) => each.name)).toEqual(['A', 'B']);
  });

  it('says which file and line is not UTF-8', async () => {
    await using directory = await temporaryDirectory();
    await writeFile(join(directory.path, 'a.graphql'), Buffer.from([0x23, 0x0a, 0x23, 0xff, 0x0a]));
    expect(() => readSchemaDirectory(directory.path)).toThrow(/a\.graphql:2:1: the file is not UTF-8/);
  });

  it('refuses a directory that is absent or has no SDL', async () => {
    await using directory = await temporaryDirectory();
    expect(() => readSchemaDirectory(directory.path)).toThrow('has no *.graphql file');
    expect(() => readSchemaDirectory(join(directory.path, 'absent'))).toThrow('cannot be read');
  });
});
