import { Binary, Decimal128, Double, Long, ObjectId } from 'bson';
import type { Draw } from './draw.ts';
import { nameWord, word } from './words.ts';

/** What a fake looks like. Values of one kind share their fakes, in whatever field and collection they stand. */
export const FakeKind = {
  NAME: 'NAME',
  EMAIL: 'EMAIL',
  PHONE: 'PHONE',
  ADDRESS: 'ADDRESS',
  TEXT: 'TEXT',
  NUMBER: 'NUMBER',
  DATE: 'DATE',
  HASH: 'HASH',
  URL: 'URL',
  UUID: 'UUID',
  OBJECT_ID: 'OBJECT_ID',
  BYTES: 'BYTES',
} as const;
export type FakeKind = (typeof FakeKind)[keyof typeof FakeKind];

/** Least and greatest value of a number. */
export interface Bounds {
  readonly least: number;
  readonly most: number;
}

const RESERVED_DOMAINS = ['example.com', 'example.net', 'example.org'];
/** After so many tries fakes of a kind are taken for scarce, and grow. */
const SCARCE = 4;
const DAY_MS = 86_400_000;
/** Days between which MongoDB and JavaScript agree on dates, about. */
const LEAST_DATE_MS = Date.UTC(1, 0, 1);
const MOST_DATE_MS = Date.UTC(9999, 11, 31);

/**
 * A value to stand in for `value`: of the same BSON type and about the same shape, all of it decided by `draw`. `attempt` counts the
 * fakes of this value that could not be used, from 0; the more there are, the wider the choice.
 */
export function fakeOf(kind: FakeKind, value: unknown, draw: Draw, attempt: number, bounds?: Bounds): unknown {
  if (typeof value === 'string') return fakeText(kind, value, draw, attempt);
  if (value instanceof Date) return fakeDate(value, draw, attempt);
  if (value instanceof ObjectId) return new ObjectId(draw.hex(24));
  if (value instanceof Binary || value instanceof Uint8Array) return new Binary(Buffer.from(draw.hex(32), 'hex'));
  return fakeNumber(value, draw, attempt, bounds);
}

function fakeText(kind: FakeKind, value: string, draw: Draw, attempt: number): string {
  const syllables = attempt < SCARCE ? 2 : 3;
  switch (kind) {
    case FakeKind.NAME:
      return words(Math.min(value.trim().split(/\s+/).length, 4), () => nameWord(draw, syllables));
    case FakeKind.EMAIL: {
      const domain = attempt < SCARCE ? draw.of(RESERVED_DOMAINS) : `${word(draw, 2)}.example`;
      return `${word(draw, 2)}.${word(draw, syllables)}@${domain}`;
    }
    case FakeKind.PHONE:
      return fakePhone(value, draw, attempt);
    case FakeKind.TEXT: {
      const text = words(Math.min(Math.ceil(value.length / 8), 12), () => word(draw, syllables));
      return text.charAt(0).toUpperCase() + text.slice(1);
    }
    case FakeKind.URL:
      return `https://${word(draw, 2)}.example/${word(draw, syllables)}`;
    case FakeKind.UUID: {
      const digits = draw.hex(32);
      const variant = '89ab'.charAt(draw.below(4));
      return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-4${digits.slice(13, 16)}-${variant}${digits.slice(17, 20)}-${digits.slice(20)}`;
    }
    case FakeKind.DATE:
      return fakeDateText(value, draw, attempt);
    case FakeKind.ADDRESS:
    case FakeKind.NUMBER:
      return sameShape(value, draw) + (attempt < SCARCE ? '' : ` ${nameWord(draw, 2)}`);
    default:
      return draw.hex(32);
  }
}

function words(count: number, next: () => string): string {
  return Array.from({ length: Math.max(1, count) }, next).join(' ');
}

/** The same grouping of digits, below +999, which the ITU has not assigned. */
function fakePhone(value: string, draw: Draw, attempt: number): string {
  const layout = /^\+?[\d\s().-]*\d$/.test(value) && value.replace(/\D/g, '').length >= 10 ? value : '+000 000 000 000';
  let place = 0;
  const digits = layout.replace(/\d/g, () => (place++ < 3 ? '9' : String(draw.below(10))));
  const extra = attempt < SCARCE ? '' : ` ${draw.below(1_000_000)}`;
  return (digits.startsWith('+') ? digits : `+${digits}`) + extra;
}

/** Letters for letters, digits for digits, at most 200 of them; everything else stays in its place. */
function sameShape(value: string, draw: Draw): string {
  return value.slice(0, 200).replace(/\p{L}|\p{N}/gu, (character) => {
    if (/\p{N}/u.test(character)) return String(draw.below(10));
    const letter = String.fromCharCode(97 + draw.below(26));
    return character === character.toLowerCase() ? letter : letter.toUpperCase();
  });
}

function fakeDateText(value: string, draw: Draw, attempt: number): string {
  const date = /^\d{4}-\d\d-\d\d/.test(value) ? new Date(value) : undefined;
  if (date === undefined || Number.isNaN(date.getTime())) return sameShape(value, draw);
  const iso = fakeDate(date, draw, attempt).toISOString();
  return value.length === 10 ? iso.slice(0, 10) : iso;
}

/** A day within two years, at the same time of day; where days are scarce, within more. */
function fakeDate(value: Date, draw: Draw, attempt: number): Date {
  const days = Math.min(730 * 2 ** attempt, 3_000_000);
  const shifted = value.getTime() + (1 + draw.below(days)) * (draw.below(2) === 0 ? DAY_MS : -DAY_MS);
  return new Date(
    shifted < LEAST_DATE_MS || shifted > MOST_DATE_MS ? Date.UTC(1900, 0, 1 + draw.below(days)) : shifted,
  );
}

function fakeNumber(value: unknown, draw: Draw, attempt: number, bounds: Bounds | undefined): unknown {
  const size = Number(String(value));
  const magnitude = Number.isFinite(size) ? Math.max(10, Math.abs(size)) : 10;
  const { least = -Number.MAX_VALUE, most = Number.MAX_VALUE } = bounds ?? {};
  // Between the powers of ten around the value, and beyond when numbers are scarce.
  const low = attempt < SCARCE ? 10 ** Math.floor(Math.log10(magnitude)) : 0;
  const high = 10 ** (Math.floor(Math.log10(magnitude)) + 1 + Math.floor(attempt / SCARCE));
  const [from, to] = least < 0 && size < 0 ? [-high, -low] : [low, high];
  const lowest = Math.max(from, least);
  const highest = Math.min(to, most);
  const drawn =
    lowest < highest ? lowest + draw.fraction() * (highest - lowest) : least + draw.fraction() * (most - least);
  if (value instanceof Long || typeof value === 'bigint') return Long.fromNumber(Math.floor(drawn));
  if (value instanceof Decimal128) return Decimal128.fromString(drawn.toFixed(2));
  if (Number.isInteger(size) && !(value instanceof Double)) return Math.floor(drawn);
  const cents = Number(drawn.toFixed(2 + Math.floor(attempt / SCARCE)));
  const rounded = cents < lowest || cents > highest ? drawn : cents;
  return Number.isInteger(rounded) ? new Double(rounded) : rounded;
}
