import { describe, expect, it } from 'vitest';
import { ResultPackets } from '../../src/sql/mysql-packets.ts';

function packet(payload: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let from = 0; from <= payload.length; from += 0xffffff) {
    const part = payload.subarray(from, from + 0xffffff);
    parts.push(Buffer.from([part.length & 0xff, (part.length >> 8) & 0xff, part.length >> 16, 7]), part);
  }
  return Buffer.concat(parts);
}

const EOF = packet(Buffer.from([0xfe, 0, 0, 2, 0]));
const ERROR = packet(Buffer.concat([Buffer.from([0xff, 0x28, 0x04]), Buffer.from('#42000bad')]));
/** Two columns: the header, two definitions, their end. */
const BEGIN = Buffer.concat([packet(Buffer.from([2])), packet(Buffer.alloc(40, 3)), packet(Buffer.alloc(30, 3)), EOF]);

function read(answer: Buffer, cut: number): { rows: Buffer; count: number; end: Buffer | null } {
  const rows: Buffer[] = [];
  let end: Buffer | null = null;
  const packets = new ResultPackets({
    onRows: (bytes) => rows.push(Buffer.from(bytes)),
    onEnd: (last) => {
      end = last;
    },
  });
  for (let at = 0; at < answer.length; at += cut) packets.push(answer.subarray(at, at + cut));
  return { rows: Buffer.concat(rows), count: packets.rows, end };
}

describe('the answer to a statement', () => {
  const rows = Buffer.concat([
    packet(Buffer.from([1, 0x61, 0xfb])),
    packet(Buffer.concat([Buffer.from([0xfc, 0x2c, 0x01]), Buffer.alloc(300, 0xfe), Buffer.from([0])])),
    // It begins like an end, and is a row: a length of eight bytes.
    packet(Buffer.concat([Buffer.from([0xfe, 2, 0, 0, 0, 0, 0, 0, 0]), Buffer.from([0x61, 0x62, 0])])),
  ]);

  it.each([1, 2, 3, 4, 5, 7, 64, 100_000])('is its rows as they were sent, in pieces of %i bytes', (cut) => {
    const found = read(Buffer.concat([BEGIN, rows, EOF]), cut);
    expect(found).toEqual({ rows, count: 3, end: EOF });
  });

  it.each([1, 100])('ends with the error of a statement and that of a row, in pieces of %i bytes', (cut) => {
    expect(read(ERROR, cut)).toEqual({ rows: Buffer.alloc(0), count: 0, end: ERROR });
    expect(read(Buffer.concat([BEGIN, rows, ERROR]), cut)).toEqual({ rows, count: 3, end: ERROR });
  });

  it.each([
    [[2], 2],
    [[0xfc, 0x2c, 0x01], 300],
    [[0xfd, 1, 0, 1], 65_537],
    [[0xfe, 0, 0, 0, 0, 1, 0, 0, 0], 2 ** 32],
  ])('tells what a statement without rows changed (%j)', (affected, count) => {
    const packets = new ResultPackets({ onRows: () => {}, onEnd: () => {} });
    packets.push(packet(Buffer.from([0, ...affected, 0xfc, 9, 9, 2, 0, 5, 1])));
    expect(packets).toMatchObject({ rows: 0, affectedRows: count, warnings: 261 });
  });

  it.each([0xffffff - 1, 0xffffff, 0xffffff + 1, 0xffffff * 2])(
    'counts a row of %i bytes once, whatever its later packets begin with',
    (length) => {
      const large = packet(Buffer.alloc(length, 0xff).fill(1, 0, 1));
      const found = read(Buffer.concat([BEGIN, large, large, EOF]), 65_521);
      expect(found.count).toBe(2);
      expect(found.rows.equals(Buffer.concat([large, large]))).toBe(true);
      expect(found.end).toEqual(EOF);
    },
  );
});
