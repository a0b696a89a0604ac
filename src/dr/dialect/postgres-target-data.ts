import { HoldfastError } from '../../errors.ts';
import { qualifiedPostgres } from '../../sql/identifiers.ts';
import type { PostgresSession } from '../../sql/postgres-session.ts';
import type { Manifest, ManifestTable } from '../archive/manifest.ts';
import { largeObjectsOf } from './postgres-objects.ts';
import { findMissingSequences, findTableDifferences } from './postgres-target-compare.ts';
import type { CycleOrder } from './postgres-target-cycles.ts';
import { putBack, readJournal, takeAway } from './postgres-target-journal.ts';
import { componentsOf, liveTables, nameOf, readCycles } from './postgres-target-live.ts';
import { BASE_COST, type TargetTask, type TargetWork } from './postgres-target-task.ts';
import { RestorePhase } from './restore-target.ts';

/** Objects created in one transaction. */
const BATCH = 200;
/** Differences that a message lists. */
const LISTED = 5;

/** @throws DR_INCOMPATIBLE when a table is missing or has other columns, or a sequence is missing */
export async function assertTablesMatch(session: PostgresSession, manifest: Manifest): Promise<void> {
  const differences = [
    ...(await findTableDifferences(session, manifest)),
    ...(await findMissingSequences(session, manifest)),
  ];
  if (differences.length === 0) return;
  const listed = differences.slice(0, LISTED).join('; ');
  const more = differences.length > LISTED ? `; and ${differences.length - LISTED} more` : '';
  const message = `Mode data loads into tables as they are in the backup: ${listed}${more}.`;
  throw new HoldfastError('DR_INCOMPATIBLE', message);
}

/** Statements for the transaction that marks the target: {@link takeAway} keys of cycles that can neither be kept in order nor deferred. */
export async function prepareTables(session: PostgresSession, manifest: Manifest): Promise<string> {
  const tables = await liveTables(session, manifest);
  const cycles = await readCycles(session, tables);
  const fixed = cycles.cycles.filter(({ deferrable }) => !deferrable);
  return takeAway(
    session,
    tables,
    cycles,
    fixed.flatMap(({ broken }) => [...broken]),
  );
}

/**
 * The tasks of a restore into existing tables, with their keys and indexes in place: large objects, rows in the order of the keys,
 * the tables of a cycle in one transaction with deferred keys; then sequences, what the journal says, and statistics. Planned from
 * the target as it is, after {@link prepareTables}, and from the marks of tasks that are done: a key between tables that are loaded
 * matters no more, so it makes no difference whether it has been put back already.
 */
