import { hash } from 'node:crypto';
import { HoldfastError } from '../errors.ts';
import type { Operation } from '../model/change.ts';
import type { DocumentText } from '../model/document.ts';
import type { Transaction } from '../sqlite/database.ts';
import type { Reader } from './slices.ts';
import type { IdempotencyKey } from './store.ts';

const FIND = 'SELECT * FROM idempotency WHERE key = ?';
const FIND_OPERATION = 'SELECT * FROM idempotency WHERE operation_key = ? ORDER BY sequence';
const REMEMBER = `INSERT INTO idempotency
  (key, digest, operation_key, collection, operation, id, version, epoch, sequence, at, removed)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const FINISH = 'INSERT OR IGNORE INTO operations (key, matched, at) VALUES (?, ?, ?)';

const PRUNE = 'DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM idempotency WHERE at < ? ORDER BY at LIMIT ?)';

/** A write that was made under a key. */
export interface RememberedWrite {
  readonly key: string;
  readonly digest: string;
  /** Key of the bulk operation it was part of; null when it was written alone. */
  readonly operation_key: string | null;
  /** Number of the collection's tables. */
  readonly collection: number;
  readonly operation: Operation;
  readonly id: DocumentText;
  readonly version: number;
  readonly epoch: number;
  readonly sequence: number;
  readonly at: number;
  /** The document a deletion removed; null for other writes, whose document is in the log. */
  readonly removed: DocumentText | null;
}

/**
 * The write made under `key` before; undefined when there was none.
 * @throws VALIDATION_FAILED when it was made with other arguments.
 */
export function rememberedWrite(transaction: Transaction, key: IdempotencyKey): RememberedWrite | undefined {
  const write = transaction.prepare(FIND).get(key.key) as RememberedWrite | undefined;
  if (write !== undefined) requireSame(write, key);
  return write;
}

/**
 * What a bulk operation did under `operation` before: its writes in log order, and, when it came to its end, how many
 * documents it matched.
 * @throws VALIDATION_FAILED when it ran with other arguments.
 */
export function rememberedOperation(
  reader: Reader,
  operation: IdempotencyKey,
): { readonly writes: readonly RememberedWrite[]; readonly matched: number | undefined } {
  const writes = reader.prepare(FIND_OPERATION).all(operation.key) as unknown as RememberedWrite[];
  if (writes[0] !== undefined) requireSame(writes[0], operation);
  const row = reader.prepare('SELECT matched FROM operations WHERE key = ?').get(operation.key);
  return { writes, matched: row?.matched as number | undefined };
}

/** Remembers a write in the transaction that makes it. */
export function remember(transaction: Transaction, write: RememberedWrite): void {
  const { key, digest, operation_key, collection, operation, id, version, epoch, sequence, at, removed } = write;
  transaction
    .prepare(REMEMBER)
    .run(key, digest, operation_key, collection, operation, id, version, epoch, sequence, at, removed);
}

/** Remembers that a bulk operation came to its end: a repetition looks for no further documents. */
export function rememberEnd(transaction: Transaction, operation: IdempotencyKey, matched: number, at: number): void {
  transaction.prepare(FINISH).run(operation.key, matched, at);
}

/** The key of one document of a bulk operation. */
export function documentKey(operation: IdempotencyKey, id: DocumentText): IdempotencyKey {
  return { key: hash('sha256', `${operation.key}\0${id}`, 'hex').slice(0, 32), digest: operation.digest };
}

/** Forgets at most `most` keys made before `at`, and returns how many. */
export function pruneKeys(transaction: Transaction, at: number, most: number): number {
  transaction.prepare('DELETE FROM operations WHERE at < ?').run(at);
  return Number(transaction.prepare(PRUNE).run(at, most).changes);
}

function requireSame(write: RememberedWrite, key: IdempotencyKey): void {
  if (write.digest === key.digest) return;
  throw new HoldfastError('VALIDATION_FAILED', 'this idempotency key was used before, with other arguments');
}
