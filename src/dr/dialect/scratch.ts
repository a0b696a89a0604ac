import type { SqlSource } from '../../sql/connect.ts';
import type { Manifest } from '../archive/manifest.ts';
import { MARIADB_SCRATCH } from './mariadb-scratch.ts';
import { dropPostgresDatabase, postgresScratch } from './postgres-scratch.ts';
import { createScratchDatabase, openBeside, type ScratchDatabase, withDatabase } from './scratch-database.ts';

/**
 * Creates an empty database that a backup can be restored into, beside another one; it is dropped when it is disposed of.
 * @throws DR_PRIVILEGE_MISSING without the right to create databases, DATABASE_UNAVAILABLE, CONFIG_INVALID
 */
export function createScratch(beside: SqlSource, name: string, manifest: Manifest): Promise<ScratchDatabase> {
  const dialect = manifest.dialect === 'postgres' ? postgresScratch(manifest.server.encoding) : MARIADB_SCRATCH;
  return createScratchDatabase(beside, name, dialect);
}

/** Drops a scratch database that a process left when it was killed; nothing happens when there is none. @throws as {@link createScratch} */
export async function dropScratch(beside: SqlSource, name: string): Promise<void> {
  await using sql = openBeside(beside);
  const drop = sql.driver === 'postgres' ? dropPostgresDatabase : MARIADB_SCRATCH.drop;
  await drop(sql, name, withDatabase(beside, name));
}
