import { Decimal128, Double, Long } from 'bson';
import { describe, expect, it } from 'vitest';
import { isHoldfastError } from '../../src/errors.ts';
import { type Document, encodeDocument } from '../../src/model/document.ts';
import { applyUpdate, compileUpdate } from '../../src/store/update.ts';
import { commonValue, PATHS, randomDocument } from '../support/bson-values.ts';
import { Choices } from '../support/choices.ts';

const long = (text: string) => Long.fromString(text);
const decimal = (text: string) => Decimal128.fromString(text);

/** Updates with the document before and after. */
const CASES: readonly [update: Document, before: Document, after: Document][] = [
  [{ $set: { a: 1 } }, {}, { a: 1 }],
  [{ $set: { a: 1 } }, { a: 0, b: 2 }, { a: 1, b: 2 }],
  [{ $set: { a: undefined } }, { a: 0 }, { a: null }],
  [{ $set: { a: undefined } }, {}, { a: null }],
  [{ $set: { 'a.b.c': 1 } }, {}, { a: { b: { c: 1 } } }],
  [{ $set: { 'a.0': 1 } }, {}, { a: { 0: 1 } }],
  [{ $set: { 'a.0': 1 } }, { a: [5, 6] }, { a: [1, 6] }],
  [{ $set: { 'a.3': 1 } }, { a: [5] }, { a: [5, null, null, 1] }],
  [{ $set: { 'a.1.b': 1 } }, { a: [5] }, { a: [5, { b: 1 }] }],
  [{ $set: { a: new Double(1) } }, { a: 1 }, { a: new Double(1) }],
  [{ $set: { a: -0 } }, { a: 0 }, { a: -0 }],
  [{ $set: { a: { y: 1, x: 2 } } }, { a: { x: 2, y: 1 } }, { a: { y: 1, x: 2 } }],
  [{ $set: JSON.parse('{"__proto__": 1}') }, {}, JSON.parse('{"__proto__": 1}')],
  [{ $set: { z: 1, a: 2, 'm.10': 3, 'm.9': 4 } }, {}, { a: 2, m: { 9: 4, 10: 3 }, z: 1 }],
  [{ $unset: { a: '' } }, { a: 1, b: 2 }, { b: 2 }],
  [{ $unset: { 'a.1': 1 } }, { a: [1, 2, 3] }, { a: [1, null, 3] }],
  [{ $unset: { 'a.b': 1 } }, { a: { b: 1 } }, { a: {} }],
  [{ $inc: { a: 2, b: 1.5 } }, { a: 1 }, { a: 3, b: 1.5 }],
  [{ $inc: { a: 1 } }, { a: 2147483647 }, { a: long('2147483648') }],
  [{ $inc: { a: new Double(0) } }, { a: 1 }, { a: new Double(1) }],
  [{ $mul: { a: 2, b: 2.5 } }, { a: 4 }, { a: 8, b: new Double(0) }],
  [{ $mul: { a: decimal('1.5') } }, { a: 2 }, { a: decimal('3.0') }],
  [{ $min: { a: 1, b: 1 } }, { a: 2 }, { a: 1, b: 1 }],
  [{ $max: { a: 'x' } }, { a: 5 }, { a: 'x' }],
  [{ $max: { a: long('9007199254740993') } }, { a: 2 ** 53 }, { a: long('9007199254740993') }],
  [{ $push: { a: 1 } }, {}, { a: [1] }],
  [{ $push: { a: [1, 2] } }, { a: [0] }, { a: [0, [1, 2]] }],
  [{ $push: { a: { $each: [] } } }, {}, { a: [] }],
  [{ $push: { a: { $each: [8, 9], $position: 1 } } }, { a: [1, 2] }, { a: [1, 8, 9, 2] }],
  [{ $push: { a: { $each: [8, 9], $position: -1 } } }, { a: [1, 2] }, { a: [1, 8, 9, 2] }],
  [{ $push: { a: { $each: [8], $position: -9 } } }, { a: [1, 2] }, { a: [8, 1, 2] }],
  [{ $push: { a: { $each: [8], $position: 9 } } }, { a: [1, 2] }, { a: [1, 2, 8] }],
  [{ $push: { a: { $each: [8], $slice: -2 } } }, { a: [1, 2] }, { a: [2, 8] }],
  [{ $push: { a: { $each: [8], $slice: 2, $position: 0 } } }, { a: [1, 2] }, { a: [8, 1] }],
  [{ $push: { a: { $each: [], $slice: 0 } } }, { a: [1, 2] }, { a: [] }],
  [{ $push: { a: { $each: [2], $sort: -1 } } }, { a: [1, 3] }, { a: [3, 2, 1] }],
  [
    { $push: { a: { $each: [5], $sort: { x: 1 }, $slice: 3 } } },
    { a: [{ x: 2 }, { x: 1 }] },
    { a: [5, { x: 1 }, { x: 2 }] },
  ],
  [{ $addToSet: { a: 1 } }, { a: [2] }, { a: [2, 1] }],
  [{ $addToSet: { a: { $each: [1, long('1'), 2, 3] } } }, { a: [2] }, { a: [2, 1, 3] }],
  [
    { $addToSet: { a: { y: 1, x: 1 } } },
    { a: [{ x: 1, y: 1 }] },
    {
      a: [
        { x: 1, y: 1 },
        { y: 1, x: 1 },
      ],
    },
  ],
  [{ $pull: { a: 1 } }, { a: [1, 2, long('1'), [1]] }, { a: [2, [1]] }],
  [{ $pull: { a: { $gte: 2, $ne: 5 } } }, { a: [1, 2, 5, [7], 'x'] }, { a: [1, 5, 'x'] }],
  [{ $pull: { a: { x: 1 } } }, { a: [{ x: 1, y: 2 }, { x: 2 }, 1] }, { a: [{ x: 2 }, 1] }],
  [{ $pull: { a: { x: { $gt: 1 } } } }, { a: [{ x: 1 }, { x: 2 }] }, { a: [{ x: 1 }] }],
  [{ $pull: { a: /^x/ } }, { a: ['xa', 'a', 5] }, { a: ['a', 5] }],
  [{ $pull: { a: [1, 2] } }, { a: [[1, 2], [2, 1], 1] }, { a: [[2, 1], 1] }],
  [{ $pull: { a: null } }, { a: [null, 1] }, { a: [1] }],
  [{ $pullAll: { a: [1, { x: 1 }] } }, { a: [1, 2, { x: 1 }, { x: 1, y: 1 }] }, { a: [2, { x: 1, y: 1 }] }],
  [{ $pop: { a: 1 } }, { a: [1, 2] }, { a: [1] }],
  [{ $pop: { a: -1 } }, { a: [1, 2] }, { a: [2] }],
  [{ $rename: { a: 'b' } }, { a: 1, c: 2 }, { c: 2, b: 1 }],
  [{ $rename: { a: 'c' } }, { a: 1, c: 2, d: 3 }, { d: 3, c: 1 }],
  [{ $rename: { 'a.x': 'b.y' } }, { a: { x: 1 } }, { a: {}, b: { y: 1 } }],
  [{ $rename: { 'a.x': 'b' } }, { a: { x: [1] } }, { a: {}, b: [1] }],
  [{ $set: { a: 1 }, $unset: { b: 1 }, $inc: { c: 1 } }, { b: 1 }, { a: 1, c: 1 }],
];

