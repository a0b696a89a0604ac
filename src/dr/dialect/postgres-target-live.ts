import { qualifiedPostgres, quotePostgres } from '../../sql/identifiers.ts';
import type { PostgresSession } from '../../sql/postgres-session.ts';
import type { Manifest, ManifestTable } from '../archive/manifest.ts';
import { components } from '../graph/components.ts';
import { ENFORCES_KEY } from './postgres-catalog.ts';
import { type CycleOrder, type LiveKey, orderCycle } from './postgres-target-cycles.ts';

/** A table of the backup that exists in the target. */
export interface LiveTable extends ManifestTable {
  readonly oid: string;
}

/** The tables of the backup with their oids in the target. */
export async function liveTables(session: PostgresSession, { tables }: Manifest): Promise<readonly LiveTable[]> {
  const rows = await session.query(
    `SELECT c.oid::text AS oid, n.nspname AS schema, c.relname AS name
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')`,
  );
  const oids = new Map(rows.map((row) => [nameOf(row), row.oid ?? '']));
  return tables.map((table) => ({ ...table, oid: oids.get(nameOf(table)) ?? '0' }));
}

/** One text for a name, whatever it holds. */
export function nameOf({ schema, name }: { readonly schema?: string | null; readonly name?: string | null }): string {
  return qualifiedPostgres({ schema: schema ?? '', name: name ?? '' });
}

/** How something is taken away and put back. */
export interface Removal {
  readonly remove: string;
  readonly restore: string;
}

/** Keys between tables of the target, and the circles they go in. */
export interface Cycles {
  /** By its child, every key between two of the tables; one between partitioned tables is one between each two of their partitions. */
  readonly keysOf: ReadonlyMap<number, readonly LiveKey[]>;
  /** Cycles, and tables loaded in parts that refer to themselves. */
  readonly cycles: readonly CycleOrder[];
  /** How a key is dropped and put back, by its id. */
  readonly keys: ReadonlyMap<string, Removal>;
  /** Ids of keys of the tables that rows may break: NOT VALID. */
  readonly unchecked: readonly string[];
}

/** Reads the keys between tables. */
export async function readCycles(session: PostgresSession, tables: readonly LiveTable[]): Promise<Cycles> {
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
export function componentsOf(tables: readonly LiveTable[], keysOf: Cycles['keysOf']): readonly (readonly number[])[] {
  return components(
    tables.map(({ id }) => id),
    (id) => (keysOf.get(id) ?? []).map(({ parent }) => parent),
  );
}

/**
 * Checks of the tables, and of domains, that were never applied to the rows there are, from 18 on NOT NULL among them. Those that come from
 * one of these and were applied are applied again.
 */
export async function readUncheckedChecks(
  session: PostgresSession,
  tables: readonly LiveTable[],
): Promise<readonly Removal[]> {
  const loaded = new Set(tables.map(({ oid }) => oid));
  const rows = await session.query(
    `SELECT k.conrelid::text AS table, format('ALTER %s DROP CONSTRAINT %I', o.name, k.conname) AS remove,
       format('ALTER %s ADD CONSTRAINT %I %s', o.name, k.conname, pg_get_constraintdef(k.oid))
         || coalesce(format('; COMMENT ON CONSTRAINT %I ON %s IS %L', k.conname, o.commented, obj_description(k.oid, 'pg_constraint')), '')
         || coalesce((WITH RECURSIVE below AS (SELECT inhrelid FROM pg_inherits WHERE inhparent = k.conrelid
              UNION SELECT i.inhrelid FROM below b JOIN pg_inherits i ON i.inhparent = b.inhrelid)
            SELECT string_agg(format('; ALTER TABLE %s VALIDATE CONSTRAINT %I', v.conrelid::regclass, v.conname), '') FROM below
              JOIN pg_constraint v ON v.conrelid = below.inhrelid AND v.conname = k.conname AND v.contype = k.contype AND v.convalidated), '') AS restore
     FROM pg_constraint k, LATERAL (
       SELECT format('TABLE %I.%I', n.nspname, c.relname) AS name, format('%I.%I', n.nspname, c.relname) AS commented
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = k.conrelid
       UNION ALL SELECT format('DOMAIN %I.%I', n.nspname, t.typname), format('DOMAIN %I.%I', n.nspname, t.typname)
         FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid = k.contypid) o
     WHERE k.contype IN ('c', 'n') AND NOT k.convalidated AND k.coninhcount = 0 ORDER BY k.oid`,
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
export async function readTriggers(
  session: PostgresSession,
  tables: readonly LiveTable[],
): Promise<readonly Removal[]> {
  const byOid = new Map(tables.map((table) => [table.oid, qualifiedPostgres(table)]));
  const rows = await session.query(
    `SELECT tgrelid::text AS table, tgname AS name, tgenabled::text AS enabled FROM pg_trigger g
     WHERE NOT ${ENFORCES_KEY('g')} AND (tgenabled <> 'D' OR tgparentid <> 0) AND tgtype & 4 <> 0
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
