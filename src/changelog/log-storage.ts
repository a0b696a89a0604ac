import type { Hash, LogEntry } from '../model/change.ts';
import type { KeyedEntry } from '../store/outbox.ts';
import type { EpochStart, ReadLimits } from './change-log.ts';

/** What is kept of a log beside its entries. */
export interface LogFacts {
  readonly logId: string;
  readonly epochs: readonly EpochStart[];
  /** Sequence of the oldest entry kept; entries below it that are still there do not count. */
  readonly floor: number;
  /** Chain of the entry before the floor. */
  readonly floorChain: Hash;
}

/** Entries that follow each other. */
export interface LogPage {
  readonly entries: readonly LogEntry[];
  /** Whether more may have been there when they were read: a limit was met, or the next one was being trimmed. */
  readonly isCut: boolean;
}

/** The first entry of an append that was not taken; those before it are durable, those after it were not tried. */
export interface Refusal {
  /** Its place in the append, from 0. */
  readonly index: number;
  readonly error: unknown;
}

/**
 * Where a log beside the documents lies: single steps, each durable by itself when it resolves. Every call ends within the
 * deadline of the storage; one that fails throws the error of the driver, and may have happened.
 */
export interface LogStorage {
  /** What messages call it. */
  readonly name: string;
  /** Makes what is missing; safe when several do so at once. */
  prepare(): Promise<void>;
  facts(): Promise<LogFacts>;
  /** The last `count` entries in order, without their images. */
  newest(count: number): Promise<readonly LogEntry[]>;
  /** Entries with `after < sequence ≤ upTo` in order, as far as they are there. */
  read(after: number, upTo: number, limits: ReadLimits): Promise<LogPage>;
  /** Chain of one entry; undefined when it is not there. */
  chainAt(sequence: number): Promise<Hash | undefined>;
  ofVersion(collection: string, id: string, version: number): Promise<LogEntry | undefined>;
  /** The entries appended under any of `keys`, in any order, as long as they are here. */
  ofKeys(keys: readonly string[]): Promise<readonly KeyedEntry[]>;
  /** What {@link LogStorage.keepKeys} kept of any of `keys`, in any order. */
  keptKeys(keys: readonly string[]): Promise<readonly KeyedEntry[]>;
  /** Appends in order until one is refused; `digests` are those under their keys. What a crash leaves is a prefix. */
  append(entries: readonly LogEntry[], digests: readonly (string | null)[]): Promise<Refusal | undefined>;
  /** Keeps the keys of the entries with `from ≤ sequence < to`, so that they may go. */
  keepKeys(from: number, to: number): Promise<void>;
  /** Moves the floor up to `floor`; nothing when it is there or above. Returns whether it moved. */
  raiseFloor(floor: number, floorChain: Hash): Promise<boolean>;
  /** Removes what lies below `floor`, which must not be above that of {@link LogStorage.facts}. */
  removeBelow(floor: number): Promise<void>;
  /** Removes kept keys of entries with `at < before`. Returns how many. */
  removeKeys(before: number): Promise<number>;
}
