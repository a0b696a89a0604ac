import type { ChangeLog } from '../src/changelog/change-log.ts';
import type { EpochStart } from '../src/model/position.ts';
import type { Hello, SyncSource } from '../src/protocol/sync-source.ts';

/** Where two histories part. */
export interface Fork {
  /** The first sequence at which they differ; the last common one lies before. Null when the source is of another database. */
  readonly sequence: number | null;
  /** Whether entries from there on are here, so that they could be looked at. */
  readonly kept: boolean;
  /** First entry here that the source may not have; null when there is none, or the source is of another database. */
  readonly from: number | null;
}

/**
 * Finds the fork by halving: chains agree up to a point and differ ever after. Where the lists of epochs part, so do the histories, at the latest. Entries
 * that the source no longer has count as agreeing, entries past its head as differing; when everything kept here differs the fork is at or
 * before `sequence`.
 */
export async function locateFork(
  log: ChangeLog,
  source: SyncSource,
  hello: Pick<Hello, 'logId' | 'head' | 'floor' | 'epochs'>,
): Promise<Fork> {
  if (hello.logId !== log.logId) return { sequence: null, kept: false, from: null };
  const { sequence: head } = log.head();
  const floor = log.floor();
  const parting = partingOf(log.epochs(), hello.epochs);
  let common = floor - 1;
  let different = Math.min(head + 1, hello.head + 1, parting);
  const from = (sequence: number): number | null => (sequence <= head ? Math.max(sequence, floor) : null);
  if (common >= different) return { sequence: different, kept: false, from: from(different) };
  if (!(await agrees(log, source, hello, common))) return { sequence: common, kept: false, from: from(common) };
  while (different - common > 1) {
    const middle = Math.floor((common + different) / 2);
    if (await agrees(log, source, hello, middle)) common = middle;
    else different = middle;
  }
  // What the source has trimmed cannot be compared: without an epoch that says more, all of it may differ.
  const isGuess = different !== parting && common < hello.floor - 1;
  return { sequence: different, kept: true, from: from(isGuess ? floor : different) };
}

/** The first sequence of the first epoch that only one of the histories has; infinite when they have the same. */
function partingOf(ours: readonly EpochStart[], theirs: readonly EpochStart[]): number {
  const isIn = (list: readonly EpochStart[], { epoch, firstSequence }: EpochStart): boolean =>
    list.some((other) => other.epoch === epoch && other.firstSequence === firstSequence);
  const parting = [...ours.filter((start) => !isIn(theirs, start)), ...theirs.filter((start) => !isIn(ours, start))];
  return Math.min(...parting.map(({ firstSequence }) => firstSequence));
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
