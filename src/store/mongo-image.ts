import { documentHash, type Hash, type Operation } from '../model/change.ts';
import type { Document, DocumentText } from '../model/document.ts';
import { identical } from './identical.ts';
import { METADATA, type Metadata, metadataFor, type Pending, type Stored, unchangedSince } from './mongo-document.ts';
import { compareStrings } from './order.ts';
import type { KeyedChange } from './outbox.ts';
import type { IdempotencyKey } from './store.ts';

/** What is known of a write before it has a version. `base` is null where no document and no tombstone is. */
export interface Draft {
  readonly operation: Operation;
  readonly base: Stored | null;
  readonly _id: unknown;
  readonly id: DocumentText;
  /** Null for a deletion, as is the text. */
  readonly document: Document | null;
  readonly text: DocumentText | null;
  /** The version before as the log has it, where `base` does not say: content that was changed beside the gateway. */
  readonly previous?: { readonly version: number; readonly hash: Hash | null };
}

/** A version about to be written over `base`. */
export interface Image extends Draft {
  readonly version: number;
  readonly hash: Hash | null;
  readonly pending: Pending;
}

/** Longest document in characters that a tombstone keeps beside itself until it is remembered elsewhere. */
const MOST_REMOVED = 15 * 1024 * 1024;

/** The next version of a document, with all that is stored of it. */
export function imageOf(
  collection: string,
  draft: Draft,
  stamp: {
    readonly version: number;
    readonly at: number;
    readonly token: string;
    readonly key: IdempotencyKey | undefined;
  },
): Image {
  const { operation, base, id, text } = draft;
  const { version, at, token, key } = stamp;
  const keeps = operation === 'DELETED' && key !== undefined && (base?.text?.length ?? MOST_REMOVED) < MOST_REMOVED;
  const pending: Pending = {
    ...{
      operation,
      key: key?.key ?? null,
      digest: key?.digest ?? null,
      at,
      before: (draft.previous ?? base)?.hash ?? null,
      token,
    },
    ...(keeps ? { removed: base?.text as DocumentText } : {}),
  };
  const hash = text === null ? null : documentHash(collection, id, version, text);
  return { ...draft, version, hash, pending };
}

/** The change that an image is. */
export function changeOf(collection: string, { id, version, hash, text, pending }: Image): KeyedChange {
  const { operation, key, digest, at, before } = pending;
  return { operation, collection, id, version, at, before, after: hash, image: text, key, digest };
}

/** The document as it is stored after an image was written. */
export function storedAfter({ _id, id, version, document, text, hash, pending }: Image): Stored {
  const deletedAt = text === null ? pending.at : undefined;
  return { _id, id, version, document, text, hash, pending, touched: true, deletedAt };
}

/** How the tombstones of a collection are made. */
export interface Tombstones {
  /** They go as soon as their entry is in the log. */
  readonly brief: boolean;
  /** Paths of which each document must have another value, also those that have none: a tombstone gets one that nobody else has. */
  readonly filled: readonly string[];
}

/** Step W of one document: an insert, or a compare-and-set on the version that was read. */
export type SetOperation =
  | { readonly insert: Document }
  | { readonly filter: Document; readonly update: Document }
  | { readonly filter: Document; readonly replacement: Document };

/**
 * How `image` is written. Only fields at the top that differ are sent, so that what a writer beside the gateway does to another
 * field meanwhile stays. The whole document is sent where names or the order of fields cannot be had by `$set` and `$unset`: the order is
 * part of what is hashed.
 */
export function setOperation(image: Image, tombstones: Tombstones): SetOperation {
  const { base, document, _id } = image;
  const metadata: Metadata = metadataFor(image.version, image.hash, image.pending, tombstones.brief);
  const fields = document ?? { _id, ...fillerOf(image, tombstones) };
  if (base === null) return { insert: { ...fields, [METADATA]: metadata } };
  const filter = unchangedSince(base);
  if (document === null) return { filter, replacement: { ...fields, [METADATA]: metadata } };
  const before = base.document;
  const set = before === null ? undefined : differences(before, document);
  if (set === undefined) return { filter, replacement: { ...document, [METADATA]: metadata } };
  const removed = Object.keys(before as Document).filter((name) => !Object.hasOwn(document, name));
  const update: Document = { $set: { ...set, [METADATA]: metadata } };
  if (removed.length > 0) update.$unset = Object.fromEntries(removed.map((name) => [name, 1]));
  return { filter, update };
}

function fillerOf({ id, version }: Image, { filled }: Tombstones): Document {
  const filler: Document = {};
  for (const path of filled) {
    const parts = path.split('.');
    const last = parts.pop() as string;
    let at = filler;
    for (const part of parts) {
      at[part] ??= {};
      at = at[part] as Document;
    }
    at[last] = `${METADATA} ${version} ${id}`;
  }
  return filler;
}

/** The fields to set that make `after` of `before`; undefined when that cannot be done field by field. */
function differences(before: Document, after: Document): Document | undefined {
  const kept = Object.keys(before).filter((name) => Object.hasOwn(after, name));
  const names = Object.keys(after);
  const added = names.filter((name) => !Object.hasOwn(before, name));
  // Servers append new fields in the order of their names, or as they are given: the same when they come sorted.
  const inOrder = names.every((name, place) => name === (kept[place] ?? added[place - kept.length]));
  const sorted = added.every((name, place) => place === 0 || compareStrings(added[place - 1] as string, name) < 0);
  if (!inOrder || !sorted) return undefined;
  const set: Document = {};
  for (const name of names) if (!identical(before[name], after[name])) set[name] = after[name];
  const removed = Object.keys(before).filter((name) => !Object.hasOwn(after, name));
  return [...Object.keys(set), ...removed].every(isPlainName) ? set : undefined;
}

/** Whether an update operator takes the name for one field at the top; names of digits may be ordered as numbers. */
function isPlainName(name: string): boolean {
  return name !== '' && name !== '__proto__' && !/^[$\d]|[.]/.test(name);
}
