import { BSONRegExp, Code, Decimal128, Double, Long, MaxKey, MinKey, ObjectId } from 'bson';
import { describe, expect, it } from 'vitest';
import { isHoldfastError } from '../../src/errors.ts';
import { type Document, decodeDocument, encodeDocument } from '../../src/model/document.ts';
import { compileFilter } from '../../src/store/filter.ts';
import { randomDocument, randomFilter } from '../support/bson-values.ts';
import { Choices } from '../support/choices.ts';

const decimal = (text: string) => Decimal128.fromString(text);
const long = (text: string) => Long.fromString(text);
const id = new ObjectId('0123456789abcdef01234567');

/** Filters with documents that match and documents that do not. */
const CASES: readonly [filter: Document, matching: readonly Document[], others: readonly Document[]][] = [
  [{}, [{}, { a: 1 }], []],
  [
    { a: 1 },
    [{ a: 1 }, { a: [1] }, { a: long('1') }, { a: decimal('1.0') }, { a: new Double(1) }],
    [{ a: 2 }, { a: '1' }, {}],
  ],
  [{ a: null }, [{ a: null }, {}, { a: [null] }], [{ a: 0 }, { a: [] }]],
  [
    { 'a.b': null },
    [{}, { a: 1 }, { a: {} }, { a: [{}] }, { a: [{ b: 1 }, {}] }],
    [{ a: [] }, { a: [1] }, { a: { b: 1 } }],
  ],
  [{ a: [1, 2] }, [{ a: [1, 2] }, { a: [[1, 2]] }], [{ a: [2, 1] }, { a: [1] }, { a: 1 }]],
  [{ a: [] }, [{ a: [] }, { a: [[]] }], [{ a: [1] }, {}]],
  [{ a: { x: 1, y: 2 } }, [{ a: { x: 1, y: 2 } }], [{ a: { y: 2, x: 1 } }, { a: { x: 1 } }]],
  [{ a: {} }, [{ a: {} }], [{ a: { x: 1 } }, { a: [] }]],
  [{ a: { x: 1, $gt: 2 } }, [{ a: { x: 1, $gt: 2 } }], [{ a: { x: 1 } }]],
  [{ a: long('9007199254740993') }, [{ a: 9007199254740993n }], [{ a: 2 ** 53 }, { a: long('9007199254740992') }]],
  [{ a: 0.1 }, [{ a: 0.1 }], [{ a: decimal('0.1') }]],
  [{ a: 0 }, [{ a: -0 }, { a: decimal('-0') }], [{ a: null }, { a: false }]],
  [{ a: Number.NaN }, [{ a: Number.NaN }, { a: decimal('NaN') }], [{ a: 0 }]],
  [{ a: id }, [{ a: new ObjectId(id.toHexString()) }], [{ a: id.toHexString() }, { a: new ObjectId() }]],
  [{ a: new Date(5) }, [{ a: new Date(5) }], [{ a: 5 }]],
  [{ a: { $ne: 1 } }, [{}, { a: 2 }, { a: [2] }], [{ a: 1 }, { a: [1, 2] }]],
  [
    { a: { $gt: 1 } },
    [{ a: 2 }, { a: [0, 2] }, { a: Infinity }],
    [{ a: 1 }, { a: 'b' }, {}, { a: null }, { a: Number.NaN }],
  ],
  [{ a: { $gt: 1, $lt: 3 } }, [{ a: 2 }, { a: [0, 5] }], [{ a: 1 }, { a: [0, 1] }]],
  [{ a: { $lte: 1 } }, [{ a: 1 }, { a: -Infinity }], [{ a: Number.NaN }, { a: 1.5 }]],
  [{ a: { $gte: Number.NaN } }, [{ a: Number.NaN }], [{ a: 1 }, {}]],
  [{ a: { $gt: Number.NaN } }, [], [{ a: Number.NaN }, { a: 1 }]],
  [{ a: { $gte: null } }, [{ a: null }, {}], [{ a: 1 }]],
  [{ a: { $lt: null } }, [], [{ a: null }, {}]],
  [{ a: { $lt: 'b' } }, [{ a: 'a' }, { a: '' }], [{ a: 1 }, { a: 'b' }]],
  [{ a: { $gt: '\uffff' } }, [{ a: '😀' }], [{ a: '\ue000' }]],
  [{ a: { $gte: false } }, [{ a: true }, { a: false }], [{ a: 1 }]],
  [{ a: { $gt: [1] } }, [{ a: [1, 0] }, { a: [[2]] }], [{ a: [1] }, { a: 5 }]],
  [{ a: { $lt: { x: 2 } } }, [{ a: { x: 1 } }, { a: {} }], [{ a: { x: 'a' } }, { a: [] }]],
  [{ a: { $gt: new MinKey() } }, [{ a: 1 }, { a: 'a' }, {}], [{ a: new MinKey() }]],
  [{ a: { $lt: new MaxKey() } }, [{ a: 1 }, {}], [{ a: new MaxKey() }]],
  [{ a: { $in: [1, 'b', null] } }, [{ a: 1 }, { a: 'b' }, {}, { a: ['b'] }], [{ a: 2 }, { a: 'a' }]],
  [{ a: { $in: [id, [1], { x: 1 }] } }, [{ a: id }, { a: [1] }, { a: { x: long('1') } }], [{ a: 1 }]],
  [{ a: { $in: [/^a/, 5] } }, [{ a: 'abc' }, { a: 5 }, { a: /^a/ }], [{ a: 'b' }]],
  [{ a: { $in: [] } }, [], [{}, { a: 1 }]],
  [{ a: { $nin: [1, null] } }, [{ a: 2 }, { a: [] }], [{ a: 1 }, {}, { a: [1, 2] }]],
  [{ a: { $exists: true } }, [{ a: null }, { a: [] }], [{}]],
  [{ a: { $exists: 0 } }, [{}], [{ a: null }]],
  [{ 'a.b': { $exists: true } }, [{ a: [{ b: 1 }, {}] }], [{ a: [{}] }, { a: [] }]],
  [
    { a: { $type: 'number' } },
    [{ a: 1 }, { a: 1.5 }, { a: long('1') }, { a: decimal('1') }, { a: ['x', 1] }],
    [{ a: '1' }, {}],
  ],
  [{ a: { $type: 'int' } }, [{ a: 1 }], [{ a: 1.5 }, { a: new Double(1) }, { a: 2 ** 31 }]],
  [{ a: { $type: 'array' } }, [{ a: [] }], [{ a: 1 }]],
  [{ a: { $type: ['string', 10] } }, [{ a: 'x' }, { a: null }], [{ a: 1 }, {}]],
  [{ a: { $type: -1 } }, [{ a: new MinKey() }], [{ a: new MaxKey() }]],
  [
    { a: { $regex: 'B', $options: 'i' } },
    [{ a: 'abc' }, { a: ['x', 'b'] }, { a: /B/i }],
    [{ a: 'x' }, { a: 5 }, { a: /B/ }],
  ],
  [{ a: { $options: 'i', $regex: /b/ } }, [{ a: 'B' }], [{ a: 'x' }]],
  [{ a: /^b/m }, [{ a: 'a\nb' }], [{ a: 'ab' }]],
  [{ a: { $eq: /b/ } }, [{ a: new BSONRegExp('b') }], [{ a: 'b' }]],
  [{ a: { $size: 2 } }, [{ a: [1, 2] }], [{ a: [1] }, { a: 'ab' }, { a: [[1, 2]] }]],
  [{ 'a.b': { $size: long('1') } }, [{ a: [{ b: [1] }] }], [{ a: [{ b: 1 }] }]],
  [
    { a: { $mod: [4, 1] } },
    [{ a: 5 }, { a: 5.9 }, { a: long('9') }, { a: decimal('1.5') }],
    [{ a: -3 }, { a: Infinity }, { a: '5' }, { a: 1e300 }],
  ],
  [{ a: { $mod: [-4.7, -3] } }, [{ a: -3 }, { a: -7.5 }], [{ a: 3 }]],
  [{ a: { $all: [1, 2] } }, [{ a: [2, 1, 3] }], [{ a: [1] }, { a: 1 }]],
  [{ a: { $all: [1] } }, [{ a: 1 }, { a: [1] }], [{ a: 2 }]],
  [{ a: { $all: [[1, 2]] } }, [{ a: [1, 2] }, { a: [[1, 2]] }], [{ a: [2, 1] }]],
  [{ a: { $all: [/a/, 'b'] } }, [{ a: ['xax', 'b'] }], [{ a: ['b'] }]],
  [{ a: { $all: [] } }, [], [{ a: [] }, {}]],
  [
    { a: { $all: [{ $elemMatch: { x: 1 } }, { $elemMatch: { x: 2 } }] } },
    [{ a: [{ x: 1 }, { x: 2 }] }],
    [{ a: [{ x: 1 }] }],
  ],
  [{ a: { $elemMatch: { $gt: 1, $lt: 3 } } }, [{ a: [2] }], [{ a: [0, 5] }, { a: 2 }, { a: [[2]] }]],
  [
    { a: { $elemMatch: { x: 1, y: 2 } } },
    [{ a: [{ x: 1, y: 2 }] }],
    [{ a: [{ x: 1 }, { y: 2 }] }, { a: { x: 1, y: 2 } }],
  ],
  [{ a: { $elemMatch: { 0: 5 } } }, [{ a: [[5]] }], [{ a: [5] }]],
  [{ a: { $elemMatch: { $or: [{ x: 1 }, { y: 1 }] } } }, [{ a: [{ y: 1 }] }], [{ a: [1] }]],
  [{ a: { $elemMatch: { $not: { $gt: 1 } } } }, [{ a: [1, 5] }], [{ a: [5] }, { a: [] }]],
  [{ a: { $elemMatch: { $elemMatch: { $eq: 1 } } } }, [{ a: [[1]] }], [{ a: [1] }]],
  [{ a: { $not: { $gt: 1, $lt: 5 } } }, [{ a: 1 }, {}, { a: 'x' }], [{ a: 3 }, { a: [0, 9] }]],
  [{ a: { $not: /a/ } }, [{ a: 'b' }, {}], [{ a: 'xa' }]],
  [{ a: { $not: { $size: 1 } } }, [{ a: [] }, { a: 1 }], [{ a: [1] }]],
  [{ $and: [{ a: 1 }, { b: 2 }] }, [{ a: 1, b: 2 }], [{ a: 1 }]],
  [{ $or: [{ a: 1 }, { b: 2 }] }, [{ a: 1 }, { b: 2 }], [{ a: 2 }]],
  [{ $nor: [{ a: 1 }, { b: 2 }] }, [{}, { a: 2 }], [{ a: 1 }]],
  [{ a: 1, $comment: 'why' }, [{ a: 1 }], [{ a: 2 }]],
];

