import { crc32 } from 'node:zlib';
import type { DocumentText } from '../model/document.ts';

/** What became of an entry. */
export const JournalState = {
  /** To be replayed, by itself. */
  WAITING: 'WAITING',
  /** In the database. */
  REPLAYED: 'REPLAYED',
  /** The database has what does not go together with it: somebody decides. */
  CONFLICT: 'CONFLICT',
  /** Replayed only when an operator says so. */
  HELD: 'HELD',
  /** An operator gave it up. */
  DISCARDED: 'DISCARDED',
} as const;
export type JournalState = (typeof JournalState)[keyof typeof JournalState];

/** The store's own call that an entry stands for; of one document, known by its id. */
export const JournalMethod = {
  insertOne: 'insertOne',
  updateOne: 'updateOne',
  replaceOne: 'replaceOne',
  deleteOne: 'deleteOne',
} as const;
export type JournalMethod = (typeof JournalMethod)[keyof typeof JournalMethod];

/** A write of one document as it enters the journal. It never changes. */
export interface JournalDraft {
  /** Idempotency key of the write, 32 hexadecimal digits: under it the database knows whether it was made. */
  readonly key: string;
  /** Digest of the arguments under the key. */
  readonly digest: string;
  readonly collection: string;
  /** Document text of the `_id`. */
  readonly id: DocumentText;
  readonly method: JournalMethod;
  /** Text of the document to insert or put in place, or of the update; null for a deletion. */
  readonly argument: DocumentText | null;
  /** Version of the document that it was made on; null when there was none, or when it was made on the entry `after`. */
  readonly baseVersion: number | null;
  /** The entry of the same document whose outcome it was made on. */
  readonly after: number | null;
  /** Whether the client named the version: then also what goes together with any version waits for this one. */
  readonly strict: boolean;
  /** The document that it was made on; null when there was none. */
  readonly base: DocumentText | null;
  /** What it made of that; null for a deletion. */
  readonly image: DocumentText | null;
  readonly principal: string;
  /** Epoch of the database when it was written. */
  readonly epoch: number;
  readonly sdlHash: string;
  /** When it was written, ms since 1970. */
  readonly at: number;
}

/** Why an entry is where it is, when it is not in the database. */
export interface JournalReason {
  /** Error code, or EPOCH, AGE, COLLECTION or DAMAGED for one that is held. */
  readonly code: string;
  readonly message: string;
  /** Id of the conflict that somebody decides. */
  readonly conflict?: string | undefined;
}

/** A write in the journal. */
export interface JournalEntry extends JournalDraft {
  /** Grows by one; also its public id. */
  readonly seq: number;
  readonly state: JournalState;
  /** An operator ordered its replay, whatever held it. */
  readonly approved: boolean;
  /** Version of the document after the replay; null before, and where there is none. */
  readonly version: number | null;
  readonly reason: JournalReason | null;
  /** When it came to its state, ms since 1970; null while it waits. */
  readonly endedAt: number | null;
}

/** An entry as it lies in the table, where truth is 0 or 1 and a reason is JSON. */
export interface JournalRow extends Omit<JournalEntry, 'strict' | 'approved' | 'reason'> {
  readonly strict: number;
  readonly approved: number;
  readonly reason: string | null;
  readonly crc: number;
}

/** Checksum (CRC-32) over everything of an entry that never changes. */
export function checksumOf(seq: number, draft: JournalDraft): number {
  const { key, digest, collection, id, method, argument, baseVersion, after, strict, base, image } = draft;
  const { principal, epoch, sdlHash, at } = draft;
  const fields = [seq, key, digest, collection, id, method, argument, baseVersion, after, strict, base, image];
  return crc32(JSON.stringify([...fields, principal, epoch, sdlHash, at]));
}

/** Bytes that an entry counts for, about. */
export function sizeOf({ argument, base, image, id }: JournalDraft): number {
  return 300 + id.length + (argument?.length ?? 0) + (base?.length ?? 0) + (image?.length ?? 0);
}

/** Reads a row; null when it is not what was written. */
export function entryOf(row: JournalRow): JournalEntry | null {
  const { crc, strict, approved, reason, ...fields } = row;
  const entry: JournalEntry = {
    ...fields,
    strict: strict === 1,
    approved: approved === 1,
    reason: reason === null ? null : (JSON.parse(reason) as JournalReason),
  };
  return checksumOf(row.seq, entry) === crc ? entry : null;
}
