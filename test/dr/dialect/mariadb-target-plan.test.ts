import { expect, it } from 'vitest';
import type { Manifest } from '../../../src/dr/archive/manifest.ts';
import { type MariadbTask, PLAN_VERSION, planMariadbRestore } from '../../../src/dr/dialect/mariadb-target-plan.ts';
import { listed, object, table } from '../../support/manifest-parts.ts';

/** One in chunks, one that cannot roll back, and more small ones, and bytes of them, than one task takes. */
const TABLES = [
  { ...table(1, 'large', [3, 3]), engine: 'InnoDB' },
  { ...table(2, 'loose', [1, 1]), engine: 'MyISAM' },
  ...Array.from({ length: 24 }, (_, n) => ({ ...table(3 + n, `small${n}`, [n < 16 ? 0 : 4]), engine: 'InnoDB' })),
];
const OBJECTS = [
  ...['DATABASE PROPERTIES', 'SEQUENCE', 'VIEW', 'FUNCTION', 'TRIGGER', 'EVENT'].map((kind) => object(kind, kind)),
  ...TABLES.map(({ id, name }) =>
    object(name, 'TABLE', { table: id, statements: [`CREATE TABLE \`${name}\` (\n  \`p\` int\n) ENGINE=InnoDB`] }),
  ),
  object('index', 'INDEX', { table: 1 }),
  object('fk', 'FK CONSTRAINT', { table: 1 }),
  ...['a', 'b'].map((name) =>
    object(`key ${name}`, 'FK CONSTRAINT', {
      table: 4,
      statements: [
        `ALTER TABLE \`small1\` ADD CONSTRAINT \`${name}\` FOREIGN KEY (\`p\`) REFERENCES \`small0\` (\`id\`)`,
      ],
    }),
  ),
];
const KEYS = [1, ...TABLES.slice(2).map(({ id }) => id)].map((child) => ({
  ...{ name: `of ${child}`, child, parent: 3, childColumns: ['p'], parentColumns: ['id'] },
  ...{ deferrable: false, validated: true, match: 'SIMPLE' as const },
}));
const MANIFEST = {
  ...{ tables: TABLES, objects: OBJECTS, sequences: [{ schema: '', name: 'n', lastValue: '1', isCalled: false }] },
  graph: { keys: KEYS, inDegree: {}, order: [], cycles: [] },
} as unknown as Manifest;

it.each([
  [
    'full',
    [
      'create DATABASE PROPERTIES SEQUENCE',
      'create:0 large to small13 (16)',
      'create:1 small14 to small23 (10)',
      'rows:1:0 data/1/0.copy',
      'rows:1:1 data/1/1.copy',
      'rows:2:all data/2/0.copy data/2/1.copy',
      'rows:small:0 data/3/0.copy to data/18/0.copy (16)',
      'rows:small:1 data/19/0.copy data/20/0.copy data/21/0.copy data/22/0.copy',
      'rows:small:2 data/23/0.copy data/24/0.copy data/25/0.copy data/26/0.copy',
      'object:index index',
      'object:fk fk',
      'check:1 of 1',
      'check:small:0 of 3 to of 18 (16)',
      'check:small:1 of 19 to of 26 (8)',
      'finish DATABASE PROPERTIES VIEW FUNCTION TRIGGER',
      'sequences ',
      'events DATABASE PROPERTIES EVENT',
    ],
  ],
  [
    'data',
    [
      'rows:1:0 data/1/0.copy',
      'rows:1:1 data/1/1.copy',
      'rows:2:all data/2/0.copy data/2/1.copy',
      'rows:small:0 data/3/0.copy to data/18/0.copy (16)',
      'rows:small:1 data/19/0.copy data/20/0.copy data/21/0.copy data/22/0.copy',
      'rows:small:2 data/23/0.copy data/24/0.copy data/25/0.copy data/26/0.copy',
      'check:1 of 1',
      'check:small:0 of 3 to of 18 (16)',
      'check:small:1 of 19 to of 26 (8)',
      'sequences ',
      'journal ',
    ],
  ],
] as const)('the plan of mode %s has another version when an id stands for other work', (mode, tasks) => {
  const work = ({ work }: MariadbTask): string => {
    if (work.kind === 'objects') return listed(work.objects.map(({ name }) => name));
    if (work.kind === 'rows') return listed(work.loads.map(({ chunk }) => chunk.file));
    return work.kind === 'check' ? listed(work.keys.map(({ name }) => name)) : '';
  };
  const planned = planMariadbRestore(MANIFEST, mode).map((task) => `${task.id} ${work(task)}`);
  expect({ version: PLAN_VERSION, tasks: planned }).toEqual({ version: 4, tasks });
});

/** What creates a table of the plan into an empty database. */
function created(manifest: Manifest, name: string): readonly string[] | undefined {
  const objects = planMariadbRestore(manifest, 'full').flatMap(({ work }) =>
    work.kind === 'objects' ? work.objects : [],
  );
  return objects.find((one) => one.kind === 'TABLE' && one.name === name)?.statements;
}

it('creates a table with its foreign keys when neither it nor a parent has an index that is built later', () => {
  const reference = 'FOREIGN KEY (`p`) REFERENCES `small0` (`id`)';
  expect(created(MANIFEST, 'small1')).toEqual([
    `CREATE TABLE \`small1\` (\n  \`p\` int,\n  CONSTRAINT \`a\` ${reference},\n  CONSTRAINT \`b\` ${reference}\n) ENGINE=InnoDB`,
  ]);
  const objects = [...OBJECTS, object('index of the parent', 'INDEX', { table: 3 })];
  expect(created({ ...MANIFEST, objects }, 'small1')).toEqual(['CREATE TABLE `small1` (\n  `p` int\n) ENGINE=InnoDB']);
});
