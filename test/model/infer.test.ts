import { Binary, Decimal128, Double, Long, ObjectId } from 'bson';
import { describe, expect, it } from 'vitest';
import { buildSchema } from '../../src/api/schema.ts';
import type { Document } from '../../src/model/document.ts';
import { parseExtendedJson } from '../../src/model/extended-json.ts';
import { baseNameOf, Inference, type InferenceOptions, inferredSdl } from '../../src/model/infer.ts';
import { loadModel } from '../../src/model/load.ts';
import { generateSchool } from '../../src/model/school.ts';
import { seededRandom } from '../support/random.ts';

function infer(name: string, documents: readonly Document[], options?: InferenceOptions): string {
  const inference = new Inference(name, options);
  for (const document of documents) inference.add(document);
  return inferredSdl([inference]);
}

/** The type of each field of the first type, its directives included. */
function fieldsOf(sdl: string, type = /^type (\w+)/.exec(sdl)?.[1]): Record<string, string> {
  const body = new RegExp(`^type ${type} [^{]*\\{\\n(.*?)^\\}`, 'ms').exec(sdl)?.[1] ?? '';
  return Object.fromEntries(
    body
      .trim()
      .split('\n')
      .map((line) =>
        line
          .trim()
          .split(/: (.*)/s)
          .slice(0, 2),
      ),
  );
}

/** Fails unless the SDL loads and makes a schema that can be served. */
function start(sdl: string): void {
  const model = loadModel([{ file: 'inferred', text: sdl }]);
  expect(Object.keys(buildSchema(model).getTypeMap()).length).toBeGreaterThan(0);
}

/** The inferred type of a field that has these values. */
function typeOf(values: readonly unknown[], options?: InferenceOptions): string | undefined {
  const sdl = infer(
    'things',
    values.map((value) => ({ value })),
    options,
  );
  start(sdl);
  return fieldsOf(sdl).value;
}

describe('scalars', () => {
  it.each<[string, unknown[]]>([
    ['Int!', [1, -5]],
    ['SafeInt!', [1, 5_000_000_000]],
    ['SafeInt!', [Long.fromNumber(5_000_000_000)]],
    ['BigInt!', [1, Long.fromString('9007199254740993')]],
    ['Float!', [1, 2.5]],
    ['Float!', [new Double(5)]],
    ['Float!', [1e300]],
    ['Decimal!', [Decimal128.fromString('1.5'), 3]],
    ['JSON!', [Long.fromString('9007199254740993'), 0.5]],
    ['JSON!', [Number.NaN]],
    ['Boolean!', [true, false]],
    ['String!', ['a', '']],
    ['DateTime!', ['2026-01-31T08:30:00Z', '2026-01-31T08:30:00.123+01:00']],
    ['String!', ['2026-01-31T08:30:00.123456Z']],
    ['DateTime!', [new Date(0)]],
    ['DateTime!', [new Date(0), '2026-01-31T08:30:00Z']],
    ['Date!', ['2026-01-31']],
    ['String!', ['2026-02-30']],
    ['String!', ['2026-01-31', '2026-01-31T08:30:00Z']],
    ['EmailAddress!', ['ada@school.example', 'b@school.example']],
    ['String!', ['ada@school.example', 'nobody']],
    ['URL!', ['https://school.example/']],
    ['UUID!', ['01a05bfb-7001-7478-8b9f-4d0e9c34b000']],
    ['String!', ['01A05BFB-7001-7478-8B9F-4D0E9C34B000']],
    ['ObjectID!', [new ObjectId()]],
    ['Byte!', [new Binary(Buffer.from([1]))]],
    ['JSON!', [new Binary(Buffer.alloc(16), 4)]],
    ['JSON!', [1, 'a']],
    ['JSON!', [{ a: 1 }, [1]]],
    ['JSON', [null, null]],
    ['Int', [1, null]],
    ['Int', [1, undefined]],
  ])('%s', (type, values) => {
    expect(typeOf(values)).toBe(type);
  });

  it('stay text where the documents stay', () => {
    const options = { collection: 'things' };
    expect(typeOf(['2026-01-31'], options)).toBe('String!');
    expect(typeOf(['2026-01-31T08:30:00Z'], options)).toBe('String!');
    expect(typeOf([new Date(0)], options)).toBe('DateTime!');
  });
});

