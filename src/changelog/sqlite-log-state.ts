import type { Hash } from '../model/change.ts';
import type { Connection, Transaction } from '../sqlite/database.ts';
import { readMeta, writeMeta } from '../sqlite/meta.ts';
import type { EpochStart, LogHead } from './change-log.ts';

/** Begins an epoch: its number, and the sequence of its first entry. */
export const INSERT_EPOCH = 'INSERT INTO epochs (epoch, first_sequence) VALUES (?, ?)';
const LAST = 'SELECT sequence, epoch, chain, at FROM log ORDER BY sequence DESC LIMIT 1';

/** Key in the meta table of the identity; absent in a new database. */
export const LOG_ID = 'log.id';
/** Place and chain of the entry before the oldest kept. */
const BASE_SEQUENCE = 'log.base.sequence';
const BASE_CHAIN = 'log.base.chain';
/** Key of the higher epoch after which nothing is appended here; 0 for none. */
export const SEALED = 'log.sealed';

/** What statements are prepared on. */
export type Reader = Pick<Connection, 'prepare'>;

/** The log in memory, as of one moment; replaced, never changed. */
export interface SqliteLogState {
  readonly logId: string;
  readonly generation: number;
  readonly epochs: readonly EpochStart[];
  /** The entry before the oldest kept. */
  readonly base: { readonly sequence: number; readonly chain: Hash };
  readonly head: LogHead;
  /** The higher epoch that ended this history here; 0 while none did. */
  readonly sealedBy: number;
}

/** Where a follower's log begins: identity, epochs so far, and the entry after which the next one comes. */
export interface LogOrigin {
  readonly logId: string;
  readonly epochs: readonly EpochStart[];
  readonly sequence: number;
  readonly chain: Hash;
}

/** Of every history. */
export const FIRST_EPOCH: EpochStart = { epoch: 1, firstSequence: 1 };

/** Makes an empty log one that continues `origin`. */
export function writeOrigin(transaction: Transaction, origin: LogOrigin): void {
  writeMeta(transaction, LOG_ID, origin.logId);
  writeBase(transaction, origin);
  for (const { epoch, firstSequence } of origin.epochs) transaction.prepare(INSERT_EPOCH).run(epoch, firstSequence);
}

/** Moves the floor of the log: `base` is the entry before it. */
export function writeBase(transaction: Transaction, base: SqliteLogState['base']): void {
  writeMeta(transaction, BASE_SEQUENCE, base.sequence);
  writeMeta(transaction, BASE_CHAIN, base.chain);
}

/** The state as `reader` sees it, of the first generation. */
export function readState(reader: Reader): SqliteLogState {
  const base = {
    sequence: readMeta(reader, BASE_SEQUENCE) as number,
    chain: readMeta(reader, BASE_CHAIN) as Hash,
  };
  const epochs = reader
    .prepare('SELECT epoch, first_sequence AS firstSequence FROM epochs ORDER BY epoch')
    .all() as unknown as EpochStart[];
  const last = reader.prepare(LAST).get() as LogHead | undefined;
  const head: LogHead =
    last === undefined
      ? { epoch: epochs.at(-1)?.epoch ?? FIRST_EPOCH.epoch, sequence: base.sequence, chain: base.chain, at: 0 }
      : { epoch: last.epoch, sequence: last.sequence, chain: last.chain, at: last.at };
  const sealedBy = Number(readMeta(reader, SEALED) ?? 0);
  return { logId: readMeta(reader, LOG_ID) as string, generation: 0, epochs, base, head, sealedBy };
}
