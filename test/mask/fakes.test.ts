import { createSecretKey } from 'node:crypto';
import { Decimal128, Long, ObjectId } from 'bson';
import { expect, it } from 'vitest';
import { FakeKind } from '../../src/mask/fake.ts';
import { Fakes } from '../../src/mask/fakes.ts';
import { Originals } from '../../src/mask/originals.ts';
import { SCALARS } from '../../src/model/scalars.ts';

const KEY = createSecretKey(Buffer.alloc(32, 1));

function fakesWithout(kind: FakeKind, values: readonly unknown[], key = KEY): Fakes {
  const originals = new Originals();
  for (const value of values) originals.add(kind, value);
  return new Fakes({ key, originals });
}

it.each([
  ['EMAIL', 'EmailAddress', 'ada@lovelace.org'],
  ['PHONE', 'PhoneNumber', '+44 20 7946 0958'],
  ['PHONE', 'PhoneNumber', '0958'],
  ['URL', 'URL', 'https://lovelace.org/ada'],
  ['UUID', 'UUID', '9f86d081-884c-4d65-9a2f-eaa0c55ad015'],
  ['OBJECT_ID', 'ObjectID', new ObjectId()],
  ['NUMBER', 'Int', 1_815],
  ['NUMBER', 'NonNegativeInt', 0],
  ['NUMBER', 'Latitude', -33.865],
  ['NUMBER', 'Longitude', 151.21],
  ['NUMBER', 'BigInt', Long.fromString('9007199254740993')],
  ['NUMBER', 'Decimal', Decimal128.fromString('12.50')],
  ['NUMBER', 'Float', 3.25],
  ['DATE', 'Date', new Date('1815-12-10')],
  ['DATE', 'DateTime', new Date('9999-12-31T23:59:59Z')],
  ['NAME', 'String', 'Ada Lovelace'],
  ['ADDRESS', 'String', '12 St James’s Square'],
  ['TEXT', 'String', ''],
] as const)('makes a %s that is a %s: %s', (kind, scalar, value) => {
  const bounds = { Latitude: { least: -90, most: 90 }, Longitude: { least: -180, most: 180 } }[scalar as 'Latitude'];
  const fake = fakesWithout(kind, [value]).fakeFor(kind, value, bounds);
  const { type } = SCALARS.get(scalar)!;
  const read = type.serialize(fake);
  expect(type.serialize(type.parseValue(read))).toEqual(read);
  expect(Object.getPrototypeOf(fake)).toBe(Object.getPrototypeOf(value));
  expect(fake).not.toEqual(value);
});

it('gives equal values equal fakes and different values different ones, whatever their number', () => {
  const numbers = Array.from({ length: 500 }, (_, n) => n);
  const fakes = fakesWithout(FakeKind.NUMBER, numbers);
  const drawn = numbers.map((n) => fakes.fakeFor(FakeKind.NUMBER, n));
  expect(new Set(drawn).size).toBe(500);
  expect(drawn.filter((fake) => numbers.includes(fake as number))).toEqual([]);
  expect(numbers.map((n) => fakes.fakeFor(FakeKind.NUMBER, n))).toEqual(drawn);
});

it('leaves every day of a crowded calendar', () => {
  const days = Array.from({ length: 3_000 }, (_, n) => new Date(Date.UTC(1990, 0, 1 + n)));
  const fakes = fakesWithout(FakeKind.DATE, days);
  const taken = new Set(days.map(Number));
  const drawn = days.map((day) => Number(fakes.fakeFor(FakeKind.DATE, day)));
  expect(new Set(drawn).size).toBe(3_000);
  expect(drawn.filter((day) => taken.has(day))).toEqual([]);
});

it('says when a type has too few values', () => {
  const values = [0, 1, 2, 3];
  const fakes = fakesWithout(FakeKind.NUMBER, values);
  const draw = () => values.map((value) => fakes.fakeFor(FakeKind.NUMBER, value, { least: 0, most: 5 }));
  expect(draw).toThrow(expect.objectContaining({ code: 'VALIDATION_FAILED' }));
});

it('draws others with another key', () => {
  const [one, other] = [KEY, createSecretKey(Buffer.alloc(32, 2))].map((key) =>
    fakesWithout(FakeKind.NAME, [], key).fakeFor(FakeKind.NAME, 'Ada'),
  );
  expect(one).not.toBe(other);
});

it('draws again when a fake holds an original', () => {
  const first = String(fakesWithout(FakeKind.NAME, []).fakeFor(FakeKind.NAME, 'Ada'));
  const fakes = fakesWithout(FakeKind.NAME, ['Ada', first.slice(0, 4)]);
  expect(fakes.fakeFor(FakeKind.NAME, 'Ada')).not.toContain(first.slice(0, 4));
});
