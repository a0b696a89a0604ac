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
}
