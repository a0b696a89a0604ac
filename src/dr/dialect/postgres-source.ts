import { HoldfastError } from '../../errors.ts';
import type { SqlConnections } from '../../sql/connect.ts';
import { qualifiedPostgres } from '../../sql/identifiers.ts';
import { PostgresSession, sqlState } from '../../sql/postgres-session.ts';
import { Dialect, type SequenceValue } from '../archive/manifest.ts';
import { ancestors, type ForeignKey, tableGraph } from '../graph/table-graph.ts';
import { chunkBytes } from '../plan/page-ranges.ts';
import type { BackupSource, SourceCheck, SourceFacts, SourceOptions, SourceTable } from './backup-source.ts';
import {
  type CatalogTable,
  type PostgresCatalog,
  type PostgresHolders,
  readHolders,
  readTableOfObjects,
} from './postgres-catalog.ts';
import { chooseFormat, columnsOf, holders, largeObjectRows, planChunks } from './postgres-chunks.ts';
import { targetError } from './postgres-errors.ts';
import { largeObjects, objectsOf, refreshObjects, schemaObjects } from './postgres-objects.ts';
import { choosePgDump } from './postgres-pg-dump.ts';
import { readByCatalog, readByPgDump, type SourceSchema } from './postgres-schema.ts';
import { type PostgresSnapshot, takeSnapshot } from './postgres-snapshot.ts';
import { findSubset, prepareSuffixes, resolveSuffixes, type Subset } from './postgres-subset.ts';
import { assertClosure, noSuchTable, readerOf } from './source-reader.ts';

/** Sequences asked for in one statement. */
const SEQUENCES_AT_ONCE = 200;

/** Holds a PostgreSQL database still and plans what is read of it. @throws what `backup` names */
export async function openPostgresSource(sql: SqlConnections, options: SourceOptions): Promise<BackupSource> {
  try {
    return await openSource(sql, options);
  } catch (error) {
    throw sourceError(`prepare the backup of ${sql.location}`, error);
  }
}

/** Checks in a moment that a backup can begin: no lock is taken and nothing planned. @throws as {@link openPostgresSource} */
export async function checkPostgresSource(
  sql: SqlConnections,
  { suffixes, closure, tables }: SourceCheck,
): Promise<void> {
  assertClosure({ suffixes, closure });
  try {
    await using session = await PostgresSession.open(sql);
    const catalog = await readHolders(session);
    assertReadable(catalog);
    for (const name of tables ?? []) tablesNamed(catalog, name);
    await prepareSuffixes(session, resolveSuffixes(catalog, suffixes));
  } catch (error) {
    throw sourceError(`check ${sql.location}`, error);
  }
}

async function openSource(sql: SqlConnections, options: SourceOptions): Promise<BackupSource> {
  if (sql.driver !== 'postgres') {
    throw new HoldfastError(
      'DR_INCOMPATIBLE',
      `${sql.location} is of kind ${sql.driver}, which cannot be backed up yet.`,
    );
  }
  assertClosure(options);
  options.onPhase('connecting');
  await using planner = await PostgresSession.open(sql);
  const server = await readServer(planner);
  // Looked for while sessions are opened and tables locked.
  const choosing = choosePgDump(server.version, options.schemaExporter ?? 'auto', options.signal);
  choosing.catch(() => {});
  options.onPhase('locking');
  let schema: SourceSchema = { entries: [], unsupported: [], notes: [] };
  const snapshot = await takeSnapshot(sql, {
    workers: options.workers,
    signal: options.signal,
    check: async (catalog) => {
      assertReadable(catalog);
      await prepareSuffixes(planner, resolveSuffixes(catalog, options.suffixes));
    },
    alongside: async ({ name, session, signal }) => {
      const tool = await choosing;
      schema =
        tool === null
          ? await readByCatalog(session, options)
          : await readByPgDump(tool, sql, { name, signal, encoding: server.encoding });
    },
  });
  try {
    options.onPhase('planning');
    return await planSource(snapshot, schema, server, options);
  } catch (error) {
    await snapshot[Symbol.asyncDispose]();
    throw error;
  }
}

interface ServerFacts {
  readonly version: number;
  readonly versionText: string;
  readonly identity: string;
  readonly database: string;
  readonly encoding: string;
}

async function readServer(session: PostgresSession): Promise<ServerFacts> {
  const [row] = await session.query(
    `SELECT current_setting('server_version') AS version, current_database() AS database`,
  );
  // Not every role may ask for it; the archive then says that it is unknown.
  const identity = await session
    .query('SELECT system_identifier::text AS id FROM pg_control_system()')
    .then(([found]) => found?.id ?? '')
    .catch(() => '');
  return {
    version: session.version,
    versionText: row?.version ?? '',
    identity,
    database: row?.database ?? '',
    encoding: session.encoding,
  };
}

/** Everything must be readable before anything is locked: a table that was left out would be missed at the restore only. */
function assertReadable(catalog: PostgresHolders): void {
  const label = (object: { schema: string; name: string }): string => `"${object.schema}"."${object.name}"`;
  const missing = [...catalog.tables, ...catalog.sequences].filter(({ readable }) => !readable).map(label);
  if (catalog.largeObjects.length > 0 && !catalog.readsLargeObjects) missing.push('pg_catalog.pg_largeobject');
  if (missing.length > 0) {
    throw new HoldfastError(
      'DR_PRIVILEGE_MISSING',
      `The user may not read ${missing.join(', ')}: grant SELECT on them and USAGE on their schemas.`,
      {
        details: { tables: missing },
      },
    );
  }
  const hidden = catalog.tables.filter(({ hidesRows }) => hidesRows).map(label);
  if (hidden.length === 0) return;
  throw new HoldfastError(
    'DR_PRIVILEGE_MISSING',
    `Row security hides rows of ${hidden.join(', ')} from the user: use one with BYPASSRLS.`,
    {
      details: { tables: hidden },
    },
  );
}

