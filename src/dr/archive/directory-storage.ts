import { closeSync, constants, fsync, lstatSync, openSync, realpathSync } from 'node:fs';
import { type FileHandle, link, lstat, open, readdir, rename, rm, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { HoldfastError } from '../../errors.ts';
import { ensureDirectory } from '../../util/directory.ts';
import { readDirect } from './direct-file.ts';
import { DirectorySink, unfinishedName } from './directory-sink.ts';
import { assertFileName } from './file-name.ts';
import type { ArchiveStorage, FileSink, StoredFile } from './storage.ts';

/** Ends the name of a file that is still being written. */
const UNFINISHED = /\.[0-9a-f]{12}\.tmp$/;
/** No reader waits for the disk after a file of up to this size: it is synced while others are written, or at the end. */
const SYNCED_LATER_BYTES = 4 << 20;
/** Files below this size are synced at the end, close together: the disk takes many of them at once. */
const SYNCED_MEANWHILE_BYTES = 256 << 10;
const SYNCED_AT_ONCE = 8;
const sync = promisify(fsync);

/**
 * An archive in a directory. A file is written under another name and renamed when it is whole; links are not followed below the
 * directory. Nothing is created before the first file.
 */
export class DirectoryStorage implements ArchiveStorage {
  readonly location: string;
  /** Directories below the root that are known to be no links, by path. */
  readonly #checked = new Set<string>();
  /** Paths of files that were committed and of directories with new names, which may not be on disk. */
  readonly #unsynced = new Set<string>();
  /** Those of them that are synced while others are written, one at a time. */
  readonly #queue: string[] = [];
  /** Ends when the queue is empty. One that failed stays: the disk may tell of an error once only. */
  #syncing: Promise<void> | null = null;

  constructor(directory: string) {
    this.location = resolve(directory);
  }

  async create(name: string): Promise<FileSink> {
    const path = await this.#pathFor(name);
    const sink = new DirectorySink(path);
    return {
      write: (bytes) => this.#do(`write ${name}`, () => sink.write(bytes)),
      commit: () =>
        this.#do(`write ${name}`, async () => {
          const isLarge = sink.bytes > SYNCED_LATER_BYTES;
          await sink.commit(isLarge);
          if (!isLarge) this.#unsynced.add(path);
          if (!isLarge && sink.bytes >= SYNCED_MEANWHILE_BYTES) this.#syncMeanwhile(path);
          this.#unsynced.add(dirname(path));
        }),
      abort: () => sink.abort(),
    };
  }

  async flush(): Promise<void> {
    this.#queue.length = 0;
    await this.#syncing;
    const rest = this.#unsynced.values();
    const syncRest = async (): Promise<void> => {
      for (const path of rest) await this.#sync(path);
    };
    await Promise.all(Array.from({ length: SYNCED_AT_ONCE }, syncRest));
  }

  async createNew(name: string, bytes: Uint8Array): Promise<void> {
    // A hard link, unlike a rename, never replaces what has the name already.
    await this.#write(name, bytes, async (unfinished, path) => {
      await link(unfinished, path);
      await unlink(unfinished);
    });
  }

  replace(name: string, bytes: Uint8Array): Promise<void> {
    return this.#write(name, bytes, rename);
  }

  async *read(name: string, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    const path = this.#resolve(name);
    try {
      await this.#assertNoLinks(dirname(path));
      const found = lstatSync(path);
      // To open something else may wait for ever; a link is refused when it is opened.
      if (!found.isFile() && !found.isSymbolicLink()) throw foreignError(path);
      for await (const piece of readDirect(path, found.size)) {
        signal?.throwIfAborted();
        yield piece;
      }
    } catch (error) {
      throw this.#coded(`read ${name}`, error);
    }
  }

  async list(): Promise<readonly StoredFile[]> {
    const entries = await this.#do('list', () =>
      readdir(this.location, { recursive: true, withFileTypes: true }).catch((error) => {
        if (codeOf(error) === 'ENOENT') return [];
        throw error;
      }),
    );
    const files = entries.filter((entry) => !entry.isDirectory() && !UNFINISHED.test(entry.name));
    const found: StoredFile[] = [];
    for (const entry of files) {
      const path = join(entry.parentPath, entry.name);
      // As many as there are files: another thread's way there and back takes longer than each.
      const { size } = await this.#do('list', async () => lstatSync(path));
      found.push({ name: path.slice(this.location.length + 1), bytes: size });
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async remove(name: string): Promise<void> {
    const path = this.#resolve(name);
    await this.#do(`remove ${name}`, async () => {
      await this.#assertNoLinks(dirname(path));
      await rm(path, { force: true });
      await syncPath(dirname(path));
    });
  }

  async removeAll(): Promise<void> {
    this.#queue.length = 0;
    await this.#syncing?.catch(() => undefined);
    this.#unsynced.clear();
    await this.#do('remove', () => rm(this.location, { recursive: true, force: true }));
  }

  async close(): Promise<void> {}

  /** Queues a file, and begins with the queue when nobody is at it. */
  #syncMeanwhile(path: string): void {
    this.#queue.push(path);
    if (this.#syncing !== null) return;
    const syncQueue = async (): Promise<void> => {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) await this.#sync(next);
      this.#syncing = null;
    };
    this.#syncing = syncQueue();
    // Whoever flushes sees the error; until then it is no unhandled one.
    this.#syncing.catch(() => {});
  }

  async #sync(path: string): Promise<void> {
    await this.#do(`sync ${path}`, () => syncPath(path));
    this.#unsynced.delete(path);
  }

  async #write(
    name: string,
    bytes: Uint8Array,
    publish: (unfinished: string, path: string) => Promise<void>,
  ): Promise<void> {
    const path = await this.#pathFor(name);
    const unfinished = unfinishedName(path);
    await this.#do(`write ${name}`, async () => {
      try {
        const handle = await open(unfinished, 'wx', 0o600);
        try {
          await handle.writeFile(bytes);
        } finally {
          await syncAndClose(handle);
        }
        await publish(unfinished, path);
        await syncPath(dirname(path));
      } catch (error) {
        await rm(unfinished, { force: true });
        throw error;
      }
    });
  }

  #resolve(name: string): string {
    assertFileName(name);
    return join(this.location, name);
  }

  /** The path of a file that is about to be written; its directory exists then. */
  async #pathFor(name: string): Promise<string> {
    const path = this.#resolve(name);
    if (this.#checked.has(dirname(path))) return path;
    await this.#do(`create ${name}`, async () => {
      ensureDirectory(dirname(path));
      await this.#assertNoLinks(dirname(path));
    });
    return path;
  }

  /** Below the root every directory of the way must be one, not a link to somewhere else; the root itself may be reached by links. */
  async #assertNoLinks(directory: string): Promise<void> {
    if (directory === this.location || this.#checked.has(directory)) return;
    await this.#assertNoLinks(dirname(directory));
    if (!(await lstat(directory)).isDirectory()) throw linkError(directory);
    this.#checked.add(directory);
  }

  async #do<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#coded(what, error);
    }
  }

  #coded(what: string, cause: unknown): unknown {
    const message = `${what} in ${this.location}: ${cause instanceof Error ? cause.message : String(cause)}`;
    switch (codeOf(cause)) {
      case 'ENOENT':
        return new HoldfastError('DR_NOT_FOUND', message, { cause });
      case 'EEXIST':
        return new HoldfastError('ALREADY_EXISTS', message, { cause });
      case 'ENOSPC':
      case 'EDQUOT':
      case 'EFBIG':
        return new HoldfastError('DR_STORAGE_FULL', message, { cause });
      case 'EACCES':
      case 'EPERM':
      case 'EROFS':
      case 'ENOTDIR':
        return new HoldfastError('DATA_UNWRITABLE', message, { cause });
      case 'ELOOP':
        return linkError(message);
      default:
        return cause;
    }
  }
}

/** The directory itself, links resolved; the given path when it does not exist. Two names of one directory compare equal. */
export function realDirectory(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

async function syncAndClose(handle: FileHandle): Promise<void> {
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a file, or the names in a directory, durable. Only what waits for the disk is left to another thread. */
async function syncPath(path: string): Promise<void> {
  const file = openSync(path, constants.O_RDONLY);
  try {
    await sync(file);
  } finally {
    closeSync(file);
  }
}

function foreignError(path: string): HoldfastError {
  return new HoldfastError('DR_CHECKSUM_MISMATCH', `${path} is no file, and so no part of an archive`);
}

function linkError(what: string): HoldfastError {
  return new HoldfastError('DR_CHECKSUM_MISMATCH', `${what}: a link is no part of an archive`);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
