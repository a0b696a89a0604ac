const HEADER_BYTES = 4;
const FULL_PACKET_BYTES = 0xffffff;
const NULL_CELL = 0xfb;
const [TAB, NEWLINE, BACKSLASH] = [0x09, 0x0a, 0x5c];
const [LETTER_N, LETTER_T, LETTER_LOW_N, ZERO] = [0x4e, 0x74, 0x6e, 0x30];
/** Four bytes in one number, to look at all of them at once. */
const EACH_ONE = 0x01010101;
const EACH_BELOW = 0x0b0b0b0b;
const EACH_BACKSLASH = 0x5c5c5c5c;
const EACH_HIGH = 0x80808080;
/** Bytes that end a value, NULL's two included, and its separator. */
const CELL_EXTRA = 4;

/** What the next byte belongs to. */
const Part = { HEADER: 0, PREFIX: 1, LENGTH: 2, CELL: 3 } as const;

/**
 * Turns row packets of the text protocol into the lines that LOAD DATA reads by default: values between tabs, `\N` for NULL, each byte
 * of a value as it is but tab, newline, NUL and backslash. Packets come in pieces cut anywhere.
 */
export class PacketsToLines {
  readonly #columns: number;
  readonly #watched: Uint8Array;
  #part: number = Part.HEADER;
  /** Bytes of the header, length or value that are still to come. */
  #left = HEADER_BYTES;
  /** Of the packet at hand. */
  #payload = 0;
  #isContinued = false;
  #length = 0;
  #lengthShift = 1;
  #column = 0;
  #rows = 0;
  #watchedEmpty = 0;
  /** Lines are put together here, so that nothing is allocated for a piece. */
  #scratch = Buffer.alloc(0);

