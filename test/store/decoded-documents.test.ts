import { describe, expect, test } from 'vitest';
import { type Document, decodeDocument, encodeDocument } from '../../src/model/document.ts';
import { DecodedDocuments } from '../../src/store/decoded-documents.ts';
import { randomDocument } from '../support/bson-values.ts';
import { Choices } from '../support/choices.ts';

const TEACHER = {
  ...{ _id: 't1', name: 'Ada', fullTime: true, rooms: [1, [2]], born: new Date(5), none: null },
  ...{ address: { street: 'S', since: new Date(7), tags: ['a', { deep: true }] } },
};

/** What reading a text `times` times gives. */
function readings(documents: DecodedDocuments, text: string, times: number, row = 1): Document[] {
  return Array.from({ length: times }, () => documents.decode(1, row, text));
}

describe('a document that is read again and again', () => {
  test('is each time what decoding gives, in the order of its fields', () => {
    const text = encodeDocument(TEACHER);
    for (const document of readings(new DecodedDocuments(), text, 5)) {
      expect(document).toEqual(TEACHER);
      expect(encodeDocument(document)).toBe(text);
    }
  });

  test('is each reader’s own, all the way down', () => {
    const documents = new DecodedDocuments();
    const text = encodeDocument(TEACHER);
    for (const document of readings(documents, text, 5) as unknown as (typeof TEACHER)[]) {
      document.name = 'changed';
      document.rooms.push(3);
      (document.rooms[1] as number[]).push(4);
      document.born.setTime(0);
      document.address.since.setTime(0);
      document.address.tags.length = 0;
      expect(documents.decode(1, 1, text)).toEqual(TEACHER);
    }
  });

  test('is the new one after a write, and the old one again after that', () => {
    const documents = new DecodedDocuments();
    for (const name of ['a', 'a', 'a', 'b', 'b', 'b', 'a', 'b', 'a']) {
      expect(documents.decode(1, 1, encodeDocument({ _id: 1, name }))).toEqual({ _id: 1, name });
    }
  });

  test('is not taken for a row of the same number in another collection', () => {
    const documents = new DecodedDocuments();
    for (let round = 0; round < 4; round++) {
      for (const collection of [1, 2, 3])
        expect(documents.decode(collection, 1, encodeDocument({ collection }))).toEqual({ collection });
    }
  });

  test.each([1, 2, 3])('is what decoding gives, whatever values it holds (seed %i)', (seed) => {
    const documents = new DecodedDocuments();
    const random = new Choices(seed);
    for (let row = 0; row < 500; row++) {
      const text = encodeDocument({ _id: row, ...randomDocument(random) });
      for (const document of readings(documents, text, 3, row)) {
        expect(document).toEqual(decodeDocument(text));
        expect(encodeDocument(document)).toBe(text);
      }
    }
  });

  test.each([
    ['a field named __proto__', '{"_id":1,"__proto__":{"x":1}}'],
    ['one inside an object', '{"_id":1,"a":{"__proto__":1}}'],
    ['fields that start with $', '{"_id":1,"a":{"$object":[["$x",{"$date":1}]]}}'],
  ])('keeps %s', (_name, text) => {
    for (const document of readings(new DecodedDocuments(), text, 4)) expect(encodeDocument(document)).toBe(text);
  });

  test('is right however many others are read in between', () => {
    const documents = new DecodedDocuments();
    const text = (row: number) => encodeDocument({ _id: row, padding: 'p'.repeat(4_000) });
    // Three times what is kept, each twice in a row so that it is kept, the first one all the time.
    for (let row = 0; row < 3_000; row++) {
      for (const each of [row, row, 0]) expect(documents.decode(1, each, text(each))._id).toBe(each);
    }
  });
});
