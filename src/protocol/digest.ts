import { crc32 } from 'node:zlib';
import type { Hash } from '../model/change.ts';
import type { DocumentText } from '../model/document.ts';

const SIZE = 4096;
/** Bytes of one bucket on the wire and on disk: a 16-byte sum, a 4-byte count, big endian. */
const BUCKET_BYTES = 20;
const LIMBS = 4;
/** One more than the largest limb. */
const LIMB = 2 ** 32;
/** What buckets in which nothing ever was share: a server of many collections keeps little for those without documents. */
const NO_SUMS = new Uint32Array(SIZE * LIMBS);
const NO_COUNTS = new Uint32Array(SIZE);
/** The bytes of the hash that is added or subtracted at the moment. */
const BYTES = Buffer.alloc(16);
const LIMBS_OF_BYTES = new DataView(BYTES.buffer, BYTES.byteOffset, BYTES.length);

/**
 * The bucket of a document, 0…4095, by its id. CRC-32 spreads ids evenly and is the cheapest hash at hand; the strength of
 * the digest comes from the document hashes, not from here.
 */
export function bucketOf(id: DocumentText): number {
  return crc32(id) & (SIZE - 1);
}

/**
 * State of one collection: per bucket the number of its documents and the sum, modulo 2^128, of their hashes. The sum does
 * not depend on the order of the changes, so equal sets of documents have equal buckets whatever their history.
 */
export class Buckets {
  /** Number of buckets of every collection. */
  static readonly SIZE = SIZE;

  /** Four limbs per bucket, least significant first. */
  #sums: Uint32Array = NO_SUMS;
  #counts: Uint32Array = NO_COUNTS;

  /** A document with this hash came into the bucket. */
  add(bucket: number, hash: Hash): void {
    const sums = this.#own();
    BYTES.write(hash, 'hex');
    let carry = 0;
    for (let limb = 0; limb < LIMBS; limb++) {
      const at = bucket * LIMBS + limb;
      const sum = (sums[at] as number) + limbOfBytes(limb) + carry;
      sums[at] = sum;
      carry = sum > 0xffffffff ? 1 : 0;
    }
    this.#counts[bucket]! += 1;
  }

  /** A document with this hash left the bucket; the inverse of {@link add}. */
  subtract(bucket: number, hash: Hash): void {
    const sums = this.#own();
    BYTES.write(hash, 'hex');
    let borrow = 0;
    for (let limb = 0; limb < LIMBS; limb++) {
      const at = bucket * LIMBS + limb;
      const difference = (sums[at] as number) - limbOfBytes(limb) - borrow;
      sums[at] = difference;
      borrow = difference < 0 ? 1 : 0;
    }
    this.#counts[bucket]! -= 1;
  }

  /** A copy that changes on its own. */
  clone(): Buckets {
    const copy = new Buckets();
    if (this.#sums === NO_SUMS) return copy;
    copy.#sums = this.#sums.slice();
    copy.#counts = this.#counts.slice();
    return copy;
  }

  /** Number of documents in all buckets. */
  get count(): number {
    let total = 0;
    for (const count of this.#counts) total += count;
    return total;
  }

  /** The whole collection in one count and one sum. */
  digest(): { readonly count: number; readonly sum: Hash } {
    // 4,096 limbs of 32 bits add up to less than 2^53: the carries can wait.
    const totals = [0, 0, 0, 0];
    const sums = this.#sums;
    for (let limb = 0; limb < LIMBS; limb++) {
      let total = 0;
      for (let at = limb; at < sums.length; at += LIMBS) total += sums[at] as number;
      totals[limb] = total;
    }
    let sum = '';
    let carry = 0;
    for (const total of totals) {
      const limb = total + carry;
      sum = (limb % LIMB).toString(16).padStart(8, '0') + sum;
      carry = Math.floor(limb / LIMB);
    }
    return { count: this.count, sum };
  }

  /** The buckets, ascending, in which the two collections differ. */
  differing(other: Buckets): number[] {
    const buckets: number[] = [];
    for (let bucket = 0; bucket < SIZE; bucket++) {
      let same = this.#counts[bucket] === other.#counts[bucket];
      for (let limb = 0; limb < LIMBS && same; limb++) {
        const at = bucket * LIMBS + limb;
        same = this.#sums[at] === other.#sums[at];
      }
      if (!same) buckets.push(bucket);
    }
    return buckets;
  }

  /** So many buckets from `first` on, each as 20 bytes: the 16-byte sum, then the 4-byte count, big endian. */
  bytesOf(first: number, count = 1): Buffer {
    const bytes = Buffer.allocUnsafe(count * BUCKET_BYTES);
    for (let i = 0; i < count; i++) this.#write(first + i, bytes, i * BUCKET_BYTES);
    return bytes;
  }

  /** Sets the buckets from `first` on from what {@link bytesOf} gave. */
  load(first: number, bytes: Uint8Array): void {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i * BUCKET_BYTES < buffer.length; i++) this.#read(first + i, buffer, i * BUCKET_BYTES);
  }

  /** All buckets as base64 of 4,096 × 20 bytes. */
  toBase64(): string {
    return this.bytesOf(0, SIZE).toString('base64');
  }

  /** Reads what {@link toBase64} wrote. @throws RangeError for another length */
  static fromBase64(text: string): Buckets {
    const bytes = Buffer.from(text, 'base64');
    if (bytes.length !== SIZE * BUCKET_BYTES) throw new RangeError(`${bytes.length} bytes are not ${SIZE} buckets`);
    const buckets = new Buckets();
    buckets.load(0, bytes);
    return buckets;
  }

  /** The sums, from now on its own. */
  #own(): Uint32Array {
    if (this.#sums === NO_SUMS) {
      this.#sums = new Uint32Array(SIZE * LIMBS);
      this.#counts = new Uint32Array(SIZE);
    }
    return this.#sums;
  }

  #write(bucket: number, bytes: Buffer, offset: number): void {
    for (let limb = 0; limb < LIMBS; limb++) {
      bytes.writeUInt32BE(this.#sums[bucket * LIMBS + limb] as number, offset + 12 - limb * 4);
    }
    bytes.writeUInt32BE(this.#counts[bucket] as number, offset + 16);
  }

  #read(bucket: number, bytes: Buffer, offset: number): void {
    const sums = this.#own();
    for (let limb = 0; limb < LIMBS; limb++) {
      sums[bucket * LIMBS + limb] = bytes.readUInt32BE(offset + 12 - limb * 4);
    }
    this.#counts[bucket] = bytes.readUInt32BE(offset + 16);
  }
}

/** 32 bits of the hash in {@link BYTES}, `limb` 0 being the least significant. */
function limbOfBytes(limb: number): number {
  return LIMBS_OF_BYTES.getUint32(BYTES.length - 4 - limb * 4);
}
