import { createHash, createHmac, type KeyObject } from 'node:crypto';

/**
 * An endless sequence of choices that depends on a secret key, a kind, a value and the number of the try, and on nothing else:
 * the same ones on every machine, and without the key nobody can tell them or lead them back to the value.
 */
export class Draw {
  readonly #seed: Buffer;
  #block: Buffer;
  #blocks = 0;
  #at = 0;

  constructor(key: KeyObject, kind: string, value: string, attempt: number) {
    this.#seed = createHmac('sha256', key).update(`${kind}\0${attempt}\0`).update(value).digest();
    this.#block = this.#seed;
  }

  /** A whole number from 0 to `limit` - 1; `limit` is at most 2^32. */
  below(limit: number): number {
    return Math.floor((this.#uint32() / 2 ** 32) * limit);
  }

  /** A number from 0 to just under 1, of 53 bits. */
  fraction(): number {
    return ((this.#uint32() >>> 5) * 2 ** 26 + (this.#uint32() >>> 6)) / 2 ** 53;
  }

  /** One of `items`. */
  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  /** Hexadecimal digits. */
  hex(digits: number): string {
    let text = '';
    while (text.length < digits) text += this.#uint32().toString(16).padStart(8, '0');
    return text.slice(0, digits);
  }

  #uint32(): number {
    if (this.#at + 4 > this.#block.length) {
      this.#block = createHash('sha256')
        .update(this.#seed)
        .update(String(++this.#blocks))
        .digest();
      this.#at = 0;
    }
    const value = this.#block.readUInt32BE(this.#at);
    this.#at += 4;
    return value;
  }
}
