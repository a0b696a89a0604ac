import { HoldfastError } from '../errors.ts';
import { type Document, decodeDocument, encodeValue } from '../model/document.ts';
import { parseExtendedJson } from '../model/extended-json.ts';
import type { Conflict, Conflicts } from './conflicts.ts';

/** What somebody decides about a conflict. */
export const Resolution = {
  /** The document there is stays. */
  KEEP: 'KEEP',
  /** The proposed one takes its place; a proposed deletion is made. */
  APPLY: 'APPLY',
  /** A document that is given takes its place. */
  DOCUMENT: 'DOCUMENT',
} as const;
export type Resolution = (typeof Resolution)[keyof typeof Resolution];

export interface Decision {
  /** Of the conflict. */
  readonly id: string;
  readonly resolution: Resolution;
  /** MongoDB extended JSON with stored names; for DOCUMENT only. */
  readonly document: string | null;
}

/** Stores `document` in place of what is there, null for nothing. */
export type Settle = (conflict: Conflict, document: Document | null) => Promise<void>;

/**
 * Carries a decision out, then notes it. A crash in between leaves the conflict open; deciding the same again is then refused with
 * CONFLICT, for the document is another one already: KEEP closes it.
 * @throws NOT_FOUND, VALIDATION_FAILED; what `settle` throws
 */
export async function resolveConflict(conflicts: Conflicts, settle: Settle, decision: Decision): Promise<Conflict> {
  const { id, resolution, document } = decision;
  const conflict = conflicts.get(id);
  if (resolution === Resolution.KEEP) return conflicts.resolve(id, 'KEPT');
  if (resolution === Resolution.APPLY) {
    await settle(conflict, conflict.proposed === null ? null : decodeDocument(conflict.proposed));
    return conflicts.resolve(id, 'APPLIED');
  }
  if (document === null) {
    throw new HoldfastError('VALIDATION_FAILED', 'the resolution DOCUMENT needs the argument document');
  }
  const given = parseExtendedJson(document);
  if (given._id !== undefined && encodeValue(given._id) !== conflict.document) {
    throw new HoldfastError('VALIDATION_FAILED', `the document has another _id than ${conflict.document}`);
  }
  await settle(conflict, given);
  return conflicts.resolve(id, 'REPLACED');
}
