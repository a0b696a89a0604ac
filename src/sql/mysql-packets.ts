const HEADER_BYTES = 4;
/** A packet of this length is continued by the next one. */
const FULL_PACKET_BYTES = 0xffffff;
const OK = 0x00;
const EOF = 0xfe;
const ERROR = 0xff;
/** A packet that begins like an EOF but is longer is a row. */
const EOF_BYTES = 9;

const Phase = { HEADER: 0, COLUMNS: 1, COLUMNS_END: 2, ROWS: 3, ENDED: 4 } as const;
type Phase = (typeof Phase)[keyof typeof Phase];

export interface ResultEvents {
  /** Bytes of rows as they were sent, in order and cut anywhere: packets of three bytes length, a number, the payload. */
  readonly onRows: (bytes: Buffer) => void;
  /** The packet that ends the answer, with its header: EOF, OK or an error. Nothing follows. */
  readonly onEnd: (packet: Buffer) => void;
}

/**
 * Finds the rows in the answer to one statement of MariaDB's and MySQL's text protocol (without CLIENT_DEPRECATE_EOF). A row of any
 * size is handed on as it comes, none is held.
 */
export class ResultPackets {
  readonly #events: ResultEvents;
  #phase: Phase = Phase.HEADER;
  #columns = 0;
  /** The beginning of a packet that is not complete, or whose kind is not known yet. */
  #partial: Buffer = Buffer.alloc(0);
  /** Bytes of the row's packet at hand that are still to come. */
  #left = 0;
  #isContinued = false;
  #rows = 0;
  #affectedRows = 0;
  #warnings = 0;

  constructor(events: ResultEvents) {
    this.#events = events;
  }

  /** Rows that began so far. */
  get rows(): number {
    return this.#rows;
  }

  /** Of a statement without rows, once it has ended. */
  get affectedRows(): number {
    return this.#affectedRows;
  }

  /** Of a statement without rows, once it has ended. */
  get warnings(): number {
    return this.#warnings;
  }

  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && this.#phase !== Phase.ENDED) {
      if (this.#left > 0) {
        const end = Math.min(bytes.length, at + this.#left);
        this.#left -= end - at;
        this.#events.onRows(bytes.subarray(at, end));
        at = end;
      } else if (this.#phase === Phase.ROWS && this.#partial.length === 0) {
        const end = this.#passRows(bytes, at);
        at = end === at ? this.#collect(bytes, at) : end;
      } else {
        at = this.#collect(bytes, at);
      }
    }
  }

  /** Hands on every row that begins in `bytes` at `from` or after it; returns where it stopped, for want of bytes or at the end. */
  #passRows(bytes: Buffer, from: number): number {
    let at = from;
    while (bytes.length - at > HEADER_BYTES) {
      const length = lengthAt(bytes, at);
      if (!this.#isContinued && isTerminal(bytes[at + HEADER_BYTES] as number, length)) break;
      this.#beginRow(length);
      at += HEADER_BYTES + length;
    }
    this.#left = Math.max(0, at - bytes.length);
    const end = Math.min(at, bytes.length);
    if (end > from) this.#events.onRows(bytes.subarray(from, end));
    return end;
  }

  #beginRow(length: number): void {
    this.#isContinued = length === FULL_PACKET_BYTES;
    if (!this.#isContinued) this.#rows += 1;
  }

  /** Adds to the packet at hand what is wanted of it, and takes it when that is there. */
  #collect(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#wanted() - this.#partial.length);
    this.#partial = Buffer.concat([this.#partial, bytes.subarray(at, end)]);
    if (this.#partial.length === this.#wanted()) this.#take();
    return end;
  }

  /** Bytes of the packet that are needed to go on: its header, then all of it, or of a row just enough to see that it is one. */
  #wanted(): number {
    const { length } = this.#partial;
    if (length < HEADER_BYTES) return HEADER_BYTES;
    const payload = lengthAt(this.#partial, 0);
    if (this.#phase !== Phase.ROWS || payload === 0) return HEADER_BYTES + payload;
    if (length === HEADER_BYTES) return HEADER_BYTES + 1;
    const isRow = this.#isContinued || !isTerminal(this.#partial[HEADER_BYTES] as number, payload);
    return HEADER_BYTES + (isRow ? 1 : payload);
  }

  #take(): void {
    const packet = this.#partial;
    this.#partial = Buffer.alloc(0);
    const length = lengthAt(packet, 0);
    const first = packet[HEADER_BYTES] ?? OK;
    if (this.#phase === Phase.ROWS && !this.#isContinued && isTerminal(first, length)) {
      this.#end(packet);
    } else if (this.#phase === Phase.ROWS) {
      this.#beginRow(length);
      this.#left = HEADER_BYTES + length - packet.length;
      this.#events.onRows(packet);
    } else if (first === ERROR) {
      this.#end(packet);
    } else if (first === OK && this.#phase === Phase.HEADER) {
      const affected = numberAt(packet, HEADER_BYTES + 1);
      const { end } = numberAt(packet, affected.end);
      this.#affectedRows = affected.value;
      // Two bytes of status stand before them.
      this.#warnings = packet.readUInt16LE(end + 2);
      this.#end(packet);
    } else if (this.#phase === Phase.HEADER) {
      this.#columns = first === 0xfc ? packet.readUInt16LE(HEADER_BYTES + 1) : first;
      this.#phase = Phase.COLUMNS;
    } else if (this.#phase === Phase.COLUMNS) {
      this.#columns -= 1;
      if (this.#columns === 0) this.#phase = Phase.COLUMNS_END;
    } else {
      this.#phase = Phase.ROWS;
    }
  }

  #end(packet: Buffer): void {
    this.#phase = Phase.ENDED;
    this.#events.onEnd(packet);
  }
}

function lengthAt(bytes: Buffer, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16);
}

/** A number of one to nine bytes, and where it ends. */
function numberAt(bytes: Buffer, at: number): { readonly value: number; readonly end: number } {
  const first = bytes[at] as number;
  if (first < 0xfb) return { value: first, end: at + 1 };
  if (first === 0xfc) return { value: bytes.readUInt16LE(at + 1), end: at + 3 };
  if (first === 0xfd) return { value: bytes.readUIntLE(at + 1, 3), end: at + 4 };
  return { value: Number(bytes.readBigUInt64LE(at + 1)), end: at + 9 };
}

/** Whether a packet that follows a complete row ends the rows. */
function isTerminal(first: number, length: number): boolean {
  return first === ERROR || (first === EOF && length < EOF_BYTES);
}
