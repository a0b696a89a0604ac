import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { EJSON } from 'bson';
import type { Document } from '../../model/document.ts';

const BLOCK_CHARACTERS = 256 * 1024;

/** What was written. */
export interface WrittenLines {
  readonly bytes: number;
  /** SHA-256 of the file. */
  readonly sha256: string;
  readonly documents: number;
}

/** Writes a new file of documents, one canonical MongoDB extended JSON text a line. */
export class LineWriter implements Disposable {
  readonly #file: number;
  readonly #hash = createHash('sha256');
  #block: string[] = [];
  #length = 0;
  #bytes = 0;
  #documents = 0;
  #open = true;

  constructor(path: string) {
    this.#file = openSync(path, 'wx', 0o600);
  }

  add(document: Document): void {
    const line = `${EJSON.stringify(document, { relaxed: false })}\n`;
    this.#block.push(line);
    this.#length += line.length;
    this.#documents += 1;
    if (this.#length >= BLOCK_CHARACTERS) this.#flush();
  }

  /** Returns after fsync. */
  end(): WrittenLines {
    this.#flush();
    fsyncSync(this.#file);
    this[Symbol.dispose]();
    return { bytes: this.#bytes, sha256: this.#hash.digest('hex'), documents: this.#documents };
  }

  [Symbol.dispose](): void {
    if (this.#open) closeSync(this.#file);
    this.#open = false;
  }

  #flush(): void {
    const bytes = Buffer.from(this.#block.join(''));
    for (let written = 0; written < bytes.length; ) written += writeSync(this.#file, bytes, written);
    this.#hash.update(bytes);
    this.#bytes += bytes.length;
    this.#block = [];
    this.#length = 0;
  }
}
