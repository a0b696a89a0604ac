import { describe, expect, it } from 'vitest';
import { type SchemaObject, Section } from '../../../src/dr/archive/manifest.ts';
import { comparableStatements } from '../../../src/dr/dialect/postgres-comparable.ts';

const object = (kind: string, statement: string): SchemaObject => ({
  ...{ id: '1', kind, schema: 'public', name: 'o', section: Section.PRE_DATA, statements: [statement] },
  ...{ dependsOn: [], table: null, owner: null, ownedAs: null },
});

describe('comparableStatements', () => {
  it('compares names alone with another major version', () => {
    expect(comparableStatements(object('VIEW', 'CREATE VIEW o AS SELECT t.a'), false)).toEqual([]);
    expect(comparableStatements(object('VIEW', 'CREATE VIEW o'), true)).toEqual(['CREATE VIEW o']);
  });

  it('does not mind the order of grants', () => {
    const grants = (first: string, second: string): readonly string[] =>
      comparableStatements(object('ACL', `GRANT ALL ON x TO ${first};\nGRANT ALL ON x TO ${second};`), true);
    expect(grants('a', 'b')).toEqual(grants('b', 'a'));
    expect(grants('a', 'b')).not.toEqual(grants('a', 'c'));
  });

  it('does not mind whether the end of an integer identity is said, and minds any other end', () => {
    const identity = (end: string): readonly string[] => {
      const statement = `ALTER TABLE t ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (\n    NO MINVALUE\n    ${end}\n    CACHE 1\n);`;
      return comparableStatements(object('SEQUENCE', statement), true);
    };
    expect(identity('NO MAXVALUE')).toEqual(identity('MAXVALUE 2147483647'));
    expect(identity('NO MAXVALUE')).not.toEqual(identity('MAXVALUE 99'));
  });
});
