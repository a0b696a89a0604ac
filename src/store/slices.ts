import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Connection, Database } from '../sqlite/database.ts';

/** What a read needs: a connection, or the transaction it is part of. */
export type Reader = Pick<Connection, 'prepare'>;

/**
 * A read as steps: it yields the characters of text it has just looked at, and returns its result. It starts with the first
 * step; all of them see one state of the database.
 */
export type Reading<T> = (reader: Reader) => Generator<number, T, void>;

/** A read this small is done at once, in the caller's turn. */
const DIRECT_STEPS = 1_000;
const DIRECT_CHARACTERS = 512 * 1024;
/** A longer one gives way to other work this often. */
const SLICE_MS = 4;
/** The clock is read once in so many steps. */
const STEPS_PER_LOOK = 16;

/**
 * Runs a read: at once on the shared reader when it turns out to be small, else from the start again on a connection of its
 * own, in slices of about 4 ms.
 * @throws the signal's reason
 */
export async function read<T>(database: Database, reading: Reading<T>, signal?: AbortSignal): Promise<T> {
  signal?.throwIfAborted();
  const atOnce = readAtOnce(reading(database.reader));
  return atOnce === undefined ? await readInSlices(database, reading, signal) : atOnce.value;
}

/** {@link read} for what is known to be long. */
export function readInSlices<T>(database: Database, reading: Reading<T>, signal?: AbortSignal): Promise<T> {
  return database.lend(async (connection) => {
    const pause = begin(database, connection, signal);
    const steps = reading(connection);
    try {
      for (;;) {
        const step = steps.next();
        if (step.done === true) return step.value;
        const wait = pause();
        if (wait !== undefined) await wait;
      }
    } finally {
      steps.return(undefined as T);
    }
  });
}

/** Runs a read to its end in this turn, inside a transaction. */
export function readNow<T>(steps: Generator<number, T, void>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/**
 * Yields what `reading` yields, less the `undefined`s, in slices on a connection of its own: one state of the database for as
 * long as the consumer goes on.
 * @throws the signal's reason
 */
export async function* stream<T>(
  database: Database,
  reading: (reader: Reader) => Generator<T | undefined, void, void>,
  signal?: AbortSignal,
): AsyncGenerator<T, void, void> {
  signal?.throwIfAborted();
  let giveBack = (): void => {};
  const kept = new Promise<void>((resolve) => {
    giveBack = resolve;
  });
  let connection: Connection | undefined;
  const lending = database.lend((lent) => {
    connection = lent;
    return kept;
  });
  if (connection === undefined) return await lending;
  const pause = begin(database, connection, signal);
  const steps = reading(connection);
  try {
    // What is read from a shared connection is read before anybody else can use it.
    for (const item of connection === database.reader ? [...steps] : steps) {
      if (item !== undefined) yield item;
      const wait = pause();
      if (wait !== undefined) await wait;
    }
  } finally {
    steps.return();
    giveBack();
    await lending;
  }
}

/**
 * Starts one state of the database on a lent connection and returns what is to be called after each step: it gives a
 * promise to wait for when the slice is over. A connection that is shared with the writer (a database in memory) cannot hold
 * a state while others write: there the read has one slice.
 */
function begin(
  database: Database,
  connection: Connection,
  signal: AbortSignal | undefined,
): () => Promise<void> | undefined {
  if (connection === database.reader) return () => undefined;
  connection.exec('BEGIN');
  let steps = 0;
  let end = performance.now() + SLICE_MS;
  return () => {
    if (++steps % STEPS_PER_LOOK !== 0 || performance.now() < end) return undefined;
    return nextTurn().then(() => {
      signal?.throwIfAborted();
      end = performance.now() + SLICE_MS;
    });
  };
}

function readAtOnce<T>(reading: Generator<number, T, void>): { readonly value: T } | undefined {
  let characters = 0;
  for (let steps = 0; steps < DIRECT_STEPS && characters < DIRECT_CHARACTERS; steps++) {
    const step = reading.next();
    if (step.done === true) return { value: step.value };
    characters += step.value;
  }
  reading.return(undefined as T);
  return undefined;
}
