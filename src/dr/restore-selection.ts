import { HoldfastError } from '../errors.ts';
import type { Manifest } from './archive/manifest.ts';
import { objectsOf } from './dialect/postgres-objects.ts';
import { tableGraph } from './graph/table-graph.ts';

/**
 * The part of a backup that the named tables need: themselves, the tables their keys refer to, and every object that these depend
 * on. A name is `schema.table`, or `table` alone where only one schema has it; that of a partitioned table stands for its partitions.
 * @throws DR_NOT_FOUND for a name that the backup does not hold, CONFIG_INVALID for one that several schemas have
 */
export function selectTables(manifest: Manifest, names: readonly string[]): Manifest {
  const chosen = neededBy(
    names.map((name) => findTable(manifest, name)),
    manifest,
  );
  const tables = manifest.tables.filter(({ id }) => chosen.has(id));
  const objects = objectsOf(manifest.objects, chosen);
  const kept = new Set(
    objects.filter(({ kind }) => kind === 'SEQUENCE').map(({ schema, name }) => JSON.stringify([schema, name])),
  );
  return {
    ...manifest,
    tables,
    objects,
    sequences: manifest.sequences.filter(({ schema, name }) => kept.has(JSON.stringify([schema, name]))),
    graph: tableGraph(
      tables.map(({ id }) => id),
      manifest.graph.keys,
    ),
  };
}

function findTable({ tables, id: backup }: Manifest, wanted: string): number {
  const found = tables.filter(({ schema, name }) => wanted === name || wanted === `${schema}.${name}`);
  const [table] = found;
  if (table === undefined) throw new HoldfastError('DR_NOT_FOUND', `Backup ${backup} holds no table ${wanted}.`);
  if (found.length === 1) return table.id;
  throw new HoldfastError('CONFIG_INVALID', `Several schemas have a table ${wanted}: write schema.table.`);
}

/** The tables, their partitions, those that their keys refer to, and those that they are attached to or inherit from. */
function neededBy(wanted: readonly number[], { objects, graph, tables }: Manifest): ReadonlySet<number> {
  const tableOf = new Map(objects.map((object) => [object.id, object.kind === 'TABLE' ? object.table : null]));
  const above: { readonly child: number; readonly parent: number; readonly isPartition: boolean }[] = [];
  for (const { kind, table: child, dependsOn } of objects) {
    if (child === null || (kind !== 'TABLE' && kind !== 'TABLE ATTACH')) continue;
    for (const parent of dependsOn.flatMap((id) => tableOf.get(id) ?? [])) {
      if (parent !== child) above.push({ child, parent, isPartition: kind === 'TABLE ATTACH' });
    }
  }
  const scattered = new Set(tables.flatMap((table) => (table.scattered ? [table.id] : [])));
  // A table that is only needed because a partition is attached to it does not need its other partitions.
  const withRows = new Set(wanted);
  const needed = new Set<number>();
  const addKeys = (table: number): void => {
    for (const { child, parent } of graph.keys) if (child === table) withRows.add(parent);
  };
  // Sets that grow while they are walked are walked to their end.
  for (let size = -1; size < needed.size + withRows.size; ) {
    size = needed.size + withRows.size;
    for (const table of withRows) {
      needed.add(table);
      addKeys(table);
      for (const { child, parent, isPartition } of above) if (isPartition && parent === table) withRows.add(child);
    }
    for (const table of needed) {
      addKeys(table);
      for (const { child, parent } of above) {
        if (child !== table) continue;
        needed.add(parent);
        // Its rows cannot be told apart by the partitions they are in.
        if (scattered.has(parent)) withRows.add(parent);
      }
    }
  }
  return needed;
}
