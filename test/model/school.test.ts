import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { SCHEMA_DIRECTORY } from '../../src/model/built-in.ts';
import { type Document, encodeDocument } from '../../src/model/document.ts';
import type { Entity, Field } from '../../src/model/entity.ts';
import { loadModel, readSchemaDirectory } from '../../src/model/load.ts';
import { SCALARS } from '../../src/model/scalars.ts';
import { generateSchool } from '../../src/model/school.ts';

const model = loadModel(readSchemaDirectory(fileURLToPath(new URL('example', SCHEMA_DIRECTORY))));
const entities = new Map(model.entities.map((entity) => [entity.name, entity]));

describe('the example schema', () => {
  it('has the six entities', () => {
    expect(model.entities.map((entity) => entity.collection)).toEqual([
      'schools',
      'headmasters',
      'teachers',
      'classes',
      'students',
      'enrolments',
    ]);
  });

  it('needs only a name to create a School', () => {
    const needed = entities
      .get('School')
      ?.fields.filter(
        (field) =>
          field.required &&
          field.storedName !== '_id' &&
          !field.relation &&
          !field.timestamp &&
          field.defaultValue === undefined,
      );
    expect(needed?.map((field) => field.name)).toEqual(['name']);
  });
});

describe('generateSchool', () => {
  it('gives the same documents for the same seed, also while another runs', () => {
    const first = [...generateSchool({ seed: 7, schools: 2 })].map(({ document }) => encodeDocument(document));
    const other = generateSchool({ seed: 8, schools: 2 });
    const second: string[] = [];
    for (const { document } of generateSchool({ seed: 7, schools: 2 })) {
      other.next();
      second.push(encodeDocument(document));
    }
    expect(second).toEqual(first);
    const different = [...generateSchool({ seed: 8, schools: 2 })].map(({ document }) => encodeDocument(document));
    expect(different).not.toEqual(first);
  });

  it('fits the example schema, field by field', () => {
    for (const { entity, document } of generateSchool({ seed: 1, schools: 3 })) {
      checkFields(document, entities.get(entity)!.fields, entity);
    }
  });

  it('refers only to documents before, and repeats no unique value', () => {
    const ids = new Set<unknown>();
    const unique = new Set<string>();
    for (const { entity, document } of generateSchool({ seed: 1, schools: 3 })) {
      expect(ids.has(document._id)).toBe(false);
      ids.add(document._id);
      for (const field of entities.get(entity)!.fields) {
        const value = document[field.storedName];
        if (field.name.endsWith('Id') || field.name.endsWith('Ids')) {
          for (const id of [value].flat()) expect(ids.has(id), `${entity}.${field.name} ${id}`).toBe(true);
        }
        if (!field.unique) continue;
        const key = `${entity}.${field.name} ${value}`;
        expect(unique.has(key), key).toBe(false);
        unique.add(key);
      }
    }
  });

  it('makes schools of any size', () => {
    expect([...generateSchool({ seed: 1, schools: 0 })]).toEqual([]);
    const names = [...generateSchool({ seed: 1, schools: 1, studentsPerSchool: 0 })].map(({ entity }) => entity);
    expect(names).toEqual(['School', 'Headmaster']);
    const tiny = [...generateSchool({ seed: 1, schools: 1, studentsPerSchool: 1 })].map(({ entity }) => entity);
    expect(tiny).toEqual(['School', 'Headmaster', 'Teacher', 'Class', 'Class', 'Student', 'Enrolment', 'Enrolment']);
  });
});

/** Every value is of its field's type, and every needed field is there. */
function checkFields(document: Document, fields: Entity['fields'], owner: string): void {
  const known = new Map(fields.map((field) => [field.storedName, field]));
  for (const [key, value] of Object.entries(document)) {
    const field = known.get(key);
    expect(field, `${owner}.${key}`).toBeDefined();
    for (const item of [value].flat()) checkValue(item, field!, `${owner}.${key}`);
  }
  for (const field of fields) {
    if (field.required && !field.relation) expect(document[field.storedName], `${owner}.${field.name}`).toBeDefined();
  }
}

function checkValue(value: unknown, field: Field, place: string): void {
  if (field.kind === 'OBJECT') checkFields(value as Document, model.objects.get(field.type)!.fields, place);
  else if (field.kind === 'SCALAR') {
    const { type } = SCALARS.get(field.type)!;
    expect(type.parseValue(type.serialize(value)), place).toEqual(value);
  }
}
