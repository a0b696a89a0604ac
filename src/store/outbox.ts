import type { Change, LogEntry } from '../model/change.ts';
import type { Position } from '../model/position.ts';
import type { Connection, Transaction } from '../sqlite/database.ts';

/** The appending side of the change log of an embedded store: same file, same transaction. */
export interface Outbox {
  /** Appends `change` inside `transaction` and returns it with its place; taken back when the transaction is. */
  append(transaction: Transaction, change: Change): LogEntry;
  /** The last entry appended, durable or in the running transaction. */
  position(): Position;
  /** The last entry in the state of the database that `reader` sees: that of its transaction when it is in one. */
  positionSeenBy(reader: Pick<Connection, 'prepare'>): Position;
  /** The entry at `sequence` in the state that `reader` sees; undefined when it was trimmed. */
  entrySeenBy(reader: Pick<Connection, 'prepare'>, sequence: number): LogEntry | undefined;
  /** The image that the document of the entry at `sequence` had before it; null when it had none, or the log does not go back so far. */
  imageBeforeSeenBy(reader: Pick<Connection, 'prepare'>, entry: Pick<LogEntry, 'sequence' | 'id'>): Change['image'];
}

/** A change with the digest of the arguments under its idempotency key. */
export interface KeyedChange extends Change {
  /** 32 hexadecimal digits; null when `key` is. */
  readonly digest: string | null;
}

/** The entry that a write under a key became; the image may be gone. */
export interface KeyedEntry {
  readonly key: string;
  readonly digest: string;
  readonly operation: Change['operation'];
  readonly collection: string;
  readonly id: Change['id'];
  readonly version: number;
  readonly position: Position;
  /** The document after the change; null for a deletion, and when the entry was trimmed. */
  readonly image: Change['image'];
}

/** The appending side of a change log that lies beside the documents: same database, but a step of its own. See SPEC.md, step L. */
export interface LogAppender {
  /**
   * Appends in the order given, together with what others append meanwhile; resolves when all are durable. A change whose
   * (collection, id, version) is in the log already is not appended again: the entry found is its answer.
   * @throws DATABASE_UNAVAILABLE when the server could not be reached before anything was sent; WRITE_OUTCOME_UNKNOWN when it may have been appended;
   * VALIDATION_FAILED when the key of a change is that of an entry of another document or version ({@link entryOfKey} tells which): that
   * change is not in the log, the others of the call are
   */
  append(changes: readonly KeyedChange[]): Promise<readonly LogEntry[]>;
  /** What was written under a key, in the log or after it was trimmed; undefined when nothing was. */
  entryOfKey(key: string): Promise<KeyedEntry | undefined>;
  /** {@link entryOfKey} of many, in any order; nothing for a key under which nothing was written. */
  entriesOfKeys(keys: readonly string[]): Promise<readonly KeyedEntry[]>;
  /** The entry of one version of a document; undefined when it was trimmed or never appended. */
  entryOfVersion(collection: string, id: Change['id'], version: number): Promise<LogEntry | undefined>;
  /** The last durable entry known here. */
  position(): Position;
}
