import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Checkpointer } from '../../src/sqlite/checkpointer.ts';
import { Database } from '../../src/sqlite/database.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const MIB = 1024 * 1024;

/** Writes so many rows of 1 MiB in one commit. */
async function fill(database: Database, rows: number): Promise<void> {
  await database.transaction((transaction) => {
    transaction.exec('CREATE TABLE IF NOT EXISTS t (data BLOB)');
    const insert = transaction.prepare('INSERT INTO t (data) VALUES (?)');
    for (let i = 0; i < rows; i++) insert.run(Buffer.alloc(MIB, i));
  });
}

describe('the write-ahead log', () => {
  it('goes to the file in the background, and begins anew', async () => {
    await using directory = await temporaryDirectory();
    const database = Database.open({ directory: directory.path });
    const path = join(directory.path, 'holdfast.db');
    const walBytes = () => statSync(`${path}-wal`).size;
    await fill(database, 36);
    await eventually('the file holds what the log held', () => {
      const state = database.reader.prepare('PRAGMA wal_checkpoint(NOOP)').get();
      return statSync(path).size > 36 * MIB && state?.log === state?.checkpointed;
    });
    const before = walBytes();
    for (let i = 0; i < 20; i++) await fill(database, 1);
    // The thread may not have let go of the log yet when the first of them came.
    expect(walBytes() - before).toBeLessThan(4 * MIB);
    await database.close();
    expect(readFileSync(path).subarray(0, 15).toString()).toBe('SQLite format 3');
    const again = Database.open({ directory: directory.path });
    const sum = again.reader.prepare('SELECT count(*) AS n, sum(length(data)) AS bytes FROM t').get();
    expect(Number(sum?.bytes)).toBe(Number(sum?.n) * MIB);
    expect(Number(sum?.n)).toBe(56);
    await again.close();
  });

  it('is left to SQLite when the thread cannot start', async () => {
    let looked = 0;
    const broken = new Checkpointer('/nowhere/at/all.db', () => {
      looked += 1;
      return { log: 9_000, checkpointed: 0 };
    });
    broken.committed();
    await new Promise((resolve) => setTimeout(resolve, 60));
    for (let i = 0; i < 3; i++) broken.committed();
    expect(looked).toBe(1);
    await broken.close();
  });
});
