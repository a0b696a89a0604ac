import { literalPostgres } from '../../sql/identifiers.ts';
import type { PostgresSession } from '../../sql/postgres-session.ts';
import { PROGRESS_SCHEMA } from './postgres-catalog.ts';
import {
  type Cycles,
  type LiveTable,
  type Removal,
  readTriggers,
  readUncheckedChecks,
} from './postgres-target-live.ts';
import { BASE_COST, type TargetTask } from './postgres-target-task.ts';
import { RestorePhase } from './restore-target.ts';

/** A statement that puts something back, by its number in the journal. */
export interface JournalEntry {
  readonly id: string;
  readonly statement: string;
}

/**
 * Statements that take away what rows must not meet when they are loaded into tables that have been in use: the keys given by their ids,
 * keys and checks that were never checked (NOT VALID), which old rows may break, and triggers that would fire. What puts each of them back
 * goes into the journal with it, after what is there, so a crash at any time leaves either tables as they were, or the means to repair them.
 */
export async function takeAway(
  session: PostgresSession,
  tables: readonly LiveTable[],
  { keys, unchecked }: Pick<Cycles, 'keys' | 'unchecked'>,
  ids: Iterable<string>,
): Promise<string> {
  const removals: readonly Removal[] = [
    ...[...new Set([...unchecked, ...ids])].flatMap((id) => keys.get(id) ?? []),
    ...(await readUncheckedChecks(session, tables)),
    ...(await readTriggers(session, tables)),
  ];
  const journal = `${PROGRESS_SCHEMA}.journal`;
  return removals
    .map(
      ({ remove, restore }) =>
        `${remove};\nINSERT INTO ${journal} SELECT coalesce(max(id) + 1, 0), ${literalPostgres(restore)} FROM ${journal};`,
    )
    .join('\n');
}

/** What puts back what was taken away, in order. */
export async function readJournal(session: PostgresSession): Promise<readonly JournalEntry[]> {
  const rows = await session.query(
    `SELECT id::text AS id, statement FROM ${PROGRESS_SCHEMA}.journal ORDER BY journal.id`,
  );
  return rows.map(({ id, statement }) => ({ id: id ?? '', statement: statement ?? '' }));
}

/** The tasks that put everything back, one after the other, the first after `loads`. */
export function putBack(entries: readonly JournalEntry[], loads: readonly string[]): readonly TargetTask[] {
  return entries.map(({ id, statement }, index) => ({
    ...{ id: `journal:${id}`, phase: RestorePhase.CHECK, cost: BASE_COST, shared: [], exclusive: [] },
    work: { kind: 'statements', what: 'put back what was taken away', statements: [statement] },
    dependsOn: index === 0 ? loads : [`journal:${entries[index - 1]?.id}`],
  }));
}
