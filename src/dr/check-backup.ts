import { openSql } from '../sql/connect.ts';
import type { BackupOptions } from './backup.ts';
import { checkSource } from './dialect/open-source.ts';

/** What can be checked of a {@link BackupOptions} before it runs. */
export type BackupCheck = Pick<BackupOptions, 'source' | 'suffixes' | 'closure' | 'tables' | 'signal'>;

/**
 * Checks in a moment, without a lock and without a file, that a backup can begin: that the database answers, that its user may read it,
 * that suffixes and tables mean something.
 * @throws CONFIG_INVALID, DATABASE_UNAVAILABLE, VALIDATION_FAILED, DR_PRIVILEGE_MISSING, DR_INCOMPATIBLE
 */
export async function checkBackup({
  source,
  suffixes = {},
  closure = false,
  tables,
  signal = new AbortController().signal,
}: BackupCheck): Promise<void> {
  await using sql = openSql(source, { connections: 1, applicationName: 'holdfast check' });
  await checkSource(sql, { suffixes, closure, tables: tables ?? null, signal });
}
