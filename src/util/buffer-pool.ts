/**
 * Buffers of one size that are used again and again. Large buffers lie outside the heap, and each new one brings the next garbage
 * collection nearer: bulk work that allocates one for each piece spends a good part of its time there.
 */
export class BufferPool {
  readonly #bytes: number;
  readonly #most: number;
  readonly #spare: Buffer[] = [];

  /**
   * @param bytes size of each buffer
   * @param most spare buffers that are kept
   */
  constructor(bytes: number, most: number) {
    this.#bytes = bytes;
    this.#most = most;
  }

  /** A buffer with whatever it held before. */
  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#bytes);
  }

  /** Gives back a buffer that nobody will read or write any more. One of another size is left to the garbage collector. */
  give(buffer: Buffer): void {
    if (buffer.length === this.#bytes && this.#spare.length < this.#most) this.#spare.push(buffer);
  }
}
