import { HoldfastError } from '../errors.ts';
import { canonical } from '../model/canonical.ts';
import { type Change, documentHash, type LogEntry } from '../model/change.ts';
import { type Document, type DocumentText, decodeDocument, encodeValue } from '../model/document.ts';
import type { Position } from '../model/position.ts';
import type { Transaction } from '../sqlite/database.ts';
import type { HybridClock } from './hybrid-clock.ts';
import { type RememberedWrite, remember, rememberedWrite } from './idempotency.ts';
import { keyOf, keyOfText } from './key.ts';
import type { Outbox } from './outbox.ts';
import type { PreparedDocument } from './prepared-document.ts';
import type { Reader } from './slices.ts';
import { bury, deleteRow, insertRow, replaceRow, tombstoneVersion, unbury, valueKeysOf } from './sqlite-mutation.ts';
import { duplicateOf, type StoredRow, type Table } from './sqlite-table.ts';
import type { IdempotencyKey, WriteResult } from './store.ts';

/** Most entries one document may have in one index; a compound index over arrays multiplies them. */
const MAX_INDEX_ENTRIES = 10_000;
/** No row: every row number is above. */
const NO_ROW = 0;

type ValueKeys = readonly (readonly Uint8Array[])[];

/** What marks one write, beside its document. */
export interface WriteMark {
  readonly idempotency?: IdempotencyKey | undefined;
  /** Key of the bulk operation this write is part of. */
  readonly operationKey?: string | undefined;
  readonly ifVersion?: number | undefined;
}

/**
 * The writes of a primary, each whole within the transaction it is given: every check comes before the first write, so a refusal
 * leaves nothing behind and the transaction can go on.
 */
export class SqliteWriter {
  readonly #outbox: Outbox;
  readonly #clock: HybridClock;

  constructor(outbox: Outbox, clock: HybridClock) {
    this.#outbox = outbox;
    this.#clock = clock;
  }

  /** The earlier result under the same key, if there was one. @throws VALIDATION_FAILED with other arguments */
  repeated(transaction: Transaction, table: Table, key: IdempotencyKey | undefined): WriteResult | undefined {
    const write = key && rememberedWrite(transaction, key);
    return write && this.resultOf(transaction, table, write);
  }

  /** What a remembered write answered. The document is that of its version while the log has it, else the one there is now. */
  resultOf(reader: Reader, table: Table, write: RememberedWrite): WriteResult {
    const { operation, version, epoch, sequence } = write;
    return {
      matchedCount: 1,
      modifiedCount: operation === 'UNCHANGED' ? 0 : 1,
      document: this.#documentOf(reader, table, write),
      version,
      position: { epoch, sequence },
      repeated: true,
    };
  }

