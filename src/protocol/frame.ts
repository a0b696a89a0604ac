import { constants, crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { HoldfastError } from '../errors.ts';
import { chainHash, documentHash, type Hash, type LogEntry, Operation, type VerifiedEntry } from '../model/change.ts';
import { CHAIN_PREFIX_DIGITS, decodeCursor } from './cursor.ts';
import type { Frame } from './sync-source.ts';

/** Most changes of one frame. */
export const MAX_FRAME_CHANGES = 500;
/** Most bytes of an encoded body; a frame of one change may pass it when the document's id alone is that long. */
export const MAX_FRAME_BYTES = 512 * 1024;
/** Images over this many bytes travel by reference. */
export const MAX_INLINE_IMAGE_BYTES = 256 * 1024;
/** Most bytes a body may decompress to. */
const MAX_FRAME_TEXT_BYTES = 64 * 1024 * 1024;

/** What of an entry's document is in the frame. */
export const Carried = {
  /** Nothing: deleted, or not wanted or not given by the shape. The entry is copied, not applied. */
  NONE: 0,
  /** The image. */
  IMAGE: 1,
  /** Too large, or gone at the source: the row is to be asked for with `rows`. */
  REFERENCE: 2,
} as const;
export type Carried = (typeof Carried)[keyof typeof Carried];

/** An entry as it came in a frame. */
export interface FrameEntry extends VerifiedEntry {
  /** `image` is null unless this is IMAGE. */
  readonly carried: Carried;
}

/** Says of which entries nothing but the place and the hashes may travel. */
export type Hides = (entry: LogEntry) => boolean;

const COMPRESSION = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** What travels of an entry's document. */
function carriedOf(entry: LogEntry, hides: Hides): Carried {
  if (entry.after === null || hides(entry)) return Carried.NONE;
  return entry.image === null || isLarge(entry.image) ? Carried.REFERENCE : Carried.IMAGE;
}

/** Writes the body of a frame: SPEC.md section 4. `entries` are dense and of one epoch. Pure. */
export function encodeBody(
  entries: readonly LogEntry[],
  hides: Hides,
): { readonly body: string; readonly checksum: number } {
  // Joined at the end: a text that grows line by line is a long chain of strings, which costs more to walk than to write.
  const lines: string[] = [];
  for (const entry of entries) {
    const carried = carriedOf(entry, hides);
    lines.push(headerLine(entry, carried));
    if (carried === Carried.IMAGE) lines.push(`${entry.image}\n`);
  }
  const bytes = Buffer.from(lines.join(''));
  return { body: zstdCompressSync(bytes, COMPRESSION).toString('base64'), checksum: crc32(bytes) };
}

/** How many leading `entries`, at least one, make a body within `maxBytes` even when nothing can be compressed. */
export function fittingCount(entries: readonly LogEntry[], hides: Hides, maxBytes: number): number {
  let rest = textBudget(maxBytes);
  for (const [count, entry] of entries.entries()) {
    rest -= boundOf(entry, hides);
    if (rest < 0 && count > 0) return count;
  }
  return entries.length;
}

/**
 * Reads and verifies a frame: checksum, density, every chain hash from `previous` to `chain`, the hash of every image, and
 * the cursor. What it returns is what the source's log holds, whatever happened on the way.
 * @throws VALIDATION_FAILED (`from`, `to`) for a frame that is damaged; it must not be applied, and the follower subscribes
 * again from the cursor it has stored.
 */
export function decodeBody(frame: Frame): readonly FrameEntry[] {
  const entries = frame.body === '' ? [] : readEntries(frame, textOf(frame));
  if (frame.from + entries.length !== frame.to + 1) {
    throw damaged(frame, `it holds ${entries.length} changes`);
  }
  if ((entries.at(-1)?.chain ?? frame.previous) !== frame.chain)
    throw damaged(frame, 'its chain does not end as it says');
  const cursor = decodeCursor(frame.cursor);
  if (
    cursor.sequence !== frame.to ||
    cursor.epoch !== frame.epoch ||
    cursor.chain !== frame.chain.slice(0, CHAIN_PREFIX_DIGITS)
  ) {
    throw damaged(frame, 'its cursor is of another place');
  }
  return entries;
}

/** Bytes of frame text that surely fit `maxBytes` of base64 (4 for 3) of zstd (grows by 1/256 and a header at worst). */
function textBudget(maxBytes: number): number {
  return Math.floor((Math.floor((maxBytes * 3) / 4) * 256) / 257) - 128;
}

/** Bytes of frame text of one entry at most: fixed fields, names escaped as JSON strings, image. */
function boundOf(entry: LogEntry, hides: Hides): number {
  const image = carriedOf(entry, hides) === Carried.IMAGE ? Buffer.byteLength(entry.image ?? '') + 1 : 0;
  return 192 + 6 * Buffer.byteLength(entry.collection) + 2 * Buffer.byteLength(entry.id) + image;
}

function isLarge(image: string): boolean {
  // A character is at most three bytes: most images are settled without being measured.
  return image.length * 3 > MAX_INLINE_IMAGE_BYTES && Buffer.byteLength(image) > MAX_INLINE_IMAGE_BYTES;
}

function headerLine(entry: LogEntry, carried: Carried): string {
  const { sequence, operation, collection, id, version, at, before, after, key } = entry;
  return `[${sequence},"${operation}",${JSON.stringify(collection)},${JSON.stringify(id)},${version},${at},${hex(before)},${hex(after)},${hex(key)},${carried}]\n`;
}

function hex(value: Hash | null): string {
  return value === null ? 'null' : `"${value}"`;
}

/** The frame text, decompressed and checked. */
function textOf(frame: Frame): string {
  // The decoder of base64 would not mind.
  if (frame.body.length % 4 !== 0) throw damaged(frame, 'its body is cut');
  let bytes: Buffer;
  try {
    bytes = zstdDecompressSync(Buffer.from(frame.body, 'base64'), { maxOutputLength: MAX_FRAME_TEXT_BYTES });
  } catch (cause) {
    throw damaged(frame, 'its body cannot be decompressed', cause);
  }
  if (crc32(bytes) !== frame.checksum) throw damaged(frame, 'its checksum is wrong');
  const text = bytes.toString();
  if (!text.endsWith('\n')) throw damaged(frame, 'its last line is cut');
  return text;
}

function readEntries(frame: Frame, text: string): FrameEntry[] {
  const entries: FrameEntry[] = [];
  const lines = text.slice(0, -1).split('\n');
  let previous = frame.previous;
  for (let line = 0; line < lines.length; line++) {
    const header = readHeader(frame, lines[line] ?? '', frame.from + entries.length);
    const image = header.carried === Carried.IMAGE ? lines[++line] : null;
    // It would be applied as a deletion.
    if (image === undefined) throw damaged(frame, `the image of change ${header.sequence} is missing`);
    if (image !== null && documentHash(header.collection, header.id, header.version, image) !== header.after) {
      throw damaged(frame, `the image of change ${header.sequence} is not the one that was written`);
    }
    const change = { ...header, image };
    const chain = chainHash(previous, frame.epoch, header.sequence, change);
    entries.push({ ...change, epoch: frame.epoch, chain, previous });
    previous = chain;
  }
  return entries;
}

type Header = Omit<FrameEntry, 'epoch' | 'chain' | 'previous' | 'image'>;

function readHeader(frame: Frame, line: string, expected: number): Header {
  let fields: unknown;
  try {
    fields = JSON.parse(line);
  } catch (cause) {
    throw damaged(frame, `the line of change ${expected} is not JSON`, cause);
  }
  if (!isHeader(fields)) throw damaged(frame, `the line of change ${expected} has another shape`);
  const [sequence, operation, collection, id, version, at, before, after, key, carried] = fields;
  if (sequence !== expected) throw damaged(frame, `change ${sequence} stands where ${expected} belongs`);
  return { sequence, operation, collection, id, version, at, before, after, key, carried };
}

type HeaderFields = [
  number,
  Operation,
  string,
  string,
  number,
  number,
  Hash | null,
  Hash | null,
  string | null,
  Carried,
];

function isHeader(value: unknown): value is HeaderFields {
  if (!Array.isArray(value) || value.length !== 10) return false;
  const [sequence, operation, collection, id, version, at, before, after, key, carried] = value as unknown[];
  return (
    isCount(sequence) &&
    typeof operation === 'string' &&
    Object.hasOwn(Operation, operation) &&
    typeof collection === 'string' &&
    typeof id === 'string' &&
    isCount(version) &&
    typeof at === 'number' &&
    isHashOrNull(before) &&
    isHashOrNull(after) &&
    isHashOrNull(key) &&
    (carried === Carried.NONE || ((carried === Carried.IMAGE || carried === Carried.REFERENCE) && after !== null))
  );
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isHashOrNull(value: unknown): value is Hash | null {
  return value === null || (typeof value === 'string' && /^[0-9a-f]{32}$/.test(value));
}

function damaged(frame: Frame, reason: string, cause?: unknown): HoldfastError {
  const { from, to } = frame;
  return new HoldfastError(
    'VALIDATION_FAILED',
    `the frame of changes ${from} to ${to} is damaged: ${reason}; subscribe again from the stored cursor`,
    { cause, details: { from, to } },
  );
}
