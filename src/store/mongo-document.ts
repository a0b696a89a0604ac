import { calculateObjectSize } from 'bson';
import { HoldfastError } from '../errors.ts';
import { documentHash, type Hash, type Operation } from '../model/change.ts';
import { type Document, type DocumentText, encodeDocument, encodeValue } from '../model/document.ts';
import { fromBson, numberOf } from './mongo-bson.ts';
import type { KeyedChange } from './outbox.ts';

/** The field that carries what the gateway knows of a document; see SPEC.md. No API shows it, no filter reaches it. */
export const METADATA = '_holdfast';

/** Version of a document that no gateway has written yet. */
export const FIRST_VERSION = 1;

/** A version that is not known to be in the log yet. */
export interface Pending {
  readonly operation: Operation;
  readonly key: string | null;
  readonly digest: string | null;
  /** ms since 1970, by the writer's clock. */
  readonly at: number;
  readonly before: Hash | null;
  /** 16 random hexadecimal digits: by them a writer that lost the answer finds out whether this is its own write. */
  readonly token: string;
  /** Of a deletion under a key: the document removed, which a repetition answers. */
  readonly removed?: DocumentText;
}

/** What the metadata field holds. */
export interface Metadata {
  readonly version: number;
  /** Of the image of this version; none in a tombstone. */
  readonly hash?: Hash;
  readonly deleted?: true;
  /** Of a tombstone that goes as soon as its entry is in the log. */
  readonly brief?: true;
  /** ms since 1970. */
  readonly deletedAt?: number;
  readonly pending?: Pending;
}

/** One document as it is stored. */
export interface Stored {
  /** The `_id` as it is stored. */
  readonly _id: unknown;
  readonly id: DocumentText;
  readonly version: number;
  /** Null for a tombstone, as is the text. */
  readonly document: Document | null;
  readonly text: DocumentText | null;
  /** Of the image that was logged for this version, or will be; null for a tombstone. */
  readonly hash: Hash | null;
  readonly pending: Pending | undefined;
  /** Whether it carries metadata; without, nobody but writers beside the gateway ever wrote it. */
  readonly touched: boolean;
  /** ms since 1970; of a tombstone. */
  readonly deletedAt: number | undefined;
}

/** Whether there is a document, and no tombstone or nothing. */
export function isThere(stored: Stored | null): stored is Stored & { readonly document: Document } {
  return stored !== null && stored.document !== null;
}

/** Reads a document that came with its metadata, by READ_OPTIONS. The raw document is used up. */
export function storedOf(collection: string, raw: Document): Stored {
  const { [METADATA]: field, ...rest } = fromBson(raw) as Document;
  const metadata = metadataOf(field);
  const id = encodeValue(rest._id);
  const version = metadata?.version ?? FIRST_VERSION;
  const text = metadata?.deleted ? null : encodeDocument(rest);
  return {
    ...{ _id: rest._id, id, version, text },
    document: text === null ? null : rest,
    hash: text === null ? null : (metadata?.hash ?? documentHash(collection, id, version, text)),
    pending: metadata?.pending,
    touched: metadata !== undefined,
    deletedAt: metadata?.deletedAt,
  };
}

/** The document that readers see; the raw one is used up. */
export function visible(raw: Document): Document {
  const document = fromBson(raw) as Document;
  if (METADATA in document) delete document[METADATA];
  return document;
}

/** The change that a pending version is, with the content as it is now for its image. */
export function pendingChange(collection: string, stored: Stored, pending: Pending): KeyedChange {
  const { id, version, text } = stored;
  const { operation, key, digest, at, before } = pending;
  const after = text === null ? null : documentHash(collection, id, version, text);
  return { operation, collection, id, version, at, before, after, image: text, key, digest };
}

/** Field for what a write of a version leaves beside the content. */
export function metadataFor(version: number, hash: Hash | null, pending: Pending, brief: boolean): Metadata {
  if (hash === null) return { version, deleted: true, ...(brief && { brief }), deletedAt: pending.at, pending };
  return { version, hash, pending };
}

/** Condition under which `stored` is still the version that was read. */
export function unchangedSince({ _id, version, touched }: Stored): Document {
  return touched ? { _id, [`${METADATA}.version`]: version } : { _id, [METADATA]: { $exists: false } };
}

/** Largest BSON document, and what the metadata takes of it at most, less the document that a deletion keeps. */
const MAX_BSON_BYTES = 16 * 1024 * 1024;
const METADATA_BYTES = 1024;
/** A document text up to here is never larger than allowed as BSON: `[[],…]` grows fivefold, other values less. */
const SURELY_SMALL = 1024 * 1024;

/**
 * Checks what document text can hold and MongoDB cannot: a field at the top whose name starts with `$`, NUL in a name, half a
 * surrogate pair, or more than 16 MiB of BSON together with the metadata.
 * @throws VALIDATION_FAILED
 */
export function requireStorable(document: Document, text: DocumentText): void {
  if (Object.hasOwn(document, METADATA)) throw reserved();
  for (const name of Object.keys(document)) {
    if (name.startsWith('$')) throw refused(`the field ${name} cannot be stored: at the top no name starts with $`);
  }
  // JSON escapes both; a match may be an escaped backslash, so the values decide.
  if (/\\u(?:0000|d[89a-f])/.test(text)) requireText(document);
  if (text.length <= SURELY_SMALL) return;
  const bytes = calculateObjectSize(document) + METADATA_BYTES;
  if (bytes > MAX_BSON_BYTES) {
    throw refused(`the document has ${bytes} bytes as BSON; at most ${MAX_BSON_BYTES} are stored`);
  }
}

function requireText(value: unknown): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw refused('a string has half a surrogate pair, which MongoDB cannot store');
  } else if (Array.isArray(value)) {
    for (const item of value) requireText(item);
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, item] of Object.entries(value)) {
      if (name.includes('\0')) throw refused('a field has NUL in its name, which MongoDB cannot store');
      requireText(name);
      requireText(item);
    }
  }
}

/** The error for a filter, sort, projection, update or document that names the metadata. */
export function reserved(): HoldfastError {
  return refused(`${METADATA} is not a field of documents: it is the gateway's own`);
}

function refused(message: string): HoldfastError {
  return new HoldfastError('VALIDATION_FAILED', message);
}

function metadataOf(field: unknown): Metadata | undefined {
  if (typeof field !== 'object' || field === null) return undefined;
  const { version, hash, deleted, deletedAt, pending } = field as Document;
  return {
    version: numberOf(version),
    ...(typeof hash === 'string' ? { hash } : {}),
    ...(deleted === true ? { deleted } : {}),
    ...(deletedAt === undefined ? {} : { deletedAt: numberOf(deletedAt) }),
    ...(typeof pending === 'object' && pending !== null ? { pending: pendingOf(pending as Document) } : {}),
  };
}

function pendingOf({ at, ...pending }: Document): Pending {
  return { ...(pending as unknown as Pending), at: numberOf(at) };
}
