import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Document, decodeDocument, encodeDocument } from '../../model/document.ts';

const BLOCK_BYTES = 256 * 1024;
const CIPHER = 'aes-256-ctr';

/**
 * Documents put aside on disk while a dataset is made, as they are in the database; so they are encrypted with a key that only this
 * process has and that is never written: what a killed process leaves behind cannot be read by anybody. Read in the order written.
 */
export class Spool {
  readonly #path: string;
  readonly #file: number;
  readonly #key = randomBytes(32);
  readonly #iv = randomBytes(16);
  readonly #cipher = createCipheriv(CIPHER, this.#key, this.#iv);
  #block: string[] = [];
  #blockLength = 0;
  #open = true;

  /** `directory` must exist and be new. */
  constructor(directory: string, name: string) {
    this.#path = join(directory, name);
    this.#file = openSync(this.#path, 'wx+', 0o600);
  }

  /** Adds a document. Returns the length of its text. */
  add(document: Document): number {
    const text = encodeDocument(document);
    this.#block.push(text);
    this.#blockLength += text.length;
    if (this.#blockLength >= BLOCK_BYTES) this.#flush();
    return text.length;
  }

  /** The documents added so far. Nothing may be added until it ends. */
  *read(): Generator<Document, void, void> {
    this.#flush();
    const decipher = createDecipheriv(CIPHER, this.#key, this.#iv);
    const buffer = Buffer.allocUnsafe(BLOCK_BYTES);
    let rest = Buffer.alloc(0);
    for (let position = 0; ; ) {
      const count = readSync(this.#file, buffer, 0, buffer.length, position);
      if (count === 0) return;
      position += count;
      const bytes = Buffer.concat([rest, decipher.update(buffer.subarray(0, count))]);
      let start = 0;
      for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, start)) {
        yield decodeDocument(bytes.toString('utf8', start, end));
        start = end + 1;
      }
      rest = bytes.subarray(start);
    }
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#file);
    rmSync(this.#path, { force: true });
  }

  #flush(): void {
    if (this.#block.length === 0) return;
    // Document text is JSON, which holds no line break.
    const bytes = this.#cipher.update(`${this.#block.join('\n')}\n`, 'utf8');
    for (let written = 0; written < bytes.length; ) written += writeSync(this.#file, bytes, written);
    this.#block = [];
    this.#blockLength = 0;
  }
}
