import { randomBytes } from 'node:crypto';
import { HoldfastError } from '../errors.ts';
import type { LogEntry } from '../model/change.ts';
import { type Document, type DocumentText, decodeDocument, decodeValue } from '../model/document.ts';
import type { HybridClock } from './hybrid-clock.ts';
import { keyString } from './key.ts';
import { KeyedLock, type Slot } from './keyed-lock.ts';
import { assertLoggable } from './loggable.ts';
import { type Raw, READ_OPTIONS, WRITE_OPTIONS } from './mongo-bson.ts';
import { within } from './mongo-deadline.ts';
import { type Stored, storedOf } from './mongo-document.ts';
import { coded, duplicateKeyIndex, faultOf, MongoFault, outcomeUnknown } from './mongo-errors.ts';
import { type Draft, type Image, imageOf, type SetOperation, setOperation, storedAfter } from './mongo-image.ts';
import { type LoggingParts, MongoLogging } from './mongo-logging.ts';
import { requireSame } from './mongo-memory.ts';
import { contention, notFound, unchanged, written } from './mongo-results.ts';
import type { MongoTable } from './mongo-table.ts';
import type { KeyedEntry } from './outbox.ts';
import type { IdempotencyKey, WriteOptions, WriteResult } from './store.ts';

/** How often a document that others keep changing is tried again. */
const ATTEMPTS = 50;
/** Longest pause before the next attempt, in ms. */
const MOST_PAUSE_MS = 40;
/** How often a write is sent again while it is known that it has not happened. */
const SENDS = 3;

/** What marks one write, beside its document. */
export interface WriteMark extends WriteOptions {
  /** Whether it is part of a bulk operation, which remembers what it left unchanged as a whole. */
  readonly partOfBulk?: boolean | undefined;
}

/** What is to be done about a document as it was found; null when there is neither document nor tombstone. */
export type Decide = (stored: Stored | null) => Draft | Unchanged;

/** Nothing: it is as it should be (`stored`), or it is not there (null). */
export interface Unchanged {
  readonly unchanged: Stored | null;
}

export interface WriterParts extends LoggingParts {
  readonly clock: HybridClock;
  /** Called after each step; see the failpoints of the store. */
  readonly step: (name: string) => void;
  readonly pause: (ms: number) => Promise<void>;
}

/** The steps of a write; see SPEC.md. */
export class MongoWriter {
  /** The steps H, L and C. */
  readonly logging: MongoLogging;
  readonly #parts: WriterParts;
  readonly #locks = new KeyedLock<Stored | null>();

  constructor(parts: WriterParts) {
    this.#parts = parts;
    this.logging = new MongoLogging(parts);
  }

  get parts(): WriterParts {
    return this.#parts;
  }

  /**
   * Writes what `decide` makes of the document `_id`. `assumed` is what it probably is (null: not there), which saves reading it: only
   * a compare-and-set may rest on it, every other answer is given on what was read.
   * @throws what `decide` throws; ALREADY_EXISTS, DATABASE_UNAVAILABLE, WRITE_OUTCOME_UNKNOWN, WRITE_CONTENTION
   */
  write(
    table: MongoTable,
    _id: unknown,
    mark: WriteMark,
    decide: Decide,
    assumed?: Stored | null,
  ): Promise<WriteResult> {
    const key = `${table.name}\0${keyString(_id)}`;
    return this.#locks.run(key, (slot) => this.#attempts(table, _id, mark, decide, slot, slot.known ?? assumed));
  }

  /** Reads a document with its metadata; null when there is neither document nor tombstone. */
  async read(table: MongoTable, _id: unknown, deadlineMs = this.#parts.deadlineMs): Promise<Stored | null> {
    try {
      const raw = await within(deadlineMs, table.raw.findOne({ _id } as Document, READ_OPTIONS));
      return raw === null ? null : storedOf(table.name, raw);
    } catch (error) {
      throw coded(error, `read a document of "${table.name}"`, 'READ');
    }
  }

