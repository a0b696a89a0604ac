import { Binary, BSONRegExp, Decimal128, Double, Int32, Long, MaxKey, MinKey, ObjectId, Timestamp } from 'bson';
import type { Document } from '../../src/model/document.ts';
import type { Choices } from './choices.ts';

const decimals = (...texts: string[]) => texts.map((text) => Decimal128.fromString(text));
const longs = (...texts: string[]) => texts.map((text) => Long.fromString(text));

/** Numbers of all types where they meet: around zero, the limits of each type, and where doubles have gaps. */
export const NUMBERS: readonly unknown[] = [
  ...[0, -0, 1, -1, 2, 1.5, -1.5, 0.1, 0.5, 1e15, 1e16, 1e300, -1e300, 5e-324, -5e-324, 2 ** 31, 2 ** 53, 2 ** 53 + 2],
  ...[2 ** 63, -(2 ** 63), Number.MAX_VALUE, -Number.MAX_VALUE, Infinity, -Infinity, Number.NaN, 1e-300],
  ...longs('0', '1', '-1', '9007199254740991', '9007199254740992', '9007199254740993', '-9007199254740993'),
  ...longs('9223372036854775807', '-9223372036854775808', '9223372036854775806'),
  ...decimals('0', '-0', '1', '1.0', '1.5', '0.1', '0.1000000000000000055511151231257827', '-0.1', '1E+3', '1000'),
  ...decimals('9007199254740993', '9007199254740993.5', '9223372036854775807', '9223372036854775807.5'),
  ...decimals(
    '1E-6176',
    '-1E-6176',
    '9.999999999999999999999999999999999E+6144',
    '1E+309',
    '-1E+309',
    '1E-324',
    '1E-400',
  ),
  ...decimals('NaN', 'Infinity', '-Infinity', '1.797693134862315708145274237317043E+308', '2', '-1.5'),
  new Double(1),
  new Double(0),
  new Int32(1),
  new Int32(7),
  10n,
  9007199254740993n,
];

/** Strings where UTF-16 and UTF-8 order differ, with zeros, empty, and equal beginnings. */
export const STRINGS: readonly string[] = [
  ...[
    '',
    'a',
    'ab',
    'abc',
    'b',
    'A',
    'a\0',
    'a\0b',
    '\0',
    '\0\0',
    'é',
    'z',
    '\uffff',
    '\ue000',
    '😀',
    '😁',
    'a😀',
    'a\uffff',
  ],
  ...['\ud800', '\ud800a', '\udc00', 'a\ud83d', '10', '9', '\u{10ffff}', '\x01', 'a\x01', '\xff'],
];

const OTHERS: readonly unknown[] = [
  null,
  true,
  false,
  new Date(0),
  new Date(-1),
  new Date(1e12),
  new ObjectId('000000000000000000000001'),
  new ObjectId('ffffffffffffffffffffffff'),
  new Binary(Buffer.from([0])),
  new Binary(Buffer.from([0]), 4),
  new Binary(Buffer.from([1, 2])),
  Uint8Array.of(0),
  new Uint8Array(0),
  new Timestamp({ t: 1, i: 2 }),
  new Timestamp({ t: 0xffffffff, i: 0xffffffff }),
  new BSONRegExp('a', 'i'),
  new BSONRegExp('a'),
  /b/i,
  new MinKey(),
  new MaxKey(),
];

const NAMES = ['a', 'b', 'x', 'y', '0', '1', 'é', 'constructor'] as const;

/** A value of any type, containers to a depth of `depth`. */
export function randomValue(random: Choices, depth = 2): unknown {
  const kind = random.next();
  if (depth > 0 && kind < 0.15) return random.list(3, () => randomValue(random, depth - 1));
  if (depth > 0 && kind < 0.3) return randomFields(random, depth - 1);
  if (kind < 0.6) return random.pick(NUMBERS);
  return kind < 0.8 ? random.pick(STRINGS) : random.pick(OTHERS);
}

function randomFields(random: Choices, depth: number): Document {
  return Object.fromEntries(random.list(3, () => [random.pick(NAMES), randomValue(random, depth)]));
}

/** Few different values, so that documents and filters meet. */
export function commonValue(random: Choices, depth = 2): unknown {
  const kind = random.next();
  if (depth > 0 && kind < 0.2) return random.list(3, () => commonValue(random, depth - 1));
  if (depth > 0 && kind < 0.4) {
    return Object.fromEntries(random.list(2, () => [random.pick(['x', 'y', '0']), commonValue(random, depth - 1)]));
  }
  return random.pick([
    null,
    0,
    1,
    2,
    1.5,
    Long.fromNumber(1),
    Decimal128.fromString('1.5'),
    Number.NaN,
    'a',
    'ab',
    'b',
    '',
    true,
    new Date(0),
    /a/,
  ]);
}

/** A document with the fields a, b and c, or some of them. */
export function randomDocument(random: Choices): Document {
  const document: Document = { _id: random.below(1000) };
  for (const name of ['a', 'b', 'c']) if (random.chance(0.8)) document[name] = commonValue(random, 3);
  return document;
}

export const PATHS = ['a', 'b', 'c', 'a.x', 'a.0', 'b.x.y', 'b.1', 'a.0.x', 'missing'] as const;

/** A filter over {@link PATHS} with all operators. */
export function randomFilter(random: Choices, depth = 2): Document {
  if (depth > 0 && random.chance(0.25)) {
    const clauses = [randomFilter(random, depth - 1), ...random.list(2, () => randomFilter(random, depth - 1))];
    return { [random.pick(['$and', '$or', '$nor'])]: clauses };
  }
  const filter: Document = {};
  for (const path of [random.pick(PATHS), ...(random.chance(0.3) ? [random.pick(PATHS)] : [])]) {
    filter[path] = random.chance(0.2) ? commonValue(random) : randomOperators(random, depth);
  }
  return filter;
}

function randomOperators(random: Choices, depth: number): Document {
  const operators: Document = randomOperator(random, depth);
  return random.chance(0.3) ? { ...operators, ...randomOperator(random, depth) } : operators;
}

function randomOperator(random: Choices, depth: number): Document {
  const notRegex = () => {
    const value = commonValue(random);
    return value instanceof RegExp ? 'a' : value;
  };
  switch (random.below(depth > 0 ? 13 : 10)) {
    case 0:
      return { $eq: commonValue(random) };
    case 1:
      return { $ne: notRegex() };
    case 2:
    case 3:
      return { [random.pick(['$gt', '$gte', '$lt', '$lte'])]: notRegex() };
    case 4:
      return { $in: random.list(3, () => commonValue(random)) };
    case 5:
      return { $nin: random.list(3, () => commonValue(random)) };
    case 6:
      return { $exists: random.chance(0.5) };
    case 7:
      return random.pick([{ $type: 'number' }, { $type: 'array' }, { $type: ['string', 10] }]);
    case 8:
      return random.pick([{ $regex: '^a' }, { $regex: 'B', $options: 'i' }, { $regex: '^ab?' }]);
    case 9:
      return random.pick([{ $size: 2 }, { $mod: [2, 1] }, { $all: [commonValue(random), commonValue(random)] }]);
    case 10:
      return { $elemMatch: random.chance(0.5) ? randomOperator(random, 0) : { x: commonValue(random) } };
    case 11:
      return { $all: [{ $elemMatch: { x: commonValue(random) } }] };
    default:
      return { $not: randomOperator(random, 0) };
  }
}
