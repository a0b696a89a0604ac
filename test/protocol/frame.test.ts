import { crc32, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { GENESIS_CHAIN, type LogEntry } from '../../src/model/change.ts';
import {
  Carried,
  decodeBody,
  encodeBody,
  fittingCount,
  MAX_FRAME_BYTES,
  MAX_INLINE_IMAGE_BYTES,
} from '../../src/protocol/frame.ts';
import type { Frame } from '../../src/protocol/sync-source.ts';
import { chained, change, frameOf, randomChanges } from '../support/entries.ts';
import { seededRandom } from '../support/random.ts';

const shown = (): boolean => false;
const damaged = expect.objectContaining({ code: 'VALIDATION_FAILED' });

/** Noise that zstd cannot make smaller, as the characters of a JSON string. */
function noise(random: () => number, length: number): string {
  return Array.from({ length }, () => String.fromCharCode(35 + Math.floor(random() * 57))).join('');
}

/** A frame whose text is `text`, with everything else in order. */
function frameOfText(frame: Frame, text: string): Frame {
  return { ...frame, body: zstdCompressSync(text).toString('base64'), checksum: crc32(text) };
}

describe('round trip', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('gives back random entries exactly (seed %d)', (seed) => {
    const random = seededRandom(seed);
    const entries = chained(randomChanges(random, 1 + Math.floor(random() * 300)));
    const decoded = decodeBody(frameOf(entries));
    expect(decoded.map(({ carried, previous, ...entry }) => entry)).toEqual(entries);
    const chains = [GENESIS_CHAIN, ...entries.map(({ chain }) => chain)];
    expect(decoded.map(({ previous }) => previous)).toEqual(chains.slice(0, -1));
    expect(decoded.map(({ carried }) => carried)).toEqual(entries.map(({ image }) => (image === null ? 0 : 1)));
  });

  test('goes on from the chain of the entry before', () => {
    const before = chained([change()]);
    const previous = before[0]?.chain as string;
    const entries = chained([change({ version: 2 }), change({ version: 3 })], 2, previous);
    expect(decodeBody(frameOf(entries, shown, previous)).map(({ sequence }) => sequence)).toEqual([2, 3]);
  });

  test('an empty frame holds nothing', () => {
    expect(decodeBody(frameOf([]))).toEqual([]);
  });

  test('the first entry of an epoch travels without a document', () => {
    const entries = chained(
      [change({ operation: 'EPOCH', collection: '', id: '', version: 0, after: null, image: null })],
      1,
      GENESIS_CHAIN,
      2,
    );
    expect(decodeBody(frameOf(entries))).toEqual([{ ...entries[0], carried: Carried.NONE, previous: GENESIS_CHAIN }]);
  });

  test('an entry that is hidden keeps its place and hashes, without its image', () => {
    const entries = chained([change({ collection: 'secrets' }), change({ version: 2 })]);
    const [hidden, visible] = decodeBody(frameOf(entries, (entry) => entry.collection === 'secrets'));
    expect(hidden).toEqual({ ...entries[0], image: null, carried: Carried.NONE, previous: GENESIS_CHAIN });
    expect(visible).toEqual({ ...entries[1], carried: Carried.IMAGE, previous: entries[0]?.chain });
  });

  test('an image over 256 KiB travels by reference, counted in bytes', () => {
    const at = change({ image: JSON.stringify('é'.repeat(MAX_INLINE_IMAGE_BYTES / 2 - 1)) });
    const over = change({ version: 2, image: JSON.stringify('é'.repeat(MAX_INLINE_IMAGE_BYTES / 2)) });
    const [inline, reference] = decodeBody(frameOf(chained([at, over])));
    expect(inline?.carried).toBe(Carried.IMAGE);
    expect(reference).toMatchObject({ carried: Carried.REFERENCE, image: null });
  });

  test('an image that the source does not hold itself travels by reference', () => {
    const entries = chained([{ ...change(), image: null }]);
    expect(decodeBody(frameOf(entries))).toMatchObject([{ carried: Carried.REFERENCE }]);
  });
});

