import { expect, test } from 'vitest';
import { type Cursor, decodeCursor, encodeCursor } from '../../src/protocol/cursor.ts';
import { seededRandom } from '../support/random.ts';

const cursor: Cursor = {
  logId: '00ff'.repeat(8),
  epoch: 3,
  sequence: 4_000_000_000,
  chain: '0123456789abcdef'.repeat(2),
};

test('a cursor says the same after a round trip, with the first half of the chain', () => {
  expect(decodeCursor(encodeCursor(cursor))).toEqual({ ...cursor, chain: '0123456789abcdef' });
});

test.each([0, 1, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32, 2 ** 49 - 1, Number.MAX_SAFE_INTEGER])(
  'the sequence %d survives',
  (sequence) => {
    expect(decodeCursor(encodeCursor({ ...cursor, sequence })).sequence).toBe(sequence);
  },
);

test('the text is a word for a URL', () => {
  const longest = { ...cursor, epoch: Number.MAX_SAFE_INTEGER, sequence: Number.MAX_SAFE_INTEGER };
  expect(encodeCursor(longest)).toMatch(/^[\w-]{55}$/);
  expect(decodeCursor(encodeCursor(longest))).toMatchObject({ epoch: longest.epoch, sequence: longest.sequence });
});

test.each([
  ['nothing', ''],
  ['other text', 'hello'],
  ['another version', Buffer.from([2, ...Buffer.alloc(26)]).toString('base64url')],
  ['a number that does not end', Buffer.from([1, ...Buffer.alloc(16), ...Buffer.alloc(20, 255)]).toString('base64url')],
  ['epoch 0', encodeCursor({ ...cursor, epoch: 0 })],
  ['a character too many', `${encodeCursor(cursor)}A`],
  ['signs that base64 passes over', `${encodeCursor(cursor).slice(0, 10)}!${encodeCursor(cursor).slice(10)}`],
  ['a megabyte', 'A'.repeat(1024 * 1024)],
])('refuses %s', (_, text) => {
  expect(() => decodeCursor(text)).toThrow(expect.objectContaining({ code: 'VALIDATION_FAILED' }));
});

test('refuses every truncation', () => {
  const text = encodeCursor(cursor);
  for (let length = 0; length < text.length; length++) expect(() => decodeCursor(text.slice(0, length))).toThrow();
});

test('a damaged text is refused or is a cursor that is written the same way (seed 7)', () => {
  const random = seededRandom(7);
  const text = encodeCursor(cursor);
  for (let round = 0; round < 2_000; round++) {
    const at = Math.floor(random() * text.length);
    const damaged = text.slice(0, at) + String.fromCharCode(33 + Math.floor(random() * 94)) + text.slice(at + 1);
    try {
      expect(encodeCursor(decodeCursor(damaged))).toBe(damaged);
    } catch (error) {
      expect(error).toMatchObject({ code: 'VALIDATION_FAILED' });
    }
  }
});
