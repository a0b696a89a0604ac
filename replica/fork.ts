import type { ChangeLog } from '../src/changelog/change-log.ts';
import type { Hello, SyncSource } from '../src/protocol/sync-source.ts';

/** Where two histories part. */
export interface Fork {
  /** The first sequence at which they differ; the last common one lies before. Null when the source is of another database. */
  readonly sequence: number | null;
  /** Whether entries from there on are here, so that they could be looked at. */
  readonly kept: boolean;
}

/**
 * Finds the fork by halving: chains agree up to a point and differ ever after. Entries that the source no longer has count as
 * agreeing, entries past its head as differing; when everything kept here differs the fork is at or before `sequence`.
 */
export async function locateFork(
  log: ChangeLog,
  source: SyncSource,
  hello: Pick<Hello, 'logId' | 'head' | 'floor'>,
): Promise<Fork> {
  if (hello.logId !== log.logId) return { sequence: null, kept: false };
  let common = log.floor() - 1;
  let different = Math.min(log.head().sequence, hello.head) + 1;
  if (common >= different) return { sequence: different, kept: false };
  if (!(await agrees(log, source, hello, common))) return { sequence: common, kept: false };
  while (different - common > 1) {
    const middle = Math.floor((common + different) / 2);
    if (await agrees(log, source, hello, middle)) common = middle;
    else different = middle;
  }
  return { sequence: different, kept: true };
}

async function agrees(
  log: ChangeLog,
  source: SyncSource,
  hello: Pick<Hello, 'floor'>,
  sequence: number,
): Promise<boolean> {
  // Before the first change all histories of one database are the same.
  if (sequence === 0) return true;
  const ours = sequence === log.floor() - 1 ? log.floorChain() : (await log.entry(sequence))?.chain;
  const [theirs] = await source.chain([sequence]);
  if (theirs === null || theirs === undefined) return sequence < hello.floor - 1;
  return theirs === ours;
}
