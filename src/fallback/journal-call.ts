import { HoldfastError } from '../errors.ts';
import { type Document, type DocumentText, decodeDocument, encodeDocument } from '../model/document.ts';
import type { BulkOptions, Filter, IdempotencyKey, Update, WriteOptions } from '../store/store.ts';
import { compileUpdate } from '../store/update.ts';
import type { JournalMethod } from './journal-entry.ts';
import type { Seen } from './journal-view.ts';
import { soleId } from './question.ts';
import type { OfferedWrite, RefusedWrite, WriteMethod } from './write-fallback.ts';

/** What a write of one document makes of what is there. */
export interface Made {
  readonly method: JournalMethod;
  readonly argument: DocumentText | null;
  readonly image: DocumentText | null;
}

/** The key that stands for a whole write; undefined when it has none. */
export function keyOf({ method, options }: OfferedWrite): IdempotencyKey | undefined {
  if (method === 'insertMany') return (options as BulkOptions).idempotency?.[0];
  const { idempotency } = options as WriteOptions;
  return method === 'updateMany' || method === 'deleteMany' ? (options as BulkOptions).operation : idempotency;
}

/** The key of a write of one document. */
export function singleKey({ options }: OfferedWrite): IdempotencyKey {
  return (options as WriteOptions).idempotency as IdempotencyKey;
}

/** Ids that a write concerns; undefined when they are not known by its arguments. */
export function idsOf(method: WriteMethod, first: unknown): readonly unknown[] | undefined {
  if (method === 'insertOne') return [(first as Document)._id];
  if (method === 'insertMany') return (first as readonly Document[]).map(({ _id }) => _id);
  const id = method === 'updateMany' || method === 'deleteMany' ? undefined : soleId(first as Filter);
  return id === undefined ? undefined : [id];
}

/** What a method makes of a document. */
export function changing(
  method: 'updateOne' | 'replaceOne' | 'deleteOne',
  argument: unknown,
  accept?: WriteOptions['accept'],
): (base: Document) => Made {
  if (method === 'deleteOne') return () => ({ method, argument: null, image: null });
  const text = encodeDocument(argument as Document);
  if (method === 'replaceOne') {
    return ({ _id }) => ({ method, argument: text, image: encodeDocument({ _id, ...(argument as Document) }) });
  }
  const change = compileUpdate(argument as Update, { accept });
  return (base) => ({ method, argument: text, image: encodeDocument(change(base).document) });
}

/** @throws CONFLICT when the document is known to have another version than the one asked for; the error of the write when that is not known */
export function requireVersion(
  collection: string,
  { id, base, baseVersion, after }: Seen,
  ifVersion: number | undefined,
  write: RefusedWrite,
): void {
  if (ifVersion === undefined || (after === null && baseVersion === ifVersion)) return;
  // The copy may not have that version yet.
  if (after === null && (baseVersion ?? 0) < ifVersion) throw write.error;
  throw new HoldfastError('CONFLICT', `${id} of "${collection}" does not have version ${ifVersion} any more`, {
    details: { current: base === null ? null : decodeDocument(base), currentVersion: baseVersion },
  });
}
