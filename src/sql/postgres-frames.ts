const COPY_DATA = 0x64; // 'd'
const HEADER = 5;

/** What {@link CopyFrames} found in one buffer of received bytes. */
export interface FrameSinks {
  /** The rows of the buffer, one stretch; at most once a buffer. */
  readonly onRows: (rows: Buffer) => void;
  /** A part of a message that is no row, in order. */
  readonly onOther: (bytes: Buffer) => void;
}

/**
 * Takes the rows out of the stream of messages of a server that answers COPY … TO STDOUT (PostgreSQL's protocol 3, "Message
 * Formats"): the payloads of the CopyData messages are moved together in place, everything else is handed on. A message may be cut
 * anywhere between two buffers. The cost is one step a message, and no allocation.
 */
export class CopyFrames {
  /** Bytes of the current message that did not come yet, and whether it is a row. */
  #left = 0;
  #isRow = false;
  /** The start of a message header that was cut by the end of a buffer. */
  readonly #header = Buffer.alloc(HEADER);
  #headerBytes = 0;
  readonly #sinks: FrameSinks;

  constructor(sinks: FrameSinks) {
    this.#sinks = sinks;
  }

  /** Takes the next buffer and changes what is in it. */
  push(bytes: Buffer): void {
    const end = bytes.length;
    let at = 0;
    let start = 0; // bytes[start, stop) are rows that were not handed on yet
    let stop = 0;
    while (at < end) {
      if (this.#left === 0) {
        // Nearly all there is are rows that came whole: a step for each of them, and no call but the one that moves it.
        while (this.#headerBytes === 0 && at + HEADER <= end && bytes[at] === COPY_DATA) {
          const row = at + HEADER;
          const length = (bytes[at + 1]! << 24) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 8) | bytes[at + 4]!;
          const next = at + 1 + length;
          if (next > end) break;
          if (start === stop) start = stop = row;
          else bytes.copyWithin(stop, row, next);
          stop += next - row;
          at = next;
        }
        if (at === end) break;
        const next = this.#readHeader(bytes, at);
        if (next < 0) break;
        at = next;
        if (this.#isRow) {
          if (start === stop) start = stop = at;
        } else {
          if (stop > start) this.#sinks.onRows(bytes.subarray(start, stop));
          start = stop = at;
          this.#sinks.onOther(Buffer.from(this.#header));
        }
        continue;
      }
      const upTo = Math.min(end, at + this.#left);
      this.#left -= upTo - at;
      if (this.#isRow) {
        if (stop !== at) bytes.copyWithin(stop, at, upTo);
        stop += upTo - at;
      } else {
        this.#sinks.onOther(bytes.subarray(at, upTo));
      }
      at = upTo;
    }
    if (stop > start) this.#sinks.onRows(bytes.subarray(start, stop));
  }

  /** Reads a header at `at`. Returns where it ends, or -1 when it goes on in the next buffer. */
  #readHeader(bytes: Buffer, at: number): number {
    let next = at;
    while (this.#headerBytes < HEADER && next < bytes.length) this.#header[this.#headerBytes++] = bytes[next++]!;
    if (this.#headerBytes < HEADER) return -1;
    this.#headerBytes = 0;
    this.#left = this.#header.readUInt32BE(1) - 4;
    this.#isRow = this.#header[0] === COPY_DATA;
    return next;
  }
}
