import { type Document, type DocumentText, decodeDocument } from '../model/document.ts';
import type { Database, Transaction } from '../sqlite/database.ts';
import { documentKey, rememberEnd, rememberedOperation, rememberedWrite } from './idempotency.ts';
import { prepareDocument } from './prepared-document.ts';
import { read } from './slices.ts';
import { Query, rowsOf } from './sqlite-query.ts';
import type { StoredRow, Table } from './sqlite-table.ts';
import type { SqliteWriter, WriteMark } from './sqlite-writer.ts';
import type { BulkOptions, BulkResult, Filter, WriteResult } from './store.ts';
import { MAX_DOCUMENTS, Tally } from './tally.ts';

/** A bulk write is cut into transactions of so many documents, or so many characters of text, that nobody waits long for it. */
const CHUNK_DOCUMENTS = 500;
const CHUNK_CHARACTERS = 1024 * 1024;

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

/** See `Collection.insertMany`. Keys that were used with other arguments end the call before anything is written. */
export async function insertMany(
  { database, writer, table }: WriteParts,
  documents: readonly Document[],
  { idempotency: keys, signal }: BulkOptions,
): Promise<BulkResult> {
  const tally = new Tally(writer.position());
  for (const key of keys ?? []) rememberedWrite(database.reader, key);
  for (let next = 0; next < documents.length; ) {
    next = await database.transaction((transaction) => {
      signal?.throwIfAborted();
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

/**
 * See `Collection.updateMany` and `deleteMany`; each document is tested again in the transaction that writes it. One operation,
 * known by its key, must not run twice at once.
 */
export async function writeMany(
  parts: WriteParts,
  filter: Filter,
  { operation, signal }: BulkOptions,
  write: WriteFound,
): Promise<BulkResult> {
  const { database, writer, table } = parts;
  const query = new Query(filter);
  const tally = new Tally(writer.position());
  if (operation !== undefined) {
    const { writes, modified, end } = rememberedOperation(database.reader, operation, MAX_DOCUMENTS);
    const documents = writes.map((made) => writer.resultOf(database.reader, table, made).document);
    tally.recall(documents, modified);
    if (end !== undefined) return tally.result(end);
  }

  const rows = await read(database, (reader) => rowsOf(reader, table, query));
  let next = 0;
  do {
    next = await database.transaction((transaction) => {
      signal?.throwIfAborted();
      const chunk = new Chunk();
      let place = next;
      for (; place < rows.length && chunk.hasRoom(); place++) {
        const stored = transaction.prepare(table.sql.byRow).get(rows[place] as number) as StoredRow | undefined;
        if (stored === undefined) continue;
        const key = operation && documentKey(operation, stored.id);
        const current = decodeDocument(stored.text);
        const written = key && rememberedWrite(transaction, key);
        if (written !== undefined) {
          // Written before the process died, and counted above, unless it was at another primary whose log says less.
          if (written.operation_key === null) tally.recall([current], 1);
          continue;
        }
        chunk.add(stored.text);
        if (query.matches?.(current) === false) continue;
        const mark = { idempotency: key, operationKey: operation?.key };
        tally.attempt(tally.found++, () => write(transaction, stored, current, mark));
      }
      if (place === rows.length && operation !== undefined) {
        rememberEnd(transaction, operation, tally.matched, tally.position, writer.now());
      }
      return place;
    });
  } while (next < rows.length);
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
