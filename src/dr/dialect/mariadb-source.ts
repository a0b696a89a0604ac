import { HoldfastError } from '../../errors.ts';
import type { SqlConnections } from '../../sql/connect.ts';
import { MysqlSession } from '../../sql/mysql-session.ts';
import type { ConsistencyGrade, SchemaObject, SequenceValue } from '../archive/manifest.ts';
import { ancestors, type ForeignKey, tableGraph } from '../graph/table-graph.ts';
import { chunkBytes } from '../plan/page-ranges.ts';
import type { BackupSource, SourceCheck, SourceFacts, SourceOptions, SourceTable } from './backup-source.ts';
import { type MariadbCatalog, type MariadbTable, readMariadbCatalog } from './mariadb-catalog.ts';
import { chunkOf, manifestColumn, planMariadbChunks } from './mariadb-chunks.ts';
import { mariadbError } from './mariadb-errors.ts';
import { type Flavour, readFlavour } from './mariadb-flavour.ts';
import { readMariadbObjects } from './mariadb-objects.ts';
import { BACKUP_NEEDS, missingRights } from './mariadb-rights.ts';
import { readSequence } from './mariadb-sequences.ts';
import { type MariadbSnapshot, takeMariadbSnapshot } from './mariadb-snapshot.ts';
import {
  closeSubset,
  type MariadbSubset,
  prepareMariadbSuffixes,
  resolveMariadbSuffixes,
  selectSubset,
} from './mariadb-subset.ts';
import { objectsOf } from './postgres-objects.ts';
import { assertClosure, noSuchTable, readerOf } from './source-reader.ts';

/** Engines that keep the rows they show. Others show rows of other tables or servers. */
const OWN_ROWS = new Set(['innodb', 'myisam', 'aria', 'memory', 'csv', 'archive', 'blackhole', 'rocksdb', 'tokudb']);

/** Holds a MariaDB or MySQL database still and plans what is read of it. @throws what `backup` names */
export async function openMariadbSource(sql: SqlConnections, options: SourceOptions): Promise<BackupSource> {
  try {
    return await openSource(sql, options);
  } catch (error) {
    throw mariadbError(`prepare the backup of ${sql.location}`, error);
  }
}

/** Checks in a moment that a backup can begin: no lock is taken and nothing planned. @throws as {@link openMariadbSource} */
export async function checkMariadbSource(sql: SqlConnections, options: SourceCheck): Promise<void> {
  try {
    assertClosure(options);
    await checkSource(sql, options);
  } catch (error) {
    throw mariadbError(`check ${sql.location}`, error);
  }
}

async function openSource(sql: SqlConnections, options: SourceOptions): Promise<BackupSource> {
  assertClosure(options);
  options.onPhase('connecting');
  const flavour = await checkSource(sql, options);
  options.onPhase('locking');
  const snapshot = await takeMariadbSnapshot(sql, flavour, options);
  try {
    options.onPhase('planning');
    return await planSource(snapshot, flavour, options);
  } catch (error) {
    await snapshot[Symbol.asyncDispose]();
    options.signal.throwIfAborted();
    throw error;
  }
}

/** What can be refused before anything is locked. */
async function checkSource(sql: SqlConnections, options: SourceCheck): Promise<Flavour> {
  await using session = await MysqlSession.open(sql);
  const flavour = await readFlavour(session);
  const grants = (await session.query('SHOW GRANTS')).flatMap((row) => Object.values(row)[0] ?? []);
  const missing = missingRights(grants, flavour.database, BACKUP_NEEDS);
  if (missing.length > 0) {
    throw new HoldfastError(
      'DR_PRIVILEGE_MISSING',
      `The user has no ${missing.join(', ')} on ${flavour.database}.*: what it may not see would be left out without a word.`,
      { details: { rights: missing } },
    );
  }
  const catalog = await readMariadbCatalog(session);
  chooseTables(catalog.tables, keysOf(catalog, flavour.database), options.tables);
  await prepareMariadbSuffixes(session, resolveMariadbSuffixes(catalog, flavour.database, options.suffixes));
  return flavour;
}

async function planSource(snapshot: MariadbSnapshot, flavour: Flavour, options: SourceOptions): Promise<BackupSource> {
  const { coordinator } = snapshot;
  const now = await readMariadbCatalog(coordinator);
  const whole = { ...now, tables: now.tables.filter(({ name }) => snapshot.tables.has(name)) };
  const { unsupported, tables: readable } = refuseUnsupported(whole, flavour, options.allowUnsupported);
  const catalog = { ...whole, tables: readable };
  const keys = keysOf(catalog, flavour.database);
  const chosen = chooseTables(readable, keys, options.tables);
  const tables = readable.filter(({ id }) => chosen.has(id));
  const others = snapshot.workers.filter((session) => session !== coordinator);
  const all = await readMariadbObjects([coordinator, ...others], catalog, flavour);
  const objects = options.tables === null ? all : objectsOf(all, chosen);

  const selections = resolveMariadbSuffixes(catalog, flavour.database, options.suffixes);
  if (selections.length > 0) options.onPhase('selecting rows');
  const select = options.closure ? closeSubset : selectSubset;
  const subset: MariadbSubset =
    selections.length === 0 ? new Map() : await select(coordinator, catalog, selections, flavour.database);
  const suffixOf = new Map(selections.map(({ table, suffix }) => [table.id, suffix]));

  const target = chunkBytes(
    tables.reduce((sum, { bytes }) => sum + bytes, 0),
    options.workers,
  );
  const planned: SourceTable[] = [];
  for (const table of tables) {
    const selected = subset.get(table.id);
    planned.push({
      ...{ id: table.id, schema: '', name: table.name, engine: table.engine, format: 'packets' },
      columns: table.columns.map(manifestColumn),
      suffix: suffixOf.get(table.id) ?? (selected === undefined ? null : 'closure'),
      chunks:
        selected === undefined
          ? await planMariadbChunks(coordinator, table, target)
          : [chunkOf(table, 'selected rows', table.bytes, selected)],
    });
  }
  const facts: SourceFacts = {
    dialect: flavour.dialect,
    server: {
      ...{ version: flavour.versionText, identity: flavour.identity },
      ...{ database: flavour.database, encoding: flavour.encoding },
    },
    position: snapshot.position,
    consistency: consistencyOf(snapshot, whole, tables, flavour),
    graph: tableGraph(
      tables.map(({ id }) => id),
      keys,
    ),
    objects,
    sequences: await readSequences(coordinator, objects),
    unsupported,
  };
  // What a closure selects is known to one session only.
  const sessions = options.closure ? [coordinator] : snapshot.workers;
  for (const session of sessions) await session.set('character_set_results = NULL');
  return {
    ...{ facts, tables: planned, extension: 'rows' },
    readers: sessions.map((session) => readerOf(session, session.readRows.bind(session), mariadbError)),
    [Symbol.asyncDispose]: () => snapshot[Symbol.asyncDispose](),
  };
}

