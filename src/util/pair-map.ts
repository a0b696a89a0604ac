/** Slots at the start. */
const FIRST_CAPACITY = 1 << 10;

/**
 * A map from 64-bit numbers to 64-bit numbers, each given as two halves of 32 bits, in flat memory: 32 bytes an entry or less, where
 * a Map of strings takes some hundred. Entries stay.
 */
export class PairMap {
  #keys = new Uint32Array(FIRST_CAPACITY * 2);
  #values = new Uint32Array(FIRST_CAPACITY * 2);
  #mask = FIRST_CAPACITY - 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The slot of a key, or -1. Slots change with the next {@link slotFor}. */
  slotOf(high: number, low: number): number {
    const slot = this.#probe(high, low | 1);
    return this.#keys[slot * 2 + 1] === 0 ? -1 : slot;
  }

  /** The slot of a key, which is made with the value 0 when there is none. */
  slotFor(high: number, low: number): number {
    if ((this.#size + 1) * 2 > this.#mask) this.#grow();
    const slot = this.#probe(high, low | 1);
    if (this.#keys[slot * 2 + 1] === 0) {
      this.#keys[slot * 2] = high;
      this.#keys[slot * 2 + 1] = low | 1;
      this.#size += 1;
    }
    return slot;
  }

  high(slot: number): number {
    return this.#values[slot * 2] as number;
  }

  low(slot: number): number {
    return this.#values[slot * 2 + 1] as number;
  }

  set(slot: number, high: number, low: number): void {
    this.#values[slot * 2] = high;
    this.#values[slot * 2 + 1] = low;
  }

  /** The last bit of a key is given up, so that 0 means an empty slot. */
  #probe(high: number, low: number): number {
    const [wantedHigh, wantedLow] = [high >>> 0, low >>> 0];
    let slot = Math.imul(wantedHigh ^ (wantedLow >>> 7), 0x9e3779b1) >>> 0;
    for (slot = (slot ^ (slot >>> 15)) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const found = this.#keys[slot * 2 + 1];
      if (found === 0 || (found === wantedLow && this.#keys[slot * 2] === wantedHigh)) return slot;
    }
  }

  #grow(): void {
    const [keys, values] = [this.#keys, this.#values];
    this.#mask = (this.#mask + 1) * 2 - 1;
    this.#keys = new Uint32Array((this.#mask + 1) * 2);
    this.#values = new Uint32Array((this.#mask + 1) * 2);
    for (let at = 0; at < keys.length; at += 2) {
      if (keys[at + 1] === 0) continue;
      const slot = this.#probe(keys[at] as number, keys[at + 1] as number);
      this.#keys.set(keys.subarray(at, at + 2), slot * 2);
      this.#values.set(values.subarray(at, at + 2), slot * 2);
    }
  }
}
