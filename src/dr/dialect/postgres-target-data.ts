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
/** Objects created in one transaction. */
const BATCH = 200;
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
 * Statements for the transaction that marks the target: triggers that would fire are switched off, keys of cycles that can neither
 * be kept in order nor deferred are dropped, and so is what was never checked (NOT VALID), which old rows may break. What puts each of them back goes into the journal in the same transaction, so
 * a crash at any time leaves either tables as they were, or the means to repair them.
 */
export async function prepareTables(session: PostgresSession, manifest: Manifest): Promise<string> {
  const tables = await liveTables(session, manifest);
  const { keys, cycles, unchecked } = await readCycles(session, tables);
  const broken = cycles.filter(({ deferrable }) => !deferrable).flatMap((cycle) => [...cycle.broken]);
  const steps: Removal[] = [...new Set([...unchecked, ...broken])].flatMap((id) => keys.get(id) ?? []);
  steps.push(...(await readUncheckedChecks(session, tables)), ...(await readTriggers(session, tables)));
  return steps
    .map(
      ({ remove, restore }, index) =>
        `${remove};\nINSERT INTO ${PROGRESS_SCHEMA}.journal VALUES (${index}, ${literalPostgres(restore)});`,
    )
    .join('\n');
}

/**
 * The tasks of a restore into existing tables, with their keys and indexes in place: large objects, rows in the order of the keys, the tables of a
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

/** Large objects are contents: what holds their pages must exist before these are loaded. */
function createLargeObjects({ objects }: Manifest): TargetTask[] {
  const blobs = objects.filter(({ kind }) => kind === 'BLOB');
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

async function liveTables(session: PostgresSession, { tables }: Manifest): Promise<readonly LiveTable[]> {
  const rows = await session.query(
    `SELECT c.oid::text AS oid, n.nspname AS schema, c.relname AS name
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')`,
  );
  const oids = new Map(rows.map((row) => [nameOf(row), row.oid ?? '']));
  return tables.map((table) => ({ ...table, oid: oids.get(nameOf(table)) ?? '0' }));
}

function nameOf({ schema, name }: { readonly schema?: string | null; readonly name?: string | null }): string {
  return qualifiedPostgres({ schema: schema ?? '', name: name ?? '' });
}

/** How something is taken away and put back. */
interface Removal {
  readonly remove: string;
  readonly restore: string;
}

interface Cycles {
  /** By its child, every key between two of the tables; one between partitioned tables is one between each two of their partitions. */
  readonly keysOf: ReadonlyMap<number, readonly LiveKey[]>;
  /** Cycles, and tables loaded in parts that refer to themselves. */
  readonly cycles: readonly CycleOrder[];
  /** How a key is dropped and put back, by its id. */
  readonly keys: ReadonlyMap<string, Removal>;
  /** Ids of keys of the tables that rows may break: NOT VALID. */
  readonly unchecked: readonly string[];
}

async function readCycles(session: PostgresSession, tables: readonly LiveTable[]): Promise<Cycles> {
  const rows = await session.query(
    `SELECT k.oid::text AS id, k.conrelid::text AS child, k.confrelid::text AS parent, k.condeferrable::text AS deferrable,
       k.convalidated::text AS validated,
       format('ALTER TABLE %I.%I DROP CONSTRAINT %I', n.nspname, t.relname, k.conname) AS remove,
       format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', n.nspname, t.relname, k.conname, pg_get_constraintdef(k.oid))
         || coalesce(format('; COMMENT ON CONSTRAINT %I ON %I.%I IS %L', k.conname, n.nspname, t.relname,
              obj_description(k.oid, 'pg_constraint')), '') AS restore
     FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
     WHERE k.contype = 'f' AND k.conparentid = 0 ORDER BY k.conname, k.oid`,
  );
  const keys = new Map(
    rows.map(({ id, remove, restore }) => [id ?? '', { remove: remove ?? '', restore: restore ?? '' }]),
  );
  const holders = await readHolders(session, tables);
  const edges = rows.flatMap(({ id, child, parent, deferrable }) => {
    const key = { id: id ?? '', deferrable: deferrable === 'true' };
    const parents = holders.get(parent ?? '') ?? [];
    return (holders.get(child ?? '') ?? []).flatMap((from) =>
      parents.map((to) => ({ ...key, child: from, parent: to })),
    );
  });
  const byChild = Map.groupBy(edges, ({ child }) => child);
  const split = new Set(tables.filter(({ chunks }) => chunks.length > 1).map(({ id }) => id));
  const cycles = componentsOf(tables, byChild)
    .map((component) => {
      const members = new Set(component);
      const within = component.flatMap((id) => (byChild.get(id) ?? []).filter(({ parent }) => members.has(parent)));
      return orderCycle(component, within, (table) => split.has(table) || component.length > 1);
    })
    .filter(({ broken }) => broken.size > 0);
  const unchecked = rows.filter(({ validated, child }) => validated === 'false' && holders.has(child ?? ''));
  return { keysOf: byChild, cycles, keys, unchecked: unchecked.map(({ id }) => id ?? '') };
}

/** By oid of a table: ids of the tables that hold its rows, itself or its partitions. */
async function readHolders(
  session: PostgresSession,
  tables: readonly LiveTable[],
): Promise<ReadonlyMap<string, readonly number[]>> {
  const ancestors = await session.query(
    `SELECT c.oid::text AS part, a.relid::oid::text AS whole
     FROM pg_class c, pg_partition_ancestors(c.oid) a(relid) WHERE c.relispartition AND a.relid <> c.oid`,
  );
  const wholes = Map.groupBy(ancestors, ({ part }) => part ?? '');
  const holders = new Map<string, number[]>();
  for (const { oid, id } of tables) {
    for (const whole of [oid, ...(wholes.get(oid) ?? []).map((row) => row.whole ?? '')]) {
      const ids = holders.get(whole);
      if (ids === undefined) holders.set(whole, [id]);
      else ids.push(id);
    }
  }
  return holders;
}

/** Parents before children. */
function componentsOf(tables: readonly LiveTable[], keysOf: Cycles['keysOf']): readonly (readonly number[])[] {
  return components(
    tables.map(({ id }) => id),
    (id) => (keysOf.get(id) ?? []).map(({ parent }) => parent),
  );
}

/** Checks of the tables, and of domains, that were never applied to the rows there are. */
async function readUncheckedChecks(
  session: PostgresSession,
  tables: readonly LiveTable[],
): Promise<readonly Removal[]> {
  const loaded = new Set(tables.map(({ oid }) => oid));
  const rows = await session.query(
    `SELECT k.conrelid::text AS table, format('ALTER %s DROP CONSTRAINT %I', o.name, k.conname) AS remove,
       format('ALTER %s ADD CONSTRAINT %I %s', o.name, k.conname, pg_get_constraintdef(k.oid))
         || coalesce(format('; COMMENT ON CONSTRAINT %I ON %s IS %L', k.conname, o.commented, obj_description(k.oid, 'pg_constraint')), '') AS restore
     FROM pg_constraint k, LATERAL (
       SELECT format('TABLE %I.%I', n.nspname, c.relname) AS name, format('%I.%I', n.nspname, c.relname) AS commented
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = k.conrelid
       UNION ALL SELECT format('DOMAIN %I.%I', n.nspname, t.typname), format('DOMAIN %I.%I', n.nspname, t.typname)
         FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid = k.contypid) o
     WHERE k.contype = 'c' AND NOT k.convalidated AND k.coninhcount = 0 ORDER BY k.oid`,
  );
  return rows
    .filter(({ table }) => table === '0' || loaded.has(table ?? ''))
    .map(({ remove, restore }) => ({ remove: remove ?? '', restore: restore ?? '' }));
}

const STATES: Readonly<Record<string, string>> = { O: 'ENABLE', R: 'ENABLE REPLICA', A: 'ENABLE ALWAYS', D: 'DISABLE' };

/**
 * Triggers of the tables that an INSERT would fire; those that enforce keys stay on. Before PostgreSQL 15 ONLY does not keep a
 * statement from the partitions: these come after what they are part of, and those that were off are put back too.
 */
async function readTriggers(session: PostgresSession, tables: readonly LiveTable[]): Promise<readonly Removal[]> {
  const byOid = new Map(tables.map((table) => [table.oid, qualifiedPostgres(table)]));
  const rows = await session.query(
    `SELECT tgrelid::text AS table, tgname AS name, tgenabled::text AS enabled FROM pg_trigger
     WHERE NOT tgisinternal AND (tgenabled <> 'D' OR tgparentid <> 0) AND tgtype & 4 <> 0
     ORDER BY (SELECT count(*) FROM pg_partition_ancestors(tgrelid)), tgrelid, tgname`,
  );
  return rows.flatMap((row) => {
    const table = byOid.get(row.table ?? '');
    if (table === undefined) return [];
    const name = quotePostgres(row.name ?? '');
    const remove = `ALTER TABLE ONLY ${table} DISABLE TRIGGER ${name}`;
    return [{ remove, restore: `ALTER TABLE ONLY ${table} ${STATES[row.enabled ?? 'O'] ?? 'ENABLE'} TRIGGER ${name}` }];
  });
}

async function readJournal(session: PostgresSession): Promise<{ readonly id: string; readonly statement: string }[]> {
  const rows = await session.query(
    `SELECT id::text AS id, statement FROM ${PROGRESS_SCHEMA}.journal ORDER BY journal.id`,
  );
  return rows.map(({ id, statement }) => ({ id: id ?? '', statement: statement ?? '' }));
}
