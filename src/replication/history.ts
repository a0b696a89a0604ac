import { chainAt } from '../changelog/chain-at.ts';
import type { ChangeLog } from '../changelog/change-log.ts';
import type { Position } from '../model/position.ts';
import { CHAIN_PREFIX_DIGITS, type Cursor } from '../protocol/cursor.ts';
import type { HelloStatus } from '../protocol/sync-source.ts';

/** The epoch that `sequence` belongs to; the first one for 0, before any change. */
export function epochAt(log: ChangeLog, sequence: number): number {
  const epochs = log.epochs();
  const begun = epochs.findLast(({ firstSequence }) => firstSequence <= sequence);
  return (begun ?? epochs[0])?.epoch ?? log.head().epoch;
}

/** Whether `position` is a place in this log's history, kept or not. */
export function isPlaceOf(log: ChangeLog, position: Position): boolean {
  return position.sequence <= log.head().sequence && epochAt(log, position.sequence) === position.epoch;
}

/** Whether a follower at `cursor` may go on from `log`: the table of SPEC.md section 3, in its order. */
export async function statusOf(log: ChangeLog, cursor: Cursor): Promise<Exclude<HelloStatus, 'SCHEMA_MISMATCH'>> {
  if (cursor.logId !== log.logId) return 'FORK';
  if (cursor.epoch > log.head().epoch) return 'FENCED';
  if (!isPlaceOf(log, cursor)) return 'FORK';
  const chain = await chainAt(log, cursor.sequence);
  // It is of our history and not past the head, so it was trimmed.
  if (chain === null) return 'RESYNC';
  return chain.startsWith(cursor.chain.slice(0, CHAIN_PREFIX_DIGITS)) ? 'OK' : 'FORK';
}