describe('cutting', () => {
  test('a frame of changes that cannot be compressed stays within 512 KiB', () => {
    const random = seededRandom(3);
    const entries = chained(
      Array.from({ length: 200 }, (_, i) => change({ version: i + 1, image: `"${noise(random, 4_000)}"` })),
    );
    const count = fittingCount(entries, shown, MAX_FRAME_BYTES);
    expect(encodeBody(entries.slice(0, count), shown).body.length).toBeLessThanOrEqual(MAX_FRAME_BYTES);
    // The bound is not a waste either: nearly all of it is used.
    expect(count).toBeGreaterThan(90);
  });

  test('the largest image that travels inline makes a frame within 512 KiB', () => {
    const image = `"${noise(seededRandom(4), MAX_INLINE_IMAGE_BYTES - 2)}"`;
    const entries = chained([change({ image }), change({ version: 2, image })]);
    expect(fittingCount(entries, shown, MAX_FRAME_BYTES)).toBe(1);
    expect(encodeBody(entries.slice(0, 1), shown).body.length).toBeLessThanOrEqual(MAX_FRAME_BYTES);
  });

  test('random entries stay within any limit, or are one (seed 5)', () => {
    const random = seededRandom(5);
    for (let round = 0; round < 25; round++) {
      const entries = chained(randomChanges(random, 150));
      const maxBytes = 2_000 + Math.floor(random() * 30_000);
      const count = fittingCount(entries, shown, maxBytes);
      expect(count).toBeGreaterThan(0);
      if (count > 1) expect(encodeBody(entries.slice(0, count), shown).body.length).toBeLessThanOrEqual(maxBytes);
    }
  });

  test('what is hidden takes no room', () => {
    const image = JSON.stringify('x'.repeat(200_000));
    const entries = chained(Array.from({ length: 10 }, (_, i) => change({ version: i + 1, image })));
    expect(fittingCount(entries, shown, MAX_FRAME_BYTES)).toBe(1);
    expect(fittingCount(entries, () => true, MAX_FRAME_BYTES)).toBe(10);
  });

  test('a change too large for the limit still goes, alone', () => {
    const entries = chained([change({ id: JSON.stringify('x'.repeat(600_000)) }), change({ version: 2 })]);
    expect(fittingCount(entries, shown, MAX_FRAME_BYTES)).toBe(1);
    expect(decodeBody(frameOf(entries.slice(0, 1)))).toHaveLength(1);
  });
});