  /** @param watched places of columns whose empty values are counted */
  constructor(columns: number, watched: readonly number[] = []) {
    this.#columns = columns;
    this.#watched = new Uint8Array(columns);
    for (const column of watched) this.#watched[column] = 1;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Empty values so far in the watched columns. */
  get watchedEmpty(): number {
    return this.#watchedEmpty;
  }

  /**
   * The lines that `bytes` give. The next call uses their buffer again.
   * @throws Error when they cannot be rows of so many columns
   */
  push(bytes: Buffer): Buffer {
    // A value doubles at most; each byte of a length may stand for an empty value or NULL.
    const most = bytes.length * CELL_EXTRA + CELL_EXTRA;
    if (this.#scratch.length < most) this.#scratch = Buffer.allocUnsafeSlow(most);
    const out = this.#scratch;
    const from = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const to = new DataView(out.buffer, out.byteOffset, out.length);
    const columns = this.#columns;
    let o = 0;
    let i = 0;
    let [part, left, payload, length, shift] = [this.#part, this.#left, this.#payload, this.#length, this.#lengthShift];
    let column = this.#column;
    const end = bytes.length;
    while (i < end) {
      if (part === Part.HEADER) {
        if (left === HEADER_BYTES && !this.#isContinued) {
          [i, o] = this.#wholeRows(from, i, to, o);
          if (i === end) break;
        }
        const byte = bytes[i++] as number;
        left -= 1;
        if (left > 0) payload = (payload >>> 8) | (byte << 16);
        if (left > 0) continue;
        const goesOn = this.#isContinued;
        this.#isContinued = payload === FULL_PACKET_BYTES;
        if (!goesOn) {
          part = Part.PREFIX;
          column = 0;
        } else {
          [part, left, length, shift] = this.#resume();
        }
        if (payload > 0) continue;
      } else if (part === Part.PREFIX) {
        const byte = bytes[i++] as number;
        payload -= 1;
        if (column === columns) throw new Error('a row has more values than the table has columns');
        if (byte === NULL_CELL) {
          out[o++] = BACKSLASH;
          out[o++] = LETTER_N;
          column += 1;
          out[o++] = column === columns ? NEWLINE : TAB;
        } else if (byte < NULL_CELL) {
          length = byte;
          part = Part.CELL;
          if (byte === 0 && this.#watched[column] === 1) this.#watchedEmpty += 1;
        } else {
          length = 0;
          shift = 1;
          left = byte === 0xfc ? 2 : byte === 0xfd ? 3 : 8;
          part = Part.LENGTH;
        }
      } else if (part === Part.LENGTH) {
        length += (bytes[i++] as number) * shift;
        shift *= 256;
        payload -= 1;
        left -= 1;
        if (left === 0) part = Part.CELL;
      }
      if (part === Part.CELL) {
        const stop = Math.min(end, i + length, i + payload);
        const taken = stop - i;
        o = copyEscaped(from, i, stop, to, o);
        i = stop;
        length -= taken;
        payload -= taken;
        if (length === 0) {
          column += 1;
          out[o++] = column === columns ? NEWLINE : TAB;
          part = Part.PREFIX;
        }
      }
      if (payload === 0) {
        if (this.#isContinued) this.#pause(part, left, length, shift);
        else if (column !== columns || part !== Part.PREFIX) throw new Error('a row ends before its last value');
        else this.#rows += 1;
        part = Part.HEADER;
        left = HEADER_BYTES;
      }
    }
    [this.#part, this.#left, this.#payload, this.#length, this.#lengthShift] = [part, left, payload, length, shift];
    this.#column = column;
    return out.subarray(0, o);
  }

  /**
   * The lines of the rows from `at` on that are here from end to end and have short values. Returns how far it came in both; the rest
   * is for whoever takes a byte at a time.
   */
  #wholeRows(from: DataView, at: number, to: DataView, o: number): readonly [at: number, o: number] {
    const columns = this.#columns;
    while (at + HEADER_BYTES <= from.byteLength) {
      // The highest byte is the packet's number.
      const payload = from.getUint32(at, true) & FULL_PACKET_BYTES;
      const stop = at + HEADER_BYTES + payload;
      if (payload === FULL_PACKET_BYTES || stop > from.byteLength) break;
      let [i, out, column, empty] = [at + HEADER_BYTES, o, 0, 0];
      while (column < columns && i < stop) {
        const length = from.getUint8(i++);
        if (length === NULL_CELL) {
          to.setUint8(out++, BACKSLASH);
          to.setUint8(out++, LETTER_N);
        } else {
          if (length > NULL_CELL || i + length > stop) break;
          if (length === 0 && this.#watched[column] === 1) empty += 1;
          out = copyEscaped(from, i, i + length, to, out);
          i += length;
        }
        column += 1;
        to.setUint8(out++, column === columns ? NEWLINE : TAB);
      }
      if (column < columns || i < stop) break;
      this.#rows += 1;
      this.#watchedEmpty += empty;
      [at, o] = [stop, out];
    }
    return [at, o];
  }

  /** @throws Error when the last row is not complete */
  finish(): void {
    if (this.#part !== Part.HEADER || this.#left !== HEADER_BYTES || this.#isContinued) {
      throw new Error('the last row has no end');
    }
  }

  /** What a row was in the middle of when its packet was full. */
  #paused: [number, number, number, number] = [Part.PREFIX, 0, 0, 1];

  #pause(part: number, left: number, length: number, shift: number): void {
    this.#paused = [part, left, length, shift];
  }

  #resume(): [number, number, number, number] {
    return this.#paused;
  }
}

/** Copies bytes of a value, each that LOAD DATA would take for something else behind a backslash. Returns where it ended. */
function copyEscaped(from: DataView, at: number, stop: number, to: DataView, o: number): number {
  while (at < stop) {
    while (at + 4 <= stop) {
      const four = from.getInt32(at, true);
      const other = four ^ EACH_BACKSLASH;
      // Whether any of them is below 0x0b, or a backslash.
      if ((((four - EACH_BELOW) & ~four) | ((other - EACH_ONE) & ~other)) & EACH_HIGH) break;
      to.setInt32(o, four, true);
      at += 4;
      o += 4;
    }
    if (at === stop) break;
    const byte = from.getUint8(at++);
    const escaped =
      byte === BACKSLASH
        ? BACKSLASH
        : byte === TAB
          ? LETTER_T
          : byte === NEWLINE
            ? LETTER_LOW_N
            : byte === 0
              ? ZERO
              : 0;
    if (escaped !== 0) to.setUint8(o++, BACKSLASH);
    to.setUint8(o++, escaped === 0 ? byte : escaped);
  }
  return o;
}

/** The server works on the lines of so much while those of the next are made. */
const STEP_BYTES = 128 << 10;

/** The lines of `packets`, each piece only until the next one is asked for. `onBytes` learns how many bytes of packets they come from. */
export async function* linesOf(
  packets: AsyncIterable<Buffer>,
  lines: PacketsToLines,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Buffer, void, void> {
  for await (const piece of packets) {
    for (let at = 0; at < piece.length; at += STEP_BYTES) {
      const some = lines.push(piece.subarray(at, at + STEP_BYTES));
      if (some.length > 0) yield some;
    }
    onBytes(piece.length);
  }
  lines.finish();
}
