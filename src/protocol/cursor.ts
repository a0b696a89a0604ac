import { HoldfastError } from '../errors.ts';
import type { Hash } from '../model/change.ts';
import type { CursorText } from './sync-source.ts';

/** What a cursor says: a place in one history. SPEC.md section 2. */
export interface Cursor {
  /** Identity of the history, 32 hexadecimal digits. */
  readonly logId: string;
  readonly epoch: number;
  /** Last sequence the follower holds; 0 before the first. */
  readonly sequence: number;
  /** Chain hash at `sequence`. Only its first {@link CHAIN_PREFIX_DIGITS} digits travel; a decoded cursor has no more. */
  readonly chain: Hash;
}

/** Hexadecimal digits of the chain that a cursor carries. */
export const CHAIN_PREFIX_DIGITS = 16;

const VERSION = 1;
const LOG_ID_BYTES = 16;
const CHAIN_BYTES = CHAIN_PREFIX_DIGITS / 2;
/** Longest encoding of a number up to 2^53 - 1, seven bits a byte. */
const MAX_VARINT_BYTES = 8;
const MAX_TEXT_LENGTH = Math.ceil(((1 + LOG_ID_BYTES + 2 * MAX_VARINT_BYTES + CHAIN_BYTES) * 4) / 3);

/** Writes a cursor as base64url text, at most 55 characters. */
export function encodeCursor(cursor: Cursor): CursorText {
  const bytes = [VERSION, ...Buffer.from(cursor.logId, 'hex')];
  pushVarint(bytes, cursor.epoch);
  pushVarint(bytes, cursor.sequence);
  bytes.push(...Buffer.from(cursor.chain.slice(0, CHAIN_PREFIX_DIGITS), 'hex'));
  return Buffer.from(bytes).toString('base64url');
}

/**
 * Reads what {@link encodeCursor} wrote.
 * @throws VALIDATION_FAILED for any other text.
 */
export function decodeCursor(text: CursorText): Cursor {
  const bytes = text.length <= MAX_TEXT_LENGTH ? Buffer.from(text, 'base64url') : Buffer.alloc(0);
  const epoch = readVarint(bytes, 1 + LOG_ID_BYTES);
  const sequence = readVarint(bytes, epoch.end);
  const cursor = {
    logId: bytes.toString('hex', 1, 1 + LOG_ID_BYTES),
    epoch: epoch.value,
    sequence: sequence.value,
    chain: bytes.toString('hex', sequence.end),
  };
  // Decoders of base64 pass over what they do not understand: only the text that we would write ourselves is accepted.
  const whole = bytes[0] === VERSION && bytes.length === sequence.end + CHAIN_BYTES && epoch.value >= 1;
  if (!whole || encodeCursor(cursor) !== text) {
    throw new HoldfastError('VALIDATION_FAILED', `"${text.slice(0, 60)}" is not a cursor`);
  }
  return cursor;
}

/** Least significant seven bits first. Arithmetic, not shifts: sequences pass 32 bits. */
function pushVarint(bytes: number[], value: number): void {
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
}

/** `value` is NaN when there is no number, or one that is not exact. */
function readVarint(bytes: Uint8Array, start: number): { readonly value: number; readonly end: number } {
  let value = 0;
  let factor = 1;
  for (let end = start; end < start + MAX_VARINT_BYTES; end++) {
    const byte = bytes[end];
    if (byte === undefined) break;
    value += (byte % 128) * factor;
    if (byte < 128) return { value: Number.isSafeInteger(value) ? value : Number.NaN, end: end + 1 };
    factor *= 128;
  }
  return { value: Number.NaN, end: bytes.length };
}
