import { Binary, Decimal128, Double, Long, ObjectId } from 'bson';
import { describe, expect, it } from 'vitest';
import { buildSchema } from '../../src/api/schema.ts';
import { InputWriter, Unfit } from '../../src/cli/import-input.ts';
import type { Document } from '../../src/model/document.ts';
import { loadModel } from '../../src/model/load.ts';

const SDL = `
type Thing @entity {
  id: ID! @id
  name: String!
  firstName: String @field(name: "first-name")
  size: Int
  big: BigInt
  exact: Decimal
  weight: Float
  day: Date
  at: DateTime
  photo: Byte
  ownerId: ObjectID
  extra: JSON
  kind: Kind
  tags: [String!]
  place: Place
  places: [Place!]
  createdAt: DateTime! @timestamp(on: [CREATE])
  secret: String @hidden
  boxId: ObjectID
  box: Box @relation(field: "boxId")
}
enum Kind { ONE TWO }
type Place { city: String!  zip: String @field(name: "post code") }
type Box @entity { id: ObjectID! @id  n: Int }
type Counted @entity { id: Int! @id  n: Int }
`;
const model = loadModel([{ file: 'things.graphql', text: SDL }]);
const schema = buildSchema(model);

function write(document: Document, { entity = 'Thing', index = 0, digest = 'd' } = {}): Record<string, unknown> {
  const found = model.entities.find(({ name }) => name === entity);
  if (found === undefined) throw new Error(entity);
  return new InputWriter({ model, schema, entity: found, digest }).write(document, index);
}

describe('a date in a field that holds none', () => {
  it.each(['size', 'big', 'exact', 'weight', 'name', 'photo', 'ownerId'])('%s: the document is unfit', (field) => {
    expect(() => write({ _id: 'a', name: 'a', [field]: new Date(0) })).toThrow(Unfit);
  });

  it('also as an element, and as an enum', () => {
    expect(() => write({ _id: 'a', name: 'a', tags: [new Date(0)] })).toThrow('tags is a date, which is no String');
    expect(() => write({ _id: 'a', name: 'a', kind: new Date(0) })).toThrow(Unfit);
  });
});

describe('the input of a document', () => {
  it('has the names and scalars of the API', () => {
    const input = write({
      _id: new ObjectId('0123456789abcdef01234567'),
      name: 'a',
      'first-name': 'b',
      size: new Double(3),
      big: Long.fromString('9223372036854775807'),
      exact: Decimal128.fromString('1.50'),
      weight: 1.5,
      day: new Date('2020-02-03T00:00:00Z'),
      at: new Date('2020-02-03T04:05:06.007Z'),
      photo: new Binary(Buffer.from('hi')),
      ownerId: new ObjectId('0123456789abcdef01234568'),
      extra: { when: new Date(0), list: [1, Long.fromNumber(2)] },
      tags: ['x', 'y'],
      place: { city: 'Bonn', 'post code': '53111' },
      places: [{ city: 'Ulm' }],
    });
    expect(input).toEqual({
      id: '0123456789abcdef01234567',
      name: 'a',
      firstName: 'b',
      size: 3,
      big: '9223372036854775807',
      exact: '1.50',
      weight: 1.5,
      day: '2020-02-03',
      at: '2020-02-03T04:05:06.007Z',
      photo: 'aGk=',
      ownerId: '0123456789abcdef01234568',
      extra: { when: '1970-01-01T00:00:00.000Z', list: [1, 2] },
      tags: ['x', 'y'],
      place: { city: 'Bonn', zip: '53111' },
      places: [{ city: 'Ulm' }],
    });
  });

  it('may be written with the names of the API already', () => {
    expect(write({ id: 'a', name: 'b', firstName: 'c' })).toEqual({ id: 'a', name: 'b', firstName: 'c' });
  });

  it('gets an id from the file and its place there when it has none, always the same', () => {
    const id = write({ name: 'a' }).id;
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(write({ name: 'a' }).id).toBe(id);
    expect(write({ name: 'a' }, { index: 1 }).id).not.toBe(id);
    expect(write({ name: 'a' }, { digest: 'e' }).id).not.toBe(id);
    expect(write({ n: 1 }, { entity: 'Box' }).id).toMatch(/^[0-9a-f]{24}$/);
  });
});

describe('a document that does not fit', () => {
  it.each<[string, Document, string]>([
    ['lacks a required field', { _id: 'a' }, 'Field "name" of required type "String!" was not provided.'],
    [
      'has a field of the wrong type',
      { name: 'a', size: 'big' },
      'size: Int cannot represent non-integer value: "big"',
    ],
    ['has an unknown field', { name: 'a', sise: 1 }, 'Thing has no field "sise"; did you mean size?'],
    ['has an unknown nested field', { name: 'a', place: { city: 'b', zap: 1 } }, 'Place has no field "zap"'],
    ['has a value where an object belongs', { name: 'a', place: 'Bonn' }, 'place must be an object'],
    ['names a relation', { name: 'a', box: {} }, 'Thing.box is a relation; give boxId instead'],
    ['names a timestamp', { name: 'a', createdAt: new Date(0) }, 'Thing.createdAt is set by the gateway'],
    ['names a hidden field', { name: 'a', secret: 'b' }, 'Thing.secret is not in the API'],
    ['gives a field twice', { name: 'a', firstName: 'b', 'first-name': 'c' }, 'Thing.firstName is given twice'],
    [
      'holds a number JSON lacks',
      { name: 'a', extra: { x: Number.NaN } },
      'extra holds a number that JSON does not have',
    ],
    ['loses digits', { name: 'a', weight: Long.fromString('9007199254740993') }, 'weight: Float cannot represent'],
  ])('%s', (_, document, reason) => {
    expect(() => write(document)).toThrow(Unfit);
    expect(() => write(document)).toThrow(reason);
  });

  it('lacks an id that cannot be derived', () => {
    expect(() => write({ n: 1 }, { entity: 'Counted' })).toThrow('id is missing: an id of type Int is not derived');
  });
});
