import { HoldfastError } from '../../errors.ts';
import { literalPostgres, qualifiedPostgres, quotePostgres } from '../../sql/identifiers.ts';
import type { PostgresSession } from '../../sql/postgres-session.ts';
import type { Manifest, ManifestTable } from '../archive/manifest.ts';
import { components } from '../graph/components.ts';
import { PROGRESS_SCHEMA } from './postgres-catalog.ts';
import { findTableDifferences } from './postgres-target-compare.ts';
import { type CycleOrder, type LiveKey, orderCycle } from './postgres-target-cycles.ts';
import { RestorePhase, type TargetTask, type TargetWork } from './postgres-target-plan.ts';

/** Work of a task besides its rows, in bytes loaded in the same time. */
const BASE_COST = 64 << 10;
/** Differences that a message lists. */
const LISTED = 5;

interface LiveTable extends ManifestTable {
  readonly oid: string;
}

/** @throws DR_INCOMPATIBLE when a table is missing or has other columns */
export async function assertTablesMatch(session: PostgresSession, manifest: Manifest): Promise<void> {
  const differences = await findTableDifferences(session, manifest);
  if (differences.length === 0) return;
  const listed = differences.slice(0, LISTED).join('; ');
  const more = differences.length > LISTED ? `; and ${differences.length - LISTED} more` : '';
  const message = `Mode data loads into tables as they are in the backup: ${listed}${more}.`;
  throw new HoldfastError('DR_INCOMPATIBLE', message);
}

/**
 * Statements for the transaction that marks the target: triggers that would fire are switched off, and keys of cycles that can
 * neither be kept in order nor deferred are dropped. What puts each of them back goes into the journal in the same transaction, so
 * a crash at any time leaves either tables as they were, or the means to repair them.
 */
export async function prepareTables(session: PostgresSession, manifest: Manifest): Promise<string> {
  const tables = await liveTables(session, manifest);
  const { keys, cycles } = await readCycles(session, tables);
  const broken = new Set(cycles.filter(({ deferrable }) => !deferrable).flatMap((cycle) => [...cycle.broken]));
  const steps: { readonly remove: string; readonly restore: string }[] = [];
  for (const id of broken) {
    const key = keys.get(id);
    if (key !== undefined) steps.push(key);
  }
  steps.push(...(await readTriggers(session, tables)));
  return steps
    .map(
      ({ remove, restore }, index) =>
        `${remove};\nINSERT INTO ${PROGRESS_SCHEMA}.journal VALUES (${index}, ${literalPostgres(restore)});`,
    )
    .join('\n');
}

/**
 * The tasks of a restore into existing tables, with their keys and indexes in place: rows in the order of the keys, the tables of a
 * cycle in one transaction with deferred keys; then sequences, what the journal says, and statistics. Planned from the target
 * as it is, after {@link prepareTables}, and from the marks of tasks that are done: a key between tables that are loaded matters no
 * more, so it makes no difference whether it has been put back already.
 */
