import { describe, expect, it } from 'vitest';
import type { SchemaObject } from '../../../src/dr/archive/manifest.ts';
import type { TargetTask, TargetWork } from '../../../src/dr/dialect/postgres-target-task.ts';
import { fitsTogether, runTogether } from '../../../src/dr/dialect/postgres-target-transaction.ts';
import { RestorePhase } from '../../../src/dr/dialect/restore-target.ts';

function task(id: string, work: TargetWork, more: Partial<TargetTask> = {}): TargetTask {
  return { ...{ id, work, cost: 1, dependsOn: [], shared: [], exclusive: [], phase: RestorePhase.INDEX }, ...more };
}

function creating(name: string, kind = 'INDEX', owner: string | null = null): TargetTask {
  const object: SchemaObject = {
    ...{ id: name, kind, schema: 's', name, section: 'POST_DATA', statements: [`CREATE ${name}`] },
    ...{ dependsOn: [], table: null, owner, ownedAs: owner === null ? null : `INDEX ${name}` },
  };
  return task(`object:${name}`, { kind: 'objects', objects: [object] });
}

/** What a server was sent that refuses some statements. */
function run(
  tasks: readonly TargetTask[],
  refuses: (sent: string, times: number) => string | undefined = () => undefined,
) {
  const sent: string[] = [];
  const query = async (text: string): Promise<never[]> => {
    sent.push(text.replaceAll('\n;\n', '; '));
    const code = refuses(text, sent.length);
    if (code !== undefined) throw Object.assign(new Error('refused'), { code });
    return [];
  };
  const worker = { session: { query }, number: 1, signal: new AbortController().signal };
  const context = { order: {}, user: 'me', roles: new Set(['me', 'other']) };
  return { sent, notices: runTogether(tasks, worker as never, context as never) };
}

const MARK = (names: string): string =>
  `INSERT INTO holdfast_dr.done VALUES ${names
    .split(' ')
    .map((name) => `('object:${name}')`)
    .join(', ')}`;
const SET = `SET search_path = ''`;

describe('tasks in one transaction', () => {
  it('are sent in one message with their marks, and committed by another', async () => {
    const { sent, notices } = run([creating('a'), creating('b', 'INDEX', 'other'), creating('c', 'INDEX', 'nobody')]);
    expect(await notices).toEqual(['INDEX c belongs to "nobody" in the source, which cannot own it here']);
    expect(sent).toEqual([
      `BEGIN; CREATE a; ${SET}; CREATE b; ${SET}; ALTER INDEX b OWNER TO "other"; CREATE c; ${SET}; ${MARK('a b c')}`,
      'COMMIT',
    ]);
  });

  it('are done again one by one when one fails, so that the error names it', async () => {
    const { sent, notices } = run([creating('a'), creating('b')], (text) =>
      text.includes('CREATE b') ? '42P07' : undefined,
    );
    await expect(notices).rejects.toMatchObject({
      code: 'DR_INCOMPATIBLE',
      message: expect.stringContaining('create index s.b: refused'),
    });
    expect(sent.slice(1)).toEqual(['ROLLBACK', 'BEGIN', `CREATE a; ${SET}`, `CREATE b; ${SET}`, 'ROLLBACK']);
  });

  it('leave out what may fail, and say so once', async () => {
    const { sent, notices } = run([creating('a', 'ACL', 'nobody')], (text) =>
      text.includes('CREATE a') ? '42704' : undefined,
    );
    expect(await notices).toHaveLength(2);
    expect(sent.slice(1)).toEqual([
      ...['ROLLBACK', 'BEGIN', 'SAVEPOINT object', `CREATE a; ${SET}; RELEASE SAVEPOINT object`],
      ...['ROLLBACK TO SAVEPOINT object; RELEASE SAVEPOINT object', MARK('a'), 'COMMIT'],
    ]);
  });

  it('are tried again together when they lose a race, five times in all', async () => {
    const { sent, notices } = run([creating('a')], (text) => (text.includes('CREATE') ? '40P01' : undefined));
    await expect(notices).rejects.toMatchObject({ code: '40P01' });
    expect(sent.filter((text) => text.startsWith('BEGIN; CREATE a'))).toHaveLength(5);
  });
});

describe('fitsTogether', () => {
  const small = creating('a');

  it('takes up to fifty small tasks of one phase', () => {
    expect(fitsTogether([small], creating('b'))).toBe(true);
    expect(fitsTogether(Array(50).fill(small), small)).toBe(false);
    expect(fitsTogether([small], { ...small, cost: 8 << 20 })).toBe(false);
    expect(fitsTogether([{ ...small, cost: 3 << 20 }], { ...small, cost: 2 << 20 })).toBe(false);
    expect(fitsTogether([small], { ...small, phase: RestorePhase.LOAD })).toBe(false);
  });

  it('takes none whose work is not known by its size', () => {
    const view = { ...small, phase: RestorePhase.FINISH };
    expect(fitsTogether([view], view)).toBe(false);
    const cycle = task('cycle:1,2', { kind: 'rows', loads: [], deferred: true }, { phase: RestorePhase.LOAD });
    const rows = task('rows:1:0', { kind: 'rows', loads: [], deferred: false }, { phase: RestorePhase.LOAD });
    expect(fitsTogether([rows], cycle)).toBe(false);
    expect(fitsTogether([cycle], rows)).toBe(false);
    expect(fitsTogether([rows], rows)).toBe(true);
  });
});