describe('compileFilter', () => {
  it.each(CASES.map(([filter, matching, others]) => [encodeDocument(filter), filter, matching, others] as const))(
    'matches as MongoDB does: %s',
    (_, filter, matching, others) => {
      const matches = compileFilter(filter);
      for (const document of matching) expect(matches(document), encodeDocument(document)).toBe(true);
      for (const document of others) expect(matches(document), encodeDocument(document)).toBe(false);
    },
  );

  it.each<[string, Document]>([
    ['an empty list of clauses', { $or: [] }],
    ['clauses that are no list', { $and: {} }],
    ['a clause that is no document', { $and: [1] }],
    ['a name among operators', { a: { $gt: 1, x: 1 } }],
    ['$in without a list', { a: { $in: 1 } }],
    ['an operator inside $in', { a: { $in: [{ $gt: 1 }] } }],
    ['$ne of a regular expression', { a: { $ne: /a/ } }],
    ['a range of a regular expression', { a: { $gt: /a/ } }],
    ['$not without operators', { a: { $not: {} } }],
    ['$not of a value', { a: { $not: 1 } }],
    ['$size of a fraction', { a: { $size: 1.5 } }],
    ['$size below zero', { a: { $size: -1 } }],
    ['$size of a string', { a: { $size: '1' } }],
    ['$mod with one number', { a: { $mod: [1] } }],
    ['$mod by zero', { a: { $mod: [0.5, 0] } }],
    ['$mod by NaN', { a: { $mod: [Number.NaN, 0] } }],
    ['$mod by a string', { a: { $mod: ['2', 0] } }],
    ['$all without a list', { a: { $all: 1 } }],
    ['$all of operators', { a: { $all: [{ $gt: 1 }] } }],
    ['$all of a value and $elemMatch', { a: { $all: [1, { $elemMatch: { x: 1 } }] } }],
    ['$elemMatch of a value', { a: { $elemMatch: 1 } }],
    ['an unknown type', { a: { $type: 'strnig' } }],
    ['type 0', { a: { $type: 0 } }],
    ['no type', { a: { $type: [] } }],
    ['$options alone', { a: { $options: 'i' } }],
    ['an unknown option', { a: { $regex: 'a', $options: 'g' } }],
    ['options twice', { a: { $regex: /a/i, $options: 'm' } }],
    ['$regex of a number', { a: { $regex: 1 } }],
    ['a pattern that is none', { a: { $regex: '*a' } }],
    ['BSON that is not stored', { a: new Code('x') }],
  ])('refuses %s', (_, filter) => {
    expect(() => compileFilter(filter)).toThrow(expect.objectContaining({ code: 'VALIDATION_FAILED' }));
  });

  it.each(['$where', '$expr', '$text', '$jsonSchema'])('refuses %s by name', (operator) => {
    const error = errorOf(() => compileFilter({ [operator]: {} }));
    expect(isHoldfastError(error, 'UNSUPPORTED_OPERATOR') && error.details.operator).toBe(operator);
  });

  it.each(['$near', '$geoWithin', '$bitsAllSet', '$ref', '$unknown'])('refuses %s of a field by name', (operator) => {
    const error = errorOf(() => compileFilter({ a: { [operator]: 1 } }));
    expect(isHoldfastError(error, 'UNSUPPORTED_OPERATOR') && error.details.operator).toBe(operator);
  });

  it('refuses a filter nested too deep', () => {
    let filter: Document = { a: 1 };
    for (let i = 0; i < 60; i++) filter = { $and: [filter] };
    expect(() => compileFilter(filter)).toThrow('nested deeper');
  });

  it.each([1, 2, 3])('holds the laws of logic for random filters and documents (seed %i)', (seed) => {
    const choices = new Choices(seed);
    for (let i = 0; i < 400; i++) {
      const [first, second] = [randomFilter(choices), randomFilter(choices)];
      const [p, q] = [compileFilter(first), compileFilter(second)];
      const [and, or] = [compileFilter({ $and: [first, second] }), compileFilter({ $or: [first, second] })];
      const nor = compileFilter({ $nor: [first, second] });
      for (let k = 0; k < 10; k++) {
        const document = randomDocument(choices);
        expect(and(document)).toBe(p(document) && q(document));
        expect(or(document)).toBe(p(document) || q(document));
        expect(nor(document)).toBe(!or(document));
      }
    }
  });

  it('matches a document and what is read back of it alike, and leaves it as it was (seed 4)', () => {
    const choices = new Choices(4);
    for (let i = 0; i < 1000; i++) {
      const matches = compileFilter(randomFilter(choices));
      const document = decodeDocument(encodeDocument(randomDocument(choices)));
      const text = encodeDocument(document);
      const answer = matches(document);
      expect(matches(decodeDocument(text))).toBe(answer);
      expect(encodeDocument(document)).toBe(text);
    }
  });
});

function errorOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}
