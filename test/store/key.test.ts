import { ObjectId } from 'bson';
import { describe, expect, it } from 'vitest';
import { encodeValue } from '../../src/model/document.ts';
import { keyOf, keyOfText, prefixRange } from '../../src/store/key.ts';
import { compareValues } from '../../src/store/order.ts';
import { NUMBERS, randomValue, STRINGS } from '../support/bson-values.ts';
import { Choices } from '../support/choices.ts';

function expectSameOrder(values: readonly unknown[]): void {
  const keys = values.map(keyOf);
  for (const [i, a] of values.entries()) {
    for (const [j, b] of values.entries()) {
      const byKey = Buffer.compare(keys[i] as Uint8Array, keys[j] as Uint8Array);
      if (byKey !== Math.sign(compareValues(a, b))) expect.fail(`${encodeValue(a)} with ${encodeValue(b)}: ${byKey}`);
    }
  }
}

describe('keyOf', () => {
  it('orders numbers of all types as compareValues does', () => {
    expectSameOrder(NUMBERS);
  });

  it('orders strings as compareValues does', () => {
    expectSameOrder(STRINGS);
  });

  it.each([1, 2, 3, 4, 5])('orders random values as compareValues does (seed %i)', (seed) => {
    const choices = new Choices(seed);
    expectSameOrder(Array.from({ length: 300 }, () => randomValue(choices, 3)));
  });

  it.each([6, 7])('orders tuples of keys written one after the other (seed %i)', (seed) => {
    const choices = new Choices(seed);
    const tuples = Array.from({ length: 250 }, () => [randomValue(choices), randomValue(choices, 1)] as const);
    const keys = tuples.map(([first, second]) => Buffer.concat([keyOf(first), keyOf(second)]));
    for (const [i, a] of tuples.entries()) {
      for (const [j, b] of tuples.entries()) {
        const sign = Math.sign(compareValues(a[0], b[0]) || compareValues(a[1], b[1])) + 0;
        expect(Buffer.compare(keys[i] as Buffer, keys[j] as Buffer)).toBe(sign);
      }
    }
  });

  it('has no byte 255 where a further key begins, so that a key and 255 bound all that begins with it', () => {
    const choices = new Choices(8);
    for (let i = 0; i < 500; i++) expect(keyOf(randomValue(choices))[0]).toBeLessThan(0xfe);
  });

  it('keeps its format, which indexes store', () => {
    const hex = (value: unknown) => Buffer.from(keyOf(value)).toString('hex');
    expect(hex(null)).toBe('14');
    expect(hex(1)).toBe('1ebff000000000000000');
    expect(hex(-1)).toBe('1e400fffffffffffffff');
    expect(hex('a\0b')).toBe('3c6100ff620000');
    expect(hex({ a: true })).toBe('466e6100000100');
    expect(hex([null])).toBe('501400');
    expect(hex(9007199254740993n)).toBe('1ec3400000000000000180105b08145d374b0a5e00');
  });

  it('is the same alone as inside a list, for texts of any length', () => {
    const hex = (value: unknown) => Buffer.from(keyOf(value)).toString('hex');
    const lengths = [0, 1, 63, 64, 65, 200].map((length) => 'x'.repeat(length));
    for (const text of [...STRINGS, ...lengths, ...lengths.map((each) => `é${each.slice(1)}`), '\x7f', '\x80']) {
      expect(hex([text])).toBe(`50${hex(text)}00`);
    }
  });

  it('grows for a long value', () => {
    const text = 'x'.repeat(100_000);
    expect(keyOf(text).length).toBe(100_003);
    expect(compareValues(text, `${text}y`)).toBe(Buffer.compare(keyOf(text), keyOf(`${text}y`)));
  });

  it('refuses an invalid date', () => {
    expect(() => keyOf(new Date(Number.NaN))).toThrow('invalid date');
  });
});

describe('keyOfText', () => {
  it('is the key of the value the text stands for', () => {
    expect(keyOfText('"a"')).toEqual(keyOf('a'));
    expect(keyOfText('{"$oid":"000000000000000000000001"}')).toEqual(keyOf(new ObjectId('000000000000000000000001')));
  });
});

describe('prefixRange', () => {
  it('holds the strings that begin with the prefix, and no others', () => {
    for (const prefix of STRINGS) {
      const { low, high } = prefixRange(prefix);
      for (const text of STRINGS) {
        const key = keyOf(text);
        const inside = Buffer.compare(low, key) <= 0 && Buffer.compare(key, high) < 0;
        // A lone surrogate is no prefix of the pair that begins with it: their bytes differ.
        const begins = [...text].slice(0, [...prefix].length).join('') === prefix;
        expect(inside, `${encodeValue(prefix)} and ${encodeValue(text)}`).toBe(begins);
      }
    }
  });
});
