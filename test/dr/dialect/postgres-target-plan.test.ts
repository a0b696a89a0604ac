import { describe, expect, it } from 'vitest';
import type { Manifest, ManifestTable, SchemaObject } from '../../../src/dr/archive/manifest.ts';
import { keyAsIndex, keyUnchecked } from '../../../src/dr/dialect/postgres-stepwise-keys.ts';
import { planFullRestore } from '../../../src/dr/dialect/postgres-target-plan.ts';
import { PLAN_VERSION, type TargetTask } from '../../../src/dr/dialect/postgres-target-task.ts';
import { TaskGraph } from '../../../src/dr/scheduler/task-graph.ts';
import { listed, object, table } from '../../support/manifest-parts.ts';

function plan(
  tables: readonly ManifestTable[],
  objects: readonly SchemaObject[],
  keys: Manifest['graph']['keys'] = [],
  order: readonly number[] = [],
) {
  const manifest = { tables, objects, sequences: [], graph: { keys, inDegree: {}, order, cycles: [] } };
  const tasks = planFullRestore(manifest as unknown as Manifest, 15);
  return new Map(tasks.map((task) => [task.id, task]));
}

/** Every task that is finished before `id` starts. */
function earlierThan(tasks: ReadonlyMap<string, TargetTask>, id: string): Set<string> {
  const found = new Set(tasks.get(id)?.dependsOn);
  for (const earlier of found) for (const next of tasks.get(earlier)?.dependsOn ?? []) found.add(next);
  return found;
}

const CHILD = table(1, 'child', [200, 200]);
const PARENT = table(2, 'parent', [1]);
const KEY = {
  ...{ name: 'fk', child: 1, parent: 2, childColumns: ['p'], parentColumns: ['id'] },
  ...{ deferrable: false, validated: true, match: 'SIMPLE' as const },
};
const OBJECTS = [
  object('t1', 'TABLE', { table: 1 }),
  object('t2', 'TABLE', { table: 2 }),
  object('note', 'COMMENT', { section: 'PRE_DATA', dependsOn: ['i1'] }),
  object('i1', 'INDEX', { table: 1, dependsOn: ['t1'] }),
  object('pk1', 'CONSTRAINT', {
    table: 1,
    dependsOn: ['t1'],
    statements: ['ALTER TABLE ONLY public.child\n    ADD CONSTRAINT pk1 PRIMARY KEY (id);\n'],
  }),
  object('pk2', 'CONSTRAINT', { table: 2, dependsOn: ['t2'] }),
  object('fk', 'FK CONSTRAINT', {
    table: 1,
    dependsOn: ['t1', 't2', 'pk2'],
    statements: [
      'ALTER TABLE ONLY public.child\n    ADD CONSTRAINT fk FOREIGN KEY (p) REFERENCES public.parent(id);\n',
    ],
  }),
  object('fires', 'TRIGGER', { table: 1, dependsOn: ['t1'] }),
  object('fills', 'MATERIALIZED VIEW DATA'),
  object('ddl', 'EVENT TRIGGER', { section: 'PRE_DATA' }),
];

