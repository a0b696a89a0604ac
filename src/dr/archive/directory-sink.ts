import { randomBytes } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { DirectFile } from './direct-file.ts';

/**
 * A file of up to this many bytes is written in one go when it is whole: into the cache of the operating system, as fast as any
 * function. Each step that another thread does costs more than the bytes, and a database may have thousands of tables.
 */
const AT_ONCE_BYTES = 64 << 10;

/**
 * A file that is written under another name until it is whole. Only what waits for the disk is left to another thread: to open, close
 * and rename a file takes less than the way there and back. Errors are those of the operating system.
 */
export class DirectorySink {
  readonly #path: string;
  readonly #unfinished: string;
  /** Bytes that no file was opened for yet. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #file: DirectFile | undefined;
  #written = 0;

  constructor(path: string) {
    this.#path = path;
    this.#unfinished = unfinishedName(path);
  }

  /** Bytes that were written. */
  get bytes(): number {
    return this.#written;
  }

  /** The bytes may be used again when it resolves. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#written += bytes.length;
    if (this.#file === undefined && this.#heldBytes + bytes.length <= AT_ONCE_BYTES) {
      this.#held.push(Buffer.from(bytes));
      this.#heldBytes += bytes.length;
      return;
    }
    const file = await this.#open();
    await file.write(bytes);
  }

  /** Gives the file its name; its bytes are on disk then when `sync` is set. */
  async commit(sync: boolean): Promise<void> {
    if (this.#file === undefined && !sync) {
      writeFileSync(this.#unfinished, Buffer.concat(this.#held), { flag: 'wx', mode: 0o600 });
    } else {
      try {
        const file = await this.#open();
        await file.finish(sync);
      } finally {
        this.#close();
      }
    }
    renameSync(this.#unfinished, this.#path);
  }

  /** Leaves no file that has not got its name. To be called when no write is under way. */
  async abort(): Promise<void> {
    this.#close();
    await rm(this.#unfinished, { force: true });
  }

  /** Opens the file, if it is not, and writes what was held. */
  async #open(): Promise<DirectFile> {
    this.#file ??= new DirectFile(this.#unfinished);
    for (const bytes of this.#held.splice(0)) await this.#file.write(bytes);
    return this.#file;
  }

  #close(): void {
    const file = this.#file;
    this.#file = undefined;
    file?.close();
  }
}

/** Tells the unfinished files of this process from those of others. */
const OURS = randomBytes(4).toString('hex');
let unfinishedFiles = 0;

/** A name that no other file has, for a file that is still being written. */
export function unfinishedName(path: string): string {
  unfinishedFiles = (unfinishedFiles + 1) % 0x10000;
  return `${path}.${OURS}${unfinishedFiles.toString(16).padStart(4, '0')}.tmp`;
}
