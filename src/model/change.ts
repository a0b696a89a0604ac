import { hash } from 'node:crypto';
import type { DocumentText } from './document.ts';

/** What happened to a document. `EPOCH` is the first entry of a new epoch and concerns no document. */
export const Operation = { CREATED: 'CREATED', UPDATED: 'UPDATED', DELETED: 'DELETED', EPOCH: 'EPOCH' } as const;
export type Operation = (typeof Operation)[keyof typeof Operation];

/** 128 bits as 32 lower-case hexadecimal digits. */
export type Hash = string;

/** One write of one document, as its writer knows it; the log gives it a sequence. */
export interface Change {
  readonly operation: Operation;
  /** Where the document is stored; empty for EPOCH. */
  readonly collection: string;
  /** The document's `_id` as document text; empty for EPOCH. */
  readonly id: DocumentText;
  /** Version of the document after the change: `max(previous + 1, hybrid clock in ms)`, never restarting. 0 for EPOCH. */
  readonly version: number;
  /** When, in ms since 1970, by the writer's clock; informative, never used to order. */
  readonly at: number;
  /** {@link documentHash} of the image before; null when there was none. */
  readonly before: Hash | null;
  /** {@link documentHash} of the image after; null when the document was deleted. */
  readonly after: Hash | null;
  /** The whole document after the change; null when deleted, or withheld from a replica that may not have it. */
  readonly image: DocumentText | null;
  /** Idempotency key of the write, 32 hexadecimal digits; null when the client sent none. */
  readonly key: string | null;
}

/** A change with its place in the log. */
export interface LogEntry extends Change {
  readonly epoch: number;
  /** Dense and strictly increasing from 1, assigned by the append. */
  readonly sequence: number;
  /** {@link chainHash} over every entry up to this one. */
  readonly chain: Hash;
}

/**
 * An entry verified where it came in: `chain` follows from `previous`, and the image, when there is one, hashes to `after`.
 * Who stores it need not compute either again.
 */
export interface VerifiedEntry extends LogEntry {
  /** {@link chainHash} up to the entry before. */
  readonly previous: Hash;
}

/** The chain before the first entry. */
export const GENESIS_CHAIN: Hash = '0'.repeat(32);

/** Hash of one version of one document: the first 128 bits of SHA-256 over collection, id, version and text. */
export function documentHash(collection: string, id: DocumentText, version: number, text: DocumentText): Hash {
  return hash('sha256', `${collection}\0${id}\0${version}\0${text}`, 'hex').slice(0, 32);
}

/** The chain after an entry: binds its place and every field but the image, which `after` binds. */
export function chainHash(previous: Hash, epoch: number, sequence: number, change: Change): Hash {
  const fields = `${previous}\0${epoch}\0${sequence}\0${change.operation}\0${change.collection}\0${change.id}\0${change.version}\0${change.at}\0${change.before ?? ''}\0${change.after ?? ''}\0${change.key ?? ''}`;
  return hash('sha256', fields, 'hex').slice(0, 32);
}
