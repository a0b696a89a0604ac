import type { ObjectId, Timestamp } from 'bson';
import { type Document, type DocumentText, decodeValue } from '../model/document.ts';
import { type Digits, exactNumber } from './number.ts';
import { binaryParts, presentKeys } from './order.ts';
import { Rank, rankOf, regexParts } from './value.ts';

/**
 * A value as bytes whose order (memcmp) is the order of {@link compareValues}, equality included: equal numbers of different
 * types give equal bytes. Missing (`undefined`) is null. Every key is self-delimiting, so keys written one after the other
 * order like tuples. The format is stored in index tables; a change of it needs a new index version.
 *
 * A key is the rank byte, then by type: nothing (null, MinKey, MaxKey); a number as the double next to it toward zero, order
 * bits first, then 0, or 1 and its decimal digits when it is no double; a string as UTF-8 with 0 written as 0 255, ended by
 * 0 0; a document as (rank, name, value) of each field, ended by 0; an array as its elements' keys, ended by 0; the rest at fixed
 * length, a binary after its length.
 * @throws VALIDATION_FAILED for what cannot be stored.
 */
export function keyOf(value: unknown): Uint8Array {
  const short = typeof value === 'string' && value.length <= SHORT ? shortKey(value) : undefined;
  if (short !== undefined) return short;
  length = 0;
  writeKey(value);
  const key = new Uint8Array(length);
  // For the usual few bytes a loop is faster than a view and a copy.
  if (length > 64) key.set(buffer.subarray(0, length));
  else for (let i = 0; i < length; i++) key[i] = buffer[i] as number;
  return key;
}

/** Up to so many characters a loop is faster than calls of the runtime and a copy. */
const SHORT = 64;

/** The key of ASCII text, which most keys are; undefined when it is anything else. */
function shortKey(text: string): Uint8Array | undefined {
  const key = new Uint8Array(text.length + 3);
  key[0] = Rank.STRING;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0 || code > 0x7f) return undefined;
    key[i + 1] = code;
  }
  return key;
}

/** The key of a value as text, for maps: equal values, and only these, have the same. */
export function keyString(value: unknown): string {
  return Buffer.from(keyOf(value)).toString('latin1');
}

/** The key of an id given as document text. */
export function keyOfText(id: DocumentText): Uint8Array {
  return keyOf(decodeValue(id));
}

/**
 * The bytes with which the keys of all strings begin that begin with `prefix`, and the first bytes above all of these.
 * A regular expression's literal prefix becomes such a range.
 */
export function prefixRange(prefix: string): { readonly low: Uint8Array; readonly high: Uint8Array } {
  // The key without its two-byte end. What may follow is UTF-8, whose bytes are below 254, or a 0.
  const low = keyOf(prefix).slice(0, -2);
  return { low, high: new Uint8Array([...low, 0xfe]) };
}

// One buffer serves all calls: writing is synchronous, and the finished key is copied out.
let buffer = Buffer.allocUnsafe(1024);
let length = 0;

function reserve(count: number): void {
  if (length + count <= buffer.length) return;
  const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, length + count));
  buffer.copy(larger, 0, 0, length);
  buffer = larger;
}

function writeByte(byte: number): void {
  reserve(1);
  buffer[length++] = byte;
}

function writeBytes(bytes: Uint8Array): void {
  reserve(bytes.length);
  buffer.set(bytes, length);
  length += bytes.length;
}

function writeKey(value: unknown): void {
  const rank = rankOf(value);
  writeByte(rank);
  writeBody(rank, value);
}

function writeBody(rank: Rank, value: unknown): void {
  switch (rank) {
    case Rank.NUMBER:
      writeNumber(value);
      return;
    case Rank.STRING:
      writeString(value as string);
      return;
    case Rank.OBJECT:
      writeDocument(value as Document);
      return;
    case Rank.ARRAY:
      for (const item of value as unknown[]) writeKey(item);
      writeByte(0);
      return;
    case Rank.BINARY:
      writeBinary(value);
      return;
    case Rank.OBJECT_ID:
      writeBytes((value as ObjectId).id);
      return;
    case Rank.BOOLEAN:
      writeByte(value === true ? 1 : 0);
      return;
    case Rank.DATE:
      writeDate(value as Date);
      return;
    case Rank.TIMESTAMP:
      writeTimestamp(value as Timestamp);
      return;
    case Rank.REGEX: {
      const { pattern, options } = regexParts(value);
      writeString(pattern);
      writeString(options);
      return;
    }
    default:
    // Null, MinKey and MaxKey are all said by their rank.
  }
}

const SIGN_BIT = 0x80;

function writeNumber(value: unknown): void {
  const { double, digits } = exactNumber(value);
  const start = length;
  reserve(9);
  // NaN is below −Infinity, whose bytes are 00 0f ff …
  buffer.fill(0, length, length + 9);
  length += 9;
  if (Number.isNaN(double)) return;
  const negative = double < 0 || Object.is(double, -0);
  buffer.writeDoubleBE(Math.abs(double), start);
  buffer[start] = (buffer[start] as number) | SIGN_BIT;
  if (digits !== undefined) writeDigits(digits);
  // A larger magnitude is a smaller number.
  if (negative) for (let i = start; i < length; i++) buffer[i] = ~(buffer[i] as number);
}

/** Replaces the 0 of "this double" by 1 and the exponent and digits, two a byte. */
function writeDigits({ text, point }: Digits): void {
  buffer[length - 1] = 1;
  reserve(3 + Math.ceil(text.length / 2));
  length = buffer.writeUInt16BE(point + 0x8000, length);
  for (let i = 0; i < text.length; i += 2) buffer[length++] = Number(text.slice(i, i + 2).padEnd(2, '0')) + 1;
  buffer[length++] = 0;
}

function writeString(text: string): void {
  // Three bytes hold any UTF-16 unit.
  reserve(text.length * 3);
  const start = length;
  if (text.isWellFormed()) length += buffer.write(text, start, 'utf8');
  else for (const character of text) writeCodePoint(character);
  if (text.includes('\0')) escapeZeros(start);
  writeByte(0);
  writeByte(0);
}

/** UTF-8, with a lone surrogate as the three bytes its number would have: document text can hold one. */
function writeCodePoint(character: string): void {
  const point = character.codePointAt(0) as number;
  if (character.length > 1 || (point & 0xf800) !== 0xd800) length += buffer.write(character, length, 'utf8');
  else writeBytes(Uint8Array.of(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f)));
}

function escapeZeros(start: number): void {
  const bytes = new Uint8Array(buffer.subarray(start, length));
  length = start;
  for (const byte of bytes) {
    writeByte(byte);
    if (byte === 0) writeByte(0xff);
  }
}

function writeDocument(document: Document): void {
  for (const name of presentKeys(document)) {
    const value = document[name];
    const rank = rankOf(value);
    writeByte(rank);
    writeString(name);
    writeBody(rank, value);
  }
  writeByte(0);
}

function writeBinary(value: unknown): void {
  const { subType, bytes } = binaryParts(value);
  reserve(5);
  length = buffer.writeUInt32BE(bytes.length, length);
  buffer[length++] = subType;
  writeBytes(bytes);
}

function writeDate(value: Date): void {
  reserve(8);
  // Shifted to be unsigned.
  length = buffer.writeBigUInt64BE(BigInt(value.getTime()) + (1n << 63n), length);
}

function writeTimestamp(value: Timestamp): void {
  reserve(8);
  length = buffer.writeUInt32BE(value.getHighBitsUnsigned(), length);
  length = buffer.writeUInt32BE(value.getLowBitsUnsigned(), length);
}
