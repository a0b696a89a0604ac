import { isDeepStrictEqual } from 'node:util';
import { Double, ObjectId } from 'bson';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonical } from '../../src/model/canonical.ts';
import { type Document, decodeDocument, encodeDocument } from '../../src/model/document.ts';
import { randomDocument, randomValue } from '../support/bson-values.ts';
import { Choices } from '../support/choices.ts';

/** What it must be, whatever way it was made. */
function expectCanonical(given: Document): void {
  const text = encodeDocument(given);
  const made = canonical(given);
  expect(made.text).toBe(text);
  const read = decodeDocument(text);
  expect(isDeepStrictEqual(made.document, read), text).toBe(true);
  expect(orderOf(made.document)).toEqual(orderOf(read));
  expect(encodeDocument(made.document)).toBe(text);
  expect(objectsOf(made.document).filter((object) => objectsOf(given).includes(object))).toEqual([]);
}

/** Names of all properties, symbols included, in their order. */
function orderOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return typeof value;
  return Reflect.ownKeys(value).map((key) => [key, orderOf((value as Record<PropertyKey, unknown>)[key])]);
}

/** The object and all below it; BSON values are not changed by anybody. */
function objectsOf(value: unknown): object[] {
  if (typeof value !== 'object' || value === null || '_bsontype' in value) return [];
  return [value, ...Object.values(value).flatMap(objectsOf)];
}

function nested(depth: number): Document {
  return depth === 0 ? {} : { inner: nested(depth - 1) };
}

class Instance {
  own = 1;
}

describe('canonical', () => {
  it('is the text, and the document read back from it, of random documents (seed 3)', () => {
    const choices = new Choices(3);
    for (let i = 0; i < 1_000; i++) {
      expectCanonical({ ...randomDocument(choices), d: randomValue(choices, 3) });
    }
  });

  it('is that of any plain document', () => {
    const value = fc.anything({ withDate: true, withNullPrototype: true, withSparseArray: true, maxDepth: 4 });
    fc.assert(
      fc.property(fc.dictionary(fc.string(), value), (document) => {
        try {
          encodeDocument(document);
        } catch (error) {
          expect(() => canonical(document)).toThrow((error as Error).message);
          return;
        }
        expectCanonical(document);
      }),
      { numRuns: 1_000, seed: 3 },
    );
  });

  it.each<[string, Document]>([
    [
      'plain values',
      { _id: 'a', n: 1, f: 1.5, large: 1e300, b: true, none: null, text: '\ud800{"$', o: { a: ['x', {}] } },
    ],
    ['dates', { at: new Date(5), list: [new Date(0)] }],
    ['an object without prototype', Object.assign(Object.create(null), { a: 1, o: Object.create(null) })],
    ['an instance of a class', { o: new Instance() }],
    ['BSON values', { id: new ObjectId(), n: new Double(1) }],
    ['minus zero and numbers that are none', { a: -0, b: [Number.NaN, -Infinity] }],
    ['undefined', { a: undefined, b: [undefined, 1], c: { d: undefined } }],
    ['a list with holes', { a: Object.assign([], { 2: 'x' }) }],
    ['a list with a property', { a: Object.assign(['x'], { y: 'z' }) }],
    ['a key that starts with $', { a: { $b: 1, c: new Date(0), $d: undefined } }],
    ['keys that are numbers', { b: 1, 2: 1, 1: new Date(0), a: 0 }],
    ['a field named __proto__', { a: JSON.parse('{ "b": 1, "__proto__": { "x": 1 } }') }],
    ['a field named __proto__ beside a date', { ...JSON.parse('{ "__proto__": { "x": 1 } }'), at: new Date(0) }],
    ['a field named toJSON', { toJSON: 'x', a: { toJSON: null } }],
    ['symbols, which are not stored', { a: 1, [Symbol('s')]: 1 }],
    ['fields that are not listed', Object.defineProperty({ a: 1 }, 'b', { value: 1 })],
    ['the deepest nesting', nested(100)],
  ])('takes %s', (_name, document) => {
    expectCanonical(document);
  });

  it('reads a property that says something else each time once', () => {
    let times = 0;
    const { text, document } = canonical({
      get times() {
        times++;
        return times;
      },
    });
    expect(decodeDocument(text)).toEqual(document);
  });

  it.each<[string, Document]>([
    ['a function', { a: { toJSON: () => 1 } }],
    ['an invalid date', { a: new Date(Number.NaN) }],
    ['deeper nesting than can be stored', nested(101)],
    ['a list nested as deep', { a: nested(98), b: { c: [[nested(99)]] } }],
    ['more than can be stored', { a: 'x'.repeat(16 * 1024 * 1024) }],
  ])('refuses %s', (_name, document) => {
    expect(() => canonical(document)).toThrow(expect.objectContaining({ code: 'VALIDATION_FAILED' }));
  });
});
