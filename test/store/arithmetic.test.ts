import { Decimal128, Double, Int32, Long } from 'bson';
import { describe, expect, it } from 'vitest';
import { encodeValue } from '../../src/model/document.ts';
import { add, multiply, zeroOf } from '../../src/store/arithmetic.ts';

const decimal = (text: string) => Decimal128.fromString(text);
const long = (text: string) => Long.fromString(text);

describe('add', () => {
  it.each<[string, unknown, unknown, unknown]>([
    ['int32', 1, 2, 3],
    ['int32 objects', new Int32(1), new Int32(2), 3],
    ['int32 that overflow to int64', 2147483647, 1, long('2147483648')],
    ['int32 and int64', 1, long('1'), long('2')],
    ['int64 beyond 2^53', long('9007199254740993'), 2, long('9007199254740995')],
    ['int32 and double', 1, 0.5, 1.5],
    ['doubles with a whole sum', 0.5, 0.5, new Double(1)],
    ['double and int64', long('1'), new Double(1), new Double(2)],
    ['infinities', Infinity, -Infinity, Number.NaN],
    ['int32 and decimal', 1, decimal('1.10'), decimal('2.10')],
    ['int64 and decimal, exactly', long('9007199254740993'), decimal('0.5'), decimal('9007199254740993.5')],
    ['a double at 15 digits and decimal', 0.1, decimal('0.2'), decimal('0.300000000000000')],
    [
      'decimals rounded half to even',
      decimal('1E+34'),
      decimal('5'),
      decimal('1.000000000000000000000000000000000E+34'),
    ],
    [
      'decimals that round up a digit',
      decimal('9999999999999999999999999999999999'),
      decimal('0.5'),
      decimal('1.000000000000000000000000000000000E+34'),
    ],
    ['decimals that overflow', decimal('9E+6144'), decimal('9E+6144'), decimal('Infinity')],
    ['opposite decimals', decimal('1.5'), decimal('-1.5'), decimal('0.0')],
    ['NaN and decimal', Number.NaN, decimal('1'), decimal('NaN')],
  ])('adds %s', (_, a, b, sum) => {
    expect(encodeValue(add(a, b))).toBe(encodeValue(sum));
    expect(encodeValue(add(b, a))).toBe(encodeValue(sum));
  });

  it('refuses an int64 sum that does not fit', () => {
    expect(() => add(long('9223372036854775807'), 1)).toThrow('does not fit into 64 bits');
  });
});

describe('multiply', () => {
  it.each<[string, unknown, unknown, unknown]>([
    ['int32', 3, -2, -6],
    ['int32 that overflow to int64', 65536, 65536, long('4294967296')],
    ['int32 beyond 2^53', 2147483647, 2147483647, long('4611686014132420609')],
    ['a negative by zero', -3, 0, 0],
    ['double by zero', -1.5, 0, -0],
    ['double by int32', 1.5, 2, new Double(3)],
    ['decimals', decimal('1.5'), decimal('0.20'), decimal('0.300')],
    ['decimal infinity by zero', decimal('Infinity'), 0, decimal('NaN')],
    ['decimals that underflow', decimal('1E-6176'), decimal('0.1'), decimal('0E-6176')],
    ['zero by a large decimal', decimal('0E+6111'), decimal('10'), decimal('0E+6111')],
  ])('multiplies %s', (_, a, b, product) => {
    expect(encodeValue(multiply(a, b))).toBe(encodeValue(product));
  });

  it('refuses an int64 product that does not fit', () => {
    expect(() => multiply(long('9223372036854775807'), 2)).toThrow('does not fit into 64 bits');
  });
});

describe('zeroOf', () => {
  it.each([
    [5, 0],
    [long('5'), long('0')],
    [1.5, new Double(0)],
    [decimal('1.50'), decimal('0')],
  ])('of %s has its type', (value, zero) => {
    expect(encodeValue(zeroOf(value))).toBe(encodeValue(zero));
  });
});
