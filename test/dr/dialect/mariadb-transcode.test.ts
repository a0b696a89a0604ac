import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linesOf, PacketsToLines } from '../../../src/dr/dialect/mariadb-transcode.ts';

function value(text: Buffer | string | null): Buffer {
  if (text === null) return Buffer.from([0xfb]);
  const bytes = Buffer.from(text as string);
  const { length } = bytes;
  if (length < 251) return Buffer.concat([Buffer.from([length]), bytes]);
  const prefix = Buffer.alloc(length < 65_536 ? 3 : 4);
  prefix[0] = length < 65_536 ? 0xfc : 0xfd;
  prefix.writeUIntLE(length, 1, prefix.length - 1);
  return Buffer.concat([prefix, bytes]);
}

function row(...values: (Buffer | string | null)[]): Buffer {
  const payload = Buffer.concat(values.map(value));
  const parts: Buffer[] = [];
  for (let from = 0; from <= payload.length; from += 0xffffff) {
    const part = payload.subarray(from, from + 0xffffff);
    parts.push(Buffer.from([part.length & 0xff, (part.length >> 8) & 0xff, part.length >> 16, 0]), part);
  }
  return Buffer.concat(parts);
}

function lines(packets: Buffer, columns: number, cut = packets.length, watched: number[] = []) {
  const transcoder = new PacketsToLines(columns, watched);
  const out: Buffer[] = [];
  for (let at = 0; at < packets.length; at += cut) {
    out.push(Buffer.from(transcoder.push(packets.subarray(at, at + cut))));
  }
  transcoder.finish();
  return { text: Buffer.concat(out).toString('latin1'), rows: transcoder.rows, empty: transcoder.watchedEmpty };
}

describe('row packets as lines of LOAD DATA', () => {
  const packets = Buffer.concat([
    row('a\tb\nc\\d\0e\rf', null, ''),
    row('', '\\N', Buffer.from([0xff, 0x83, 0x5c, 0x80])),
    row(null, 'x'.repeat(300), 'y'.repeat(70_000)),
  ]);

  it.each([1, 2, 3, 5, 8, 299, 100_000])('escape what would end a value, in pieces of %i bytes', (cut) => {
    expect(lines(packets, 3, cut, [0, 2])).toEqual({
      text: `a\\tb\\nc\\\\d\\0e\rf\t\\N\t\n\t\\\\N\t\xff\x83\\\\\x80\n\\N\t${'x'.repeat(300)}\t${'y'.repeat(70_000)}\n`,
      ...{ rows: 3, empty: 2 },
    });
  });

  it.each([0xffffff - 5, 0xffffff - 4, 0xffffff - 3, 0xffffff, 0xffffff * 2])(
    'go on where a packet was full, with a value of %i bytes',
    (length) => {
      const large = Buffer.alloc(length, 0x61);
      // A value of more than 16 MiB has a length of eight bytes.
      const prefix = Buffer.alloc(length > 0xffffff ? 9 : 4);
      prefix[0] = length > 0xffffff ? 0xfe : 0xfd;
      prefix.writeUIntLE(length, 1, length > 0xffffff ? 6 : 3);
      const payload = Buffer.concat([prefix, large, value('end')]);
      const parts: Buffer[] = [];
      for (let from = 0; from <= payload.length; from += 0xffffff) {
        const part = payload.subarray(from, from + 0xffffff);
        parts.push(Buffer.from([part.length & 0xff, (part.length >> 8) & 0xff, part.length >> 16, 0]), part);
      }
      const { text, rows } = lines(Buffer.concat([...parts, row('b', 'c')]), 2, 65_537);
      expect(rows).toBe(2);
      expect(text.length).toBe(length + '\tend\nb\tc\n'.length);
      expect(text.endsWith('a\tend\nb\tc\n')).toBe(true);
    },
  );

  it('escape the same bytes wherever they stand, and wherever pieces are cut', () => {
    const escapes: Record<string, string> = { '\t': '\\t', '\n': '\\n', '\0': '\\0', '\\': '\\\\' };
    const byte = fc.oneof(fc.nat(255), fc.constantFrom(0x00, 0x08, 0x09, 0x0a, 0x0b, 0x5b, 0x5c, 0x5d, 0x80, 0xdc));
    const cell = fc.option(fc.array(byte, { maxLength: 300, size: 'max' }));
    const property = fc.property(fc.array(fc.tuple(cell, cell, cell)), fc.integer({ min: 1, max: 900 }), (all, cut) => {
      const line = (cells: readonly (readonly number[] | null)[]): string =>
        cells.map((bytes) => (bytes === null ? '\\N' : escaped(Buffer.from(bytes).toString('latin1')))).join('\t');
      const escaped = (text: string): string => text.replace(/[\t\n\0\\]/g, (one) => escapes[one] ?? '');
      const sent = Buffer.concat(
        all.map((cells) => row(...cells.map((one) => (one === null ? null : Buffer.from(one))))),
      );
      expect(lines(sent, 3, cut).text).toBe(all.map((cells) => `${line(cells)}\n`).join(''));
    });
    fc.assert(property);
  });

  it('are refused with too many or too few values, or without an end', async () => {
    expect(() => lines(row('a', 'b'), 1)).toThrow(/more values/);
    expect(() => lines(row('a'), 2)).toThrow(/before its last value/);
    const cut = async function* (): AsyncGenerator<Buffer> {
      yield packets.subarray(0, 20);
    };
    const read = async (): Promise<void> => {
      for await (const some of linesOf(cut(), new PacketsToLines(3), () => undefined))
        expect(some.length).toBeGreaterThan(0);
    };
    await expect(read()).rejects.toThrow(/no end/);
  });
});