describe('damage', () => {
  const entries = chained(randomChanges(seededRandom(11), 40));
  const frame = frameOf(entries);

  test('no single flipped bit of the body makes other changes (every bit of a small frame)', () => {
    const small = frameOf(chained(randomChanges(seededRandom(12), 2)));
    const good = decodeBody(small);
    const body = Buffer.from(small.body);
    let refused = 0;
    for (let bit = 0; bit < body.length * 8; bit++) {
      body[bit >> 3]! ^= 1 << (bit & 7);
      const decoded = decodedOrRefused({ ...small, body: body.toString('latin1') });
      if (decoded === undefined) refused += 1;
      else expect(decoded).toEqual(good);
      body[bit >> 3]! ^= 1 << (bit & 7);
    }
    // What is not refused are the bits that mean nothing in base64 and in the header of zstd.
    expect(refused).toBeGreaterThan(body.length * 8 * 0.98);
  });

  test('a flipped bit of the text is refused, whatever the compression makes of it (seed 13)', () => {
    const random = seededRandom(13);
    const text = textOf(entries);
    for (let round = 0; round < 300; round++) {
      const bytes = Buffer.from(text);
      bytes[Math.floor(random() * bytes.length)]! ^= 1 << Math.floor(random() * 8);
      const body = zstdCompressSync(bytes).toString('base64');
      expect(() => decodeBody({ ...frame, body })).toThrow(damaged);
    }
  });

  test('changed text with a checksum to match is refused by the chain or the image hash (seed 14)', () => {
    const random = seededRandom(14);
    const text = textOf(entries);
    for (let round = 0; round < 300; round++) {
      const at = Math.floor(random() * text.length);
      const other = String.fromCharCode(32 + Math.floor(random() * 94));
      if (other === text[at]) continue;
      const forged = text.slice(0, at) + other + text.slice(at + 1);
      // "carried" stands outside the chain: IMAGE may be forged into REFERENCE or NONE only with its line taken away.
      expect(() => decodeBody(frameOfText(frame, forged)), `at ${at}: ${other}`).toThrow(damaged);
    }
  });

  test('every truncation is refused', () => {
    for (let length = 0; length < frame.body.length; length++) {
      expect(() => decodeBody({ ...frame, body: frame.body.slice(0, length) }), `${length}`).toThrow(damaged);
    }
  });

  test('a truncated text with a checksum to match is refused (seed 15)', () => {
    const random = seededRandom(15);
    const text = textOf(entries);
    for (let round = 0; round < 200; round++) {
      const forged = text.slice(0, Math.floor(random() * text.length));
      expect(() => decodeBody(frameOfText(frame, forged))).toThrow(damaged);
    }
  });

  test('a text that lacks its last image line is refused: a change without image would be applied as a deletion', () => {
    const written = chained([change(), change({ version: 2 })]);
    const lines = textOf(written).split('\n');
    const forged = `${lines.slice(0, -2).join('\n')}\n`;
    expect(() => decodeBody(frameOfText(frameOf(written), forged))).toThrow(damaged);
  });

  test.each<[string, Partial<Frame>]>([
    ['from', { from: 2 }],
    ['to', { to: 41 }],
    ['epoch', { epoch: 2 }],
    ['previous', { previous: 'f'.repeat(32) }],
    ['chain', { chain: 'f'.repeat(32) }],
    ['checksum', { checksum: 1 }],
    ['body', { body: '' }],
    ['cursor', { cursor: frameOf(chained([change()])).cursor }],
  ])('a wrong %s is refused', (_, wrong) => {
    expect(() => decodeBody({ ...frame, ...wrong })).toThrow(damaged);
  });

  test.each<[string, string]>([
    ['no JSON', 'nonsense\n'],
    ['an object', '{}\n'],
    ['too few fields', '[1,"CREATED","teachers"]\n'],
    ['an unknown operation', '[1,"toString","teachers","\\"a\\"",1,1,null,null,null,0]\n'],
    ['a number as id', '[1,"DELETED","teachers",1,1,1,null,null,null,0]\n'],
    ['a short hash', '[1,"DELETED","teachers","\\"a\\"",1,1,"ab",null,null,0]\n'],
    ['an image without hash', '[1,"DELETED","teachers","\\"a\\"",1,1,null,null,null,1]\n{}\n'],
    ['a fraction as sequence', '[1.5,"DELETED","teachers","\\"a\\"",1,1,null,null,null,0]\n'],
    ['no line at all', '\n'],
  ])('%s is refused', (_, text) => {
    expect(() => decodeBody(frameOfText({ ...frame, from: 1, to: 1 }, text))).toThrow(damaged);
  });

  test('a gap is refused even when the chain runs over it', () => {
    const first = chained([change()]);
    const third = chained([change({ version: 2 })], 3, first[0]?.chain);
    expect(() => decodeBody(frameOf([...first, ...third]))).toThrow('change 3 stands where 2 belongs');
  });

  test('a body that grows past 64 MiB is refused without being unpacked', () => {
    const body = zstdCompressSync(Buffer.alloc(80 * 1024 * 1024)).toString('base64');
    expect(body.length).toBeLessThan(20_000);
    expect(() => decodeBody({ ...frame, body })).toThrow('cannot be decompressed');
  });

  test('the refusal names the changes', () => {
    expect(() => decodeBody({ ...frame, checksum: 1 })).toThrow('changes 1 to 40 is damaged: its checksum is wrong');
  });
});

function decodedOrRefused(frame: Frame): unknown {
  try {
    return decodeBody(frame);
  } catch (error) {
    expect(error).toEqual(damaged);
    return undefined;
  }
}

/** The frame text, written down a second time: SPEC.md section 4. */
function textOf(entries: readonly LogEntry[]): string {
  return entries
    .map(({ sequence, operation, collection, id, version, at, before, after, key, image }) => {
      const header = [sequence, operation, collection, id, version, at, before, after, key, image === null ? 0 : 1];
      return `${JSON.stringify(header)}\n${image === null ? '' : `${image}\n`}`;
    })
    .join('');
}

test('the text on the wire is the one of the specification', () => {
  const entries = chained(randomChanges(seededRandom(21), 30));
  expect(encodeBody(entries, shown).checksum).toBe(crc32(textOf(entries)));
});
