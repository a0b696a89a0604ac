import { Binary } from 'mongodb';
import type { LogEntry } from '../model/change.ts';
import type { KeyedEntry } from '../store/outbox.ts';

/** Image text above this many bytes lies in documents of its own, so that an entry always fits into one. */
const INLINE_BYTES = 8 * 1024 * 1024;

/**
 * A document of `holdfast_log`. Absent instead of null: `key` and `digest` without a key, and collection, id and version of an
 * EPOCH, so that the sparse unique indexes leave them alone; `image` when there is none or when it lies in `parts` documents.
 */
export interface EntryDocument {
  readonly _id: number;
  readonly epoch: number;
  readonly operation: LogEntry['operation'];
  readonly collection?: string;
  readonly id?: string;
  readonly version?: number;
  readonly at: number;
  readonly before: string | null;
  readonly after: string | null;
  readonly image?: string;
  readonly parts?: number;
  readonly key?: string;
  readonly digest?: string;
  readonly chain: string;
}

/** A document of `holdfast_log_parts`: a piece of a large image, named after the hash of the image so that it is the same whoever writes it. */
export interface PartDocument {
  /** `<after>.<number from 0>`. */
  readonly _id: string;
  readonly bytes: Binary;
}

/** A document of `holdfast_keys`: the key of a trimmed entry. */
export interface KeyDocument extends Omit<KeyedEntry, 'key' | 'position' | 'image'> {
  readonly _id: string;
  readonly epoch: number;
  readonly sequence: number;
  /** `at` of the entry, ms since 1970. */
  readonly at: number;
}

/** The document that carries an entry, and those that carry its image when it is large. */
export function encodeEntry(
  entry: LogEntry,
  digest: string | null,
): { readonly document: EntryDocument; readonly parts: readonly PartDocument[] } {
  const { epoch, sequence, operation, collection, id, version, at, before, after, image, key, chain } = entry;
  const parts = partsOf(image, after);
  const document = {
    _id: sequence,
    epoch,
    operation,
    ...(operation === 'EPOCH' ? {} : { collection, id, version }),
    ...{ at, before, after },
    ...(parts.length > 0 ? { parts: parts.length } : image === null ? {} : { image }),
    ...(key === null ? {} : { key }),
    ...(key === null || digest === null ? {} : { digest }),
    chain,
  };
  return { document, parts };
}

/** The entry of a document; `image` is that of its parts when it has some. */
export function decodeEntry(document: EntryDocument, image?: string): LogEntry {
  const { _id, epoch, operation, collection = '', id = '', version = 0, at, before, after, key = null } = document;
  const { chain } = document;
  const text = image ?? document.image ?? null;
  return { epoch, sequence: _id, operation, collection, id, version, at, before, after, image: text, key, chain };
}

/** Names of the documents that hold the image of an entry; empty when it holds it itself. */
export function partNames({ after, parts = 0 }: Pick<EntryDocument, 'after' | 'parts'>): readonly string[] {
  return Array.from({ length: parts }, (_, number) => `${after}.${number}`);
}

/** Bytes an entry has in the message that appends it, approximately. */
export function messageBytes(image: string | null): number {
  if (image === null) return 512;
  const bytes = Buffer.byteLength(image);
  return bytes > INLINE_BYTES ? 512 : bytes + 512;
}

function partsOf(image: string | null, after: string | null): readonly PartDocument[] {
  // A UTF-16 unit has at most three bytes.
  if (image === null || image.length * 3 <= INLINE_BYTES || Buffer.byteLength(image) <= INLINE_BYTES) return [];
  const bytes = Buffer.from(image);
  const count = Math.ceil(bytes.length / INLINE_BYTES);
  return Array.from({ length: count }, (_, number) => ({
    _id: `${after}.${number}`,
    bytes: new Binary(bytes.subarray(number * INLINE_BYTES, (number + 1) * INLINE_BYTES)),
  }));
}
