import { PairMap } from '../util/pair-map.ts';

/** Shorter values are not looked for inside others: every text would hold some. */
export const SHORTEST_INSIDE = 4;
/** Of longer values the beginning is looked for. */
export const LONGEST = 64;
/** Bits of the first, quick test. */
const FILTER_BITS = 1 << 22;
// Two polynomial hashes, each modulo 2^32; the multipliers are odd and of no meaning.
const BASE_1 = 0x01000193;
const BASE_2 = 0x5bd1e995;

/** What a text holds of the values in the index. */
export interface Found {
  /** The part of the text, in lower case; of a value longer than 64 UTF-16 units its first 64. */
  readonly part: string;
  /** Whether it is the whole text, or as much of it as is compared. */
  readonly whole: boolean;
}

/**
 * The strings that must not survive, in flat memory: about 50 bytes each, whatever their length. It tells whether a text holds one
 * of them, as a whole or inside, in upper or lower case. It never misses one; that it finds one that is not there has a chance of
 * about one in 10^12 per text, so that what must be exact is confirmed by the caller.
 */
export class LeakIndex {
  readonly #filter = new Uint32Array(FILTER_BITS / 32);
  /** By their first four units, the lengths of the values as a set of bits. */
  readonly #lengths = new PairMap();
  readonly #values = new PairMap();
  readonly #powers1 = powersOf(BASE_1);
  readonly #powers2 = powersOf(BASE_2);
  #hashes1 = new Uint32Array(1024);
  #hashes2 = new Uint32Array(1024);

  /** Distinct values that can be found inside others. */
  get size(): number {
    return this.#values.size;
  }

  /** Adds a value. Those shorter than four UTF-16 units are ignored. */
  add(value: string): void {
    const text = value.toLowerCase().slice(0, LONGEST);
    if (text.length < SHORTEST_INSIDE) return;
    this.#hash(text);
    const slot = this.#values.slotFor(this.#part1(0, text.length), this.#part2(0, text.length));
    if (this.#values.low(slot) !== 0) return;
    this.#values.set(slot, 0, text.length);
    const [high, low] = [this.#part1(0, SHORTEST_INSIDE), this.#part2(0, SHORTEST_INSIDE)];
    const bit = (high ^ low) & (FILTER_BITS - 1);
    this.#filter[bit >>> 5]! |= 1 << (bit & 31);
    const lengths = this.#lengths.slotFor(high, low);
    const place = text.length - SHORTEST_INSIDE;
    const [far, near] = [this.#lengths.high(lengths), this.#lengths.low(lengths)];
    this.#lengths.set(lengths, place >= 32 ? far | (1 << (place - 32)) : far, place < 32 ? near | (1 << place) : near);
  }

  /** The first value that `value` holds and that `counts`; undefined when there is none. */
  find(value: string, counts: (found: Found) => boolean = () => true): Found | undefined {
    const text = value.toLowerCase();
    if (text.length < SHORTEST_INSIDE) return undefined;
    this.#hash(text);
    const last = text.length - SHORTEST_INSIDE;
    for (let from = 0; from <= last; from++) {
      const [high, low] = [this.#part1(from, SHORTEST_INSIDE), this.#part2(from, SHORTEST_INSIDE)];
      const bit = (high ^ low) & (FILTER_BITS - 1);
      if (((this.#filter[bit >>> 5] as number) & (1 << (bit & 31))) === 0) continue;
      const lengths = this.#lengths.slotOf(high, low);
      if (lengths === -1) continue;
      const found = this.#findAt(text, from, this.#lengths.high(lengths), this.#lengths.low(lengths), counts);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #findAt(text: string, from: number, far: number, near: number, counts: (found: Found) => boolean): Found | undefined {
    const most = Math.min(LONGEST, text.length - from);
    for (let length = SHORTEST_INSIDE; length <= most; length++) {
      const place = length - SHORTEST_INSIDE;
      if (((place < 32 ? near >>> place : far >>> (place - 32)) & 1) === 0) continue;
      if (this.#values.slotOf(this.#part1(from, length), this.#part2(from, length)) === -1) continue;
      const found = { part: text.slice(from, from + length), whole: length === Math.min(LONGEST, text.length) };
      if (counts(found)) return found;
    }
    return undefined;
  }

  /** Hashes of every beginning of `text`, from which the hash of each part of it follows. */
  #hash(text: string): void {
    if (text.length >= this.#hashes1.length) {
      this.#hashes1 = new Uint32Array(text.length * 2);
      this.#hashes2 = new Uint32Array(text.length * 2);
    }
    const [hashes1, hashes2] = [this.#hashes1, this.#hashes2];
    for (let i = 0; i < text.length; i++) {
      const unit = Math.imul(text.charCodeAt(i) + 1, 0x9e3779b1);
      hashes1[i + 1] = Math.imul(hashes1[i] as number, BASE_1) + unit;
      hashes2[i + 1] = Math.imul(hashes2[i] as number, BASE_2) + (unit ^ (unit >>> 13));
    }
  }

  #part1(from: number, length: number): number {
    return (
      ((this.#hashes1[from + length] as number) -
        Math.imul(this.#hashes1[from] as number, this.#powers1[length] as number)) >>>
      0
    );
  }

  #part2(from: number, length: number): number {
    return (
      ((this.#hashes2[from + length] as number) -
        Math.imul(this.#hashes2[from] as number, this.#powers2[length] as number)) >>>
      0
    );
  }
}

function powersOf(base: number): Uint32Array {
  const powers = new Uint32Array(LONGEST + 1);
  powers[0] = 1;
  for (let i = 1; i <= LONGEST; i++) powers[i] = Math.imul(powers[i - 1] as number, base);
  return powers;
}