/** Updates that change nothing. */
const UNCHANGED: readonly [update: Document, document: Document][] = [
  [{ $set: {} }, { a: 1 }],
  [{ $set: { a: 1, _id: 7 } }, { _id: 7, a: 1 }],
  [{ $set: { a: Number.NaN } }, { a: Number.NaN }],
  [{ $set: { a: { x: [long('1')] } } }, { a: { x: [long('1')] } }],
  [{ $unset: { a: 1, 'b.c': 1, 'd.x': 1, 'd.5': 1 } }, { b: 1, d: [{ x: 1 }] }],
  [{ $inc: { a: 0 } }, { a: 1 }],
  [{ $inc: { a: 0 } }, { a: 1.5 }],
  [{ $mul: { a: 1 } }, { a: decimal('1.50') }],
  [{ $min: { a: long('1') } }, { a: 1 }],
  [{ $max: { a: null } }, { a: 1 }],
  [{ $push: { a: { $each: [] } } }, { a: [1] }],
  [{ $push: { a: { $each: [9], $slice: 1 } } }, { a: [1] }],
  [{ $addToSet: { a: decimal('1') } }, { a: [1] }],
  [{ $pull: { a: 5, b: 5, 'c.d': 5 } }, { a: [1] }],
  [{ $pullAll: { a: [] } }, { a: [1] }],
  [{ $pop: { a: 1, b: 1 } }, { a: [] }],
  [{ $rename: { b: 'c', 'd.e': 'f' } }, { a: 1 }],
  [{ $setOnInsert: { a: 2 } }, { a: 1 }],
];

