import { HoldfastError } from '../errors.ts';
import { decodeDocument } from '../model/document.ts';
import type { BulkOptions, BulkResult, IdempotencyKey, WriteResult } from '../store/store.ts';
import { MAX_DOCUMENTS, Tally } from '../store/tally.ts';
import type { Journal, JournalCall } from './journal.ts';
import { keyOf } from './journal-call.ts';
import type { JournalEntry } from './journal-entry.ts';
import type { LiveDocuments } from './journal-view.ts';
import { isJournaled, type Journaled, type OfferedWrite } from './write-fallback.ts';

/** The answer to a write, and when what it rests on is on disk; undefined: it is. */
export interface Entered<T> {
  readonly result: T;
  readonly durable?: Promise<unknown> | undefined;
}

export interface JournalAnswersOptions {
  readonly journal: Journal;
  readonly live: LiveDocuments;
}

/** What writes are answered whose key is known here: what they were answered first. */
export class JournalAnswers {
  readonly #options: JournalAnswersOptions;

  constructor(options: JournalAnswersOptions) {
    this.#options = options;
  }

  /** The first answer to a write; undefined when its key is new, or for a bulk insert some are. @throws VALIDATION_FAILED, CONFLICT */
  known(write: OfferedWrite): Entered<WriteResult | BulkResult> | undefined {
    const key = keyOf(write);
    if (key === undefined) return undefined;
    const { method, options } = write;
    const { journal } = this.#options;
    if (method === 'updateMany' || method === 'deleteMany') {
      const call = journal.callOfKey(key.key);
      if (call === undefined) return undefined;
      return { result: this.#recalled(call, key), durable: journal.durable(call.answer.keys) };
    }
    if (method !== 'insertMany') {
      const result = this.single(key);
      return result && { result, durable: journal.durable([key.key]) };
    }
    const keys = (options as BulkOptions).idempotency ?? [];
    const results = keys.map((each) => this.single(each));
    // Those that are not in the journal are the database's, or nobody's.
    if (!results.every((result) => result !== undefined)) return undefined;
    return { result: this.many(results), durable: journal.durable(keys.map((each) => each.key)) };
  }

  /** The first answer under the key of one document. @throws VALIDATION_FAILED; CONFLICT when an operator gave the entry up */
  single(key: IdempotencyKey): WriteResult | undefined {
    const entry = this.#options.journal.entryOfKey(key.key);
    if (entry === undefined) return undefined;
    requireSame(entry.digest, key);
    if (entry.state === 'DISCARDED') {
      const message = `this write waited in the journal as entry ${entry.seq}; an operator gave it up`;
      throw new HoldfastError('CONFLICT', message);
    }
    return this.of(entry, true);
  }

  /** The answer of the database to a write under this key, when the copy has it already. */
  committed({ key }: IdempotencyKey): WriteResult | undefined {
    const entry = this.#options.live.entryOfKey(key);
    if (entry === undefined) return undefined;
    const { image, version, epoch, sequence } = entry;
    return {
      ...{ matchedCount: 1, modifiedCount: 1, document: image === null ? null : decodeDocument(image), version },
      ...{ position: { epoch, sequence }, repeated: true },
    };
  }

  /** What is answered for an entry, now and whenever its key comes again. */
  of({ seq, method, image, base }: JournalEntry, repeated: boolean): WriteResult & Journaled {
    const text = method === 'deleteOne' ? base : image;
    return {
      ...{ matchedCount: 1, modifiedCount: 1, document: text === null ? null : decodeDocument(text) },
      ...{ version: null, position: this.#options.live.position(), repeated, journalId: String(seq) },
    };
  }

  /** The answer to a write of many; `tally` has what was refused. The journal's, unless the database made all of it. */
  many(results: readonly WriteResult[], tally = new Tally(this.#options.live.position())): BulkResult {
    for (const result of results) tally.add(result);
    const isCommitted = results.length > 0 && !results.some((result) => isJournaled(result));
    return isCommitted ? tally.result() : journaled(tally.result());
  }

  /** Nothing was there to be written. */
  nothing(): WriteResult {
    const position = this.#options.live.position();
    return { matchedCount: 0, modifiedCount: 0, document: null, version: null, position, repeated: false };
  }

  #recalled({ digest, answer }: JournalCall, key: IdempotencyKey): BulkResult {
    requireSame(digest, key);
    const { journal } = this.#options;
    const entries = answer.keys.slice(0, MAX_DOCUMENTS).flatMap((each) => journal.entryOfKey(each) ?? []);
    const many = this.many(entries.map((entry) => this.of(entry, true)));
    return { ...many, matchedCount: answer.matched, modifiedCount: answer.keys.length };
  }
}

function journaled(result: BulkResult): BulkResult & Journaled {
  return { ...result, journalId: null };
}

function requireSame(known: string, { digest }: IdempotencyKey): void {
  if (known === digest) return;
  throw new HoldfastError('VALIDATION_FAILED', 'this idempotency key was used before, with other arguments');
}
