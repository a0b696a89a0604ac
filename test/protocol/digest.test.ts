import { describe, expect, it } from 'vitest';
import { Buckets, bucketOf } from '../../src/protocol/digest.ts';
import { seededRandom } from '../support/random.ts';

const MODULUS = 2n ** 128n;

/** Random hashes, with many zeros and ones so that carries happen. */
function randomHashes(seed: number, count: number): string[] {
  const random = seededRandom(seed);
  const limb = () =>
    [0, 0xffffffff, Math.floor(random() * 0x100000000)][Math.floor(random() * 3)]!.toString(16).padStart(8, '0');
  return Array.from({ length: count }, () => limb() + limb() + limb() + limb());
}

describe('bucketOf', () => {
  it('gives each id one of 4,096 buckets, evenly, the same for ever', () => {
    const counts = new Uint32Array(Buckets.SIZE);
    for (let id = 0; id < 40_960; id++) counts[bucketOf(`"${id.toString(16).padStart(24, '0')}"`)]! += 1;
    expect(Math.min(...counts)).toBeGreaterThan(0);
    expect(Math.max(...counts)).toBeLessThan(40);
    expect([bucketOf('"a"'), bucketOf('{"$oid":"65f0c0ffee65f0c0ffee65f0"}')]).toEqual([158, 258]);
  });
});

describe('Buckets', () => {
  it('sums modulo 2^128, and subtracts what was added', () => {
    const hashes = randomHashes(1, 500);
    const buckets = new Buckets();
    let sum = 0n;
    for (const [place, hash] of hashes.entries()) {
      buckets.add(place % 7, hash);
      sum = (sum + BigInt(`0x${hash}`)) % MODULUS;
      expect(buckets.digest()).toEqual({ count: place + 1, sum: sum.toString(16).padStart(32, '0') });
    }
    for (const [place, hash] of hashes.entries()) buckets.subtract(place % 7, hash);
    expect(buckets.digest()).toEqual({ count: 0, sum: '0'.repeat(32) });
    expect(buckets.differing(new Buckets())).toEqual([]);
  });

  it('does not depend on the order', () => {
    const hashes = randomHashes(2, 100);
    const [one, other] = [new Buckets(), new Buckets()];
    for (const hash of hashes) one.add(5, hash);
    for (const hash of hashes.toReversed()) other.add(5, hash);
    expect(one.differing(other)).toEqual([]);
  });

  it('names the buckets that differ, by sum or by count', () => {
    const one = new Buckets();
    const other = one.clone();
    one.add(0, '0'.repeat(32));
    other.add(77, `${'0'.repeat(31)}1`);
    one.add(4_095, `8${'0'.repeat(31)}`);
    expect(one.differing(other)).toEqual([0, 77, 4_095]);
    expect(other.differing(one)).toEqual([0, 77, 4_095]);
  });

  it('is copied by value', () => {
    const one = new Buckets();
    one.add(1, 'a'.repeat(32));
    const copy = one.clone();
    copy.add(2, 'b'.repeat(32));
    expect(one.digest()).toEqual({ count: 1, sum: 'a'.repeat(32) });
    expect(copy.count).toBe(2);
  });

  it('travels as base64 of 4,096 sums and counts, big endian', () => {
    const buckets = new Buckets();
    for (const [place, hash] of randomHashes(3, 200).entries()) buckets.add(place * 20, hash);
    buckets.add(1, '000102030405060708090a0b0c0d0e0f');
    const bytes = Buffer.from(buckets.toBase64(), 'base64');
    expect(bytes).toHaveLength(4_096 * 20);
    expect(bytes.subarray(20, 40).toString('hex')).toBe('000102030405060708090a0b0c0d0e0f00000001');
    expect(Buckets.fromBase64(buckets.toBase64()).differing(buckets)).toEqual([]);
    expect(() => Buckets.fromBase64('AAAA')).toThrow(RangeError);
  });

  it('is stored bucket by bucket', () => {
    const buckets = new Buckets();
    buckets.add(9, 'c'.repeat(32));
    const loaded = new Buckets();
    loaded.load(9, new Uint8Array(buckets.bytesOf(9)));
    expect(loaded.differing(buckets)).toEqual([]);
  });
});
