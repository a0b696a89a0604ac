import { HoldfastError } from '../errors.ts';

/** A place in the history of one database: the change log up to and including `sequence` of `epoch`. Public as `"<epoch>.<sequence>"`. */
export interface Position {
  /** Fencing number of the database: every promotion starts a new one. ≥ 1. */
  readonly epoch: number;
  /** Dense number of the last change included; 0 = before the first change. */
  readonly sequence: number;
}

/** The first sequence of an epoch. */
export interface EpochStart {
  readonly epoch: number;
  readonly firstSequence: number;
}

/** The public text of a position. */
export function formatPosition(position: Position): string {
  return `${position.epoch}.${position.sequence}`;
}

/**
 * Reads `"<epoch>.<sequence>"`.
 * @throws VALIDATION_FAILED for anything else.
 */
export function parsePosition(text: string): Position {
  const match = /^([1-9]\d{0,9})\.(0|[1-9]\d{0,15})$/.exec(text);
  const sequence = Number(match?.[2]);
  if (match === null || !Number.isSafeInteger(sequence)) {
    throw new HoldfastError('VALIDATION_FAILED', `"${text.slice(0, 40)}" is not a position; one looks like "1.42"`);
  }
  return { epoch: Number(match[1]), sequence };
}

/** Negative when `a` is before `b`, 0 when they are the same place. A later epoch is later whatever its sequence. */
export function comparePositions(a: Position, b: Position): number {
  return a.epoch - b.epoch || a.sequence - b.sequence;
}
