import { createReadStream, statSync } from 'node:fs';
import { UsageError } from './command.ts';

/** Size of a regular file in bytes; a mistake on the command line when there is none. */
export function sizeOf(file: string): number {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) throw new UsageError(`${file} does not exist`);
  if (!stats.isFile()) throw new UsageError(`${file} is not a file`);
  return stats.size;
}

/** The chunks of a file; `read.bytes` counts what was given out. */
export async function* counted(file: string, read: { bytes: number }): AsyncGenerator<Uint8Array> {
  for await (const chunk of createReadStream(file, { highWaterMark: 256 * 1024 }) as AsyncIterable<Uint8Array>) {
    read.bytes += chunk.length;
    yield chunk;
  }
}
