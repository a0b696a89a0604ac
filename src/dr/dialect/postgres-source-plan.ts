import { qualifiedPostgres } from '../../sql/identifiers.ts';
import type { PostgresSession } from '../../sql/postgres-session.ts';
import type { SequenceValue } from '../archive/manifest.ts';
import { ancestors, type ForeignKey } from '../graph/table-graph.ts';
import { chunkBytes } from '../plan/page-ranges.ts';
import type { SourceOptions, SourceTable } from './backup-source.ts';
import { type HeldTable, type PostgresCatalog, type PostgresHolders, readTableOfObjects } from './postgres-catalog.ts';
import { columnsOf, holders, largeObjectRows, planChunks } from './postgres-chunks.ts';
import { chooseFormats } from './postgres-format.ts';
import type { BegunSnapshot } from './postgres-snapshot.ts';
import { findSubset, resolveSuffixes, type Subset } from './postgres-subset.ts';
import { noSuchTable } from './source-reader.ts';

/** Sequences asked for in one statement. */
const SEQUENCES_AT_ONCE = 200;

/** What is read of a database, as far as it can be told without its schema. */
export interface SourcePlan {
  /** The id in the archive of each table of the database, by oid. */
  readonly ids: ReadonlyMap<number, number>;
  /** Ids of the tables that are kept. */
  readonly chosen: ReadonlySet<number>;
  readonly keys: readonly ForeignKey[];
  readonly tables: readonly SourceTable[];
  /** Whether the large objects are kept. */
  readonly largeObjects: boolean;
  /** See {@link readTableOfObjects}. */
  readonly tableOf: ReadonlyMap<string, number>;
  /** Of every sequence. */
  readonly sequences: readonly SequenceValue[];
  readonly position: Readonly<Record<string, string>>;
}

/** Plans what is read of the rows, in the coordinator's session. @throws VALIDATION_FAILED for a table or suffix that cannot be */
export async function planRows(snapshot: BegunSnapshot, options: SourceOptions): Promise<SourcePlan> {
  const { coordinator } = snapshot;
  const catalog = await snapshot.catalog;
  options.onPhase('planning');
  const ids = new Map(catalog.tables.map(({ oid }, index) => [oid, index + 1]));
  const keys = catalog.keys
    .filter(({ child, parent }) => ids.has(child) && ids.has(parent))
    .map(
      ({ operators: _, ...key }): ForeignKey => ({ ...key, child: ids.get(key.child)!, parent: ids.get(key.parent)! }),
    );
  const chosen = chooseTables(catalog, ids, keys, options.tables);
  const tables = catalog.tables.filter(({ oid }) => chosen.has(ids.get(oid)!));
  // Rows point to large objects by plain numbers: of a subset nobody can tell which ones belong to it.
  const largeObjects = options.tables === null && !options.closure && catalog.largeObjects.length > 0;

  const selections = resolveSuffixes(catalog, options.suffixes);
  if (selections.length > 0) options.onPhase('selecting rows');
  const subset: Subset =
    selections.length === 0 ? new Map() : await findSubset(coordinator, catalog, selections, options.closure);
  const suffixOf = new Map(selections.map(({ table, suffix }) => [table.oid, suffix]));

  const target = chunkBytes(
    tables.reduce((sum, { bytes }) => sum + bytes, 0),
    options.workers,
  );
  const formats = await chooseFormats(coordinator, tables, options);
  const planned = tables.map((table): SourceTable => {
    const format = formats.get(table)!;
    return {
      id: ids.get(table.oid)!,
      schema: table.schema,
      name: table.name,
      columns: columnsOf(table),
      format,
      suffix: suffixOf.get(table.oid) ?? (subset.has(table.oid) ? 'closure' : null),
      engine: null,
      ...(table.scattered ? { scattered: true as const } : {}),
      chunks: holders(table, catalog.tables).flatMap((holder) =>
        planChunks(holder, { format, target, version: coordinator.version, rows: subset.get(holder.oid) }),
      ),
    };
  });
  if (largeObjects) planned.push(await largeObjectRows(coordinator, catalog.tables.length + 1));
  return {
    ...{ ids, chosen, keys, largeObjects, tables: planned },
    tableOf: await readTableOfObjects(coordinator),
    sequences: await readSequences(coordinator, catalog.sequences),
    position: await readPosition(snapshot),
  };
}

/** The tables asked for, with their partitions and those whose partitions they are, and every table they refer to. */
function chooseTables(
  catalog: PostgresCatalog,
  ids: ReadonlyMap<number, number>,
  keys: readonly ForeignKey[],
  names: readonly string[] | null,
): ReadonlySet<number> {
  if (names === null) return new Set(ids.values());
  const roots = new Set<number>();
  for (const name of names) for (const { root } of tablesNamed(catalog, name)) roots.add(root);
  const family = (of: ReadonlySet<number>): number[] =>
    catalog.tables.filter(({ root }) => of.has(root)).map(({ oid }) => ids.get(oid)!);
  const rootOf = new Map(catalog.tables.map(({ oid, root }) => [ids.get(oid)!, root]));
  for (;;) {
    const reached = ancestors(family(roots), keys);
    const before = roots.size;
    for (const id of reached) roots.add(rootOf.get(id)!);
    if (roots.size === before) return new Set(family(roots));
  }
}

/** The tables that `name` or `schema.name` means. @throws VALIDATION_FAILED for none */
export function tablesNamed(catalog: PostgresHolders, name: string): readonly HeldTable[] {
  const found = catalog.tables.filter((table) => table.name === name || `${table.schema}.${table.name}` === name);
  if (found.length > 0) return found;
  throw noSuchTable(name);
}

/** Values of sequences are in no snapshot: they are at least those of its moment, and so give no number twice. */
async function readSequences(
  session: PostgresSession,
  sequences: PostgresCatalog['sequences'],
): Promise<SequenceValue[]> {
  const values: SequenceValue[] = [];
  for (let from = 0; from < sequences.length; from += SEQUENCES_AT_ONCE) {
    const part = sequences.slice(from, from + SEQUENCES_AT_ONCE);
    const selects = part.map(
      (sequence, index) => `SELECT ${index} AS i, last_value, is_called FROM ${qualifiedPostgres(sequence)}`,
    );
    const rows = await session.query(`${selects.join(' UNION ALL ')} ORDER BY i`);
    rows.forEach(({ last_value, is_called }, index) => {
      const { schema, name } = part[index]!;
      values.push({ schema, name, lastValue: last_value ?? '', isCalled: is_called === 't' });
    });
  }
  return values;
}

async function readPosition({ coordinator, name }: BegunSnapshot): Promise<Record<string, string>> {
  const [row] = await coordinator.query(`
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text AS wal, pg_current_snapshot()::text AS snapshot`);
  return { wal: row?.wal ?? '', snapshot: row?.snapshot ?? '', exported: name };
}
