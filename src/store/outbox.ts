import type { Change, LogEntry } from '../model/change.ts';
import type { Position } from '../model/position.ts';
import type { Transaction } from '../sqlite/database.ts';

/** The appending side of the change log of an embedded store: same file, same transaction. */
export interface Outbox {
  /** Appends `change` inside `transaction` and returns it with its place; taken back when the transaction is. */
  append(transaction: Transaction, change: Change): LogEntry;
  /** The last entry appended, durable or in the running transaction. */
  position(): Position;
}
