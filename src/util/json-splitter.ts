import { isUtf8 } from 'node:buffer';

/** One top-level JSON value of a stream, not parsed yet, or why there is none. */
export interface JsonPiece {
  /** Line on which it starts, from 1. */
  readonly line: number;
  readonly text?: string;
  readonly error?: string;
  /** Whether the stream ended right after it, without a line break: it may be cut off. */
  readonly last?: boolean;
}

const LINE_FEED = 0x0a;
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** How much of a first line is waited for before it counts as a long one. */
const FIRST_LINE_BYTES = 64 * 1024;

/**
 * How the values stand in the stream: `LINES` one to a line; `ARRAY` as elements of one array; `VALUES` one after the other
 * over several lines. `DONE` after the array's end; `UNREADABLE` when it is no JSON text at all.
 */
type Layout = 'UNKNOWN' | 'LINES' | 'ARRAY' | 'VALUES' | 'DONE' | 'UNREADABLE';

/**
 * Cuts a stream of bytes into its top-level JSON values: JSON Lines, the elements of one array, or indented values one after
 * the other; which one is seen from its beginning. Values are only delimited, by counting brackets outside strings, so that
 * a malformed one is the loss of that one. A value that is too large is passed over without being kept in memory.
 */
export class JsonSplitter {
  readonly #maxBytes: number;
  #layout: Layout = 'UNKNOWN';
  /** Bytes of the value being read. */
  #parts: Buffer[] = [];
  #bytes = 0;
  /** Line being read, and line on which the value being read starts. */
  #line = 1;
  #startLine = 1;
  #blank = true;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #noise = false;

