import { describe, expect, it } from 'vitest';
import { isHoldfastError } from '../../src/errors.ts';
import { type Document, encodeDocument } from '../../src/model/document.ts';
import { compileProjection } from '../../src/store/projection.ts';

const document: Document = {
  _id: 1,
  a: 1,
  b: { x: 1, y: { z: 2 } },
  c: [{ x: 1, y: 2 }, 5, [{ x: 3, y: 4 }], {}],
};

describe('compileProjection', () => {
  it.each<[string, Document, Document]>([
    ['nothing', {}, document],
    ['a field', { a: 1 }, { _id: 1, a: 1 }],
    ['a field without the id', { a: 1, _id: 0 }, { a: 1 }],
    ['the id', { _id: 1 }, { _id: 1 }],
    ['a truth', { a: true, b: 5.5 }, { _id: 1, a: 1, b: document.b }],
    ['fields in their stored order', { b: 1, a: 1 }, { _id: 1, a: 1, b: document.b }],
    ['a nested field', { 'b.y.z': 1 }, { _id: 1, b: { y: { z: 2 } } }],
    ['a field that is missing in a document', { 'b.q': 1 }, { _id: 1, b: {} }],
    ['a field of a scalar', { 'a.q': 1 }, { _id: 1 }],
    ['a field in arrays of any depth', { 'c.x': 1 }, { _id: 1, c: [{ x: 1 }, [{ x: 3 }], {}] }],
  ])('includes %s', (_, projection, result) => {
    expect(encodeDocument(compileProjection(projection)(document))).toBe(encodeDocument(result));
  });

  it.each<[string, Document, Document]>([
    ['the id', { _id: 0 }, { a: 1, b: document.b, c: document.c }],
    ['fields', { b: 0, c: false }, { _id: 1, a: 1 }],
    ['fields but the id', { b: 0, c: 0, _id: 1 }, { _id: 1, a: 1 }],
    ['a nested field', { 'b.y': 0, c: 0 }, { _id: 1, a: 1, b: { x: 1 } }],
    ['a field in arrays of any depth', { 'c.x': 0, b: 0, a: 0 }, { _id: 1, c: [{ y: 2 }, 5, [{ y: 4 }], {}] }],
  ])('leaves out %s', (_, projection, result) => {
    expect(encodeDocument(compileProjection(projection)(document))).toBe(encodeDocument(result));
  });

  it('includes a part of an id that is a document', () => {
    expect(compileProjection({ '_id.x': 1 })({ _id: { x: 1, y: 2 }, a: 1 })).toEqual({ _id: { x: 1 } });
  });

  it('leaves the document as it was', () => {
    const text = encodeDocument(document);
    compileProjection({ 'c.x': 0, 'b.y': 0 })(document);
    compileProjection({ 'c.x': 1, b: 1 })(document);
    expect(encodeDocument(document)).toBe(text);
  });

  it.each<[string, Document]>([
    ['inclusion beside exclusion', { a: 1, b: 0 }],
    ['a field and a part of it', { b: 1, 'b.x': 1 }],
    ['a part of a field and the field', { 'b.x': 0, b: 0 }],
    ['an empty path', { '': 1 }],
    ['an empty part', { 'a..b': 1 }],
  ])('refuses %s', (_, projection) => {
    expect(() => compileProjection(projection)).toThrow(expect.objectContaining({ code: 'VALIDATION_FAILED' }));
  });

  it.each<[string, Document]>([
    ['$slice', { c: { $slice: 1 } }],
    ['$elemMatch', { c: { $elemMatch: { x: 1 } } }],
    ['$', { 'c.$': 1 }],
    ['$add', { d: { $add: [1, 2] } }],
  ])('refuses %s by name', (operator, projection) => {
    try {
      compileProjection(projection);
      expect.unreachable();
    } catch (error) {
      expect(isHoldfastError(error, 'UNSUPPORTED_OPERATOR') && error.details.operator).toBe(operator);
    }
  });

  it('refuses a computed field', () => {
    expect(() => compileProjection({ d: '$a' })).toThrow('computed fields');
  });
});
