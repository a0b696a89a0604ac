import { isHoldfastError } from '../errors.ts';
import { type Document, type DocumentText, decodeDocument } from '../model/document.ts';
import type { Position } from '../model/position.ts';
import type { Database, Transaction } from '../sqlite/database.ts';
import { documentKey, rememberEnd, rememberedOperation } from './idempotency.ts';
import { read } from './slices.ts';
import { Query, rowsOf } from './sqlite-query.ts';
import type { StoredRow, Table } from './sqlite-table.ts';
import { prepareDocument, type SqliteWriter, type WriteMark } from './sqlite-writer.ts';
import type { BulkResult, Filter, IdempotencyKey, Refusal, WriteResult } from './store.ts';

/** A bulk write is cut into transactions of so many documents, or so many characters of text, that nobody waits long for it. */
const CHUNK_DOCUMENTS = 500;
const CHUNK_CHARACTERS = 1024 * 1024;
/** Documents given back. */
const MAX_DOCUMENTS = 1_000;

/** What a collection writes with. */
export interface WriteParts {
  readonly database: Database;
  readonly writer: SqliteWriter;
  readonly table: Table;
}

/** The write of one document that was found. */
export type WriteFound = (
  transaction: Transaction,
  stored: StoredRow,
  current: Document,
  mark: WriteMark,
) => WriteResult;

/** See `Collection.insertMany`. */
export async function insertMany(
  { database, writer, table }: WriteParts,
  documents: readonly Document[],
  keys: readonly IdempotencyKey[] | undefined,
): Promise<BulkResult> {
  const tally = new Tally(writer.position());
  for (let next = 0; next < documents.length; ) {
    next = await database.transaction((transaction) => {
      const chunk = new Chunk();
      let index = next;
      for (; index < documents.length && chunk.hasRoom(); index++) {
        tally.attempt(index, () => {
          const prepared = prepareDocument(documents[index] as Document);
          chunk.add(prepared.text);
          return writer.insert(transaction, table, prepared, { idempotency: keys?.[index] });
        });
      }
      return index;
    });
  }
  return tally.result();
}

/** See `Collection.updateMany` and `deleteMany`; each document is tested again in the transaction that writes it. */
export async function writeMany(
  parts: WriteParts,
  filter: Filter,
  operation: IdempotencyKey | undefined,
  write: WriteFound,
): Promise<BulkResult> {
  const { database, writer, table } = parts;
  const query = new Query(filter);
  const tally = new Tally(writer.position());
  const earlier = operation && rememberedOperation(database.reader, operation);
  for (const made of earlier?.writes ?? []) tally.add(writer.resultOf(database.reader, table, made));
  if (earlier?.matched !== undefined) return tally.result(earlier.matched);

  const rows = await read(database, (reader) => rowsOf(reader, table, query));
  const done = new Set(earlier?.writes.map(({ id }) => id));
  for (let next = 0; next < rows.length; ) {
    next = await database.transaction((transaction) => {
      const chunk = new Chunk();
      let place = next;
      for (; place < rows.length && chunk.hasRoom(); place++) {
        const stored = transaction.prepare(table.byRowSql).get(rows[place] as number) as StoredRow | undefined;
        if (stored === undefined || done.has(stored.id)) continue;
        const current = decodeDocument(stored.text);
        chunk.add(stored.text);
        if (query.matches?.(current) === false) continue;
        const mark = operation && { idempotency: documentKey(operation, stored.id), operationKey: operation.key };
        tally.attempt(tally.found++, () => write(transaction, stored, current, mark ?? {}));
      }
      if (place === rows.length && operation !== undefined && tally.modified > 0) {
        rememberEnd(transaction, operation, tally.matched, writer.now());
      }
      return place;
    });
  }
  return tally.result();
}

/** How much of a transaction is used up. */
class Chunk {
  #documents = 0;
  #characters = 0;

  add(text: DocumentText): void {
    this.#documents += 1;
    this.#characters += text.length;
  }

  hasRoom(): boolean {
    return this.#documents < CHUNK_DOCUMENTS && this.#characters < CHUNK_CHARACTERS;
  }
}

/** Counts what became of the documents. A transaction that fails fails the whole call, so nothing is ever taken back. */
class Tally {
  matched = 0;
  modified = 0;
  /** Documents found so far. */
  found = 0;
  readonly #documents: Document[] = [];
  readonly #refused: Refusal[] = [];
  #position: Position;

  constructor(position: Position) {
    this.#position = position;
  }

  /** Runs the write of one document; a refusal is noted and does not stop the others. */
  attempt(index: number, write: () => WriteResult): void {
    try {
      this.add(write());
    } catch (error) {
      // What no document could satisfy ends the call, as does everything that is not about this document.
      const concerns = isHoldfastError(error, 'ALREADY_EXISTS') || isHoldfastError(error, 'VALIDATION_FAILED');
      if (!concerns) throw error;
      this.matched += 1;
      this.#refused.push({ index, code: error.code, message: error.message });
    }
  }

  add(result: WriteResult): void {
    this.matched += result.matchedCount;
    this.modified += result.modifiedCount;
    this.#position = result.position;
    if (result.document !== null && this.#documents.length < MAX_DOCUMENTS) this.#documents.push(result.document);
  }

  result(matched = this.matched): BulkResult {
    return {
      matchedCount: matched,
      modifiedCount: this.modified,
      documents: this.#documents,
      refused: this.#refused,
      position: this.#position,
    };
  }
}
