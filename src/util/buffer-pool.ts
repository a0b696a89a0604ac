/**
 * Bytes of a page of memory. What goes past the operating system's cache begins at one, in memory and in the file, and is whole ones; no
 * disk asks for more.
 */
export const PAGE_BYTES = 4096;
/** The types of Node leave it out. */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    readonly Memory: new (pages: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  };
};
const WASM_PAGE_BYTES = 64 << 10;

const poolMemory = new WeakSet<ArrayBufferLike>();

/**
 * Buffers of one size that are used again and again. Large buffers lie outside the heap, and each new one brings the next garbage
 * collection nearer: bulk work that allocates one for each piece spends a good part of its time there. They lie side by side in memory
 * that begins at a page: WebAssembly's, because JavaScript's other memory begins anywhere.
 */
export class BufferPool {
  readonly #bytes: number;
  readonly #most: number;
  readonly #spare: Buffer[] = [];
  #memory: ArrayBuffer | undefined;

  /**
   * @param bytes size of each buffer
   * @param most buffers that are kept; whoever takes more gets new ones
   */
  constructor(bytes: number, most: number) {
    this.#bytes = bytes;
    this.#most = most;
  }

  /** A buffer with whatever it held before. */
  take(): Buffer {
    if (this.#memory === undefined) this.#reserve();
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#bytes);
  }

  /**
   * Gives back a buffer that nobody will read or write any more, once. One of another size is left to the garbage collector, as are those
   * of which there are enough; not those at a page, which are taken first.
   */
  give(buffer: Buffer): void {
    if (buffer.length !== this.#bytes) return;
    if (buffer.buffer === this.#memory) this.#spare.push(buffer);
    else if (this.#spare.length < this.#most) this.#spare.unshift(buffer);
  }

  /** Pages that were never written to take no memory. */
  #reserve(): void {
    const pages = Math.ceil((this.#bytes * this.#most) / WASM_PAGE_BYTES);
    let memory: ArrayBuffer;
    try {
      memory = new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer;
    } catch {
      // Not every process may have so many addresses: then buffers begin anywhere.
      this.#memory = new ArrayBuffer(0);
      return;
    }
    this.#memory = memory;
    poolMemory.add(memory);
    for (let i = this.#most - 1; i >= 0; i--) this.#spare.push(Buffer.from(memory, i * this.#bytes, this.#bytes));
  }
}

/** Whether bytes of a pool begin at a page. */
export function beginsAtPage(bytes: Uint8Array): boolean {
  return poolMemory.has(bytes.buffer) && bytes.byteOffset % PAGE_BYTES === 0;
}
