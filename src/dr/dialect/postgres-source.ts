import { HoldfastError } from '../../errors.ts';
import type { SqlConnections } from '../../sql/connect.ts';
import { PostgresSession, sqlState } from '../../sql/postgres-session.ts';
import { Dialect } from '../archive/manifest.ts';
import { tableGraph } from '../graph/table-graph.ts';
import type { BackupSource, SourceCheck, SourceFacts, SourceOptions } from './backup-source.ts';
import { type PostgresCatalog, type PostgresHolders, readHolders } from './postgres-catalog.ts';
import { isLostConnection, targetError } from './postgres-errors.ts';
import { largeObjects, objectsOf, refreshObjects, schemaObjects } from './postgres-objects.ts';
import { choosePgDump, type PgDump } from './postgres-pg-dump.ts';
import { readByCatalog, readByPgDump, type SourceSchema } from './postgres-schema.ts';
import { type PostgresSnapshot, takeSnapshot } from './postgres-snapshot.ts';
import { planRows, type SourcePlan, tablesNamed } from './postgres-source-plan.ts';
import { prepareSuffixes, resolveSuffixes } from './postgres-subset.ts';
import { assertClosure, readerOf } from './source-reader.ts';

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
  // All sessions connect at once; whoever needs this one sees its error.
  const opening = openPlanner(sql, options);
  opening.catch(() => {});
  let schema: Promise<SourceSchema>;
  let plan: Promise<SourcePlan>;
  try {
    const snapshot = await takeSnapshot(sql, {
      workers: options.workers,
      signal: options.signal,
      check: async (catalog) => {
        options.onPhase('locking');
        assertReadable(catalog);
        const { session } = await opening;
        await prepareSuffixes(session, resolveSuffixes(catalog, options.suffixes));
      },
      alongside: (snapshot) => {
        const { name, signal } = snapshot;
        plan = planRows(snapshot, options);
        schema = opening.then(async ({ server, choosing }) => {
          const tool = await choosing;
          if (tool !== null) return readByPgDump(tool, sql, { name, signal, encoding: server.encoding });
          await plan;
          return readByCatalog(snapshot.coordinator, options);
        });
        return [plan, schema];
      },
    });
    try {
      return await sourceOf(snapshot, await plan!, await schema!, (await opening).server, options);
    } catch (error) {
      await snapshot[Symbol.asyncDispose]();
      throw error;
    }
  } finally {
    await opening.then(
      ({ session }) => session.release(),
      () => {},
    );
  }
}

/** The session that takes part in no snapshot, and what is known by it. */
interface Planner {
  readonly session: PostgresSession;
  readonly server: ServerFacts;
  /** Looked for while sessions are opened and tables locked. */
  readonly choosing: Promise<PgDump | null>;
}

async function openPlanner(sql: SqlConnections, options: SourceOptions): Promise<Planner> {
  const session = await PostgresSession.open(sql);
  const choosing = choosePgDump(session.version, options.schemaExporter ?? 'auto', options.signal);
  choosing.catch(() => {});
  try {
    return { session, server: await readServer(session), choosing };
  } catch (error) {
    await session.release();
    throw error;
  }
}

interface ServerFacts {
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

function sourceOf(
  snapshot: PostgresSnapshot,
  plan: SourcePlan,
  schema: SourceSchema,
  server: ServerFacts,
  options: SourceOptions,
): BackupSource {
  const { catalog } = snapshot;
  const { ids, chosen, keys, largeObjects: withLargeObjects } = plan;
  const nameOf = new Map(catalog.tables.map(({ oid, name }) => [ids.get(oid)!, name]));
  const all = schemaObjects(schema.entries, {
    tableOf: (object) => ids.get(plan.tableOf.get(object) ?? 0) ?? null,
    tableName: (table) => nameOf.get(table)!,
  });
  const objects =
    options.tables === null
      ? [...all, ...refreshObjects(catalog.views, all), ...(withLargeObjects ? largeObjects(catalog.largeObjects) : [])]
      : objectsOf(all, chosen);
  // With chosen tables, what an extension made is left as it makes it, unless it is one of them.
  const configuring = options.tables === null ? catalog.sequences.filter(({ configures }) => configures) : [];
  const named = new Set(
    [...objects.filter(({ kind }) => kind === 'SEQUENCE'), ...configuring].map(({ schema, name }) =>
      JSON.stringify([schema, name]),
    ),
  );
  const rootOf = new Map(catalog.tables.map(({ oid, root }) => [ids.get(oid)!, ids.get(root) ?? ids.get(oid)!]));
  const facts: SourceFacts = {
    dialect: Dialect.POSTGRES,
    server: {
      version: server.versionText,
      identity: server.identity,
      database: server.database,
      encoding: server.encoding,
    },
    position: plan.position,
    consistency: { grade: 'A', notes: [...schema.notes, ...notesOf(catalog, withLargeObjects)] },
    graph: tableGraph(
      plan.tables.map(({ id }) => id),
      keys,
      (table) => rootOf.get(table) ?? table,
    ),
    objects,
    sequences: plan.sequences.filter(({ schema, name }) => named.has(JSON.stringify([schema, name]))),
    unsupported: schema.unsupported,
  };
  return {
    facts,
    tables: plan.tables,
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

/** What the server said, as an error of ours; other errors as they are. */
function sourceError(operation: string, error: unknown): unknown {
  return sqlState(error) !== '' || isLostConnection(error) ? targetError(operation, error) : error;
}
