import { HoldfastError } from '../errors.ts';
import type { Manifest, SchemaObject } from './archive/manifest.ts';
import { objectsOf } from './dialect/postgres-objects.ts';
import { ancestors, tableGraph } from './graph/table-graph.ts';

/**
 * The part of a backup that the named tables need: themselves, the tables their keys refer to, and every object that these depend
 * on. A name is `schema.table`, or `table` alone where only one schema has it; that of a partitioned table stands for its partitions.
 * @throws DR_NOT_FOUND for a name that the backup does not hold, CONFIG_INVALID for one that several schemas have
 */
export function selectTables(manifest: Manifest, names: readonly string[]): Manifest {
  const chosen = ancestors(
    names.flatMap((name) => findTable(manifest, name)),
    manifest.graph.keys,
  );
  const tables = manifest.tables.filter(({ id }) => chosen.has(id));
  const objects = objectsOf(manifest.objects, chosen);
  const kept = new Set(
    objects.filter(({ kind }) => kind === 'SEQUENCE').map(({ schema, name }) => `${schema}.${name}`),
  );
  return {
    ...manifest,
    tables,
    objects,
    sequences: manifest.sequences.filter(({ schema, name }) => kept.has(`${schema}.${name}`)),
    graph: tableGraph(
      tables.map(({ id }) => id),
      manifest.graph.keys,
    ),
  };
}

function findTable({ tables, objects, id: backup }: Manifest, wanted: string): number[] {
  const isNamed = ({ schema, name }: { readonly schema: string | null; readonly name: string }): boolean =>
    wanted === name || wanted === `${schema}.${name}`;
  const found = tables.filter(isNamed).map(({ id }) => [id]);
  const partitioned = objects.filter((object) => object.kind === 'TABLE' && object.table === null && isNamed(object));
  found.push(...partitioned.map((object) => partitionsOf(object, objects)).filter((ids) => ids.length > 0));
  if (found.length === 1) return found[0] ?? [];
  if (found.length === 0) throw new HoldfastError('DR_NOT_FOUND', `Backup ${backup} holds no table ${wanted}.`);
  throw new HoldfastError('CONFIG_INVALID', `Several schemas have a table ${wanted}: write schema.table.`);
}

/** Ids of the tables with rows that are attached to a partitioned one, at any depth. */
function partitionsOf(parent: SchemaObject, objects: readonly SchemaObject[]): number[] {
  const byId = new Map(objects.map((object) => [object.id, object]));
  const attached = objects.filter(({ kind, dependsOn }) => kind === 'TABLE ATTACH' && dependsOn[0] === parent.id);
  return attached.flatMap(({ dependsOn }) => {
    const child = byId.get(dependsOn[1] ?? '');
    if (child === undefined) return [];
    return child.table === null ? partitionsOf(child, objects) : [child.table];
  });
}
