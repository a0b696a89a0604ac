import { HoldfastError } from '../../errors.ts';
import type { SourceCheck, SourceChunk, SourceReader } from './backup-source.ts';

/**
 * A reader of one session: a signal that aborts cuts the connection, whatever it does.
 * @param read runs the statement of a chunk and hands on its rows, see {@link SourceReader.read}
 * @param coded what the server said, as an error of ours
 */
export function readerOf(
  session: { destroy(): void },
  read: (select: string, onRows: Parameters<SourceReader['read']>[1]) => Promise<number>,
  coded: (operation: string, error: unknown) => unknown,
): SourceReader {
  return {
    async read(chunk: SourceChunk, onRows, signal) {
      const cut = (): void => session.destroy();
      signal.addEventListener('abort', cut, { once: true });
      try {
        signal.throwIfAborted();
        return await read(chunk.select(), onRows);
      } catch (error) {
        throw coded(`read ${chunk.of}`, error);
      } finally {
        signal.removeEventListener('abort', cut);
      }
    },
  };
}

/** @throws VALIDATION_FAILED for a closure that nothing is selected for */
export function assertClosure({ closure, suffixes }: Pick<SourceCheck, 'suffixes' | 'closure'>): void {
  if (!closure || Object.keys(suffixes).length > 0) return;
  throw new HoldfastError('VALIDATION_FAILED', 'A closure needs at least one suffix to begin with.');
}

/** The error for a table that was asked for. */
export function noSuchTable(name: string): HoldfastError {
  return new HoldfastError('VALIDATION_FAILED', `There is no table ${name} in the source.`, {
    details: { table: name },
  });
}
