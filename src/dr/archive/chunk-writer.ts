import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { BufferPool } from '../../util/buffer-pool.ts';
import { Sealer } from './encryption.ts';
import type { EncryptionKey } from './encryption-key.ts';
import type { ArchiveStorage, FileSink } from './storage.ts';
import { compressFrame, freeMemory } from './zstd-frame.ts';

/** Rows are compressed in blocks of this size, each a frame of its own, several at once on the thread pool. */
const BLOCK_BYTES = 4 << 20;
/** Blocks of one file that are being compressed or written while the next fills. */
const IN_FLIGHT = 3;
/** Bytes are summed when so many have come: few calls, and they are still in the processor's cache. */
const SUMMED_BYTES = 256 << 10;

/** Blocks that were written out, for whichever chunk fills the next. */
const blocks = new BufferPool(BLOCK_BYTES, 8);
const NO_BLOCK = Buffer.alloc(0);

/** How the files of an archive are compressed; levels as zstd's, 1 by default. */
export type Compression = 'none' | { readonly zstd: number };
export const DEFAULT_COMPRESSION: Compression = { zstd: 1 };

export interface ChunkOptions {
  readonly compression: Compression;
  /** Encrypts the file. */
  readonly key?: EncryptionKey | undefined;
}

/** What the manifest says about a written file: see `Chunk`. */
export interface ChunkTotals {
  readonly bytes: number;
  readonly storedBytes: number;
  readonly crc32: string;
  readonly sha256: string;
}

/** Opens a file of rows for writing. At most about 30 MB are held for it at any time, however large the rows. */
export async function openChunk(storage: ArchiveStorage, name: string, options: ChunkOptions): Promise<ChunkWriter> {
  return new ChunkWriter(await storage.create(name), name, options);
}

/** Compresses, encrypts and stores the bytes of one chunk. Nothing is visible before {@link finish}. */
export class ChunkWriter {
  readonly #sink: FileSink;
  readonly #compression: Compression;
  readonly #sealer: Sealer | undefined;
  /** The file holds the rows as they are, and so is summed with them. */
  readonly #isPlain: boolean;
  readonly #sha256 = createHash('sha256');
  #crc32 = 0;
  #bytes = 0;
  #storedBytes = 0;
  /** Taken with the first of its bytes: a file on its way to its end holds none. */
  #block: Buffer = NO_BLOCK;
  #filled = 0;
  /** Bytes of the block that are in the sums already. */
  #summed = 0;
  /** Blocks on their way, oldest first; each resolves when it and all before it are stored. */
  readonly #onTheirWay: Promise<void>[] = [];

  constructor(sink: FileSink, name: string, { compression, key }: ChunkOptions) {
    this.#sink = sink;
    this.#compression = compression;
    this.#sealer = key === undefined ? undefined : new Sealer(key, name);
    this.#isPlain = compression === 'none' && key === undefined;
  }

  /** Adds bytes of rows. The buffer may be used again when this returned, or when the promise it returned is resolved. */
  write(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#filled + bytes.length > BLOCK_BYTES) return this.#writeLarge(bytes);
    this.#fill(bytes);
    return undefined;
  }

  /** Makes the file visible; durable as `FileSink.commit` says. @throws what storing any of the bytes threw */
  async finish(): Promise<ChunkTotals> {
    // An empty chunk is one empty block, so that it is a file like any other.
    if (this.#filled > 0 || this.#bytes === 0) this.#send();
    await Promise.all(this.#onTheirWay);
    if (this.#sealer !== undefined) await this.#store(this.#sealer.final());
    await this.#sink.commit();
    this.#end();
    return {
      bytes: this.#bytes,
      storedBytes: this.#storedBytes,
      crc32: this.#crc32.toString(16).padStart(8, '0'),
      sha256: this.#sha256.digest('hex'),
    };
  }

  /** Leaves no file behind; also after an error. */
  async abort(): Promise<void> {
    await Promise.allSettled(this.#onTheirWay);
    this.#end();
    await this.#sink.abort();
  }

  /** Nothing is written any more. */
  #end(): void {
    blocks.give(this.#block);
    this.#block = NO_BLOCK;
    this.#filled = 0;
    this.#summed = 0;
  }

  #fill(bytes: Uint8Array): void {
    if (this.#block === NO_BLOCK) this.#block = blocks.take();
    this.#block.set(bytes, this.#filled);
    this.#filled += bytes.length;
    if (this.#filled - this.#summed >= SUMMED_BYTES) this.#sum();
  }

  #sum(): void {
    const bytes = this.#block.subarray(this.#summed, this.#filled);
    this.#crc32 = crc32(bytes, this.#crc32);
    if (this.#isPlain) this.#sha256.update(bytes);
    this.#summed = this.#filled;
  }

  async #writeLarge(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#filled === BLOCK_BYTES) {
        if (this.#onTheirWay.length >= IN_FLIGHT) await this.#onTheirWay.shift();
        this.#send();
      }
      const part = rest.subarray(0, BLOCK_BYTES - this.#filled);
      this.#fill(part);
      rest = rest.subarray(part.length);
    }
  }

  /** Sends the block on its way; the next bytes take another. */
  #send(): void {
    this.#sum();
    const block = this.#block;
    const bytes = block.subarray(0, this.#filled);
    this.#bytes += bytes.length;
    const before = this.#onTheirWay.at(-1);
    const compressed = this.#compression === 'none' ? bytes : compressFrame(bytes, this.#compression.zstd);
    const stored = Promise.all([compressed, before]).then(async ([frame]) => {
      await this.#store(this.#sealer === undefined ? frame : this.#sealer.update(frame));
      if (frame !== bytes) freeMemory(frame);
    });
    // Whoever waits for it sees an error; until then it is no unhandled one. Nobody reads the block when both have ended.
    void Promise.allSettled([stored, compressed]).then(() => blocks.give(block));
    this.#onTheirWay.push(stored);
    this.#block = NO_BLOCK;
    this.#filled = 0;
    this.#summed = 0;
  }

  async #store(bytes: Buffer): Promise<void> {
    if (bytes.length === 0) return;
    if (!this.#isPlain) this.#sha256.update(bytes);
    this.#storedBytes += bytes.length;
    await this.#sink.write(bytes);
  }
}
