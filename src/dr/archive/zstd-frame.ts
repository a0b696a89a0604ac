import { constants, createZstdCompress, zstdCompressSync } from 'node:zlib';

/** Bytes of up to this size are compressed at once: the way to the thread pool and back costs more. */
const AT_ONCE_BYTES = 32 << 10;

/**
 * Compresses bytes into one frame, larger ones on the thread pool. The output is so large that it holds any frame of them: then zstd
 * reads the bytes where they are and writes the frame where it stays. Into a smaller one it goes by a window of its own, which costs
 * two copies and a slower search.
 * @param bytes are not to be changed before the frame is there
 */
export function compressFrame(bytes: Uint8Array, level: number): Buffer | Promise<Buffer> {
  const options = {
    chunkSize: mostBytes(bytes.length),
    params: { [constants.ZSTD_c_compressionLevel]: level },
    // With the first bytes the last ones are there.
    flush: constants.ZSTD_e_end,
  };
  if (bytes.length <= AT_ONCE_BYTES) return zstdCompressSync(bytes, options);
  const stream = createZstdCompress(options);
  return new Promise((resolve, reject) => {
    stream.once('error', reject);
    stream.once('data', (frame: Buffer) => {
      resolve(frame);
      // Ended, it would write a second, empty frame.
      stream.destroy();
    });
    stream.write(bytes);
  });
}

/**
 * Gives the memory that a frame, or the rows of one, lie in back at once; all that lie in it are empty then. Left to V8, each few dozen
 * megabytes of them make it look through its whole heap, which cost half as much processor time as compressing, more than decompressing.
 */
export function freeMemory({ buffer: memory }: Buffer): void {
  // Small buffers share theirs.
  if (memory instanceof ArrayBuffer && memory.byteLength > Buffer.poolSize) memory.transfer(0);
}

/** `ZSTD_COMPRESSBOUND` of zstd.h, rounded up. */
function mostBytes(length: number): number {
  return length + (length >>> 8) + 64;
}