  /** `maxBytes`: largest value, in bytes. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Takes the next bytes and returns the values that ended in them. The chunk is not kept after the values it holds ended. */
  push(chunk: Uint8Array): JsonPiece[] {
    let bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const pieces: JsonPiece[] = [];
    if (this.#layout === 'UNKNOWN') {
      bytes = Buffer.concat([...this.#parts, bytes]);
      this.#parts = [];
      this.#layout = this.#layoutOf(bytes, false, pieces);
      if (this.#layout === 'UNKNOWN') {
        this.#parts = [bytes];
        return pieces;
      }
      if (bytes.subarray(0, 3).equals(BYTE_ORDER_MARK)) bytes = bytes.subarray(3);
    }
    this.#take(bytes, pieces);
    return pieces;
  }

  /** Tells that there is nothing more and returns the last value. */
  end(): JsonPiece[] {
    const pieces: JsonPiece[] = [];
    if (this.#layout === 'UNKNOWN') {
      let bytes = Buffer.concat(this.#parts);
      this.#parts = [];
      this.#layout = this.#layoutOf(bytes, true, pieces);
      if (bytes.subarray(0, 3).equals(BYTE_ORDER_MARK)) bytes = bytes.subarray(3);
      this.#take(bytes, pieces);
    }
    const open = (this.#layout === 'ARRAY' && this.#depth > 1) || (this.#layout === 'VALUES' && this.#depth > 0);
    if (open || this.#inString) {
      pieces.push({ line: this.#startLine, error: 'the file ends inside this value; it may be cut off' });
    } else if (!this.#blank) this.#finish(pieces, true);
    if (this.#layout === 'ARRAY' && !open) {
      pieces.push({ line: this.#line, error: 'the file ends inside the array; it may be cut off' });
    }
    return pieces;
  }

  #layoutOf(bytes: Buffer, isAll: boolean, pieces: JsonPiece[]): Layout {
    const start = bytes.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0;
    for (const [magic, what] of UNREADABLE) {
      if (!bytes.subarray(0, 2).equals(magic)) continue;
      pieces.push({ line: 1, error: what });
      return 'UNREADABLE';
    }
    if (!isAll && bytes.length < 3) return 'UNKNOWN';
    let first = start;
    while (first < bytes.length && isSpace(bytes[first] ?? 0)) first++;
    if (first === bytes.length) return isAll ? 'LINES' : 'UNKNOWN';
    if (bytes[first] === OPEN_BRACKET) return 'ARRAY';
    const lineEnd = bytes.indexOf(LINE_FEED, first);
    if (lineEnd === -1) return isAll || bytes.length - first > FIRST_LINE_BYTES ? 'LINES' : 'UNKNOWN';
    // Only indented JSON breaks a line after one of these.
    return /[{[,:]\s*$/.test(bytes.toString('latin1', first, lineEnd)) ? 'VALUES' : 'LINES';
  }

  #take(bytes: Buffer, pieces: JsonPiece[]): void {
    if (this.#layout === 'LINES') this.#takeLines(bytes, pieces);
    else if (this.#layout !== 'UNREADABLE') this.#takeValues(bytes, pieces);
  }

  #takeLines(bytes: Buffer, pieces: JsonPiece[]): void {
    let start = 0;
    for (let end = bytes.indexOf(LINE_FEED); end !== -1; end = bytes.indexOf(LINE_FEED, start)) {
      this.#keep(bytes.subarray(start, end));
      this.#startLine = this.#line++;
      this.#finish(pieces, false);
      start = end + 1;
    }
    this.#keep(bytes.subarray(start));
    this.#startLine = this.#line;
    this.#blank = this.#bytes === 0;
  }

  /** Cuts at the commas of the array, or after the bracket that closes a value. */
  #takeValues(bytes: Buffer, pieces: JsonPiece[]): void {
    const base = this.#layout === 'VALUES' ? 0 : 1;
    let start = 0;
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0;
      if (byte === LINE_FEED) this.#line++;
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === BACKSLASH) this.#escaped = true;
        else if (byte === QUOTE) this.#inString = false;
        continue;
      }
      if (isSpace(byte)) {
        // Stray text between two values ends with its line.
        if (base === 0 && byte === LINE_FEED && this.#depth === 0 && !this.#blank)
          start = this.#cut(bytes, start, at, pieces);
        continue;
      }
      if (this.#layout === 'DONE') {
        if (!this.#noise) pieces.push({ line: this.#line, error: 'there is text after the end of the array' });
        this.#noise = true;
        return;
      }
      if (base === 1 && this.#depth === 0) {
        this.#depth = 1;
        start = at + 1;
        continue;
      }
      if (this.#depth === base && (byte === COMMA || byte === CLOSE_BRACKET) && base === 1) {
        start = this.#cut(bytes, start, at, pieces) + 1;
        if (byte === CLOSE_BRACKET) this.#layout = 'DONE';
        continue;
      }
      if (this.#blank) {
        this.#blank = false;
        this.#startLine = this.#line;
      }
      if (byte === QUOTE) this.#inString = true;
      else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) this.#depth++;
      else if ((byte === CLOSE_BRACE || byte === CLOSE_BRACKET) && this.#depth > base) {
        this.#depth--;
        if (base === 0 && this.#depth === 0) start = this.#cut(bytes, start, at + 1, pieces);
      }
    }
    if (this.#layout !== 'DONE' && !this.#blank) this.#keep(bytes.subarray(start));
  }

  #cut(bytes: Buffer, start: number, end: number, pieces: JsonPiece[]): number {
    if (this.#blank) return end;
    this.#keep(bytes.subarray(start, end));
    this.#finish(pieces, false);
    return end;
  }

  /** Keeps bytes of the value being read, unless it is too large: then only their number. */
  #keep(part: Buffer): void {
    if (part.length === 0) return;
    this.#bytes += part.length;
    if (this.#bytes > this.#maxBytes) this.#parts = [];
    else this.#parts.push(part);
  }

  #finish(pieces: JsonPiece[], last: boolean): void {
    const line = this.#startLine;
    if (this.#bytes > this.#maxBytes) {
      pieces.push({ line, error: `it has ${this.#bytes} bytes; at most ${this.#maxBytes} are read` });
    } else {
      const [first = EMPTY] = this.#parts;
      const bytes = this.#parts.length > 1 ? Buffer.concat(this.#parts) : first;
      const text = bytes.toString('utf8').trim();
      if (!isUtf8(bytes)) pieces.push({ line, error: 'it is not UTF-8' });
      else if (text !== '') pieces.push({ line, text, ...(last && { last }) });
    }
    this.#parts = [];
    this.#bytes = 0;
    this.#blank = true;
  }
}

const EMPTY = Buffer.alloc(0);
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const UNREADABLE: readonly (readonly [Buffer, string])[] = [
  [Buffer.from([0xff, 0xfe]), 'the file is UTF-16; convert it to UTF-8'],
  [Buffer.from([0xfe, 0xff]), 'the file is UTF-16; convert it to UTF-8'],
  [Buffer.from([0x1f, 0x8b]), 'the file is compressed; unpack it with gunzip'],
  [Buffer.from([0x28, 0xb5]), 'the file is compressed; unpack it with unzstd'],
];

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === LINE_FEED || byte === 0x0d || byte === 0x09;
}