describe('planFullRestore', () => {
  const tasks = plan([CHILD, PARENT], OBJECTS, [KEY]);

  it('attaches indexes one at a time: two that come together would leave the whole one unfinished', () => {
    const attaches = [3, 4].map((id) => object(`attach${id}`, 'INDEX ATTACH', { table: id }));
    const tasks = plan([table(3, 'p3', [1]), table(4, 'p4', [1])], attaches);
    const [first, second] = attaches.map(({ id }) => tasks.get(`object:${id}`)?.exclusive ?? []);
    expect(first?.filter((thing) => second?.includes(thing))).not.toEqual([]);
  });

  it('splits a table that holds most of the bytes, and loads others at once', () => {
    const loads = [...tasks.values()].filter(({ work }) => work.kind === 'rows');
    expect(loads.map(({ id }) => id)).toEqual(['rows:1:0', 'rows:1:1', 'rows:2:all']);
    const made = object('a', 'TABLE', { table: 1 });
    const many = plan([table(1, 'a', [1, 1]), table(2, 'b', [5]), table(3, 'c', [5])], [made]);
    expect(many.get('rows:1:all')?.work).toMatchObject({ loads: [{ whole: true }, { whole: true }] });
  });

  it('adds to the rows of tables that an extension made, parents before children', () => {
    const key = { ...KEY, child: 3, parent: 4 };
    const tasks = plan([table(3, 'config', [1]), table(4, 'kinds', [1])], [], [key], [4, 3]);
    for (const id of ['rows:3:all', 'rows:4:all'])
      expect(tasks.get(id)?.work).toMatchObject({ loads: [{ whole: false }] });
    expect(tasks.get('rows:3:all')?.dependsOn).toEqual(['rows:4:all']);
  });

  it('fills a table while others are created, but none that is still being changed', () => {
    const names = Array.from({ length: 120 }, (_, index) => `t${index}`);
    const made = names.map((name, index) => object(name, 'TABLE', { table: index + 1 }));
    const numbered = object('numbers', 'SEQUENCE', { section: 'PRE_DATA', dependsOn: ['t1'] });
    const large = table(200, 'pg_largeobject', [1]);
    const tasks = plan([...names.map((name, index) => table(index + 1, name, [1])), large], [...made, numbered]);
    expect(tasks.get('rows:1:all')?.dependsOn).toEqual(['create:0']);
    expect(tasks.get('rows:2:all')?.dependsOn).toEqual(['create:2']);
    expect(tasks.get('rows:120:all')?.dependsOn).toEqual(['create:2']);
    expect(tasks.get('rows:200:all')?.dependsOn).toEqual(['create:2']);
    expect(tasks.get('create:1')?.dependsOn).toEqual(['create:0']);
    const reads = object('reads', 'FUNCTION', { section: 'PRE_DATA' });
    const careful = plan([table(1, 't0', [1])], [...made, reads]);
    expect(careful.get('rows:1:all')?.dependsOn).toEqual(['create:2']);
  });

  it('builds indexes of a table as soon as its own rows are in', () => {
    expect(earlierThan(tasks, 'object:i1')).toEqual(new Set(['create:0', 'rows:1:0', 'rows:1:1']));
    expect(earlierThan(tasks, 'object:pk2')).toEqual(new Set(['create:0', 'rows:2:all']));
  });

  it('builds the key of a large table beside its other indexes', () => {
    expect(tasks.get('index:pk1')).toMatchObject({ shared: ['1'], exclusive: [] });
    expect(tasks.get('object:i1')).toMatchObject({ shared: ['1'], exclusive: [] });
    expect(tasks.get('object:pk1')).toMatchObject({ dependsOn: ['index:pk1'], exclusive: ['1'] });
  });

  it('adds a foreign key after the rows of both tables and the key it refers to, and checks it with weaker locks', () => {
    const earlier = earlierThan(tasks, 'object:fk');
    for (const id of ['rows:1:0', 'rows:1:1', 'rows:2:all', 'object:pk2']) expect(earlier).toContain(id);
    expect(earlier).not.toContain('object:i1');
    expect(tasks.get('object:fk')).toMatchObject({ exclusive: ['1', '2'] });
    expect(tasks.get('check:fk')).toMatchObject({ exclusive: ['1'], shared: ['2'], dependsOn: ['object:fk'] });
  });

  it('adds the key of a table without rows of its own after everything else', () => {
    const partitioned = plan([CHILD, table(2, 'parent', [])], OBJECTS, [KEY]);
    expect(partitioned.has('check:fk')).toBe(false);
    expect(earlierThan(partitioned, 'object:fk')).toContain('object:i1');
  });

  it('creates triggers after all rows and keys, fills views after them, and event triggers at the very end', () => {
    for (const id of ['rows:1:0', 'rows:1:1', 'rows:2:all', 'check:fk', 'object:pk1', 'object:i1']) {
      expect(earlierThan(tasks, 'finish:0')).toContain(id);
    }
    expect(tasks.get('finish:0')?.work).toMatchObject({ objects: [{ id: 'fires' }, { id: 'note' }] });
    expect(tasks.get('object:fills')?.dependsOn).toEqual(['finish:0']);
    expect(earlierThan(tasks, 'last:0').size).toBe(tasks.size - 1);
  });

  it('gives what is created late its indexes and comments after that, and fills it then', () => {
    const late = [
      object('summary', 'MATERIALIZED VIEW', { dependsOn: ['t1', 'pk1'] }),
      object('summaryIndex', 'INDEX', { dependsOn: ['summary'] }),
      object('indexNote', 'COMMENT', { section: 'PRE_DATA', dependsOn: ['summaryIndex'] }),
      object('ddlNote', 'COMMENT', { section: 'PRE_DATA', dependsOn: ['ddl'] }),
    ];
    const tasks = plan([CHILD, PARENT], [...OBJECTS, ...late], [KEY]);
    const objectsOf = (id: string): unknown => {
      const work = tasks.get(id)?.work;
      return work?.kind === 'objects' ? work.objects.map((object) => object.id) : undefined;
    };
    expect(objectsOf('finish:0')).toEqual(['fires', 'summary', 'note']);
    expect(earlierThan(tasks, 'object:summaryIndex')).toContain('finish:0');
    expect(objectsOf('attach:0')).toEqual(['indexNote']);
    expect(earlierThan(tasks, 'attach:0')).toContain('object:summaryIndex');
    expect(earlierThan(tasks, 'object:fills')).toContain('attach:0');
    expect(objectsOf('last:0')).toEqual(['ddl', 'ddlNote']);
  });

  it('has another version when an id stands for other work', () => {
    const many = (kind: string): SchemaObject[] => Array.from({ length: 210 }, (_, n) => object(`${kind}${n}`, kind));
    const tables = [CHILD, PARENT, table(3, 'small', [1, 1])];
    const planned = plan(tables, [...OBJECTS, ...many('TYPE'), ...many('TRIGGER')], [KEY]);
    const work = ({ work }: TargetTask): string => {
      if (work.kind === 'objects') return listed(work.objects.map(({ id }) => id));
      if (work.kind === 'rows') return listed(work.loads.map(({ chunk }) => chunk.file));
      return work.kind === 'statements' ? listed(work.statements) : '';
    };
    expect({ version: PLAN_VERSION, tasks: [...planned.values()].map((task) => `${task.id} ${work(task)}`) }).toEqual({
      version: 3,
      tasks: [
        'create:0 t1 to TYPE47 (50)',
        'create:1 TYPE48 to TYPE97 (50)',
        'create:2 TYPE98 to TYPE147 (50)',
        'create:3 TYPE148 to TYPE197 (50)',
        'create:4 TYPE198 to TYPE209 (12)',
        'rows:1:0 data/1/0.copy',
        'rows:1:1 data/1/1.copy',
        'rows:2:all data/2/0.copy',
        'rows:3:all data/3/0.copy data/3/1.copy',
        'object:i1 i1',
        'index:pk1 CREATE UNIQUE INDEX pk1 ON ONLY public.child USING btree (id);',
        'object:pk1 pk1',
        'object:pk2 pk2',
        'object:fk fk',
        'check:fk ALTER TABLE ONLY public.child VALIDATE CONSTRAINT fk;',
        'analyze:0 ANALYZE "public"."child"',
        'analyze:1 ANALYZE "public"."parent", "public"."small"',
        'finish:0 fires to TRIGGER198 (200)',
        'finish:1 TRIGGER199 to note (12)',
        'object:fills fills',
        'last:0 ddl',
      ],
    });
  });

  it('can be run to its end', () => {
    const graph = new TaskGraph([...tasks.values()]);
    while (graph.unfinished > 0) graph.finish(graph.next()?.id ?? '');
  });
});