describe('lists and objects', () => {
  it.each<[string, unknown[]]>([
    ['[Int!]!', [[1, 2], []]],
    ['[Int]!', [[1, null]]],
    ['[Int!]', [[1], null]],
    ['[JSON!]!', [[1, 'a']]],
    ['[JSON!]!', [[[1], [2, [3]]]]],
    ['[JSON!]!', [[]]],
    ['[ThingValue!]!', [[{ a: 1 }], []]],
    ['ThingValue!', [{ a: 1 }]],
    ['JSONObject!', [{}]],
    ['[JSONObject!]!', [[{}]]],
  ])('%s', (type, values) => {
    expect(typeOf(values)).toBe(type);
  });

  it('become nested types, after the entity, needed where all have them', () => {
    const sdl = infer('schools', [
      { address: { city: 'A', geo: { lat: 1.5 } }, contacts: [{ kind: 'x', _id: 1 }] },
      { address: { city: 'B' }, contacts: [{ kind: 'x', n: 2, _id: 2 }] },
    ]);
    start(sdl);
    expect(sdl).toBe(`type School @entity {
  id: ID! @id
  address: SchoolAddress!
  contacts: [SchoolContact!]!
}

type SchoolAddress {
  city: String!
  geo: SchoolAddressGeo
}

type SchoolContact {
  kind: String!
  _id: Int!
  n: Int
}

type SchoolAddressGeo {
  lat: Float!
}
`);
  });

  it('become JSON where they are maps, or too deep', () => {
    const map = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`key${i}`, i]));
    expect(typeOf([map])).toBe('JSONObject!');
    let deep: unknown = 1;
    for (let i = 0; i < 90; i++) deep = { deep };
    expect(typeOf([deep])).toBe('ThingValue!');
  });

  it('of names that generated types have get others', () => {
    const sdl = infer('customers', [{ order: { a: 1 }, where: { a: 1 }, set: { a: { b: 1 } }, setA: { c: 1 } }]);
    start(sdl);
    expect(fieldsOf(sdl)).toMatchObject({ order: 'CustomerOrderValue!', where: 'CustomerWhereValue!' });
  });
});

describe('the id', () => {
  it('is found whatever the values are', () => {
    expect(() => infer('things', [{ id: { toString: 1 } }, { id: 'a', n: 1 }])).not.toThrow();
  });

  it('is _id, whatever its type', () => {
    expect(fieldsOf(infer('a', [{ _id: new ObjectId(), id: 5 }]))).toEqual({
      id: 'ObjectID! @id',
      idValue: 'Int! @field(name: "id") @index',
    });
    expect(fieldsOf(infer('a', [{ _id: 1 }, { _id: 2 }]))).toMatchObject({ id: 'Int! @id' });
    expect(fieldsOf(infer('a', [{ _id: 'x' }, { _id: 2 }]))).toMatchObject({ id: 'ID! @id' });
  });

  it('is of a type that can be made, where a document has none', () => {
    expect(fieldsOf(infer('a', [{ _id: 1 }, { n: 2 }])).id).toBe('ID! @id');
    expect(fieldsOf(infer('a', [{ _id: new ObjectId() }, { n: 2 }])).id).toBe('ObjectID! @id');
  });

  it('is id when every document has another one', () => {
    expect(
      fieldsOf(
        infer('a', [
          { id: 1, n: 1 },
          { id: 2, n: 1 },
        ]),
      ),
    ).toEqual({ id: 'Int! @id', n: 'Int!' });
    expect(
      fieldsOf(
        infer('a', [
          { id: 'x', n: 1 },
          { id: 'y', n: 1 },
        ]),
      ),
    ).toEqual({ id: 'ID! @id', n: 'Int!' });
  });

  it.each<[string, Document[]]>([
    ['repeats', [{ id: 1 }, { id: 1 }]],
    ['is missing', [{ id: 1 }, { n: 1 }]],
    ['is null', [{ id: 1 }, { id: null }]],
    ['is of several types', [{ id: 1 }, { id: 'a' }]],
    ['is no key', [{ id: 1.5 }, { id: 2.5 }]],
  ])('is not an id that %s', (_what, documents) => {
    const sdl = infer('a', documents);
    start(sdl);
    expect(fieldsOf(sdl)).toMatchObject({ id: 'ID! @id', idValue: expect.stringContaining('@field(name: "id")') });
  });
});

describe('unique and indexed fields', () => {
  const people = Array.from({ length: 30 }, (_, i) => ({
    PersonId: i,
    email: `p${i}@school.example`,
    teamId: i % 3,
    rank: i,
    login: 'same',
  }));

  it('are told by name and by all values', () => {
    expect(fieldsOf(infer('people', people))).toEqual({
      id: 'ID! @id',
      PersonId: 'Int! @unique',
      email: 'EmailAddress! @unique',
      teamId: 'Int! @index',
      rank: 'Int!',
      login: 'String!',
    });
  });

  it('need enough values', () => {
    expect(fieldsOf(infer('people', people.slice(0, 10))).email).toBe('EmailAddress!');
  });
});

