import { randomBytes } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';

/**
 * A file of up to this many bytes is written in one go when it is whole: into the cache of the operating system, as fast as any
 * function. Each step that another thread does costs more than the bytes, and a database may have thousands of tables.
 */
const AT_ONCE_BYTES = 64 << 10;

/** A file that is written under another name until it is whole. Errors are those of the operating system. */
export class DirectorySink {
  readonly #path: string;
  readonly #unfinished: string;
  /** Bytes that no file was opened for yet. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #opened: Promise<FileHandle> | undefined;
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
    if (this.#opened === undefined && this.#heldBytes + bytes.length <= AT_ONCE_BYTES) {
      this.#held.push(Buffer.from(bytes));
      this.#heldBytes += bytes.length;
      return;
    }
    const file = await this.#file();
    await writeAll(file, bytes);
  }

  /** Gives the file its name; its bytes are on disk then when `sync` is set. */
  async commit(sync: boolean): Promise<void> {
    if (this.#opened === undefined && !sync) {
      writeFileSync(this.#unfinished, Buffer.concat(this.#held), { flag: 'wx', mode: 0o600 });
      renameSync(this.#unfinished, this.#path);
      return;
    }
    const file = await this.#file();
    try {
      if (sync) await file.sync();
    } finally {
      await file.close();
    }
    await rename(this.#unfinished, this.#path);
  }

  /** Leaves no file that has not got its name. */
  async abort(): Promise<void> {
    await this.#opened?.then((file) => file.close()).catch(() => undefined);
    await rm(this.#unfinished, { force: true });
  }

  async #file(): Promise<FileHandle> {
    this.#opened ??= open(this.#unfinished, 'wx', 0o600);
    const file = await this.#opened;
    for (const bytes of this.#held.splice(0)) await writeAll(file, bytes);
    return file;
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

/** Writes all bytes, however many the operating system takes at a time. */
export async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < bytes.length) {
    const { bytesWritten } = await file.write(bytes, offset, bytes.length - offset);
    offset += bytesWritten;
  }
}
