import { createHash } from 'node:crypto';
import { constants, crc32, createZstdDecompress, type ZstdDecompress } from 'node:zlib';
import { HoldfastError, isHoldfastError } from '../../errors.ts';
import { unseal } from './encryption.ts';
import type { EncryptionKey } from './encryption-key.ts';
import type { Chunk, Manifest } from './manifest.ts';
import type { ArchiveStorage } from './storage.ts';
import { freeMemory } from './zstd-frame.ts';

/** Decompressed rows come in pieces of this size: each is a way to the thread pool and back. */
const PIECE_BYTES = 1 << 20;
/** Largest window a frame may ask for, as a power of two: blocks have 4 MiB, so a frame that wants more is not ours. */
const MAX_WINDOW_LOG = 23;

export interface ReadChunkOptions {
  /** How the archive is written. */
  readonly manifest: Pick<Manifest, 'compression' | 'encryption'>;
  /** Must be given for an encrypted archive. */
  readonly key?: EncryptionKey | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The rows of a chunk, decrypted and decompressed, in pieces. Only when it ends without an error is it proven that they are what
 * was written: commit nothing before. Never yields more than the bytes the manifest tells, whatever the file claims to hold. A piece
 * may be used until the next one is asked for.
 * @throws DR_CHECKSUM_MISMATCH naming the file
 */
export async function* readChunk(
  storage: ArchiveStorage,
  chunk: Pick<Chunk, 'file' | 'bytes' | 'storedBytes' | 'crc32' | 'sha256'>,
  { manifest, key, signal }: ReadChunkOptions,
): AsyncGenerator<Buffer, void, void> {
  // The rows are the file then: what its SHA-256 proves needs no second sum over the same bytes.
  const isPlain = manifest.compression === 'none' && manifest.encryption === null;
  let checksum = 0;
  let bytes = 0;
  let source: AsyncIterable<Uint8Array> = stored(storage, chunk, signal);
  if (manifest.encryption !== null) source = unseal(source, requireKey(key), chunk.file);
  if (manifest.compression === 'zstd') source = decompressed(source, chunk.file, signal);
  for await (const piece of source) {
    bytes += piece.length;
    if (bytes > chunk.bytes) throw mismatch(chunk.file, `holds more than the ${chunk.bytes} bytes of rows it should`);
    if (!isPlain) checksum = crc32(piece, checksum);
    yield piece as Buffer;
  }
  if (bytes !== chunk.bytes) throw mismatch(chunk.file, `holds ${bytes} bytes of rows instead of ${chunk.bytes}`);
  if (!isPlain && checksum !== Number.parseInt(chunk.crc32, 16)) {
    throw mismatch(chunk.file, 'holds other rows: CRC-32 differs');
  }
}

/** The file as it is stored, checked against its size and SHA-256. */
async function* stored(
  storage: ArchiveStorage,
  { file, storedBytes, sha256 }: Pick<Chunk, 'file' | 'storedBytes' | 'sha256'>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  const digest = createHash('sha256');
  let size = 0;
  try {
    for await (const bytes of storage.read(file, signal)) {
      size += bytes.length;
      if (size > storedBytes) break;
      digest.update(bytes);
      yield bytes;
    }
  } catch (error) {
    if (isHoldfastError(error, 'DR_NOT_FOUND')) throw mismatch(file, 'is missing', error);
    throw error;
  }
  if (size !== storedBytes) throw mismatch(file, `has not the ${storedBytes} bytes it should have`);
  if (digest.digest('hex') !== sha256) throw mismatch(file, 'was altered: SHA-256 differs');
}

async function* decompressed(
  source: AsyncIterable<Uint8Array>,
  file: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void, void> {
  const params = { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG };
  const zstd = createZstdDecompress({ chunkSize: PIECE_BYTES, params });
  // Errors reach the loop through the stream; leaving the loop early ends the feeding.
  const fed = feed(zstd, source, signal).catch((error: unknown) => void zstd.destroy(error as Error));
  let used: Buffer | undefined;
  try {
    for await (const piece of zstd as AsyncIterable<Buffer>) {
      signal?.throwIfAborted();
      yield piece;
      used = piece;
      // Behind one that does not reach the end of its memory the next one is written.
      if (piece.byteOffset + piece.length === piece.buffer.byteLength) freeMemory(piece);
    }
    if (used !== undefined) freeMemory(used);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (isHoldfastError(error)) throw error;
    throw mismatch(file, 'cannot be decompressed', error);
  } finally {
    zstd.destroy();
    await fed;
  }
}

/** Each piece is used up before the next one is asked for: its buffer is used again then. */
async function feed(
  zstd: ZstdDecompress,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const closed = new Promise<void>((done) => zstd.once('close', done));
  for await (const piece of source) {
    signal?.throwIfAborted();
    // Nobody answers a write to a stream that was closed while it was full.
    const taken = new Promise<void>((done) => zstd.write(piece, () => done()));
    await Promise.race([taken, closed]);
    if (zstd.destroyed) return;
  }
  zstd.end();
}

function requireKey(key: EncryptionKey | undefined): EncryptionKey {
  if (key === undefined) throw new TypeError('an encrypted chunk is read with its key');
  return key;
}

function mismatch(file: string, what: string, cause?: unknown): HoldfastError {
  return new HoldfastError('DR_CHECKSUM_MISMATCH', `${file} ${what}`, { cause, details: { file } });
}