describe('keyAsIndex', () => {
  const constraint = (definition: string): SchemaObject =>
    object('k', 'CONSTRAINT', {
      statements: [`ALTER TABLE ONLY public."T ""x"\n    ADD CONSTRAINT "K" ${definition};\n`],
    });

  it('takes the index apart from the constraint', () => {
    expect(keyAsIndex(constraint('PRIMARY KEY (id, "B, b")'))).toEqual({
      index: 'CREATE UNIQUE INDEX "K" ON ONLY public."T ""x" USING btree (id, "B, b");',
      constraint: 'ALTER TABLE ONLY public."T ""x" ADD CONSTRAINT "K" PRIMARY KEY USING INDEX "K";',
    });
  });

  it.each([
    'UNIQUE (a) DEFERRABLE',
    'UNIQUE NULLS NOT DISTINCT (a)',
    'PRIMARY KEY (a) INCLUDE (b)',
    "UNIQUE (a) WITH (fillfactor='70')",
    'EXCLUDE USING gist (during WITH &&)',
  ])('leaves %s as it is', (definition) => {
    expect(keyAsIndex(constraint(definition))).toBeUndefined();
  });
});

describe('keyUnchecked', () => {
  const key = (rest: string): SchemaObject =>
    object('k', 'FK CONSTRAINT', {
      statements: [`ALTER TABLE ONLY public.a\n    ADD CONSTRAINT k FOREIGN KEY (x) REFERENCES public.b(id)${rest};\n`],
    });

  it('adds the key without a check, and checks it', () => {
    expect(keyUnchecked(key(' ON DELETE CASCADE'))).toEqual({
      add: 'ALTER TABLE ONLY public.a ADD CONSTRAINT k FOREIGN KEY (x) REFERENCES public.b(id) ON DELETE CASCADE NOT VALID;',
      check: 'ALTER TABLE ONLY public.a VALIDATE CONSTRAINT k;',
    });
  });

  it('never checks what the source never checked', () => {
    expect(keyUnchecked(key(' NOT VALID'))).toBeUndefined();
  });
});