function refuseUnsupported(
  { tables }: MariadbCatalog,
  flavour: Flavour,
  allowed: boolean,
): { readonly unsupported: string[]; readonly tables: readonly MariadbTable[] } {
  const problemOf = ({ engine, versioned, columns }: MariadbTable): string | null => {
    if (!OWN_ROWS.has(engine.toLowerCase())) return `engine ${engine || 'unknown'} keeps no rows of its own`;
    if (!versioned) return null;
    if (!flavour.loadsHistory) return 'its history can be restored from MariaDB 10.11 on only';
    return columns.some(({ type, name }) => /^row_(start|end)$/.test(name) && /^bigint/.test(type))
      ? 'its history is kept by transaction'
      : null;
  };
  const found = tables.map((table) => ({ table, problem: problemOf(table) }));
  const unsupported = found
    .filter(({ problem }) => problem !== null)
    .map(({ table, problem }) => `table ${table.name}: ${problem}`);
  if (unsupported.length > 0 && !allowed) {
    throw new HoldfastError('DR_UNSUPPORTED_OBJECT', `The backup cannot hold ${unsupported.join('; ')}.`, {
      details: { objects: unsupported },
    });
  }
  return { unsupported, tables: found.filter(({ problem }) => problem === null).map(({ table }) => table) };
}

function keysOf({ tables, keys }: MariadbCatalog, database: string): ForeignKey[] {
  const ids = new Map(tables.map(({ name, id }) => [name, id]));
  return keys.flatMap(({ parentSchema, child, parent, ...key }) => {
    const [from, to] = [ids.get(child), ids.get(parent)];
    return parentSchema !== database || from === undefined || to === undefined
      ? []
      : [{ ...key, child: from, parent: to }];
  });
}

/** The tables asked for and every table they refer to. @throws VALIDATION_FAILED for a name that is none */
function chooseTables(
  tables: readonly MariadbTable[],
  keys: readonly ForeignKey[],
  names: readonly string[] | null,
): ReadonlySet<number> {
  if (names === null) return new Set(tables.map(({ id }) => id));
  const roots = names.map((name) => {
    const found = tables.find((table) => table.name === name);
    if (found !== undefined) return found.id;
    throw noSuchTable(name);
  });
  return ancestors(roots, keys);
}

function consistencyOf(
  { isWhole }: MariadbSnapshot,
  { keys }: MariadbCatalog,
  tables: readonly MariadbTable[],
  flavour: Flavour,
): SourceFacts['consistency'] {
  const notes: string[] = [];
  const loose = tables.filter(({ transactional }) => !transactional).map(({ name, engine }) => `${name} (${engine})`);
  if (!isWhole) {
    notes.push('without the right RELOAD one session read all tables; a table may have been altered while it began');
  }
  if (loose.length > 0)
    notes.push(`tables that take no part in transactions were read as they were then: ${loose.join(', ')}`);
  for (const { name, child, parentSchema, parent } of keys.filter((key) => key.parentSchema !== flavour.database)) {
    notes.push(`key ${name} of ${child} refers to ${parentSchema}.${parent}, which is not in the backup`);
  }
  const grade: ConsistencyGrade = !isWhole ? 'C' : loose.length > 0 ? 'B' : 'A';
  return { grade, notes };
}

/** Values of sequences are in no snapshot: they are at least those of its moment, and so give no number twice. */
async function readSequences(session: MysqlSession, objects: readonly SchemaObject[]): Promise<SequenceValue[]> {
  const values: SequenceValue[] = [];
  for (const { name } of objects.filter(({ kind }) => kind === 'SEQUENCE')) {
    values.push(await readSequence(session, name));
  }
  return values;
}

/** The foreign keys of a database, for its graph. @throws DR_INCOMPATIBLE, DATABASE_UNAVAILABLE */
export async function readMariadbGraph(
  sql: SqlConnections,
): Promise<{ readonly tables: readonly MariadbTable[]; readonly keys: readonly ForeignKey[] }> {
  await using session = await MysqlSession.open(sql);
  try {
    const { database } = await readFlavour(session);
    const catalog = await readMariadbCatalog(session);
    return { tables: catalog.tables, keys: keysOf(catalog, database) };
  } catch (error) {
    throw mariadbError(`read the keys of ${sql.location}`, error);
  }
}
