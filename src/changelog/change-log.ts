import type { Hash, LogEntry } from '../model/change.ts';
import type { EpochStart } from '../model/position.ts';

export type { EpochStart } from '../model/position.ts';

/** Where a log ends. */
export interface LogHead {
  readonly epoch: number;
  /** Sequence of the last durable entry; 0 in a new log, `floor - 1` in an emptied one. */
  readonly sequence: number;
  /** Chain hash of that entry. */
  readonly chain: Hash;
  /** `at` of that entry in ms since 1970; 0 when there is none. */
  readonly at: number;
}

/** Bounds of one read; whichever is met first ends it, after at least one entry. */
export interface ReadLimits {
  readonly maxChanges: number;
  /** Bytes of image text, approximately. */
  readonly maxBytes: number;
}

/**
 * The change log of one database: dense, append only at its head, trimmed only at its floor. It is the record; whatever else
 * carries changes (frames, Redis) is a cache of it. Appending belongs to the store, which does it in the same atomic step as
 * the document; readers only ever see durable entries.
 */
export interface ChangeLog {
  /** Identity of the history, 32 hexadecimal digits, drawn when the database was created and copied by its replicas. */
  readonly logId: string;
  /** Grows when this log becomes another history, as a replica's may: what was read before is not continued by what is read now. */
  readonly generation: number;
  /** The last durable entry. Cheap: called for every answer. */
  head(): LogHead;
  /** Sequence of the oldest entry kept, or `head().sequence + 1` when none is. */
  floor(): number;
  /** Chain hash of the entry before the floor: what the oldest entry kept is chained to. */
  floorChain(): Hash;
  /** Every epoch that began in this log, oldest first; also the ones whose entries were trimmed. */
  epochs(): readonly EpochStart[];
  /**
   * Entries with `sequence > after`, in order, without a gap; empty at the head.
   * @throws CURSOR_EXPIRED when `after < floor() - 1`.
   */
  read(after: number, limits: ReadLimits): Promise<readonly LogEntry[]>;
  /** The entry at `sequence`, or undefined when it was trimmed or does not exist yet. */
  entry(sequence: number): Promise<LogEntry | undefined>;
  /** Removes every entry with a sequence below `floor`; never the head. Returns how many went. */
  trim(floor: number): Promise<number>;
  /** Calls `listener` after each durable append, possibly once for several, and when the log became another history. Returns the function that ends it. */
  onAdvance(listener: () => void): () => void;
}
