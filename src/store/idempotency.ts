import { hash } from 'node:crypto';
import { HoldfastError } from '../errors.ts';
import type { Operation } from '../model/change.ts';
import type { DocumentText } from '../model/document.ts';
import type { Position } from '../model/position.ts';
import type { Transaction } from '../sqlite/database.ts';
import type { Reader } from './slices.ts';
import type { IdempotencyKey } from './store.ts';

const FIND = 'SELECT * FROM idempotency WHERE key = ?';
// In log order: writes are remembered as they are made.
const FIND_WRITES = 'SELECT * FROM idempotency WHERE operation_key = ? ORDER BY rowid LIMIT +?';
const COUNT_WRITES = 'SELECT count(*) AS n FROM idempotency WHERE operation_key = ?';
const FIND_END = 'SELECT digest, matched, epoch, sequence FROM operations WHERE key = ?';
const REMEMBER = `INSERT INTO idempotency
  (key, digest, operation_key, collection, operation, id, version, epoch, sequence, at, document)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const REMEMBER_END = 'INSERT INTO operations (key, digest, matched, epoch, sequence, at) VALUES (?, ?, ?, ?, ?, ?)';

const PRUNE =
  'DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM idempotency WHERE at < ? ORDER BY at LIMIT +?)';

/** Arguments that nobody knows any more: a repetition is taken on trust. */
export const UNKNOWN_DIGEST = '';

/** A write that was made under a key, or found to be needless: UNCHANGED. */
export interface RememberedWrite {
  readonly key: string;
  /** Digest of the arguments; {@link UNKNOWN_DIGEST} where only the log was left to know the write from. */
  readonly digest: string;
  /** Key of the bulk operation it was part of; null when it was written alone. */
  readonly operation_key: string | null;
  /** Number of the collection's tables. */
  readonly collection: number;
  readonly operation: Operation | 'UNCHANGED';
  readonly id: DocumentText;
  readonly version: number;
  readonly epoch: number;
  readonly sequence: number;
  readonly at: number;
  /** The document answered, where no entry of the log has it: it was removed, or left as it was. Else null. */
  readonly document: DocumentText | null;
}

/**
 * The write made under `key` before; undefined when there was none.
 * @throws VALIDATION_FAILED when it was made with other arguments.
 */
export function rememberedWrite(reader: Reader, key: IdempotencyKey): RememberedWrite | undefined {
  const write = reader.prepare(FIND).get(key.key) as RememberedWrite | undefined;
  if (write !== undefined) requireSame(write, key);
  return write;
}

/** What a bulk operation did under a key before. */
export interface RememberedOperation {
  /** The first of its writes, in log order. */
  readonly writes: readonly RememberedWrite[];
  /** How many writes there were. */
  readonly modified: number;
  /** What it matched and where the log was at its end; undefined when it did not come to its end. */
  readonly end: { readonly matched: number; readonly position: Position } | undefined;
}

/**
 * What a bulk operation did under `operation` before, with at most `most` of its writes.
 * @throws VALIDATION_FAILED when it ran with other arguments.
 */
export function rememberedOperation(reader: Reader, operation: IdempotencyKey, most: number): RememberedOperation {
  const writes = reader.prepare(FIND_WRITES).all(operation.key, most) as unknown as RememberedWrite[];
  const modified = reader.prepare(COUNT_WRITES).get(operation.key)?.n as number;
  const row = reader.prepare(FIND_END).get(operation.key) as
    | { readonly digest: string; readonly matched: number; readonly epoch: number; readonly sequence: number }
    | undefined;
  const known = row ?? writes[0];
  if (known !== undefined) requireSame(known, operation);
  const end = row && { matched: row.matched, position: { epoch: row.epoch, sequence: row.sequence } };
  return { writes, modified, end };
}

/** Remembers a write in the transaction that makes it. */
export function remember(transaction: Transaction, write: RememberedWrite): void {
  const { key, digest, operation_key, collection, operation, id, version, epoch, sequence, at, document } = write;
  transaction
    .prepare(REMEMBER)
    .run(key, digest, operation_key, collection, operation, id, version, epoch, sequence, at, document);
}

/** Remembers that a bulk operation came to its end: a repetition looks for no further documents. */
export function rememberEnd(
  transaction: Transaction,
  { key, digest }: IdempotencyKey,
  matched: number,
  { epoch, sequence }: Position,
  at: number,
): void {
  transaction.prepare(REMEMBER_END).run(key, digest, matched, epoch, sequence, at);
}

/** Forgets everything: what is remembered is about to be told anew. */
export function forgetKeys(transaction: Transaction): void {
  transaction.exec('DELETE FROM idempotency; DELETE FROM operations');
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

function requireSame(known: Pick<IdempotencyKey, 'digest'>, key: IdempotencyKey): void {
  if (known.digest === key.digest || known.digest === UNKNOWN_DIGEST) return;
  throw new HoldfastError('VALIDATION_FAILED', 'this idempotency key was used before, with other arguments');
}