  /** Step I: the answer given before under the same key. @throws VALIDATION_FAILED when it was used with other arguments */
  async repeated(table: MongoTable, key: IdempotencyKey): Promise<WriteResult | undefined> {
    const { log, memory } = this.#parts;
    const [entry, unchanged] = await Promise.all([log.entryOfKey(key.key), memory.unchanged(key)]);
    if (entry !== undefined) {
      requireSame(entry.digest, key);
      return this.resultOf(table, entry);
    }
    if (unchanged === undefined) return undefined;
    const { version, position, document } = unchanged;
    return { matchedCount: 1, modifiedCount: 0, document: decodeDocument(document), version, position, repeated: true };
  }

  /** What the write that became `entry` answered. The document is that of its version while the log has it, else the one there is now. */
  async resultOf(table: MongoTable, entry: KeyedEntry): Promise<WriteResult> {
    const { version, position } = entry;
    const document = await this.documentOf(table, entry);
    return { matchedCount: 1, modifiedCount: 1, document, version, position, repeated: true };
  }

  /** The document that a write under a key answered. */
  async documentOf(
    table: MongoTable,
    { operation, key, id, image }: Pick<KeyedEntry, 'operation' | 'key' | 'id' | 'image'>,
  ): Promise<Document | null> {
    if (operation === 'DELETED') {
      const removed = await this.#parts.memory.removed(key);
      return removed === undefined ? null : decodeDocument(removed);
    }
    if (image !== null) return decodeDocument(image);
    return (await this.read(table, decodeValue(id)))?.document ?? null;
  }

  /** Gives drafts their versions. `token` marks the attempt, so that it can be told from others when an answer is lost. */
  image(table: MongoTable, draft: Draft, key: IdempotencyKey | undefined, token: string): Image {
    const { clock } = this.#parts;
    assertLoggable({ collection: table.name, id: draft.id });
    const version = clock.next((draft.previous ?? draft.base)?.version ?? 0);
    return imageOf(table.name, draft, { version, at: clock.now(), token, key });
  }

  newToken(): string {
    return randomBytes(8).toString('hex');
  }

  /** The error for a value that another document has in a unique field; null when it is the id. */
  duplicate(table: MongoTable, index: string | undefined): HoldfastError | null {
    if (index === undefined || index === '_id_') return null;
    const fields = table.uniqueIndexes.get(index) ?? [index];
    const message = `another document of "${table.name}" has the same ${fields.join(', ')}`;
    return new HoldfastError('ALREADY_EXISTS', message, { details: { fields } });
  }

