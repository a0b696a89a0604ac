import { Binary, BSONRegExp, Decimal128, Double, Long, MaxKey, MinKey, ObjectId, Timestamp } from 'bson';
import { describe, expect, it } from 'vitest';
import { compareValues } from '../../src/store/order.ts';
import { NUMBERS, randomValue, STRINGS } from '../support/bson-values.ts';
import { Choices } from '../support/choices.ts';

const decimal = (text: string) => Decimal128.fromString(text);
const long = (text: string) => Long.fromString(text);

describe('compareValues', () => {
  it('orders the types as the manual lists them', () => {
    const ascending: unknown[] = [
      new MinKey(),
      null,
      5,
      'a',
      { a: 1 },
      [1],
      new Binary(Buffer.from('a')),
      new ObjectId('000000000000000000000001'),
      false,
      new Date(0),
      new Timestamp({ t: 0, i: 1 }),
      new BSONRegExp('a'),
      new MaxKey(),
    ];
    for (const [i, value] of ascending.entries()) {
      for (const [j, other] of ascending.entries()) {
        expect(Math.sign(compareValues(value, other)), `${i} with ${j}`).toBe(Math.sign(i - j));
      }
    }
  });

  it.each<[string, unknown, unknown]>([
    ['int32 and double', 1, new Double(1)],
    ['int32 and int64', 1, long('1')],
    ['int32 and decimal', 1, decimal('1.00')],
    ['zero and minus zero', 0, -0],
    ['NaN of double and decimal', Number.NaN, decimal('NaN')],
    ['infinities', -Infinity, decimal('-Infinity')],
    ['a double and the decimal of all its digits', 0.5, decimal('0.5')],
    ['missing and null', undefined, null],
    ['bytes and a binary of subtype 0', Uint8Array.of(1), new Binary(Buffer.from([1]))],
    ['a RegExp and its BSON form', /a/im, new BSONRegExp('a', 'im')],
    ['a document whose other field is undefined', { a: 1, b: undefined }, { a: 1 }],
  ])('finds equal: %s', (_, a, b) => {
    expect(compareValues(a, b)).toBe(0);
    expect(compareValues(b, a)).toBe(0);
  });

  it.each<[string, unknown, unknown]>([
    ['NaN and -Infinity', Number.NaN, -Infinity],
    ['int64 beyond the doubles', long('9007199254740992'), long('9007199254740993')],
    ['a double and the int64 above it', 2 ** 53, long('9007199254740993')],
    ['the largest int64 and 2^63', long('9223372036854775807'), 2 ** 63],
    ['0.1 as decimal and as double', decimal('0.1'), 0.1],
    ['zero and the smallest decimal', 0, decimal('1E-6176')],
    ['the smallest decimal and the smallest double', decimal('1E-6176'), 5e-324],
    ['a negative decimal below the doubles and zero', decimal('-1E-6176'), 0],
    ['the largest double and a larger decimal', Number.MAX_VALUE, decimal('1E+309')],
    ['a larger decimal and Infinity', decimal('9E+6144'), Infinity],
    ['beyond U+FFFF, by code point', '\uffff', '😀'],
    ['a lone surrogate', '\ud83d', '\ud83d\ude00'],
    ['a prefix', 'a', 'a\0'],
    ['documents by type before name', { b: 1 }, { a: 'x' }],
    ['documents by name before value', { a: 2 }, { b: 1 }],
    ['documents by length', { a: 1 }, { a: 1, b: null }],
    ['arrays by element', [1, 9], [2]],
    ['binaries by length first', new Binary(Buffer.from([9])), new Binary(Buffer.from([1, 1]))],
    ['binaries by subtype next', new Binary(Buffer.from([9]), 0), new Binary(Buffer.from([1]), 4)],
    ['timestamps unsigned', new Timestamp({ t: 1, i: 0 }), new Timestamp({ t: 0xffffffff, i: 0 })],
    ['dates before 1970', new Date(-1), new Date(0)],
  ])('orders %s', (_, a, b) => {
    expect(compareValues(a, b)).toBeLessThan(0);
    expect(compareValues(b, a)).toBeGreaterThan(0);
  });

  it('takes a document with a field named _bsontype for a document', () => {
    expect(compareValues({ _bsontype: 'ObjectId' }, { _bsontype: 'Long' })).toBeGreaterThan(0);
  });

  it('refuses what cannot be stored', () => {
    expect(() => compareValues(() => 1, 1)).toThrow('cannot be compared');
  });

  it('agrees with the order of UTF-8 bytes for well-formed strings', () => {
    const wellFormed = STRINGS.filter((text) => text.isWellFormed());
    for (const a of wellFormed) {
      for (const b of wellFormed) {
        expect(Math.sign(compareValues(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }
    }
  });

  it('compares numbers as exact fractions do', () => {
    const finite = NUMBERS.map((value) => ({ value, fraction: fractionOf(value) })).filter(
      (number): number is { value: unknown; fraction: bigint } => number.fraction !== undefined,
    );
    for (const a of finite) {
      for (const b of finite) {
        const sign = a.fraction < b.fraction ? -1 : a.fraction > b.fraction ? 1 : 0;
        expect(Math.sign(compareValues(a.value, b.value)), `${a.value} with ${b.value}`).toBe(sign);
      }
    }
  });

  it('is a total order', () => {
    const choices = new Choices(1);
    const values = Array.from({ length: 150 }, () => randomValue(choices));
    for (const a of values) {
      for (const b of values) expect(Math.sign(compareValues(a, b)) + Math.sign(compareValues(b, a)) + 0).toBe(0);
    }
    const sorted = values.toSorted(compareValues);
    for (const [i, a] of sorted.entries()) {
      for (const b of sorted.slice(i)) expect(compareValues(a, b)).toBeLessThanOrEqual(0);
    }
  });
});

/** A finite number times 10^6400, exactly: no double or decimal has smaller digits. Undefined for NaN and infinities. */
function fractionOf(value: unknown): bigint | undefined {
  const text = typeof value === 'number' && Number.isFinite(value) ? undefined : String(value);
  if (text === undefined) return fractionOfDouble(value as number);
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:E([+-]\d+))?$/.exec(text);
  if (match === null) return undefined;
  const [, sign, whole, fraction = '', exponent = '0'] = match;
  const magnitude = BigInt(`${whole}${fraction}`) * 10n ** BigInt(6400 + Number(exponent) - fraction.length);
  return sign === '-' ? -magnitude : magnitude;
}

function fractionOfDouble(value: number): bigint {
  let scale = 0n;
  let scaled = value;
  // Twice is exact until the number is whole.
  for (; !Number.isInteger(scaled); scale++) scaled *= 2;
  return (BigInt(scaled) * 10n ** 6400n) / 2n ** scale;
}
