import { closeSync, constants, fstatSync, fsync, openSync, read, write, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { BufferPool, beginsAtPage, PAGE_BYTES } from '../../util/buffer-pool.ts';

const STAGED_BYTES = 1 << 20;
const PIECE_BYTES = 1 << 20;
/** What bytes are gathered in that do not begin at a page themselves. */
const stages = new BufferPool(STAGED_BYTES, 16);
const pieces = new BufferPool(PIECE_BYTES, 16);
const NO_STAGE = Buffer.alloc(0);

const writeFile = promisify(write);
const readFile = promisify(read);
const syncFile = promisify(fsync);

/**
 * A new file, written past the operating system's cache where the file system allows that (`O_DIRECT`). What nobody reads soon would
 * drive out of it what the database beside us needs, and to find pages for it takes more processor time than all that is done with the
 * rows. The last bytes, which are no whole page, go through the cache. One call at a time; errors are those of the operating system.
 */
export class DirectFile {
  readonly #file: PageFile;
  /** Bytes in the file. */
  #position = 0;
  #stage: Buffer = NO_STAGE;
  #staged = 0;

  /** Creates the file. @throws EEXIST */
  constructor(path: string) {
    this.#file = new PageFile(path, constants.O_WRONLY, constants.O_CREAT | constants.O_EXCL);
  }

  /** The bytes may be used again when it resolves. */
  async write(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    if (this.#staged === 0 && (!this.#file.isDirect || beginsAtPage(bytes))) {
      const whole = this.#file.isDirect ? wholePages(bytes.length) : bytes.length;
      await this.#put(bytes.subarray(0, whole));
      rest = bytes.subarray(whole);
    }
    while (rest.length > 0) {
      if (this.#stage === NO_STAGE) this.#stage = stages.take();
      const part = rest.subarray(0, STAGED_BYTES - this.#staged);
      this.#stage.set(part, this.#staged);
      this.#staged += part.length;
      rest = rest.subarray(part.length);
      if (this.#staged === STAGED_BYTES) await this.#putStaged(STAGED_BYTES);
    }
  }

  /** Writes what is left; all is on disk then when `sync` is set. */
  async finish(sync: boolean): Promise<void> {
    await this.#putStaged(wholePages(this.#staged));
    if (this.#staged > 0) {
      this.#file.leaveDirect();
      // Less than a page into the cache takes no longer than any function.
      for (let at = 0; at < this.#staged; ) {
        at += writeSync(this.#file.descriptor, this.#stage, at, this.#staged - at, this.#position + at);
      }
    }
    if (sync) await syncFile(this.#file.descriptor);
  }

  /** To be called once, when no other call is under way. */
  close(): void {
    stages.give(this.#stage);
    this.#stage = NO_STAGE;
    this.#file.close();
  }

  async #putStaged(bytes: number): Promise<void> {
    await this.#put(this.#stage.subarray(0, bytes));
    this.#stage.copyWithin(0, bytes, this.#staged);
    this.#staged -= bytes;
  }

  async #put(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await this.#file.attempt((file) =>
        writeFile(file, bytes, at, bytes.length - at, this.#position),
      );
      at += bytesWritten;
      this.#position += bytesWritten;
    }
  }
}

/** From so many bytes on a file is read past the cache. A smaller one is over before waiting for the disk pays, and may be in it. */
const READ_DIRECT_BYTES = 4 << 20;

/**
 * The bytes of a file in order, past the operating system's cache where the file system allows that: they are those of the disk, and
 * drive nothing out of the cache. One piece is read while another is used, which may be until the next one is asked for.
 * @param size tells how to read, not how much
 */
export async function* readDirect(path: string, size: number): AsyncGenerator<Buffer, void, void> {
  const direct = size >= READ_DIRECT_BYTES;
  const file = new PageFile(path, constants.O_RDONLY | constants.O_NOFOLLOW, 0, direct);
  const end = file.size;
  const buffers = [pieces.take(), pieces.take()];
  const readPiece = async (position: number): Promise<Buffer> => {
    const into = buffers[(position / PIECE_BYTES) % 2]!;
    let filled = 0;
    while (filled < PIECE_BYTES && position + filled < end) {
      const { bytesRead } = await file.attempt((descriptor) =>
        readFile(descriptor, into, filled, PIECE_BYTES - filled, position + filled),
      );
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return into.subarray(0, filled);
  };
  const begin = (position: number): Promise<Buffer> => {
    const piece = readPiece(position);
    // Whoever asks for it sees the error; until then it is no unhandled one.
    piece.catch(() => undefined);
    return piece;
  };
  let reading = begin(0);
  try {
    for (let position = PIECE_BYTES; ; position += PIECE_BYTES) {
      const piece = await reading;
      const isLast = piece.length < PIECE_BYTES;
      if (!isLast) reading = begin(position);
      if (piece.length > 0) yield piece;
      if (isLast) return;
    }
  } finally {
    await reading.catch(() => undefined);
    for (const buffer of buffers) pieces.give(buffer);
    file.close();
  }
}

/** An open file whose pages go past the cache as long as its file system allows that. */
class PageFile {
  readonly #path: string;
  readonly #flags: number;
  #descriptor: number;
  #isDirect = false;

  /** @param creating flags for the first time the file is opened */
  constructor(path: string, flags: number, creating: number, direct = true) {
    this.#path = path;
    this.#flags = flags;
    // Not every operating system has it.
    const wanted = direct ? (constants.O_DIRECT ?? 0) : 0;
    try {
      this.#descriptor = openSync(path, flags | creating | wanted, 0o600);
      this.#isDirect = wanted !== 0;
    } catch (error) {
      if (wanted === 0 || !isRefused(error)) throw error;
      // The file may have been created all the same.
      this.#descriptor = openSync(path, flags | (creating & ~constants.O_EXCL) | constants.O_NOFOLLOW, 0o600);
    }
  }

  get descriptor(): number {
    return this.#descriptor;
  }

  get size(): number {
    return fstatSync(this.#descriptor).size;
  }

  /** Whether bytes must be whole pages in memory that begins at one. */
  get isDirect(): boolean {
    return this.#isDirect;
  }

  /** From now on bytes go through the cache. */
  leaveDirect(): void {
    if (!this.#isDirect) return;
    const direct = this.#descriptor;
    this.#descriptor = openSync(this.#path, this.#flags | constants.O_NOFOLLOW);
    this.#isDirect = false;
    closeSync(direct);
  }

  /** `work` with the file, once more through the cache when past it was refused. */
  async attempt<T>(work: (descriptor: number) => Promise<T>): Promise<T> {
    try {
      return await work(this.#descriptor);
    } catch (error) {
      if (!this.#isDirect || !isRefused(error)) throw error;
      this.leaveDirect();
      return work(this.#descriptor);
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

function wholePages(bytes: number): number {
  return bytes - (bytes % PAGE_BYTES);
}

/** The file system has no such way, wants larger pages, or the memory does not begin at one. */
function isRefused(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EINVAL';
}
