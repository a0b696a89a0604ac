import { type HoldfastError, isHoldfastError } from '../errors.ts';
import type { Document } from '../model/document.ts';
import type { Position } from '../model/position.ts';
import type { BulkResult, Refusal, WriteResult } from './store.ts';

/** Documents that a bulk write gives back. */
export const MAX_DOCUMENTS = 1_000;

/** Whether an error concerns one document of a bulk write, which then goes on with the others. */
export function concernsDocument(error: unknown): error is HoldfastError {
  return isHoldfastError(error, 'ALREADY_EXISTS') || isHoldfastError(error, 'VALIDATION_FAILED');
}

/** Counts what became of the documents of a bulk write. A failure other than a refusal fails the whole call, so nothing is ever taken back. */
export class Tally {
  matched = 0;
  modified = 0;
  /** Documents found so far. */
  found = 0;
  readonly #documents: Document[] = [];
  readonly #refused: Refusal[] = [];
  /** Where the log was after the last write. */
  position: Position;

  constructor(position: Position) {
    this.position = position;
  }

  /** Counts what was written before the process died. */
  recall(documents: readonly (Document | null)[], modified: number): void {
    this.matched += modified;
    this.modified += modified;
    this.#documents.push(...documents.filter((document) => document !== null));
  }

  /** Runs the write of one document; a refusal is noted and does not stop the others. */
  attempt(index: number, write: () => WriteResult): void {
    try {
      this.add(write());
    } catch (error) {
      this.refuse(index, error);
    }
  }

  /** Notes a refusal; throws what is none: what no document could satisfy, and everything that is not about this document. */
  refuse(index: number, error: unknown): void {
    if (!concernsDocument(error)) throw error;
    this.matched += 1;
    this.#refused.push({ index, code: error.code, message: error.message });
  }

  add(result: WriteResult): void {
    this.matched += result.matchedCount;
    this.modified += result.modifiedCount;
    this.position = result.position;
    if (result.document !== null && this.#documents.length < MAX_DOCUMENTS) this.#documents.push(result.document);
  }

  result({ matched, position }: Pick<Tally, 'matched' | 'position'> = this): BulkResult {
    return {
      matchedCount: matched,
      modifiedCount: this.modified,
      documents: this.#documents,
      refused: this.#refused,
      position,
    };
  }
}
