import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

/** What moves the write-ahead log into the file, on a thread and a connection of its own; see checkpointer.ts. */

/** The log can only begin anew when all of it was moved, and its writer goes on meanwhile: so many times the rest is moved too. */
const PASSES = 8;

const database = new DatabaseSync(workerData as string, { timeout: 5_000 });
database.exec('PRAGMA synchronous = FULL');
const checkpoint = database.prepare('PRAGMA wal_checkpoint(PASSIVE)');

parentPort?.on('message', () => {
  for (let pass = 0; pass < PASSES; pass++) {
    const { log, checkpointed } = checkpoint.get() as { log: number; checkpointed: number };
    if (checkpointed >= log) break;
  }
  parentPort?.postMessage(null);
});
