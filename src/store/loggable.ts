import { HoldfastError } from '../errors.ts';
import type { Change } from '../model/change.ts';

/** Bytes that collection and id of a document may have together, so that its log entry fits into a document whatever its image is. */
const MAX_NAME_BYTES = 1024 * 1024;

/**
 * Makes sure that a log beside the documents takes the entry of this change. To be called before the document is written: what is
 * written must not be refused by the log afterwards. The image may be as large as a document.
 * @throws VALIDATION_FAILED when it does not.
 */
export function assertLoggable({ collection, id }: Pick<Change, 'collection' | 'id'>): void {
  const units = collection.length + id.length;
  if (units * 3 <= MAX_NAME_BYTES) return;
  const bytes = Buffer.byteLength(collection) + Buffer.byteLength(id);
  if (bytes <= MAX_NAME_BYTES) return;
  throw new HoldfastError(
    'VALIDATION_FAILED',
    `the id of a document in ${collection.slice(0, 100)} has ${bytes} bytes; at most ${MAX_NAME_BYTES} are stored`,
  );
}
