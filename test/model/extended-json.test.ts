import { Binary, BSONRegExp, Decimal128, Double, Long, MaxKey, MinKey, ObjectId, Timestamp, UUID } from 'bson';
import { describe, expect, it } from 'vitest';
import { decodeDocument, encodeDocument } from '../../src/model/document.ts';
import { parseExtendedJson } from '../../src/model/extended-json.ts';

const OID = '5e5677d71bdc2ae76344968c';

/** The value written as `text`. */
function readValue(text: string): unknown {
  return parseExtendedJson(`{"v":${text}}`).v;
}

describe('parseExtendedJson', () => {
  it.each([
    ['{"$oid":"5e5677d71bdc2ae76344968c"}', new ObjectId(OID)],
    ['{"$date":"2026-01-31T08:30:00Z"}', new Date('2026-01-31T08:30:00Z')],
    ['{"$date":{"$numberLong":"-1"}}', new Date(-1)],
    ['{"$date":1000}', new Date(1000)],
    ['{"$numberInt":"5"}', 5],
    ['{"$numberLong":"5"}', Long.fromInt(5)],
    ['{"$numberDouble":"5.0"}', new Double(5)],
    ['{"$numberDouble":"5.5"}', 5.5],
    ['{"$numberDouble":"-Infinity"}', Number.NEGATIVE_INFINITY],
    ['{"$numberDecimal":"1.50"}', Decimal128.fromString('1.50')],
    ['{"$binary":{"base64":"AQI=","subType":"00"}}', new Binary(Buffer.from([1, 2]))],
    ['{"$uuid":"3b241101-e2bb-4255-8caf-4136c566a962"}', new UUID('3b241101-e2bb-4255-8caf-4136c566a962')],
    ['{"$regularExpression":{"pattern":"a","options":"i"}}', new BSONRegExp('a', 'i')],
    ['{"$timestamp":{"t":1,"i":2}}', new Timestamp({ t: 1, i: 2 })],
    ['{"$minKey":1}', new MinKey()],
    ['{"$maxKey":1}', new MaxKey()],
    ['{"$symbol":"x"}', 'x'],
    ['{"$undefined":true}', null],
    ['[1,{"$numberInt":"2"},{"a":{"$numberInt":"3"}}]', [1, 2, { a: 3 }]],
    ['{"$unknown":{"$numberInt":"1"}}', { $unknown: 1 }],
    ['9007199254740993', Long.fromString('9007199254740993')],
    ['-9223372036854775808', Long.fromString('-9223372036854775808')],
    ['9223372036854775808', 2 ** 63],
    ['1.5e3', 1500],
    ['0.1234567890123456', 0.1234567890123456],
  ])('reads %s', (text, value) => {
    expect(readValue(text)).toEqual(value);
  });

  it('gives documents that can be stored', () => {
    const document = parseExtendedJson(
      `{"_id":{"$oid":"${OID}"},"n":{"$numberLong":"5"},"d":{"$numberDouble":"5.0"},"u":{"$uuid":"3b241101-e2bb-4255-8caf-4136c566a962"}}`,
    );
    const text = encodeDocument(document);
    expect(encodeDocument(decodeDocument(text))).toBe(text);
  });

  it.each([
    '{"$date":{"toString":1,"valueOf":1}}',
    '{"$date":{"$numberLong":"soon"}}',
    `{"$date":${'['.repeat(5000)}${']'.repeat(5000)}}`,
    `{"$oid":${'['.repeat(5000)}${']'.repeat(5000)}}`,
    `{"$numberInt":${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}}`,
  ])('refuses what is none of a type, whatever it is: %.40s', (text) => {
    expect(() => readValue(text)).toThrow(expect.objectContaining({ code: 'VALIDATION_FAILED' }));
  });

  it('keeps a key named __proto__ a key', () => {
    const document = parseExtendedJson('{"__proto__":{"$numberInt":"1"},"a":2}');
    expect(Object.entries(document)).toEqual([
      ['__proto__', 1],
      ['a', 2],
    ]);
  });

  it.each([
    ['[1]', 'it is an array, not an object'],
    ['null', 'it is null, not an object'],
    ['5', 'it is a single value, not an object'],
    ['{"$date":0}', 'it is a single value, not an object'],
    ['{"a":}', 'Unexpected token'],
    ['{"a":{"$oid":"xyz"}}', '"xyz" is not a value of $oid'],
    ['{"a":{"$date":"soon"}}', '"soon" is not a value of $date'],
    ['{"a":{"$date":null}}', 'null is not a value of $date'],
    ['{"a":{"$numberInt":"5000000000"}}', '"5000000000" is not a value of $numberInt'],
    ['{"a":{"$numberLong":"9223372036854775808"}}', 'is not a value of $numberLong'],
    ['{"a":{"$numberLong":5}}', '5 is not a value of $numberLong'],
    ['{"a":{"$numberDecimal":"x"}}', 'is not a value of $numberDecimal'],
    ['{"a":{"$code":"f()"}}', 'it holds a $code, which cannot be stored'],
    ['{"a":{"$ref":"x","$id":1}}', 'it holds a $ref, which cannot be stored'],
    ['{"a":"\\ud800"}', 'a lone surrogate'],
    [`{"a":${'['.repeat(150)}${']'.repeat(150)}}`, 'nested deeper than 100 levels'],
  ])('refuses %s', (text, message) => {
    expect(() => parseExtendedJson(text)).toThrow(message);
  });

  it('does not take an escaped backslash for a surrogate', () => {
    expect(readValue('"\\\\ud800"')).toBe('\\ud800');
    expect(readValue('"\\ud83d\\ude00"')).toBe('😀');
  });
});