async function planSource(
  snapshot: PostgresSnapshot,
  schema: SourceSchema,
  server: ServerFacts,
  options: SourceOptions,
): Promise<BackupSource> {
  const { catalog, coordinator } = snapshot;
  const ids = new Map(catalog.tables.map(({ oid }, index) => [oid, index + 1]));
  const keys = catalog.keys
    .filter(({ child, parent }) => ids.has(child) && ids.has(parent))
    .map(
      ({ operators: _, ...key }): ForeignKey => ({ ...key, child: ids.get(key.child)!, parent: ids.get(key.parent)! }),
    );
  const chosen = chooseTables(catalog, ids, keys, options.tables);
  const tables = catalog.tables.filter(({ oid }) => chosen.has(ids.get(oid)!));
  const rootOf = new Map(catalog.tables.map(({ oid, root }) => [ids.get(oid)!, ids.get(root) ?? ids.get(oid)!]));

  const tableOf = await readTableOfObjects(coordinator);
  const nameOf = new Map(catalog.tables.map(({ oid, name }) => [ids.get(oid)!, name]));
  const all = schemaObjects(schema.entries, {
    tableOf: (object) => ids.get(tableOf.get(object) ?? 0) ?? null,
    tableName: (table) => nameOf.get(table)!,
  });
  // Rows point to large objects by plain numbers: of a subset nobody can tell which ones belong to it.
  const withLargeObjects = options.tables === null && !options.closure && catalog.largeObjects.length > 0;
  const objects =
    options.tables === null
      ? [...all, ...refreshObjects(catalog.views, all), ...(withLargeObjects ? largeObjects(catalog.largeObjects) : [])]
      : objectsOf(all, chosen);
  const named = new Set(
    objects.filter(({ kind }) => kind === 'SEQUENCE').map(({ schema, name }) => JSON.stringify([schema, name])),
  );
  const sequences = catalog.sequences.filter(({ schema, name }) => named.has(JSON.stringify([schema, name])));

  const selections = resolveSuffixes(catalog, options.suffixes);
  if (selections.length > 0) options.onPhase('selecting rows');
  const subset: Subset =
    selections.length === 0 ? new Map() : await findSubset(coordinator, catalog, selections, options.closure);
  const suffixOf = new Map(selections.map(({ table, suffix }) => [table.oid, suffix]));

  const target = chunkBytes(
    tables.reduce((sum, { bytes }) => sum + bytes, 0),
    options.workers,
  );
  const planned: SourceTable[] = [];
  for (const table of tables) {
    const format = await chooseFormat(coordinator, table, options.format);
    planned.push({
      id: ids.get(table.oid)!,
      schema: table.schema,
      name: table.name,
      columns: columnsOf(table),
      format,
      suffix: suffixOf.get(table.oid) ?? (subset.has(table.oid) ? 'closure' : null),
      engine: null,
      ...(table.scattered ? { scattered: true as const } : {}),
      chunks: holders(table, catalog.tables).flatMap((holder) =>
        planChunks(holder, { format, target, version: server.version, rows: subset.get(holder.oid) }),
      ),
    });
  }
  if (withLargeObjects) planned.push(await largeObjectRows(coordinator, catalog.tables.length + 1));

  const facts: SourceFacts = {
    dialect: Dialect.POSTGRES,
    server: {
      version: server.versionText,
      identity: server.identity,
      database: server.database,
      encoding: server.encoding,
    },
    position: await readPosition(snapshot),
    consistency: { grade: 'A', notes: [...schema.notes, ...notesOf(catalog, withLargeObjects)] },
    graph: tableGraph(
      planned.map(({ id }) => id),
      keys,
      (table) => rootOf.get(table) ?? table,
    ),
    objects,
    sequences: await readSequences(coordinator, sequences),
    unsupported: schema.unsupported,
  };
  return {
    facts,
    tables: planned,
    readers: snapshot.workers.map((session) => readerOf(session, session.copyOut.bind(session), sourceError)),
    extension: 'copy',
    [Symbol.asyncDispose]: () => snapshot[Symbol.asyncDispose](),
  };
}

function notesOf(catalog: PostgresCatalog, withLargeObjects: boolean): string[] {
  return catalog.largeObjects.length > 0 && !withLargeObjects
    ? [`${catalog.largeObjects.length} large objects are left out: they belong to no table`]
    : [];
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
export function tablesNamed(catalog: PostgresHolders, name: string): readonly CatalogTable[] {
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

async function readPosition(snapshot: PostgresSnapshot): Promise<Record<string, string>> {
  const [row] = await snapshot.coordinator.query(`
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text AS wal, pg_current_snapshot()::text AS snapshot`);
  return { wal: row?.wal ?? '', snapshot: row?.snapshot ?? '', exported: snapshot.name };
}

/** What the server said, as an error of ours; other errors as they are. */
function sourceError(operation: string, error: unknown): unknown {
  const fromServer =
    sqlState(error) !== '' || /^Connection terminated/.test(error instanceof Error ? error.message : '');
  return fromServer ? targetError(operation, error) : error;
}
