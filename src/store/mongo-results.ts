import { HoldfastError } from '../errors.ts';
import type { LogEntry } from '../model/change.ts';
import type { Stored } from './mongo-document.ts';
import type { Image } from './mongo-image.ts';
import type { LogAppender } from './outbox.ts';
import type { WriteResult } from './store.ts';

/** Result of a write that was made. A deletion answers the document removed. */
export function written(image: Image, entry: LogEntry): WriteResult {
  return {
    matchedCount: 1,
    modifiedCount: 1,
    document: image.document ?? image.base?.document ?? null,
    version: image.version,
    position: { epoch: entry.epoch, sequence: entry.sequence },
    repeated: false,
  };
}

/** Result of a write that found nothing. */
export function notFound(log: LogAppender): WriteResult {
  const position = log.position();
  return { matchedCount: 0, modifiedCount: 0, document: null, version: null, position, repeated: false };
}

/** Result of a write that left a document as it was. */
export function unchanged({ document, version }: Stored, log: LogAppender): WriteResult {
  return { matchedCount: 1, modifiedCount: 0, document, version, position: log.position(), repeated: false };
}

/** What is thrown for a document of a collection that others changed each time it was looked at. */
export function contention(collection: string, times: number): HoldfastError {
  return new HoldfastError(
    'WRITE_CONTENTION',
    `a document of "${collection}" was changed by others ${times} times before this write could be made`,
  );
}
