import { Binary, BSONRegExp, Code, Decimal128, Double, Int32, Long, MaxKey, MinKey, ObjectId, Timestamp } from 'bson';
import { describe, expect, it } from 'vitest';
import { decodeDocument, decodeValue, encodeDocument, encodeValue } from '../../src/model/document.ts';
import { randomDocument, randomValue } from '../support/bson-values.ts';
import { Choices } from '../support/choices.ts';

describe('encodeValue', () => {
  it.each<[string, unknown, string]>([
    ['an int32', 1, '1'],
    ['an Int32', new Int32(1), '1'],
    ['a double', 1.5, '1.5'],
    ['a double that looks like an int32', new Double(1), '{"$numberDouble":"1.0"}'],
    ['minus zero', -0, '{"$numberDouble":"-0.0"}'],
    ['NaN', Number.NaN, '{"$numberDouble":"NaN"}'],
    ['a Long', Long.fromString('9007199254740993'), '{"$numberLong":"9007199254740993"}'],
    ['a bigint', 5n, '{"$numberLong":"5"}'],
    ['a Decimal128', Decimal128.fromString('1.50'), '{"$numberDecimal":"1.50"}'],
    ['an ObjectId', new ObjectId('000000000000000000000001'), '{"$oid":"000000000000000000000001"}'],
    ['a date', new Date(5), '{"$date":5}'],
    ['bytes', Uint8Array.of(1), '{"$binary":{"base64":"AQ==","subType":"00"}}'],
    ['a binary', new Binary(Buffer.from([1]), 4), '{"$binary":{"base64":"AQ==","subType":"04"}}'],
    ['a BSONRegExp', new BSONRegExp('a', 'i'), '{"$regularExpression":{"pattern":"a","options":"i"}}'],
    ['a RegExp', /a/gims, '{"$regularExpression":{"pattern":"a","options":"ims"}}'],
    ['a timestamp', new Timestamp({ t: 1, i: 2 }), '{"$timestamp":{"t":1,"i":2}}'],
    ['MinKey', new MinKey(), '{"$minKey":1}'],
    ['MaxKey', new MaxKey(), '{"$maxKey":1}'],
    ['undefined fields and items', { a: undefined, b: [undefined] }, '{"b":[null]}'],
    ['a key that starts with $', { $a: 1 }, '{"$object":[["$a",1]]}'],
    ['a field named _bsontype', { _bsontype: 'ObjectId' }, '{"_bsontype":"ObjectId"}'],
  ])('writes %s', (_, value, text) => {
    expect(encodeValue(value)).toBe(text);
  });

  it.each<[string, unknown]>([
    ['a function', () => 1],
    ['an invalid date', new Date(Number.NaN)],
    ['code', new Code('x')],
  ])('refuses %s', (_, value) => {
    expect(() => encodeValue(value)).toThrow(expect.objectContaining({ code: 'VALIDATION_FAILED' }));
  });

  it('is read back to what is written the same (seed 1)', () => {
    const choices = new Choices(1);
    for (let i = 0; i < 2000; i++) {
      const text = encodeValue(randomValue(choices, 3));
      expect(encodeValue(decodeValue(text))).toBe(text);
    }
  });
});

describe('encodeDocument', () => {
  it('is read back to what is written the same (seed 2)', () => {
    const choices = new Choices(2);
    for (let i = 0; i < 500; i++) {
      const text = encodeDocument(randomDocument(choices));
      expect(encodeDocument(decodeDocument(text))).toBe(text);
    }
  });
});