  async #attempts(
    table: MongoTable,
    _id: unknown,
    mark: WriteMark,
    decide: Decide,
    slot: Slot<Stored | null>,
    first: Stored | null | undefined,
  ): Promise<WriteResult> {
    const { step, pause, log, memory } = this.#parts;
    const { idempotency, signal } = mark;
    const token = this.newToken();
    let assumed = first;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      signal?.throwIfAborted();
      slot.known = undefined;
      const read = assumed === undefined ? await this.read(table, _id) : assumed;
      const certain = assumed === undefined;
      assumed = undefined;
      step('write.afterRead');
      const [stored = null] = read === null ? [] : await this.logging.help(table, [read]);
      step('write.afterHelp');
      const isNew = idempotency === undefined || (idempotency.fresh === true && attempt === 0);
      const earlier = isNew ? undefined : await this.repeated(table, idempotency);
      if (earlier !== undefined) return earlier;

      let decision: ReturnType<Decide>;
      try {
        decision = decide(stored);
      } catch (error) {
        if (certain) throw error;
        continue;
      }
      if ('unchanged' in decision) {
        if (!certain) continue;
        const found = decision.unchanged;
        if (found === null) return notFound(log);
        const result = unchanged(found, log);
        // Repeated, a fresh one is made for the first time.
        if (idempotency === undefined || idempotency.fresh === true || mark.partOfBulk === true) return result;
        const { position } = result;
        const { version, text } = found;
        const made = { digest: idempotency.digest, version, position, document: text as DocumentText };
        const kept = await memory.rememberUnchanged(idempotency.key, made);
        requireSame(kept.digest, idempotency);
        return { ...result, version: kept.version, position: kept.position, document: decodeDocument(kept.document) };
      }

      signal?.throwIfAborted();
      const image = this.image(table, decision, idempotency, token);
      const outcome = await this.#compareAndSet(table, image);
      if (outcome instanceof HoldfastError && certain) throw outcome;
      if (outcome !== 'WRITTEN') {
        if (certain) await pause(Math.random() * Math.min(MOST_PAUSE_MS, 2 ** attempt));
        continue;
      }
      step('write.afterWrite');
      const [entry] = (await this.logging.log(table, [image])) as [LogEntry];
      step('write.afterAppend');
      slot.known = { ...storedAfter(image), hash: entry.after, pending: undefined };
      // Another document was written under the key meanwhile: that is the answer.
      if (idempotency !== undefined && entry.key === null) {
        return (await this.repeated(table, idempotency)) ?? written(image, entry);
      }
      return written(image, entry);
    }
    throw contention(table.name, ATTEMPTS);
  }

  /** Step W. A HoldfastError is returned, not thrown, when a unique field refused the image. */
  async #compareAndSet(table: MongoTable, image: Image): Promise<'WRITTEN' | 'STALE' | HoldfastError> {
    const { deadlineMs } = this.#parts;
    const operation = setOperation(image, table.tombstones);
    const doing = `write a document of "${table.name}"`;
    for (let sent = 1; ; sent++) {
      let lost: unknown;
      try {
        if (await within(deadlineMs, send(table.raw, operation))) return 'WRITTEN';
      } catch (error) {
        const fault = faultOf(error);
        const refusal = fault === MongoFault.DUPLICATE ? this.duplicate(table, duplicateKeyIndex(error)) : null;
        // An insert sent before may stand in its own way, whichever index is named.
        if (refusal !== null && image.base === null && (await this.read(table, image._id)) !== null) return 'STALE';
        if (refusal !== null) return refusal;
        if (fault === MongoFault.UNAVAILABLE && sent === 1) throw coded(error, doing, 'WRITE');
        if (fault === MongoFault.UNAVAILABLE || fault === MongoFault.UNKNOWN) lost = error;
        else if (fault !== MongoFault.DUPLICATE) throw coded(error, doing, 'WRITE');
      }
      if (lost === undefined && sent === 1) return 'STALE';
      // An answer was lost: only the document and the log tell what became of the write.
      const found = await this.#lookUp(table, image).catch(() => 'UNKNOWN' as const);
      if (found === 'WRITTEN' || found === 'STALE') return found;
      if (found === 'UNKNOWN' || sent === SENDS) throw outcomeUnknown(doing, lost);
    }
  }

  /** Whether a write whose answer was lost happened, durably. PENDING: not until now; it may still, so it may only be sent as it was. */
  async #lookUp(table: MongoTable, { base, _id, id, version, hash, pending }: Image): Promise<Found> {
    const { durable, deadlineMs } = this.#parts;
    const [stored = null] = await durable.read(table, [_id], { deadlineMs });
    if (stored?.pending?.token === pending.token && stored.version === version) return 'WRITTEN';
    const asBefore = stored === null ? base === null : stored.version === base?.version;
    if (asBefore) return 'PENDING';
    // Others have written since. Had it happened before, it would be in the log.
    const { log } = this.#parts;
    if (pending.key !== null) {
      const entry = await log.entryOfKey(pending.key);
      return entry === undefined ? 'STALE' : entry.version === version && entry.id === id ? 'WRITTEN' : 'STALE';
    }
    const entry = await log.entryOfVersion(table.name, id, version);
    return entry !== undefined && entry.after === hash ? 'UNKNOWN' : 'STALE';
  }
}

type Found = 'WRITTEN' | 'STALE' | 'PENDING' | 'UNKNOWN';

/** Sends step W; whether it met the version it was made for. */
async function send(raw: Raw, operation: SetOperation): Promise<boolean> {
  if ('insert' in operation) return (await raw.insertOne(operation.insert, WRITE_OPTIONS)).acknowledged;
  const { filter } = operation;
  const result =
    'update' in operation
      ? await raw.updateOne(filter, operation.update, WRITE_OPTIONS)
      : await raw.replaceOne(filter, operation.replacement, WRITE_OPTIONS);
  return result.matchedCount === 1;
}
