const GROUP_BITS = 13;
const GROUP = 1 << GROUP_BITS;
/** More row versions than a page of 8 KiB can hold; larger pages hold up to four times as many. */
const SLOTS = 512;
const SLOTS_OF_LARGE_PAGES = 2048;

/**
 * A set of places of rows in a PostgreSQL table (`ctid`: page and slot). Within one snapshot a place names one row. A bit each, for
 * the parts of the table where there are any: at most a hundredth of the table's size.
 */
export class TidSet {
  readonly #slots: number;
  readonly #groups = new Map<number, Uint32Array>();
  #size = 0;

  /** @param pageBytes `block_size` of the server */
  constructor(pageBytes = 8192) {
    this.#slots = pageBytes > 8192 ? SLOTS_OF_LARGE_PAGES : SLOTS;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds a place written as `(page,slot)`. Returns whether it is new. */
  add(tid: string): boolean {
    const { group, word, bit } = this.#locate(tid);
    const words = this.#groups.get(group) ?? new Uint32Array(GROUP / 32);
    const before = words[word]!;
    if ((before & bit) !== 0) return false;
    words[word] = before | bit;
    this.#groups.set(group, words);
    this.#size += 1;
    return true;
  }

  has(tid: string): boolean {
    const { group, word, bit } = this.#locate(tid);
    return ((this.#groups.get(group)?.[word] ?? 0) & bit) !== 0;
  }

  /** At most `count` places from the `from`-th on, in the order of the table, as PostgreSQL reads an array of `tid`. */
  slice(from: number, count: number): string {
    const tids: string[] = [];
    let skip = from;
    for (const group of [...this.#groups.keys()].sort((a, b) => a - b)) {
      const words = this.#groups.get(group)!;
      const held = words.reduce((sum, word) => sum + bitCount(word), 0);
      if (skip >= held) {
        skip -= held;
        continue;
      }
      for (let i = 0; i < GROUP && tids.length < count; i++) {
        if ((words[i >>> 5]! & (1 << (i & 31))) === 0) continue;
        if (skip > 0) skip -= 1;
        else tids.push(this.#place(group * GROUP + i));
      }
      if (tids.length === count) break;
    }
    return tidArray(tids);
  }

  /** Removes up to `count` places, and returns them as PostgreSQL reads an array of `tid`. */
  take(count: number): string {
    const tids: string[] = [];
    for (const [group, words] of this.#groups) {
      let i = 0;
      for (; i < GROUP && tids.length < count; i++) {
        const bit = 1 << (i & 31);
        if ((words[i >>> 5]! & bit) === 0) continue;
        words[i >>> 5]! &= ~bit;
        tids.push(this.#place(group * GROUP + i));
      }
      if (i === GROUP) this.#groups.delete(group);
      if (tids.length === count) break;
    }
    this.#size -= tids.length;
    return tidArray(tids);
  }

  #place(key: number): string {
    return `(${Math.floor(key / this.#slots)},${key % this.#slots})`;
  }

  #locate(tid: string): { group: number; word: number; bit: number } {
    const comma = tid.indexOf(',');
    const key = Number(tid.slice(1, comma)) * this.#slots + Number(tid.slice(comma + 1, -1));
    const within = key % GROUP;
    return { group: Math.floor(key / GROUP), word: within >>> 5, bit: 1 << (within & 31) };
  }
}

/** An array of `tid` as text. */
export function tidArray(tids: readonly string[]): string {
  return `{${tids.map((tid) => `"${tid}"`).join(',')}}`;
}

function bitCount(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
