import type { Binary, ObjectId, Timestamp } from 'bson';
import type { Document } from '../model/document.ts';
import { compareNumbers } from './number.ts';
import { Rank, rankOf, regexParts } from './value.ts';

/**
 * Compares two values in BSON order (MongoDB manual, "Comparison/Sort Order"): by type, numbers of all types together and
 * exactly, strings by code point (their UTF-8 bytes), documents field by field (type, name, value), arrays element by
 * element, binaries by length, subtype, bytes. Missing (`undefined`) and null are equal. A total order.
 * @returns below, equal to or above 0.
 * @throws VALIDATION_FAILED for what cannot be stored.
 */
export function compareValues(a: unknown, b: unknown): number {
  if (typeof a === 'string' && typeof b === 'string') return compareStrings(a, b);
  const rank = rankOf(a);
  const difference = rank - rankOf(b);
  return difference !== 0 ? difference : compareWithin(rank, a, b);
}

function compareWithin(rank: Rank, a: unknown, b: unknown): number {
  switch (rank) {
    case Rank.NUMBER:
      return compareNumbers(a, b);
    case Rank.STRING:
      return compareStrings(a as string, b as string);
    case Rank.OBJECT:
      return compareDocuments(a as Document, b as Document);
    case Rank.ARRAY:
      return compareArrays(a as unknown[], b as unknown[]);
    case Rank.BINARY:
      return compareBinaries(a, b);
    case Rank.OBJECT_ID:
      return Buffer.compare((a as ObjectId).id, (b as ObjectId).id);
    case Rank.BOOLEAN:
      return Number(a) - Number(b);
    case Rank.DATE:
      return (a as Date).getTime() - (b as Date).getTime();
    case Rank.TIMESTAMP:
      return (a as Timestamp).compare(b as Timestamp);
    case Rank.REGEX:
      return compareRegexes(a, b);
    default:
      return 0;
  }
}

const FIRST_SURROGATE = 0xd800;

/** Compares by code point; JavaScript's own order, by UTF-16 unit, puts U+E000–U+FFFF above everything beyond them. */
export function compareStrings(a: string, b: string): number {
  if (a === b) return 0;
  const end = Math.min(a.length, b.length);
  let i = 0;
  while (i < end && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  if (i === end) return a.length - b.length;
  const x = a.charCodeAt(i);
  const y = b.charCodeAt(i);
  if (x < FIRST_SURROGATE || y < FIRST_SURROGATE) return x - y;
  // The first difference may be the second half of a pair whose first halves are equal.
  const start = i > 0 && isHighSurrogate(a.charCodeAt(i - 1)) ? i - 1 : i;
  return (a.codePointAt(start) ?? 0) - (b.codePointAt(start) ?? 0) || (a.codePointAt(i) ?? 0) - (b.codePointAt(i) ?? 0);
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function compareDocuments(a: Document, b: Document): number {
  const left = presentKeys(a);
  const right = presentKeys(b);
  const end = Math.min(left.length, right.length);
  for (let i = 0; i < end; i++) {
    const leftName = left[i] as string;
    const rightName = right[i] as string;
    const x = a[leftName];
    const y = b[rightName];
    const rank = rankOf(x);
    const difference = rank - rankOf(y) || compareStrings(leftName, rightName) || compareWithin(rank, x, y);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** Names of the fields that would be stored: a field that is `undefined` is not there. */
export function presentKeys(document: Document): string[] {
  const keys = Object.keys(document);
  for (let i = 0; i < keys.length; i++) {
    if (document[keys[i] as string] === undefined) return keys.filter((key) => document[key] !== undefined);
  }
  return keys;
}

function compareArrays(a: readonly unknown[], b: readonly unknown[]): number {
  const end = Math.min(a.length, b.length);
  for (let i = 0; i < end; i++) {
    const difference = compareValues(a[i], b[i]);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Subtype and bytes of a Binary or Uint8Array. */
export function binaryParts(value: unknown): { readonly subType: number; readonly bytes: Uint8Array } {
  if (value instanceof Uint8Array) return { subType: 0, bytes: value };
  const binary = value as Binary;
  return { subType: binary.sub_type, bytes: binary.buffer.subarray(0, binary.position) };
}

function compareBinaries(a: unknown, b: unknown): number {
  const x = binaryParts(a);
  const y = binaryParts(b);
  return x.bytes.length - y.bytes.length || x.subType - y.subType || Buffer.compare(x.bytes, y.bytes);
}

function compareRegexes(a: unknown, b: unknown): number {
  const x = regexParts(a);
  const y = regexParts(b);
  return compareStrings(x.pattern, y.pattern) || compareStrings(x.options, y.options);
}
