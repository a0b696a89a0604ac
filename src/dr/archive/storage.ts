/** A file being written. Nothing is visible under its name before `commit`. */
export interface FileSink {
  /** Resolves when the bytes were taken; the buffer may then be used again. */
  write(bytes: Uint8Array): Promise<void>;
  /** Makes the file visible, whole; it is durable when {@link ArchiveStorage.flush} returns. */
  commit(): Promise<void>;
  /** Leaves nothing behind. */
  abort(): Promise<void>;
}

export interface StoredFile {
  readonly name: string;
  readonly bytes: number;
}

/** Where an archive lies: a directory or an `s3://` prefix. Names are relative, with `/`, made by us. */
export interface ArchiveStorage {
  /** Path or URL to show, without secrets. */
  readonly location: string;
  create(name: string): Promise<FileSink>;
  /** Makes every file durable that was committed before. */
  flush(): Promise<void>;
  /** Writes a file that must not exist, whole and durable. @throws ALREADY_EXISTS */
  createNew(name: string, bytes: Uint8Array): Promise<void>;
  /** Replaces a small file atomically; durable. */
  replace(name: string, bytes: Uint8Array): Promise<void>;
  /** The bytes of a file in order. A piece may be used until the next one is asked for. @throws DR_NOT_FOUND */
  read(name: string, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** Every file, unfinished ones of {@link create} not counted. */
  list(): Promise<readonly StoredFile[]>;
  remove(name: string): Promise<void>;
  /** Removes everything, unfinished files too, and the directory itself. */
  removeAll(): Promise<void>;
  close(): Promise<void>;
}
