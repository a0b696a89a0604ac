import type { Hash } from '../model/change.ts';
import type { ChangeLog } from './change-log.ts';

/** Chain hash at `sequence`; null when that entry is not kept (the one before the floor still counts) or not there yet. */
export async function chainAt(log: ChangeLog, sequence: number): Promise<Hash | null> {
  const head = log.head();
  if (sequence === head.sequence) return head.chain;
  if (sequence === log.floor() - 1) return log.floorChain();
  return (await log.entry(sequence))?.chain ?? null;
}
