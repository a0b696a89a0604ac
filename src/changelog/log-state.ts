import { HoldfastError } from '../errors.ts';
import { type Change, chainHash, documentHash, type Hash, type LogEntry } from '../model/change.ts';
import { formatPosition } from '../model/position.ts';
import type { EpochStart, LogHead } from './change-log.ts';

/** What a process knows of a log beside it, as of one moment; replaced, never changed. */
export interface LogState {
  readonly logId: string;
  readonly generation: number;
  /** Every epoch that began up to `head`, oldest first. */
  readonly epochs: readonly EpochStart[];
  /** Sequence of the oldest entry kept. */
  readonly floor: number;
  /** Chain of the entry before it. */
  readonly floorChain: Hash;
  readonly head: LogHead;
}

/** The entries that `changes` become after `head`. */
export function numbered(head: LogHead, changes: readonly Change[]): LogEntry[] {
  let { sequence, chain } = head;
  return changes.map((change) => {
    sequence += 1;
    chain = chainHash(chain, head.epoch, sequence, change);
    const { operation, collection, id, version, at, before, after, image, key } = change;
    const { epoch } = head;
    return { epoch, sequence, operation, collection, id, version, at, before, after, image, key, chain };
  });
}

/** The state after `entries`; undefined when they do not continue it without a gap, or their chain is another one. */
export function continued(state: LogState, entries: readonly LogEntry[]): LogState | undefined {
  let { head, epochs } = state;
  for (const entry of entries) {
    const { epoch, sequence, chain, at } = entry;
    const begins = entry.operation === 'EPOCH';
    if (sequence !== head.sequence + 1 || (begins ? epoch <= head.epoch : epoch !== head.epoch)) return undefined;
    if (chainHash(head.chain, epoch, sequence, entry) !== chain) return undefined;
    if (begins) epochs = [...epochs, { epoch, firstSequence: sequence }];
    head = { epoch, sequence, chain, at };
  }
  return { ...state, head, epochs };
}

/** Whether the image of every entry is the one that its chain binds. */
export function imagesFit(entries: readonly LogEntry[]): boolean {
  return entries.every(({ collection, id, version, after, image }) =>
    image === null ? after === null : after === documentHash(collection, id, version, image),
  );
}

/** The epoch that the entry at `sequence` belongs to. */
export function epochAt(epochs: readonly EpochStart[], sequence: number): number {
  return epochs.findLast(({ firstSequence }) => firstSequence <= sequence)?.epoch ?? 1;
}

/** For who asks for what comes after `after` when it was trimmed: the oldest entry kept is `floor`. */
export function cursorExpired(after: number, floor: number, epochs: readonly EpochStart[]): HoldfastError {
  const sequence = floor - 1;
  return new HoldfastError(
    'CURSOR_EXPIRED',
    `changes after ${after} were asked for, but the oldest one still kept is ${floor}`,
    { details: { oldest: formatPosition({ epoch: epochAt(epochs, sequence), sequence }) } },
  );
}