describe('applyUpdate', () => {
  it.each(CASES.map((item) => [encodeDocument(item[0]), encodeDocument(item[1]), ...item] as const))(
    '%s changes %s',
    (_update, _before, update, before, after) => {
      const text = encodeDocument(before);
      const result = applyUpdate(before, update);
      expect(encodeDocument(result.document)).toBe(encodeDocument(after));
      expect(result.modified).toBe(true);
      expect(encodeDocument(before)).toBe(text);
    },
  );

  it.each(UNCHANGED.map((item) => [encodeDocument(item[0]), encodeDocument(item[1]), ...item] as const))(
    '%s leaves %s',
    (_update, _before, update, document) => {
      const result = applyUpdate(document, update);
      expect(result.modified).toBe(false);
      expect(result.document).toBe(document);
    },
  );

  it.each<[string, Document, Document]>([
    ['no operator', {}, {}],
    ['a replacement', { a: 1 }, {}],
    ['an operator without paths', { $set: 1 }, {}],
    ['one path twice', { $set: { a: 1 }, $inc: { a: 1 } }, {}],
    ['a path and a part of it', { $set: { a: 1, 'a.b': 1 } }, {}],
    ['an empty path', { $set: { '': 1 } }, {}],
    ['an empty part', { $set: { 'a..b': 1 } }, {}],
    ['a part with $', { $set: { 'a.$x': 1 } }, {}],
    ['a field of a scalar', { $set: { 'a.b': 1 } }, { a: 1 }],
    ['a field of null', { $set: { 'a.b': 1 } }, { a: null }],
    ['a name in an array', { $set: { 'a.b': 1 } }, { a: [] }],
    ['an element too far', { $set: { 'a.2000000': 1 } }, { a: [] }],
    ['another _id', { $set: { _id: 2 } }, { _id: 1 }],
    ['another type of _id', { $set: { _id: new Double(1) } }, { _id: 1 }],
    ['no _id', { $unset: { _id: 1 } }, { _id: 1 }],
    ['$inc by a string', { $inc: { a: '1' } }, {}],
    ['$inc of a string', { $inc: { a: 1 } }, { a: '1' }],
    ['$inc of null', { $inc: { a: 1 } }, { a: null }],
    ['$inc of true', { $inc: { a: 1 } }, { a: true }],
    ['$inc beyond int64', { $inc: { a: 1 } }, { a: long('9223372036854775807') }],
    ['$mul of a date', { $mul: { a: 2 } }, { a: new Date(0) }],
    ['$push to a scalar', { $push: { a: 1 } }, { a: 1 }],
    ['$push to null', { $push: { a: 1 } }, { a: null }],
    ['an unknown modifier', { $push: { a: { $each: [1], $x: 1 } } }, {}],
    ['$each without a list', { $push: { a: { $each: 1 } } }, {}],
    ['$slice of a fraction', { $push: { a: { $each: [1], $slice: 1.5 } } }, {}],
    ['$position of a string', { $push: { a: { $each: [1], $position: '1' } } }, {}],
    ['$sort by 2', { $push: { a: { $each: [1], $sort: 2 } } }, {}],
    ['$sort by nothing', { $push: { a: { $each: [1], $sort: {} } } }, {}],
    ['$addToSet on a scalar', { $addToSet: { a: 1 } }, { a: 1 }],
    ['$addToSet with more than $each', { $addToSet: { a: { $each: [1], $slice: 1 } } }, {}],
    ['$pull from a scalar', { $pull: { a: 1 } }, { a: 1 }],
    ['$pull through a scalar', { $pull: { 'a.b': 1 } }, { a: 1 }],
    ['$pullAll without a list', { $pullAll: { a: 1 } }, {}],
    ['$pop by 2', { $pop: { a: 2 } }, { a: [] }],
    ['$pop from a scalar', { $pop: { a: 1 } }, { a: 1 }],
    ['$rename to a number', { $rename: { a: 1 } }, {}],
    ['$rename to itself', { $rename: { a: 'a' } }, {}],
    ['$rename into itself', { $rename: { a: 'a.b' } }, {}],
    ['$rename out of an array', { $rename: { 'a.0': 'b' } }, { a: [1] }],
    ['$rename into an array', { $rename: { b: 'a.0' } }, { a: [1], b: 1 }],
    ['$rename through a scalar', { $rename: { 'a.b': 'c' } }, { a: 1 }],
  ])('refuses %s', (_, update, document) => {
    const text = encodeDocument(document);
    expect(() => applyUpdate(document, update)).toThrow(expect.objectContaining({ code: 'VALIDATION_FAILED' }));
    expect(encodeDocument(document)).toBe(text);
  });

  it.each<[string, Document]>([
    ['$bit', { $bit: { a: { and: 1 } } }],
    ['$currentDate', { $currentDate: { a: true } }],
    ['$', { $set: { 'a.$': 1 } }],
    ['$[]', { $inc: { 'a.$[]': 1 } }],
    ['$[x]', { $set: { 'a.$[x].b': 1 } }],
  ])('refuses %s by name', (operator, update) => {
    try {
      applyUpdate({}, update);
      expect.unreachable();
    } catch (error) {
      expect(isHoldfastError(error, 'UNSUPPORTED_OPERATOR') && error.details.operator).toBe(operator);
    }
  });

  it('applies $setOnInsert and sets _id when the document is to be inserted', () => {
    const update = { $set: { b: 1 }, $setOnInsert: { a: 2, _id: 5 } };
    expect(applyUpdate({}, update, { insert: true }).document).toEqual({ b: 1, _id: 5, a: 2 });
    expect(() => applyUpdate({ _id: 1 }, update, { insert: true })).toThrow('would change _id');
  });

  it('shares what it does not change', () => {
    const document = { a: { x: 1 }, b: { y: [1] } };
    expect(applyUpdate(document, { $set: { 'a.x': 2 } }).document.b).toBe(document.b);
  });

  it('can be compiled once for many documents', () => {
    const update = compileUpdate({ $inc: { n: 1 } });
    expect([{}, { n: 1 }, { n: 2 }].map((document) => update(document).document)).toEqual([
      { n: 1 },
      { n: 2 },
      { n: 3 },
    ]);
  });

  it.each([1, 2, 3])('never changes its input, and says truly whether it modified (seed %i)', (seed) => {
    const choices = new Choices(seed);
    let applied = 0;
    for (let i = 0; i < 3000; i++) {
      const document = randomDocument(choices);
      const update = randomUpdate(choices);
      const [before, updateBefore] = [encodeDocument(document), encodeDocument(update)];
      try {
        const result = applyUpdate(document, update);
        applied++;
        expect(result.modified).toBe(encodeDocument(result.document) !== before);
        // Once more changes nothing for these operators.
        if ('$set' in update) expect(applyUpdate(result.document, update).modified).toBe(false);
      } catch (error) {
        if (!isHoldfastError(error, 'VALIDATION_FAILED')) throw error;
      }
      expect(encodeDocument(document)).toBe(before);
      expect(encodeDocument(update)).toBe(updateBefore);
    }
    expect(applied).toBeGreaterThan(1000);
  });
});

function randomUpdate(choices: Choices): Document {
  const path = choices.pick(PATHS);
  const value = commonValue(choices);
  return choices.pick<Document>([
    { $set: { [path]: value } },
    { $unset: { [path]: '' } },
    { $inc: { [path]: choices.pick([0, 1, 1.5, long('2')]) } },
    { $mul: { [path]: choices.pick([1, 0, 2.5]) } },
    { $min: { [path]: value } },
    { $max: { [path]: value } },
    { $push: { [path]: { $each: choices.list(2, () => commonValue(choices)), $slice: choices.pick([-2, 0, 1, 5]) } } },
    { $addToSet: { [path]: value } },
    { $pull: { [path]: choices.pick<unknown>([value, { $gte: 1 }]) } },
    { $pullAll: { [path]: [value, 1] } },
    { $pop: { [path]: choices.pick([1, -1]) } },
    { $rename: { [path]: 'z' } },
  ]);
}