  /** @throws ALREADY_EXISTS, VALIDATION_FAILED */
  insert(transaction: Transaction, table: Table, prepared: PreparedDocument, mark: WriteMark): WriteResult {
    const repeated = this.repeated(transaction, table, mark.idempotency);
    if (repeated !== undefined) return repeated;
    const { id, key, text, document } = prepared;
    const keys = this.#keysOf(table, document);
    this.#requireUnique(transaction, table, keys, NO_ROW, key);
    const buried = tombstoneVersion(transaction, table, key);
    const version = this.#clock.next(buried ?? 0);
    const hash = documentHash(table.name, id, version, text);
    const image = { id, key, version, hash, sequence: this.#nextSequence(), text };
    if (!insertRow(transaction, table, image, keys)) throw idExists(table, id);
    if (buried !== undefined) unbury(transaction, table, key);
    const change = { operation: 'CREATED', id, version, before: null, after: hash, image: text } as const;
    return this.#written(transaction, table, change, mark, document);
  }

  /**
   * Stores what `change` makes of the document in `stored`; nothing when that is the document itself.
   * @throws CONFLICT, ALREADY_EXISTS, VALIDATION_FAILED
   */
  update(
    transaction: Transaction,
    table: Table,
    stored: StoredRow,
    current: Document,
    change: (current: Document) => Document,
    mark: WriteMark,
  ): WriteResult {
    requireVersion(table, stored, current, mark.ifVersion);
    const changed = change(current);
    if (changed === current) return this.#unchanged(transaction, table, stored, current, mark);
    const { text, document } = canonical(changed);
    if (text === stored.text) return this.#unchanged(transaction, table, stored, current, mark);
    const { id } = stored;
    if (encodeValue(changed._id) !== id) {
      throw new HoldfastError(
        'VALIDATION_FAILED',
        `the _id of a document cannot be changed (${id} of "${table.name}")`,
      );
    }
    const before = valueKeysOf(table, current);
    const after = this.#keysOf(table, document);
    this.#requireUnique(transaction, table, after, stored.row);
    const version = this.#clock.next(stored.version);
    const hash = documentHash(table.name, id, version, text);
    const image = { id, key: keyOf(current._id), version, hash, sequence: this.#nextSequence(), text };
    replaceRow(transaction, table, stored, image, before, after);
    const entry = { operation: 'UPDATED', id, version, before: stored.hash, after: hash, image: text } as const;
    return this.#written(transaction, table, entry, mark, document);
  }

  /** Deletes the document in `stored` and remembers its version. @throws CONFLICT */
  remove(transaction: Transaction, table: Table, stored: StoredRow, current: Document, mark: WriteMark): WriteResult {
    requireVersion(table, stored, current, mark.ifVersion);
    const { id } = stored;
    const key = keyOf(current._id);
    const version = this.#clock.next(stored.version);
    deleteRow(transaction, table, stored, key, valueKeysOf(table, current));
    bury(transaction, table, key, version, this.#nextSequence());
    const entry = { operation: 'DELETED', id, version, before: stored.hash, after: null, image: null } as const;
    return this.#written(transaction, table, entry, mark, current, stored.text);
  }

  /** The answer when no document was found. */
  notFound(): WriteResult {
    const position = this.position();
    return { matchedCount: 0, modifiedCount: 0, document: null, version: null, position, repeated: false };
  }

  /** Where the log is, as the running transaction sees it. */
  position(): Position {
    const { epoch, sequence } = this.#outbox.position();
    return { epoch, sequence };
  }

  /** The time in ms. */
  now(): number {
    return this.#clock.now();
  }

  /**
   * The result of an update that found everything as it should be. It is remembered, lest a late repetition undo what others
   * did since; not so the single documents of a bulk operation, whose end is.
   */
  #unchanged(
    transaction: Transaction,
    table: Table,
    { id, version, text }: StoredRow,
    document: Document,
    mark: WriteMark,
  ): WriteResult {
    const position = this.position();
    if (mark.idempotency !== undefined && mark.operationKey === undefined) {
      remember(transaction, {
        ...mark.idempotency,
        ...{ operation_key: null, collection: table.number, operation: 'UNCHANGED', id, version },
        ...{ ...position, at: this.#clock.now(), document: text },
      });
    }
    return { matchedCount: 1, modifiedCount: 0, document, version, position, repeated: false };
  }

  /** Appends the entry of a write that was just made, remembers its key, and gives its result. */
  #written(
    transaction: Transaction,
    table: Table,
    change: Omit<Change, 'collection' | 'at' | 'key'>,
    mark: WriteMark,
    document: Document,
    removed: DocumentText | null = null,
  ): WriteResult {
    const key = mark.idempotency?.key ?? null;
    const entry = this.#outbox.append(transaction, { ...change, collection: table.name, at: this.#clock.now(), key });
    if (mark.idempotency !== undefined) this.#remember(transaction, table, entry, mark.idempotency, mark, removed);
    return {
      matchedCount: 1,
      modifiedCount: 1,
      document,
      version: entry.version,
      position: { epoch: entry.epoch, sequence: entry.sequence },
      repeated: false,
    };
  }

  #remember(
    transaction: Transaction,
    table: Table,
    entry: LogEntry,
    key: IdempotencyKey,
    mark: WriteMark,
    removed: DocumentText | null,
  ): void {
    const { id, version, epoch, sequence, at } = entry;
    remember(transaction, {
      ...key,
      operation_key: mark.operationKey ?? null,
      collection: table.number,
      operation: entry.operation,
      id,
      version,
      epoch,
      sequence,
      at,
      document: removed,
    });
  }

  #documentOf(reader: Reader, table: Table, write: RememberedWrite): Document | null {
    if (write.document !== null) return decodeDocument(write.document);
    if (write.operation === 'DELETED') {
      const image = this.#outbox.imageBeforeSeenBy(reader, write);
      return image === null ? null : decodeDocument(image);
    }
    const image = this.#outbox.entrySeenBy(reader, write.sequence)?.image;
    const text = image ?? table.rowOf(reader, keyOfText(write.id))?.text;
    return text === undefined ? null : decodeDocument(text);
  }

  #keysOf(table: Table, document: Document): ValueKeys {
    const keys = valueKeysOf(table, document);
    const place = keys.findIndex((entries) => entries.length > MAX_INDEX_ENTRIES);
    if (place >= 0) {
      throw new HoldfastError(
        'VALIDATION_FAILED',
        `the document would have ${keys[place]?.length} entries in the index "${table.indexes[place]?.name}" of "${table.name}"; at most ${MAX_INDEX_ENTRIES} are kept`,
      );
    }
    return keys;
  }

  /** @throws ALREADY_EXISTS naming the fields of every unique index in which another document has an equal value */
  #requireUnique(transaction: Transaction, table: Table, keys: ValueKeys, row: number, id?: Uint8Array): void {
    const taken = table.indexes.filter(
      (index, place) => duplicateOf(transaction, index, keys[place] as readonly Uint8Array[], row) !== undefined,
    );
    if (taken.length === 0) return;
    const fields = [...new Set(taken.flatMap((index) => index.paths))];
    if (id !== undefined && table.rowOf(transaction, id) !== undefined) fields.unshift('_id');
    throw new HoldfastError('ALREADY_EXISTS', `another document of "${table.name}" has the same ${fields.join(', ')}`, {
      details: { fields },
    });
  }

  #nextSequence(): number {
    return this.#outbox.position().sequence + 1;
  }
}

function idExists(table: Table, id: DocumentText): HoldfastError {
  return new HoldfastError('ALREADY_EXISTS', `"${table.name}" already has a document with the _id ${id}`, {
    details: { fields: ['_id'] },
  });
}

function requireVersion(table: Table, stored: StoredRow, current: Document, version: number | undefined): void {
  if (version === undefined || version === stored.version) return;
  throw new HoldfastError(
    'CONFLICT',
    `${stored.id} of "${table.name}" has version ${stored.version}, not ${version}: it was changed meanwhile`,
    { details: { current, currentVersion: stored.version } },
  );
}
