import { Binary, Decimal128, Double, Long, ObjectId } from 'bson';
import { type ConstValueNode, Kind, parseConstValue } from 'graphql';
import { describe, expect, it } from 'vitest';
import { builtInDocument } from '../../src/model/built-in.ts';
import { POSITION_SCALAR, plainValue, SCALARS } from '../../src/model/scalars.ts';

function scalar(name: string) {
  return SCALARS.get(name)!.type;
}

function literal(name: string, text: string): unknown {
  return scalar(name).parseLiteral(parseConstValue(text) as ConstValueNode, undefined);
}

it('are those of schema/scalars.graphql', () => {
  const declared = builtInDocument().definitions.flatMap((node) =>
    node.kind === Kind.SCALAR_TYPE_DEFINITION ? [node.name.value] : [],
  );
  expect(['Boolean', 'Float', 'ID', 'Int', 'String', ...declared].sort()).toEqual(
    [...SCALARS.keys(), 'Position'].sort(),
  );
});

describe('what a client sends is stored, and sent back', () => {
  it.each([
    ['DateTime', '2026-01-31T09:30:00+01:00', new Date('2026-01-31T08:30:00Z'), '2026-01-31T08:30:00.000Z'],
    ['Date', '2026-01-31', new Date('2026-01-31'), '2026-01-31'],
    ['Time', '08:30', '08:30:00', '08:30:00'],
    ['Duration', 'PT45M', 'PT45M', 'PT45M'],
    [
      'UUID',
      '01A05BFB-7001-7478-8B9F-4D0E9C34B000',
      '01a05bfb-7001-7478-8b9f-4d0e9c34b000',
      '01a05bfb-7001-7478-8b9f-4d0e9c34b000',
    ],
    ['ObjectID', '5e5677d71bdc2ae76344968c', new ObjectId('5e5677d71bdc2ae76344968c'), '5e5677d71bdc2ae76344968c'],
    ['SafeInt', 9007199254740991, 9007199254740991, 9007199254740991],
    ['BigInt', '-9223372036854775808', Long.fromString('-9223372036854775808'), '-9223372036854775808'],
    ['BigInt', 5, Long.fromInt(5), '5'],
    ['Decimal', '12.50', Decimal128.fromString('12.50'), '12.50'],
    ['PositiveInt', 1, 1, 1],
    ['NonNegativeInt', 0, 0, 0],
    ['NonNegativeFloat', 0.5, 0.5, 0.5],
    ['Latitude', -89.5, -89.5, -89.5],
    ['Longitude', 180, 180, 180],
    ['EmailAddress', 'ada@school.example', 'ada@school.example', 'ada@school.example'],
    ['PhoneNumber', '+1 (201) 555-0101', '+1 (201) 555-0101', '+1 (201) 555-0101'],
    ['URL', 'https://school.example/a b', 'https://school.example/a b', 'https://school.example/a b'],
    ['CountryCode', 'gb', 'GB', 'GB'],
    ['Currency', 'EUR', 'EUR', 'EUR'],
    ['JSON', { a: [1, null] }, { a: [1, null] }, { a: [1, null] }],
    ['JSONObject', { a: 1 }, { a: 1 }, { a: 1 }],
  ])('%s %j', (name, sent, stored, answered) => {
    const value = scalar(name).parseValue(sent);
    expect(value).toEqual(stored);
    expect(scalar(name).serialize(value)).toEqual(answered);
  });

  it('as bytes', () => {
    const value = scalar('Byte').parseValue('AQID') as Binary;
    expect([...value.buffer]).toEqual([1, 2, 3]);
    expect(scalar('Byte').serialize(value)).toBe('AQID');
  });

  it('also from literals, without losing digits', () => {
    expect(literal('BigInt', '9007199254740993')).toEqual(Long.fromString('9007199254740993'));
    expect(literal('Decimal', '0.10')).toEqual(Decimal128.fromString('0.10'));
    expect(literal('Date', '"2026-01-31"')).toEqual(new Date('2026-01-31'));
    expect(literal('JSON', '{a: [1, X]}')).toEqual({ a: [1, 'X'] });
  });
});

describe('what is refused', () => {
  it.each([
    ['DateTime', '2026-01-31'],
    ['DateTime', '2026-02-30T00:00:00Z'],
    ['Date', '2026-02-30'],
    ['Time', '25:00'],
    ['ObjectID', 'zz'],
    ['ObjectID', 5],
    ['SafeInt', 9007199254740992],
    ['SafeInt', '5'],
    ['BigInt', '9223372036854775808'],
    ['BigInt', 2 ** 60],
    ['BigInt', 1.5],
    ['Decimal', '1'.repeat(40)],
    ['Decimal', 'abc'],
    ['Decimal', Number.NaN],
    ['PositiveInt', 0],
    ['NonNegativeInt', 1.5],
    ['NonNegativeInt', 2 ** 31],
    ['NonNegativeFloat', -0.1],
    ['Latitude', 90.1],
    ['Latitude', '5'],
    ['EmailAddress', 'ada'],
    ['PhoneNumber', '12'],
    ['PhoneNumber', 'call me'],
    ['URL', '/relative'],
    ['CountryCode', 'XX'],
    ['Byte', '###'],
    ['JSONObject', [1]],
  ])('%s %j', (name, sent) => {
    expect(() => scalar(name).parseValue(sent)).toThrow(`${name}: `);
  });

  it('a telephone number as long as one likes, at once', () => {
    expect(() => scalar('PhoneNumber').parseValue(`${'1'.repeat(5_000_000)}x`)).toThrow('PhoneNumber');
  });
});

it('reads numbers of every BSON type', () => {
  expect(scalar('SafeInt').serialize(Long.fromNumber(2 ** 40))).toBe(2 ** 40);
  expect(scalar('SafeInt').serialize(new Double(3))).toBe(3);
  expect(scalar('BigInt').serialize(7)).toBe('7');
  expect(scalar('Decimal').serialize(new Double(2))).toBe('2');
  expect(() => scalar('BigInt').serialize(1.5)).toThrow('a whole number');
});

it('writes a Position and reads it', () => {
  expect(POSITION_SCALAR.parseValue('2.17')).toEqual({ epoch: 2, sequence: 17 });
  expect(POSITION_SCALAR.serialize({ epoch: 2, sequence: 17 })).toBe('2.17');
  expect(() => POSITION_SCALAR.parseValue('2')).toThrow('Position: "2" is not a position');
});

describe('plainValue', () => {
  it('makes plain JSON of BSON values', () => {
    const value = {
      id: new ObjectId('5e5677d71bdc2ae76344968c'),
      at: new Date(0),
      list: [Long.fromNumber(5), Long.fromString('9007199254740993'), new Double(1), Decimal128.fromString('0.5')],
      bytes: new Binary(Buffer.from([1])),
    };
    expect(plainValue(value)).toEqual({
      id: '5e5677d71bdc2ae76344968c',
      at: '1970-01-01T00:00:00.000Z',
      list: [5, '9007199254740993', 1, '0.5'],
      bytes: 'AQ==',
    });
  });

  it('returns plain JSON itself', () => {
    const value = { a: [1, { b: null }] };
    expect(plainValue(value)).toBe(value);
  });
});