export async function planDataRestore(
  session: PostgresSession,
  manifest: Manifest,
  done: ReadonlySet<string>,
): Promise<readonly TargetTask[]> {
  const tables = await liveTables(session, manifest);
  const pending = tables.filter(({ id, chunks }) => chunks.some((_, index) => !done.has(loadId(id, index))));
  const byId = new Map(tables.map((table) => [table.id, table]));
  const { edges, cycles } = await readCycles(session, pending);
  const tasks: TargetTask[] = [];
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
    const within = new Set(children);
    const parents = edges.filter(({ child, parent }) => within.has(child) && !within.has(parent));
    return parents.flatMap(({ parent }) => loadsOf.get(parent) ?? []);
  };
  for (const component of componentsOf(tables, edges)) {
    const cycle = together.get(component[0] as number);
    if (cycle !== undefined) {
      loadTogether(cycle);
      continue;
    }
    for (const table of component.flatMap((id) => byId.get(id) ?? [])) {
      const loads = table.chunks.map((chunk, index) => {
        const work = { kind: 'rows', loads: [{ table, chunk, whole: false }], deferred: false } as const;
        return task(loadId(table.id, index), RestorePhase.LOAD, work, chunk.bytes, parentsOf([table.id]));
      });
      tasks.push(...loads);
      loadsOf.set(
        table.id,
        loads.map(({ id }) => id),
      );
    }
  }
  const loaded = tasks.map(({ id }) => id);
  let last = loaded;
  for (const { id, statement } of await readJournal(session)) {
    const work = { kind: 'statements', what: 'put back what was taken away', statements: [statement] } as const;
    tasks.push(task(`journal:${id}`, RestorePhase.CHECK, work, 0, last));
    last = [`journal:${id}`];
  }
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
  const known = new Set(views.map(({ schema, name }) => `${schema}.${name}`));
  let last = after;
  return objects
    .filter(({ kind, schema, name }) => kind === 'MATERIALIZED VIEW DATA' && known.has(`${schema}.${name}`))
    .map((object) => {
      const id = `refresh:${object.id}`;
      const refresh = task(id, RestorePhase.FINISH, { kind: 'objects', objects: [object] }, 0, last);
      last = [id];
      return refresh;
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

async function liveTables(session: PostgresSession, { tables }: Manifest): Promise<readonly LiveTable[]> {
  const rows = await session.query(
    `SELECT c.oid::text AS oid, n.nspname AS schema, c.relname AS name
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')`,
  );
  const oids = new Map(rows.map(({ oid, schema, name }) => [`${schema}.${name}`, oid ?? '']));
  return tables.map((table) => ({ ...table, oid: oids.get(`${table.schema}.${table.name}`) ?? '0' }));
}

interface Cycles {
  /** Every key between two of the tables, copies for partitions included. */
  readonly edges: readonly LiveKey[];
  /** Cycles, and tables loaded in parts that refer to themselves. */
  readonly cycles: readonly CycleOrder[];
  /** How a key is dropped and put back, by its id. */
  readonly keys: ReadonlyMap<string, { readonly remove: string; readonly restore: string }>;
}

async function readCycles(session: PostgresSession, tables: readonly LiveTable[]): Promise<Cycles> {
  const ids = new Map(tables.map(({ oid, id }) => [oid, id]));
  const rows = await session.query(
    `WITH RECURSIVE up AS (
       SELECT oid, oid AS root, conparentid FROM pg_constraint WHERE contype = 'f'
       UNION ALL SELECT up.oid, p.oid, p.conparentid FROM up JOIN pg_constraint p ON p.oid = up.conparentid)
     SELECT up.root::text AS id, c.conrelid::text AS child, c.confrelid::text AS parent, c.condeferrable::text AS deferrable,
       format('ALTER TABLE %I.%I DROP CONSTRAINT %I', n.nspname, t.relname, r.conname) AS remove,
       format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', n.nspname, t.relname, r.conname, pg_get_constraintdef(r.oid))
         || coalesce(format('; COMMENT ON CONSTRAINT %I ON %I.%I IS %L', r.conname, n.nspname, t.relname,
              obj_description(r.oid, 'pg_constraint')), '') AS restore
     FROM up JOIN pg_constraint c ON c.oid = up.oid JOIN pg_constraint r ON r.oid = up.root
       JOIN pg_class t ON t.oid = r.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
     WHERE up.conparentid = 0 ORDER BY r.conname, r.oid`,
  );
  const keys = new Map(
    rows.map(({ id, remove, restore }) => [id ?? '', { remove: remove ?? '', restore: restore ?? '' }]),
  );
  const edges = rows.flatMap(({ id, child, parent, deferrable }) => {
    const [from, to] = [ids.get(child ?? ''), ids.get(parent ?? '')];
    if (from === undefined || to === undefined) return [];
    return [{ id: id ?? '', child: from, parent: to, deferrable: deferrable === 'true' }];
  });
  const split = new Set(tables.filter(({ chunks }) => chunks.length > 1).map(({ id }) => id));
  const cycles = componentsOf(tables, edges)
    .map((component) => {
      const members = new Set(component);
      const within = edges.filter(({ child, parent }) => members.has(child) && members.has(parent));
      return orderCycle(component, within, (table) => split.has(table) || component.length > 1);
    })
    .filter(({ broken }) => broken.size > 0);
  return { edges, cycles, keys };
}

/** Parents before children. */
function componentsOf(tables: readonly LiveTable[], edges: readonly LiveKey[]): readonly (readonly number[])[] {
  const parents = Map.groupBy(edges, ({ child }) => child);
  return components(
    tables.map(({ id }) => id),
    (id) => (parents.get(id) ?? []).map(({ parent }) => parent),
  );
}

const ENABLE: Readonly<Record<string, string>> = { O: 'ENABLE', R: 'ENABLE REPLICA', A: 'ENABLE ALWAYS' };

/** Triggers of the tables that an INSERT would fire; those that enforce keys stay on. */
async function readTriggers(
  session: PostgresSession,
  tables: readonly LiveTable[],
): Promise<readonly { readonly remove: string; readonly restore: string }[]> {
  const byOid = new Map(tables.map((table) => [table.oid, qualifiedPostgres(table)]));
  const rows = await session.query(
    `SELECT tgrelid::text AS table, tgname AS name, tgenabled::text AS enabled FROM pg_trigger
     WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 4 <> 0 ORDER BY tgrelid, tgname`,
  );
  return rows.flatMap((row) => {
    const table = byOid.get(row.table ?? '');
    if (table === undefined) return [];
    const name = quotePostgres(row.name ?? '');
    const remove = `ALTER TABLE ${table} DISABLE TRIGGER ${name}`;
    return [{ remove, restore: `ALTER TABLE ${table} ${ENABLE[row.enabled ?? 'O'] ?? 'ENABLE'} TRIGGER ${name}` }];
  });
}

async function readJournal(session: PostgresSession): Promise<{ readonly id: string; readonly statement: string }[]> {
  const rows = await session.query(
    `SELECT id::text AS id, statement FROM ${PROGRESS_SCHEMA}.journal ORDER BY journal.id`,
  );
  return rows.map(({ id, statement }) => ({ id: id ?? '', statement: statement ?? '' }));
}
