import type { PostgresSession } from '../../sql/postgres-session.ts';
import type { Manifest, ManifestTable } from '../archive/manifest.ts';
import { PROGRESS_SCHEMA } from './postgres-catalog.ts';
import { findRows } from './postgres-target-compare.ts';
import { putBack, readJournal, takeAway } from './postgres-target-journal.ts';
import { liveTables, nameOf, readCycles } from './postgres-target-live.ts';
import type { TargetTask } from './postgres-target-task.ts';
import { RestorePhase } from './restore-target.ts';

/*
 * A crash of the server empties unlogged tables and sets unlogged sequences back, whatever was committed. What it took is loaded again:
 * by a restore that goes on, and by one that finds a target in which nothing else is missing.
 */

/** The manifest of a database that was restored whole before its server crashed: emptied tables have no rows, and sequences set back do not count. */
export async function afterCrash(session: PostgresSession, manifest: Manifest): Promise<Manifest> {
  const emptied = new Set(await findEmptied(session, manifest));
  const unlogged = await session.query(
    `SELECT s.schemaname AS schema, s.sequencename AS name FROM pg_sequences s
     JOIN pg_class c ON c.oid = format('%I.%I', s.schemaname, s.sequencename)::regclass
     WHERE c.relpersistence = 'u' AND s.last_value IS NULL`,
  );
  const setBack = new Set(unlogged.map(nameOf));
  return {
    ...manifest,
    tables: manifest.tables.map((table) => (emptied.has(table) ? { ...table, rows: 0 } : table)),
    sequences: manifest.sequences.filter((sequence) => !setBack.has(nameOf(sequence))),
  };
}

/**
 * Takes the marks away from what was lost in a crash, so that it is done again, and what would keep rows from being loaded in any order:
 * keys between these tables, triggers. The journal puts it back. Nobody else may work in the target meanwhile.
 * @returns the marks that are left
 */
export async function forgetLost(
  session: PostgresSession,
  manifest: Manifest,
  done: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const emptied = await findEmptied(session, manifest);
  const lost = new Set(emptied.map(({ id }) => id).filter((id) => [...done].some((task) => isLoadOf(task, id))));
  const tables = (await liveTables(session, manifest)).filter(({ id }) => lost.has(id));
  const cycles = await readCycles(session, tables);
  const between = [...cycles.keysOf.values()].flat().map(({ id }) => id);
  const taken = lost.size === 0 ? '' : await takeAway(session, tables, cycles, between);
  const isForgotten = (task: string): boolean =>
    // To set sequences once more does no harm. What was put back is taken away again.
    task === 'sequences' ||
    (lost.size > 0 && task.startsWith('journal:')) ||
    [...lost].some((id) => isLoadOf(task, id));
  const forgotten = [JSON.stringify([...done].filter(isForgotten))];
  const list = 'SELECT json_array_elements_text($1::json)';
  await session.query('BEGIN');
  await session.query(`DELETE FROM ${PROGRESS_SCHEMA}.journal WHERE 'journal:' || id IN (${list})`, forgotten);
  await session.query(`DELETE FROM ${PROGRESS_SCHEMA}.done WHERE task IN (${list})`, forgotten);
  await session.query(`${taken}\nCOMMIT`);
  return new Set([...done].filter((task) => !isForgotten(task)));
}

/**
 * The tasks of a restore into an empty database, for one that goes on: unlogged tables are not emptied before they are loaded, for a key may
 * refer to them by now; and what {@link forgetLost} took away is put back behind them, before keys are checked and everything is finished.
 */
export async function withUnlogged(
  session: PostgresSession,
  manifest: Manifest,
  tasks: readonly TargetTask[],
): Promise<readonly TargetTask[]> {
  const unlogged = new Set((await findUnlogged(session, manifest)).map(({ id }) => id));
  const loads = tasks.filter(
    ({ work }) => work.kind === 'rows' && work.loads.some(({ table }) => unlogged.has(table.id)),
  );
  const journal = putBack(
    await readJournal(session),
    loads.map(({ id }) => id),
  );
  const last = journal.slice(-1).map(({ id }) => id);
  const isAfter = ({ phase }: TargetTask): boolean => phase === RestorePhase.CHECK || phase === RestorePhase.FINISH;
  const inPieces = new Set(loads);
  return [
    ...tasks.map((task) => {
      if (inPieces.has(task)) return loadedInPieces(task);
      return isAfter(task) ? { ...task, dependsOn: [...task.dependsOn, ...last] } : task;
    }),
    ...journal,
  ];
}

function loadedInPieces(task: TargetTask): TargetTask {
  const { work } = task;
  if (work.kind !== 'rows') return task;
  return { ...task, work: { ...work, loads: work.loads.map((load) => ({ ...load, whole: false })) } };
}

/** Unlogged tables that have rows in the backup and none here. */
async function findEmptied(session: PostgresSession, manifest: Manifest): Promise<readonly ManifestTable[]> {
  const unlogged = (await findUnlogged(session, manifest)).filter(({ rows }) => rows > 0);
  const filled = new Set(await findRows(session, { tables: unlogged }));
  return unlogged.filter((table) => !filled.has(nameOf(table)));
}

async function findUnlogged(session: PostgresSession, { tables }: Manifest): Promise<readonly ManifestTable[]> {
  const unlogged = await session.query(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND c.relpersistence = 'u'`,
  );
  const names = new Set(unlogged.map(nameOf));
  return tables.filter((table) => names.has(nameOf(table)));
}

/** `rows:7:0`, or `cycle:5,7`: the tables of a cycle with an unlogged one are all unlogged. */
function isLoadOf(task: string, table: number): boolean {
  const [kind, ids = ''] = task.split(':');
  return (kind === 'rows' || kind === 'cycle') && ids.split(',').includes(`${table}`);
}
