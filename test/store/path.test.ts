import { describe, expect, it } from 'vitest';
import type { Document } from '../../src/model/document.ts';
import { isMissingAt, parsePath, someWholeAt, valuesAt } from '../../src/store/path.ts';

describe('valuesAt', () => {
  it.each<[string, Document, string, unknown[]]>([
    ['a field', { a: 1 }, 'a', [1]],
    ['a missing field as undefined', {}, 'a', [undefined]],
    ['a nested field', { a: { b: 1 } }, 'a.b', [1]],
    ['a field of a scalar as missing', { a: 1 }, 'a.b', [undefined]],
    ['a field of null as missing', { a: null }, 'a.b', [undefined]],
    ['the elements of an array, then the array', { a: [1, [2]] }, 'a', [1, [2], [1, [2]]]],
    ['an empty array as itself', { a: [] }, 'a', [[]]],
    ['the fields of documents in an array', { a: [{ b: 1 }, { b: [2] }, {}] }, 'a.b', [1, 2, [2], undefined]],
    ['nothing in an array of scalars', { a: [1, 2] }, 'a.b', []],
    ['nothing in an array inside an array', { a: [[{ b: 1 }]] }, 'a.b', []],
    ['an element by its index', { a: ['x', 'y'] }, 'a.1', ['y']],
    ['an array by its index as one value', { a: [[1, 2]] }, 'a.0', [[1, 2]]],
    ['a number as index and as name', { a: [{ 0: 'name' }, 'y'] }, 'a.0', ['name', { 0: 'name' }]],
    ['an index beyond the end as missing', { a: ['x'] }, 'a.1', [undefined]],
    ['a field of an element by its index', { a: [{ b: 1 }] }, 'a.0.b', [undefined, 1]],
    ['an element of an element', { a: [[1, 2]] }, 'a.0.1', [2]],
    ['a number as the name of a field', { a: { 0: 'x' } }, 'a.0', ['x']],
    ['no index with a leading zero', { a: ['x'] }, 'a.00', []],
    ['no property of the prototype', { a: {} }, 'a.constructor', [undefined]],
    ['a field of its own named like one', JSON.parse('{"__proto__": {"x": 1}}'), '__proto__.x', [1]],
    ['an empty name', { '': { '': 1 } }, '.', [1]],
  ])('reaches %s', (_, document, path, values) => {
    expect(valuesAt(document, path)).toEqual(values);
  });

  it('refuses a path deeper than any document', () => {
    expect(() => parsePath('a.'.repeat(200))).toThrow('more than 200 parts');
  });
});

describe('someWholeAt', () => {
  it('tests an array as a whole only', () => {
    const seen: unknown[] = [];
    someWholeAt({ a: [1, 2] }, parsePath('a'), (value) => seen.push(value) < 0);
    expect(seen).toEqual([[1, 2]]);
  });
});

describe('isMissingAt', () => {
  it.each<[string, Document, string, boolean]>([
    ['a field', { a: 1 }, 'a', false],
    ['null', { a: null }, 'a', false],
    ['no field', {}, 'a', true],
    ['a field of a scalar', { a: 1 }, 'a.b', true],
    ['a field of some documents in an array', { a: [{ b: 1 }, {}] }, 'a.b', true],
    ['a field of no document in an array', { a: [1] }, 'a.b', false],
    ['a scalar on the way inside an array', { a: [{ b: 1 }] }, 'a.b.c', false],
    ['an element that is there', { a: [{ b: 1 }] }, 'a.0', false],
    ['an element beyond the end, with documents before', { a: [{ b: 1 }] }, 'a.1', true],
    ['an element of an empty array', { a: [] }, 'a.0', false],
    ['a field of an element that has it', { a: [{ b: 1 }] }, 'a.0.b', false],
    ['a field of an element that lacks it', { a: [{ c: 1 }] }, 'a.0.b', true],
  ])('of %s', (_, document, path, missing) => {
    expect(isMissingAt(document, parsePath(path))).toBe(missing);
  });
});
