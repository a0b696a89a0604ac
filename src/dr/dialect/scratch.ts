import { isHoldfastError, withSentence } from '../../errors.ts';
import type { SqlSource } from '../../sql/connect.ts';
import type { Manifest } from '../archive/manifest.ts';
import { MARIADB_SCRATCH } from './mariadb-scratch.ts';
import { dropPostgresDatabase, postgresScratch } from './postgres-scratch.ts';
import { createScratchDatabase, openBeside, type ScratchDatabase, withDatabase } from './scratch-database.ts';

/**
 * Does `work` in an empty database that a backup can be restored into, beside another one; it is dropped afterwards, whatever happens.
 * @throws what `work` throws, with the database's name when it could not be dropped; DR_PRIVILEGE_MISSING without the right to create
 *   databases, DATABASE_UNAVAILABLE, CONFIG_INVALID
 */
export async function inScratch<T>(
  beside: SqlSource,
  name: string,
  manifest: Manifest,
  work: (source: SqlSource) => Promise<T>,
): Promise<T> {
  const dialect = manifest.dialect === 'postgres' ? postgresScratch(manifest.server.encoding) : MARIADB_SCRATCH;
  const scratch = await createScratchDatabase(beside, name, dialect);
  let result: T;
  try {
    result = await work(scratch.source);
  } catch (error) {
    // Where the server is gone, that is what happened, and not that it takes no DROP either.
    const isDropped = await dropped(scratch);
    if (isDropped || !isHoldfastError(error)) throw error;
    throw withSentence(error, `The database ${name} could not be dropped and is left behind: drop it.`);
  }
  await scratch[Symbol.asyncDispose]();
  return result;
}

async function dropped(scratch: ScratchDatabase): Promise<boolean> {
  try {
    await scratch[Symbol.asyncDispose]();
    return true;
  } catch {
    return false;
  }
}

/** Drops a scratch database that a process left when it was killed; nothing happens when there is none. @throws as {@link inScratch} */
export async function dropScratch(beside: SqlSource, name: string): Promise<void> {
  await using sql = openBeside(beside);
  const drop = sql.driver === 'postgres' ? dropPostgresDatabase : MARIADB_SCRATCH.drop;
  await drop(sql, name, withDatabase(beside, name));
}