export async function planDataRestore(
  session: PostgresSession,
  manifest: Manifest,
  done: ReadonlySet<string>,
): Promise<readonly TargetTask[]> {
  const tables = await liveTables(session, manifest);
  const pending = tables.filter(({ id, chunks }) => chunks.some((_, index) => !done.has(loadId(id, index))));
  const byId = new Map(tables.map((table) => [table.id, table]));
  const { keysOf, cycles } = await readCycles(session, pending);
  const tasks = createLargeObjects(manifest);
  const created = tasks.map(({ id }) => id);
  const loadsOf = new Map<number, string[]>();
  const together = new Map(cycles.flatMap((cycle) => cycle.tables.map((table) => [table, cycle] as const)));

  const loadTogether = (cycle: CycleOrder): void => {
    const members = cycle.tables.flatMap((id) => byId.get(id) ?? []);
    const loads = members.flatMap((table) => table.chunks.map((chunk) => ({ table, chunk, whole: false })));
    const id = `cycle:${cycle.tables.toSorted((a, b) => a - b).join(',')}`;
    const bytes = members.reduce((sum, table) => sum + table.bytes, 0);
    const work = { kind: 'rows', loads, deferred: true } as const;
    const marks = members.flatMap((table) => table.chunks.map((_, index) => loadId(table.id, index)));
    tasks.push({ ...task(id, RestorePhase.LOAD, work, bytes, parentsOf(cycle.tables)), marks });
    for (const member of cycle.tables) loadsOf.set(member, [id]);
  };
  const parentsOf = (children: readonly number[]): string[] => {
    const parents = new Set(children.flatMap((child) => (keysOf.get(child) ?? []).map(({ parent }) => parent)));
    for (const child of children) parents.delete(child);
    return [...parents].flatMap((parent) => loadsOf.get(parent) ?? []);
  };
  for (const component of componentsOf(tables, keysOf)) {
    const cycle = together.get(component[0] as number);
    if (cycle !== undefined) {
      loadTogether(cycle);
      continue;
    }
    for (const table of component.flatMap((id) => byId.get(id) ?? [])) {
      const loads = table.chunks.map((chunk, index) => {
        const work = { kind: 'rows', loads: [{ table, chunk, whole: false }], deferred: false } as const;
        const after = isLargeObjects(table) ? created : parentsOf([table.id]);
        return task(loadId(table.id, index), RestorePhase.LOAD, work, chunk.bytes, after);
      });
      tasks.push(...loads);
      loadsOf.set(
        table.id,
        loads.map(({ id }) => id),
      );
    }
  }
  const loaded = tasks.map(({ id }) => id);
  const journal = putBack(await readJournal(session), loaded);
  const last = journal.length === 0 ? loaded : journal.slice(-1).map(({ id }) => id);
  tasks.push(...journal);
  if (manifest.sequences.length > 0) {
    tasks.push(task('sequences', RestorePhase.FINISH, { kind: 'sequences' }, 0, loaded));
  }
  for (const table of tables.filter(({ chunks }) => chunks.length > 0)) {
    const name = qualifiedPostgres(table);
    const work = { kind: 'statements', what: `sample table ${name}`, statements: [`ANALYZE ${name}`] } as const;
    tasks.push(task(`analyze:${table.id}`, RestorePhase.FINISH, work, 0, last));
  }
  return [
    ...tasks,
    ...(await refreshes(
      session,
      manifest,
      tasks.map(({ id }) => id),
    )),
  ];
}

/** What holds their pages must exist before these are loaded. */
function createLargeObjects({ objects }: Manifest): TargetTask[] {
  const blobs = largeObjectsOf(objects);
  return Array.from({ length: Math.ceil(blobs.length / BATCH) }, (_, batch) => {
    const work = { kind: 'objects', objects: blobs.slice(batch * BATCH, (batch + 1) * BATCH) } as const;
    return task(`create:${batch}`, RestorePhase.CREATE, work, 0, []);
  });
}

function isLargeObjects({ schema, name }: ManifestTable): boolean {
  return schema === 'pg_catalog' && name === 'pg_largeobject';
}

function loadId(table: number, chunk: number): string {
  return `rows:${table}:${chunk}`;
}

async function refreshes(
  session: PostgresSession,
  { objects }: Manifest,
  after: readonly string[],
): Promise<readonly TargetTask[]> {
  const views = await session.query(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm'`,
  );
  const known = new Set(views.map(nameOf));
  const refreshed = objects.filter((object) => object.kind === 'MATERIALIZED VIEW DATA' && known.has(nameOf(object)));
  const idOf = new Map(refreshed.map(({ id }) => [id, `refresh:${id}`]));
  return refreshed.map((object) => {
    const dependsOn = [...after, ...object.dependsOn.flatMap((id) => idOf.get(id) ?? [])];
    return task(`refresh:${object.id}`, RestorePhase.FINISH, { kind: 'objects', objects: [object] }, 0, dependsOn);
  });
}

function task(
  id: string,
  phase: RestorePhase,
  work: TargetWork,
  bytes: number,
  dependsOn: readonly string[],
): TargetTask {
  return { id, phase, work, cost: BASE_COST + bytes, dependsOn: [...new Set(dependsOn)], shared: [], exclusive: [] };
}
