import { openSql, type SqlConnections, type SqlSource } from '../sql/connect.ts';
import type { Manifest, ManifestTable, RowFormat, SchemaObject, SequenceValue } from './archive/manifest.ts';
import { addDigests, createRowHasher, NO_ROWS, type RowDigest } from './archive/row-hash.ts';
import {
  type BackupSource,
  exporterOf,
  type SchemaExporter,
  type SourceFacts,
  type SourceTable,
} from './dialect/backup-source.ts';
import { comparableObjects } from './dialect/mariadb-comparable.ts';
import { openSource } from './dialect/open-source.ts';
import { comparableStatements } from './dialect/postgres-comparable.ts';
import { runTasks } from './scheduler/run-tasks.ts';
import { TaskGraph } from './scheduler/task-graph.ts';
import type { ProgressTracker } from './track-progress.ts';

export interface CompareOptions {
  readonly workers: number;
  /** Rows of each table of the backup, by its id. */
  readonly digests: ReadonlyMap<number, RowDigest>;
  /** Differences of these kinds of objects do not count: what a restore could not do and has told. */
  readonly exemptKinds: ReadonlySet<string>;
  /** Knows the tables of the backup already. */
  readonly tracker: ProgressTracker;
  readonly signal: AbortSignal;
}

/**
 * Reads a database in the way a backup does and tells in words what is not as in the backup: tables, rows, objects, sequences. Of
 * objects in a PostgreSQL of another major version the names alone are compared.
 */
export async function compareDatabase(
  database: SqlSource,
  manifest: Manifest,
  options: CompareOptions,
): Promise<string[]> {
  const formats = new Set(manifest.tables.map(({ format }) => format));
  const problems: string[] = [];
  // The same rows in another format have another hash: each table is read in the one that the backup has.
  for (const format of formats.size === 0 ? (['text'] as const) : formats) {
    await using sql = openSql(database, { connections: options.workers + 2, applicationName: 'holdfast drill' });
    await using source = await openComparable(sql, format, exporterOf(manifest), options);
    if (problems.length === 0) problems.push(...factDifferences(manifest, source.facts, options.exemptKinds));
    const found = new Map(source.tables.map((table) => [keyOf(table), table]));
    const expected = manifest.tables.filter((table) => table.format === format);
    for (const table of expected) if (!found.has(keyOf(table))) problems.push(`table ${nameOf(table)} is missing`);
    problems.push(...(await rowDifferences(source, expected, found, options)));
  }
  return problems;
}

function openComparable(
  sql: SqlConnections,
  format: RowFormat,
  schemaExporter: SchemaExporter,
  { workers, signal }: CompareOptions,
): Promise<BackupSource> {
  return openSource(sql, {
    ...{ workers, suffixes: {}, closure: false, tables: null, allowUnsupported: true, signal },
    format: format === 'binary' ? 'binary' : 'text',
    compression: 'none',
    schemaExporter,
    onPhase: () => undefined,
  });
}

/** Of the tables that are there on both sides. */
async function rowDifferences(
  source: BackupSource,
  expected: readonly ManifestTable[],
  found: ReadonlyMap<string, SourceTable>,
  { digests, tracker, signal }: CompareOptions,
): Promise<string[]> {
  const sums = new Map<number, RowDigest>();
  const both = expected.flatMap((table) => {
    const restored = found.get(keyOf(table));
    return restored === undefined ? [] : [{ table, restored }];
  });
  const tasks = both.flatMap(({ table, restored }) => {
    return restored.chunks.map((chunk, index) => ({
      id: `${table.id}/${index}`,
      cost: chunk.bytes,
      dependsOn: [],
      table,
      chunk,
    }));
  });
  const readers = source.readers.map((reader, index) => ({ reader, number: index + 1 }));
  await runTasks(
    new TaskGraph(tasks),
    readers,
    async ({ table, chunk }, { reader, number }, stop) => {
      tracker.start(table.id, number);
      const hasher = createRowHasher(table.format);
      const onRows = (rows: Buffer): undefined => {
        hasher.update(rows);
        tracker.read(table.id, rows.length);
      };
      await reader.read(chunk, onRows, stop);
      sums.set(table.id, addDigests(sums.get(table.id) ?? NO_ROWS, hasher.finish()));
    },
    signal,
  );
  return both.flatMap(({ table }) => {
    const [before, after] = [digests.get(table.id) ?? NO_ROWS, sums.get(table.id) ?? NO_ROWS];
    if (before.rows !== after.rows) return [`table ${nameOf(table)} has ${after.rows} rows instead of ${before.rows}`];
    return before.hash === after.hash ? [] : [`table ${nameOf(table)} has other rows`];
  });
}

function factDifferences(before: SourceFacts, after: SourceFacts, exempt: ReadonlySet<string>): string[] {
  // Every database has the schema `public`; it is among the objects when its owner is not the usual one.
  const counted = ({ kind, name }: SchemaObject): boolean =>
    !exempt.has(kind) && !(kind === 'SCHEMA' && name === 'public');
  const sameMajor = majorOf(before) === majorOf(after);
  const objectsOf = ({ dialect, objects }: SourceFacts): SchemaObject[] =>
    (dialect === 'postgres'
      ? objects.map((object) => ({ ...object, statements: comparableStatements(object, sameMajor) }))
      : comparableObjects(objects)
    ).filter(counted);
  return [
    ...differences(objectsOf(before), objectsOf(after), objectText, objectName),
    ...differences(before.sequences, after.sequences, sequenceText, ({ schema, name }) => `value of ${schema}.${name}`),
  ];
}

function majorOf({ server }: SourceFacts): number {
  return Number.parseInt(server.version, 10);
}

/** What is on one side only, as multisets. */
function differences<T>(
  before: readonly T[],
  after: readonly T[],
  textOf: (item: T) => string,
  label: (item: T) => string,
): string[] {
  const left = Map.groupBy(after, textOf);
  const missing = before.filter((item) => left.get(textOf(item))?.pop() === undefined);
  const added = [...left.values()].flat();
  return [
    ...missing.map((item) => `${label(item)} is missing or differs`),
    ...added.map((item) => `${label(item)} is not as in the backup`),
  ];
}

function objectText({ kind, schema, name, statements }: SchemaObject): string {
  return JSON.stringify([kind, schema, name, statements]);
}

function objectName({ kind, schema, name }: SchemaObject): string {
  return `${kind.toLowerCase()} ${schema === null ? '' : `${schema}.`}${name}`;
}

function sequenceText({ schema, name, lastValue, isCalled, round }: SequenceValue): string {
  return JSON.stringify([schema, name, lastValue, isCalled, round]);
}

/** Names may hold dots. */
function keyOf({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return JSON.stringify([schema, name]);
}

function nameOf({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return schema === '' ? name : `${schema}.${name}`;
}
