import { describe, expect, it } from 'vitest';
import type { DumpEntry } from '../../../src/dr/dialect/postgres-dump-file.ts';
import { wholeTreeKeys } from '../../../src/dr/dialect/postgres-partition-keys.ts';

const entry = (id: number, kind: string, tag: string, definition: string, dependsOn: number[] = []): DumpEntry => ({
  ...{ id, kind, tag, catalog: 2606, oid: 1000 + id, section: 'POST_DATA', definition, dependsOn },
  ...{ drop: '', schema: 'public', tablespace: null, accessMethod: null, owner: 'me' },
});
const constraint = (id: number, table: string, name: string, definition: string): DumpEntry =>
  entry(
    id,
    'CONSTRAINT',
    `${table} ${name}`,
    `ALTER TABLE ONLY public.${table}\n    ADD CONSTRAINT ${name} ${definition};\n`,
  );
const attach = (id: number, parent: [number, string], part: [number, string]): DumpEntry =>
  entry(id, 'INDEX ATTACH', part[1], `ALTER INDEX public.${parent[1]} ATTACH PARTITION public.${part[1]};\n`, [
    parent[0],
    part[0],
  ]);

const EXCLUDE = `EXCLUDE USING gist (room WITH =, during WITH &&)`;

describe('wholeTreeKeys', () => {
  it.each([
    EXCLUDE,
    `EXCLUDE USING gist (room WITH =) WITH (fillfactor='80') WHERE ((name <> 'a;b'::text)) DEFERRABLE`,
    'PRIMARY KEY (room, during WITHOUT OVERLAPS)',
    'UNIQUE ("room\'s", during WITHOUT OVERLAPS) DEFERRABLE',
  ])('makes %s of a partitioned table at once, and names its parts after it', (definition) => {
    const entries = [
      constraint(1, 'part', '"A ""b"""', definition),
      constraint(2, 'whole', 'free', definition),
      attach(3, [2, 'free'], [1, '"A ""b"""']),
      entry(4, 'FK CONSTRAINT', 'other key', 'ALTER TABLE …', [3]),
    ];
    const [whole, part, key, ...more] = wholeTreeKeys(entries);
    expect(more).toEqual([]);
    expect(whole).toMatchObject({ id: 2, kind: 'CONSTRAINT' });
    expect(whole?.definition).toBe(`ALTER TABLE public.whole\n    ADD CONSTRAINT free ${definition};\n`);
    expect(part).toMatchObject({ id: 1, kind: 'CONSTRAINT', tag: 'part "A ""b"""', dependsOn: [2] });
    expect(part?.definition).toMatch(/^DO '.*''public\.part''.*''public\.free''.*''A "b"''.*';\s*$/s);
    expect(key?.dependsOn).toEqual([1]);
  });

  it('finds the whole of a part of a part, and keeps what belongs to a part', () => {
    const entries = [
      constraint(1, 'whole', 'free', EXCLUDE),
      constraint(2, 'part', 'part_excl', EXCLUDE),
      constraint(3, 'leaf', 'leaf_excl', `${EXCLUDE} WITH (fillfactor='55')`),
      attach(4, [2, 'part_excl'], [3, 'leaf_excl']),
      attach(5, [1, 'free'], [2, 'part_excl']),
    ];
    entries[2] = {
      ...entries[2]!,
      definition: `${entries[2]!.definition}ALTER TABLE public.leaf CLUSTER ON leaf_excl;`,
    };
    const rewritten = wholeTreeKeys(entries);
    expect(rewritten.map(({ id, dependsOn }) => [id, dependsOn])).toEqual([
      [1, []],
      [3, [1]],
      [2, [1]],
    ]);
    expect(rewritten[1]?.definition).toContain(`pg_partition_root(conindid) = ''public.free''`);
    expect(rewritten[1]?.definition).toMatch(
      /;\nALTER INDEX public\.leaf_excl SET \(fillfactor='55'\);\s*ALTER TABLE public\.leaf CLUSTER ON leaf_excl;$/,
    );
  });

  it('leaves everything else as it is', () => {
    const entries = [
      constraint(1, 'whole', 'whole_pkey', 'PRIMARY KEY (id)'),
      constraint(2, 'part', 'part_pkey', 'PRIMARY KEY (id)'),
      attach(3, [1, 'whole_pkey'], [2, 'part_pkey']),
      constraint(4, 'alone', 'alone_excl', EXCLUDE),
    ];
    expect(wholeTreeKeys(entries)).toEqual(entries);
  });
});
