import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CopyFrames } from '../../src/sql/postgres-frames.ts';

function message(type: string, body: Uint8Array): Buffer {
  const header = Buffer.alloc(5, type);
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

/** Feeds a stream in pieces through one reused buffer, as a socket does. */
function read(stream: Buffer, pieces: readonly number[]): { rows: Buffer; others: Buffer; calls: string[] } {
  const rows: Buffer[] = [];
  const others: Buffer[] = [];
  const calls: string[] = [];
  const frames = new CopyFrames({
    onRows: (bytes) => {
      rows.push(Buffer.from(bytes));
      if (calls.at(-1) !== 'rows') calls.push('rows');
    },
    onOther: (bytes) => {
      others.push(Buffer.from(bytes));
      if (calls.at(-1) !== 'other') calls.push('other');
    },
  });
  const reused = Buffer.alloc(stream.length);
  let at = 0;
  for (let i = 0; at < stream.length; i++) {
    const end = Math.min(stream.length, at + (pieces[i % pieces.length] ?? 1));
    stream.copy(reused, 0, at, end);
    frames.push(reused.subarray(0, end - at));
    at = end;
  }
  return { rows: Buffer.concat(rows), others: Buffer.concat(others), calls };
}

describe('CopyFrames', () => {
  it('takes the rows out of messages that are cut anywhere, and hands the others on as they were', () => {
    const row = fc.tuple(fc.constantFrom('d', 'd', 'd', 'N', 'c', 'H'), fc.uint8Array({ maxLength: 40 }));
    const pieces = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.array(row), pieces, (messages, cuts) => {
        const stream = Buffer.concat(messages.map(([type, body]) => message(type, body)));
        const read_ = read(stream, cuts);
        const only = (isRow: boolean) => messages.filter(([type]) => (type === 'd') === isRow);
        expect(read_.rows).toEqual(Buffer.concat(only(true).map(([, body]) => body)));
        expect(read_.others).toEqual(Buffer.concat(only(false).map(([type, body]) => message(type, body))));
      }),
    );
  });

  it('keeps rows before the message that ends them', () => {
    const stream = Buffer.concat([
      message('d', Buffer.from('a\n')),
      message('c', Buffer.alloc(0)),
      message('d', Buffer.from('b\n')),
    ]);
    expect(read(stream, [1000]).calls).toEqual(['rows', 'other', 'rows']);
  });
});