describe('names', () => {
  it('of keys that are no GraphQL names are mapped', () => {
    const document = {
      'first-name': 1,
      'Album Id': 2,
      firstName: 3,
      and: 4,
      'a.b': 5,
      $set: 6,
      '': 7,
      日本: 8,
      __x: 9,
      '1st': 10,
      'quote"\n': 11,
      constructor: 12,
      ['__proto__']: 13,
    };
    const sdl = infer('odd', [document]);
    start(sdl);
    expect(fieldsOf(sdl)).toEqual({
      id: 'ID! @id',
      firstNameValue: 'Int! @field(name: "first-name")',
      albumId: 'Int! @field(name: "Album Id")',
      firstName: 'Int!',
      andValue: 'Int! @field(name: "and")',
      ab: 'Int! @field(name: "a．b")',
      set: 'Int! @field(name: "＄set")',
      value: 'Int! @field(name: "＿")',
      valueValue: 'Int! @field(name: "日本")',
      x: 'Int! @field(name: "__x")',
      field1st: 'Int! @field(name: "1st")',
      quote: 'Int! @field(name: "quote\\"\\n")',
      constructor: 'Int!',
      proto: 'Int! @field(name: "＿__proto__")',
    });
  });

  it.each([
    ['data/album-items.jsonl', 'AlbumItem'],
    ['C:\\data\\Schools.JSON.gz', 'School'],
    ['.json', 'Json'],
    ['date.json', 'DateEntity'],
    ['query', 'QueryEntity'],
    ['日本.json', 'Document'],
    ['string-filters.json', 'StringFilterEntity'],
  ])('of %s is %s', (path, type) => {
    const sdl = infer(baseNameOf(path), [{ n: 1 }]);
    start(sdl);
    expect(sdl).toMatch(new RegExp(`^type ${type} @entity \\{`));
  });

  it('of several files differ', () => {
    const inferences = ['teacher', 'teachers', 'teacher.json', 'class', 'classes'].map((name) => new Inference(name));
    for (const inference of inferences) inference.add({ address: { city: 'A' } });
    const sdl = inferredSdl(inferences);
    start(sdl);
    expect(sdl.match(/^type \w+/gm)).toHaveLength(10);
  });

  it('of a collection stay those of the collection', () => {
    const sdl = infer('old_teachers', [{ n: 1 }], { collection: 'old_teachers' });
    expect(sdl).toMatch(/^type OldTeacher @entity\(collection: "old_teachers"\) \{/);
    expect(loadModel([{ file: 'sdl', text: sdl }]).entities[0]?.collection).toBe('old_teachers');
    expect(infer('teachers', [{ n: 1 }], { collection: 'teachers' })).toMatch(/^type Teacher @entity \{/);
  });
});

describe('any documents', () => {
  it('start: none at all, and empty ones', () => {
    start(infer('nothing', []));
    start(infer('empty', [{}, {}]));
    start(infer('id', [{ _id: 1 }]));
  });

  it('start: the example data', () => {
    const inferences = new Map<string, Inference>();
    for (const { entity, document } of generateSchool({ seed: 1, schools: 2 })) {
      const inference = inferences.get(entity) ?? new Inference(entity);
      inferences.set(entity, inference);
      inference.add(document);
    }
    start(inferredSdl([...inferences.values()]));
  });

  it('start: hundreds of odd files', () => {
    const random = seededRandom(20261121);
    for (let round = 0; round < 300; round++) {
      const name = oneOf(random, NAMES);
      const documents = Array.from({ length: Math.floor(random() * 6) }, () => oddDocument(random, 0));
      const sdl = infer(name, documents, random() < 0.3 ? { collection: 'things' } : {});
      try {
        start(sdl);
      } catch (error) {
        throw new Error(`round ${round}: ${JSON.stringify(documents)}\n${sdl}`, { cause: error });
      }
    }
  });

  it('take memory by their differences, not by their number', () => {
    const inference = new Inference('maps');
    for (let i = 0; i < 30_000; i++) inference.add({ [`key${i}`]: { [`inner${i}`]: 1 } });
    expect(inference.count).toBe(30_000);
    expect(inference.sdl().length).toBeLessThan(1_000_000);
  });
});

const NAMES = ['things', 'Order', 'date', 'PageInfo', 'a', 'News', '1', 'user-data', 'query'];
const KEYS = [
  'id',
  '_id',
  'a',
  'A',
  'a-b',
  'a b',
  'a.b',
  '$a',
  '',
  'and',
  'where',
  'order',
  'input',
  'ID',
  'a_b',
  'aB',
  '日',
  '__a',
  'x'.repeat(300),
];

function oneOf<T>(random: () => number, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)]!;
}

function oddDocument(random: () => number, depth: number): Document {
  const entries = Array.from({ length: Math.floor(random() * 7) }, () => [
    oneOf(random, KEYS),
    oddValue(random, depth),
  ]);
  return Object.fromEntries(entries);
}

function oddValue(random: () => number, depth: number): unknown {
  const kind = Math.floor(random() * (depth > 8 ? 14 : 18));
  if (kind >= 16) return Array.from({ length: Math.floor(random() * 3) }, () => oddValue(random, depth + 1));
  if (kind >= 14) return oddDocument(random, depth + 1);
  const text = [
    'null',
    'true',
    '0',
    '-1.5',
    '5000000000',
    '9007199254740993',
    '""',
    '"2026-01-31"',
    '"a@b.example"',
    '{"$oid":"5e5677d71bdc2ae76344968c"}',
    '{"$date":"2026-01-31T08:30:00Z"}',
    '{"$numberLong":"7"}',
    '{"$numberDecimal":"1.5"}',
    '{"$minKey":1}',
  ][kind];
  return parseExtendedJson(`{"v":${text}}`).v;
}
