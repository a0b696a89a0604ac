import type { Hash } from '../model/change.ts';
import { Buckets } from '../protocol/digest.ts';
import type { LastWrite, Transaction } from '../sqlite/database.ts';

/** Buckets of one row of the file: a bulk write changes nearly all of them, and writes 64 rows for it instead of hundreds. */
const RUN = 64;
const RUNS = Buckets.SIZE / RUN;

/** The table of all runs of all collections. */
export const BUCKET_SCHEMA =
  'CREATE TABLE IF NOT EXISTS bucket_runs (run INTEGER PRIMARY KEY, states BLOB NOT NULL) STRICT';
const SAVE = 'INSERT OR REPLACE INTO bucket_runs (run, states) VALUES (?, ?)';
const LOAD = 'SELECT run, states FROM bucket_runs WHERE run >= ? AND run < ?';

/** The buckets of one collection, in memory and in the file, which has them as they are at the end of each piece of work. */
export class StoredBuckets {
  readonly buckets = new Buckets();
  readonly #firstRun: number;
  /** Runs that the file may have otherwise. */
  readonly #changed = new Set<number>();
  readonly #save: LastWrite = (transaction) => {
    const save = transaction.prepare(SAVE);
    for (const run of this.#changed) save.run(this.#firstRun + run, this.buckets.bytesOf(run * RUN, RUN));
    this.#changed.clear();
  };

  /** Reads those of the collection with this number. */
  constructor(transaction: Pick<Transaction, 'prepare'>, collection: number) {
    this.#firstRun = collection * RUNS;
    const rows = transaction.prepare(LOAD).all(this.#firstRun, this.#firstRun + RUNS) as unknown as RunRow[];
    for (const { run, states } of rows) this.buckets.load((run - this.#firstRun) * RUN, states);
  }

  /** Takes one hash out of a bucket and another in. */
  change(transaction: Transaction, bucket: number, before: Hash | null, after: Hash | null): void {
    this.#exchange(bucket, before, after);
    transaction.onRollback(() => this.#exchange(bucket, after, before));
    this.#mark(transaction, bucket);
  }

  /** Sets a bucket to what `Buckets.bytesOf` gave. */
  set(transaction: Transaction, bucket: number, bytes: Uint8Array): void {
    const before = this.buckets.bytesOf(bucket);
    this.buckets.load(bucket, bytes);
    transaction.onRollback(() => this.buckets.load(bucket, before));
    this.#mark(transaction, bucket);
  }

  #exchange(bucket: number, out: Hash | null, into: Hash | null): void {
    if (out !== null) this.buckets.subtract(bucket, out);
    if (into !== null) this.buckets.add(bucket, into);
  }

  #mark(transaction: Transaction, bucket: number): void {
    this.#changed.add(Math.floor(bucket / RUN));
    transaction.atEnd(this.#save);
  }
}

interface RunRow {
  readonly run: number;
  readonly states: Uint8Array;
}

/** Brings the buckets of formats 1 and 2, which have a row for each, into runs. */
export function gatherBuckets(transaction: Transaction): void {
  const runs = transaction.prepare(`SELECT DISTINCT bucket / ${RUN} AS run FROM buckets`).all();
  const statesOf = transaction.prepare('SELECT bucket, state FROM buckets WHERE bucket >= ? AND bucket < ?');
  for (const { run } of runs as unknown as { run: number }[]) {
    const buckets = new Buckets();
    const rows = statesOf.all(run * RUN, (run + 1) * RUN) as unknown as { bucket: number; state: Uint8Array }[];
    for (const { bucket, state } of rows) buckets.load(bucket % RUN, state);
    transaction.prepare(SAVE).run(run, buckets.bytesOf(0, RUN));
  }
  transaction.exec('DROP TABLE buckets');
}
