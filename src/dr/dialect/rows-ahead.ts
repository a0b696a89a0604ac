import { readChunk } from '../archive/chunk-reader.ts';
import type { Chunk } from '../archive/manifest.ts';
import type { RestoreOrder } from './restore-target.ts';

/** The rows of a chunk, in pieces; see {@link readChunk}. */
type Rows = ReturnType<typeof readChunk>;

/**
 * The rows of chunks that one worker loads one after the other: while those of one are sent, the first piece of the next is read and
 * summed, so that the server does not wait for it between small tables.
 */
export class RowsAhead implements AsyncDisposable {
  readonly #read: (chunk: Chunk) => Rows;
  /** By each chunk the one after it. */
  readonly #next = new Map<Chunk, Chunk>();
  /** What was begun, by its chunk. */
  readonly #begun = new Map<Chunk, BegunRows>();

  /** @param chunks in the order in which they will be asked for */
  constructor(
    { storage, manifest, key }: Pick<RestoreOrder, 'storage' | 'manifest' | 'key'>,
    chunks: readonly Chunk[],
    signal: AbortSignal,
  ) {
    this.#read = (chunk) => readChunk(storage, chunk, { manifest, key, signal });
    for (const [index, chunk] of chunks.entries()) {
      const next = chunks[index + 1];
      if (next !== undefined) this.#next.set(chunk, next);
    }
  }

  /** The rows of a chunk, to be read once and in one go. */
  rowsOf(chunk: Chunk): AsyncIterable<Buffer> {
    return this.#begun.get(chunk) ?? this.#read(chunk);
  }

  /** Begins with the chunk after one whose rows are being sent. May be called often. */
  beginAfter(chunk: Chunk): void {
    const next = this.#next.get(chunk);
    if (next === undefined || this.#begun.has(next)) return;
    this.#begun.set(next, new BegunRows(this.#read(next)));
  }

  /** Ends what was begun and not read to its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const rows of this.#begun.values()) await rows.return();
  }
}

/** Rows whose first piece was asked for already. */
class BegunRows implements AsyncIterableIterator<Buffer> {
  readonly #rows: Rows;
  #first: Promise<IteratorResult<Buffer, void>> | undefined;

  constructor(rows: Rows) {
    this.#rows = rows;
    this.#first = rows.next();
    // Whoever reads the rows sees an error; until then it is no unhandled one.
    this.#first.catch(() => undefined);
  }

  next(): Promise<IteratorResult<Buffer, void>> {
    const next = this.#first ?? this.#rows.next();
    this.#first = undefined;
    return next;
  }

  async return(): Promise<IteratorResult<Buffer, void>> {
    return this.#rows.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
