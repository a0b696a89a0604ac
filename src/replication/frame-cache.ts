import type { Frame } from '../protocol/sync-source.ts';

/** What a frame is, whenever it is sent: all but the head and floor of that moment, and digests. */
export type FrameBody = Omit<Frame, 'head' | 'floor' | 'digests'>;

/** A frame as it was cut from the log. */
export interface Cut {
  readonly body: FrameBody;
  /** Ended before the range that was asked for, by size or at an epoch: `to` is a boundary for whoever reads this range. */
  readonly short: boolean;
}

/** Text of the fields beside the body, approximately. */
const FIELDS_BYTES = 512;

/** The frames cut last, bounded by the bytes they hold. A frame being cut is in it too, so that it is cut once. */
export class FrameCache {
  readonly #maxBytes: number;
  readonly #cuts = new Map<string, { readonly cut: Promise<Cut>; bytes: number }>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes held, approximately. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The cut under `key`, made by `make` when there is none. One that fails is not kept. */
  get(key: string, make: () => Promise<Cut>): Promise<Cut> {
    const known = this.#cuts.get(key);
    if (known !== undefined) {
      this.#cuts.delete(key);
      this.#cuts.set(key, known);
      return known.cut;
    }
    const entry = { cut: make(), bytes: 0 };
    this.#cuts.set(key, entry);
    entry.cut.then(
      (cut) => this.#weigh(key, entry, cut.body.body.length + FIELDS_BYTES),
      () => {
        if (this.#cuts.get(key) === entry) this.#cuts.delete(key);
      },
    );
    return entry.cut;
  }

  clear(): void {
    this.#cuts.clear();
    this.#bytes = 0;
  }

  #weigh(key: string, entry: { bytes: number }, bytes: number): void {
    // Cleared while it was being cut.
    if (this.#cuts.get(key) !== entry) return;
    entry.bytes = bytes;
    this.#bytes += bytes;
    for (const [oldest, { bytes: freed }] of this.#cuts) {
      if (this.#bytes <= this.#maxBytes || oldest === key) return;
      this.#cuts.delete(oldest);
      this.#bytes -= freed;
    }
  }
}
