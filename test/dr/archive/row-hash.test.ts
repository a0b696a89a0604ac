import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RowFormat } from '../../../src/dr/archive/manifest.ts';
import { addDigests, createRowHasher, NO_ROWS, type RowDigest } from '../../../src/dr/archive/row-hash.ts';

type Row = readonly (Buffer | null)[];

/** What a chunk of these rows holds, written from the formats' documentation. */
const ENCODE: Record<RowFormat, (rows: readonly Row[]) => Buffer> = {
  text: (rows) =>
    Buffer.from(rows.map((row) => `${row.map((field) => field?.toString('hex') ?? '\\N').join('\t')}\n`).join('')),
  binary(rows) {
    const header = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
    const tuples = rows.map((row) => Buffer.concat([int(row.length, 2), ...row.flatMap(binaryField)]));
    return Buffer.concat([header, ...tuples, int(-1, 2)]);
  },
  packets: (rows) =>
    Buffer.concat(
      rows.flatMap((row, i) => {
        const payload = Buffer.concat(
          row.flatMap((field) => (field === null ? [Buffer.of(0xfb)] : [Buffer.of(field.length), field])),
        );
        const header = Buffer.alloc(4, i);
        header.writeUIntLE(payload.length, 0, 3);
        return [header, payload];
      }),
    ),
};
const FORMATS: readonly RowFormat[] = ['text', 'binary', 'packets'];

function int(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeIntBE(value, 0, bytes);
  return buffer;
}

function binaryField(field: Buffer | null): Buffer[] {
  return field === null ? [int(-1, 4)] : [int(field.length, 4), field];
}

function digest(format: RowFormat, bytes: Buffer, cuts: readonly number[] = []): RowDigest {
  const hasher = createRowHasher(format);
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    const to = cut % (bytes.length + 1);
    if (to > from) hasher.update(bytes.subarray(from, to));
    from = Math.max(from, to);
  }
  hasher.update(bytes.subarray(from));
  return hasher.finish();
}

const field = fc.option(
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  { nil: null },
);
const rows = fc.array(fc.array(field, { minLength: 1, maxLength: 5 }), { maxLength: 20 });

describe.each(FORMATS)('the digest of rows in %s', (format) => {
  const encode = ENCODE[format];

  it('is the same in any order and in any pieces', () => {
    const cuts = fc.array(fc.nat(2_000), { maxLength: 30 });
    fc.assert(
      fc.property(rows, cuts, fc.integer(), (given, at, seed) => {
        const shuffled = given.toSorted((a, b) => orderOf(a, seed) - orderOf(b, seed));
        expect(digest(format, encode(shuffled), at)).toEqual(digest(format, encode(given)));
      }),
    );
  });

  it('counts the rows, and adds up over chunks', () => {
    fc.assert(
      fc.property(rows, rows, (first, second) => {
        const whole = digest(format, encode([...first, ...second]));
        expect(whole.rows).toBe(first.length + second.length);
        expect(addDigests(digest(format, encode(first)), digest(format, encode(second)))).toEqual(whole);
      }),
    );
  });

  it('is another when a row is lost, doubled, or changed in one bit', () => {
    const given: Row[] = Array.from({ length: 50 }, (_, i) => [
      Buffer.from(`row ${i % 7}`),
      i % 3 === 0 ? null : Buffer.of(i),
    ]);
    const { hash } = digest(format, encode(given));
    const variants = given.flatMap((row, i) => [
      given.toSpliced(i, 1),
      given.toSpliced(i, 2),
      given.toSpliced(i, 0, row),
      given.toSpliced(i, 0, row, row),
      given.with(i, [Buffer.from('row X'), ...row.slice(1)]),
      given.with(i, [...row.slice(0, 1), Buffer.of(i ^ 0x80)]),
    ]);
    for (const variant of variants) expect(digest(format, encode(variant)).hash).not.toBe(hash);
  });

  it('is not given for rows that break off', () => {
    const bytes = encode([[Buffer.from('one')], [Buffer.from('two')]]);
    expect(() => digest(format, bytes.subarray(0, -1))).toThrow(/no end/);
  });

  it('of no rows is the neutral one', () => {
    expect(digest(format, encode([]))).toEqual(NO_ROWS);
  });
});

it('rows without columns are counted', () => {
  expect(digest('text', Buffer.from('\n\n\n')).rows).toBe(3);
  expect(digest('binary', ENCODE.binary([[], []])).rows).toBe(2);
});

it('a row larger than a packet is one row', () => {
  const full = Buffer.alloc(4 + 0xffffff, 1);
  full.writeUIntLE(0xffffff, 0, 3);
  expect(digest('packets', Buffer.concat([full, Buffer.from([2, 0, 0, 1, 7, 8])])).rows).toBe(1);
  expect(() => digest('packets', full)).toThrow(/no end/);
});

/** Any order, the same for the same seed. */
function orderOf(row: Row, seed: number): number {
  return Math.imul((row[0]?.length ?? 99) + (row[0]?.[0] ?? 7) * 31 + row.length, seed | 1);
}
