import { describe, expect, it } from 'vitest';
import type { DumpEntry } from '../../../src/dr/dialect/postgres-dump-file.ts';
import { objectsOf, refreshObjects, schemaObjects } from '../../../src/dr/dialect/postgres-objects.ts';

const entry = (id: number, kind: string, tag: string, more: Partial<DumpEntry> = {}): DumpEntry => ({
  ...{ id, kind, tag, catalog: 1259, oid: 1000 + id, section: 'PRE_DATA', definition: `CREATE ${kind} ${tag};\n` },
  ...{ drop: '', schema: 'public', tablespace: null, accessMethod: null, owner: 'me', dependsOn: [] },
  ...more,
});
const none = { tableOf: () => null, tableName: () => '' };

describe('schemaObjects', () => {
  it('leaves out the settings of psql, and what depended on them', () => {
    const objects = schemaObjects(
      [entry(1, 'ENCODING', 'ENCODING'), entry(2, 'TABLE', 'film', { dependsOn: [1, 9] })],
      none,
    );
    expect(objects.map(({ id, dependsOn }) => [id, dependsOn])).toEqual([['2', []]]);
  });

  it('names what belongs to a table without the table', () => {
    const [key] = schemaObjects([entry(1, 'FK CONSTRAINT', 'odd name its key', { section: 'POST_DATA' })], {
      tableOf: (object) => (object === '1259:1001' ? 7 : null),
      tableName: () => 'odd name',
    });
    expect(key).toMatchObject({ name: 'its key', table: 7, section: 'POST_DATA', ownedAs: null });
  });

  it('puts a comment and an attachment where they belong', () => {
    const index = entry(1, 'INDEX', 'film_idx', { section: 'POST_DATA' });
    const other = entry(2, 'INDEX', 'all_idx', { section: 'POST_DATA' });
    const nowhere = { catalog: 0, oid: 0, section: 'NONE' as const };
    const objects = schemaObjects(
      [
        ...[index, other, entry(3, 'COMMENT', 'INDEX film_idx', { ...nowhere, dependsOn: [1] })],
        entry(4, 'INDEX ATTACH', 'film_idx', { ...nowhere, section: 'POST_DATA', dependsOn: [2, 1] }),
        entry(5, 'COMMENT', 'TYPE mood', { ...nowhere, dependsOn: [] }),
        entry(6, 'ACL', 'TYPE mood', nowhere),
      ],
      { tableOf: (object) => ({ '1259:1001': 7, '1259:1002': 8 })[object] ?? null, tableName: () => 'film' },
    );
    expect(objects.map(({ table, section }) => [table, section])).toEqual([
      [7, 'POST_DATA'],
      [8, 'POST_DATA'],
      [7, 'POST_DATA'],
      [7, 'POST_DATA'],
      [null, 'PRE_DATA'],
      [null, 'POST_DATA'],
    ]);
  });

  it('says how each kind is owned', () => {
    const owned = (kind: string, tag: string, more: Partial<DumpEntry> = {}) =>
      schemaObjects([entry(1, kind, tag, more)], none)[0]?.ownedAs;
    expect(owned('TABLE', 'a"b')).toBe('TABLE "public"."a""b"');
    expect(owned('SCHEMA', 'mine', { schema: null })).toBe('SCHEMA "mine"');
    expect(owned('FUNCTION', 'f(integer)', { drop: 'DROP FUNCTION public.f(n integer);\n' })).toBe(
      'FUNCTION public.f(n integer)',
    );
    expect(owned('INDEX', 'i')).toBeNull();
    expect(owned('TABLE', 'nobody', { owner: null })).toBeNull();
  });

  it('has nothing to run for a schema that every database has', () => {
    const [schema] = schemaObjects(
      [entry(1, 'SCHEMA', 'public', { definition: '-- *not* creating schema\n\n' })],
      none,
    );
    expect(schema?.statements).toEqual([]);
  });

  it('makes a table by its own access method, and no other one', () => {
    const [table] = schemaObjects([entry(1, 'TABLE', 'film', { accessMethod: 'columnar' })], none);
    expect(table?.statements).toEqual([
      'SET LOCAL default_table_access_method = "columnar"',
      'CREATE TABLE film;\n',
      'SET LOCAL default_table_access_method = DEFAULT',
    ]);
  });
});

describe('refreshObjects', () => {
  it('fills a view after those it reads', () => {
    const objects = schemaObjects([entry(1, 'MATERIALIZED VIEW', 'a'), entry(2, 'MATERIALIZED VIEW', 'b')], none);
    const refreshes = refreshObjects(
      [
        { oid: 5, schema: 'public', name: 'a', reads: [6, 99] },
        { oid: 6, schema: 'public', name: 'b', reads: [] },
      ],
      objects,
    );
    expect(refreshes.map(({ id, dependsOn }) => [id, dependsOn])).toEqual([
      ['refresh:5', ['1', 'refresh:6']],
      ['refresh:6', ['2']],
    ]);
  });
});

describe('objectsOf', () => {
  it('keeps the objects of tables, what those depend on, and what is attached', () => {
    const objects = schemaObjects(
      [
        ...[entry(1, 'TYPE', 'mood'), entry(2, 'TYPE', 'unused'), entry(3, 'TABLE', 'film', { dependsOn: [1] })],
        ...[
          entry(4, 'TABLE', 'other'),
          entry(5, 'INDEX', 'film_idx', { dependsOn: [3] }),
          entry(6, 'INDEX', 'other_idx', { dependsOn: [4] }),
        ],
        entry(7, 'COMMENT', 'TYPE mood', { catalog: 0, oid: 0, dependsOn: [1] }),
      ],
      {
        tableOf: (object) => ({ '1259:1003': 1, '1259:1005': 1, '1259:1004': 2, '1259:1006': 2 })[object] ?? null,
        tableName: () => '',
      },
    );
    expect(objectsOf(objects, new Set([1])).map(({ id }) => id)).toEqual(['1', '3', '5', '7']);
  });
});
