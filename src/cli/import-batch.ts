/** One document on its way. */
export interface Item {
  /** Place of the document among those of the file, from 0. */
  readonly index: number;
  /** Line of the file on which the document starts. */
  readonly line: number;
  /** The input as JSON. */
  readonly json: string;
}

/** Documents that travel in one request. */
export interface Batch {
  readonly items: readonly Item[];
  /** Bytes of the file read when the batch was full. */
  readonly readBytes: number;
}

export const MAX_ITEMS = 1_000;
export const MAX_BYTES = 512 * 1024;

/** Gathers items into batches of at most {@link MAX_ITEMS} and {@link MAX_BYTES}; a larger item travels alone. */
export class Batcher {
  #items: Item[] = [];
  #bytes = 0;

  /** Adds an item; returns the batch that had to go before it. */
  add(item: Item, readBytes: number): Batch | undefined {
    const bytes = Buffer.byteLength(item.json) + 1;
    const full = this.#items.length === MAX_ITEMS || (this.#items.length > 0 && this.#bytes + bytes > MAX_BYTES);
    const batch = full ? this.rest(readBytes) : undefined;
    this.#items.push(item);
    this.#bytes += bytes;
    return batch;
  }

  /** What is left; undefined when nothing is. */
  rest(readBytes: number): Batch | undefined {
    if (this.#items.length === 0) return undefined;
    const batch = { items: this.#items, readBytes };
    this.#items = [];
    this.#bytes = 0;
    return batch;
  }
}
