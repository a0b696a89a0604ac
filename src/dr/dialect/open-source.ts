import type { SqlConnections } from '../../sql/connect.ts';
import type { BackupSource, SourceCheck, SourceOptions } from './backup-source.ts';

/** Holds a database of any kind still and plans what is read of it. @throws what `backup` names */
export async function openSource(sql: SqlConnections, options: SourceOptions): Promise<BackupSource> {
  if (sql.driver === 'postgres') return (await import('./postgres-source.ts')).openPostgresSource(sql, options);
  return (await import('./mariadb-source.ts')).openMariadbSource(sql, options);
}

/** Checks in a moment that a backup can begin: no lock is taken and nothing planned. @throws what `backup` names */
export async function checkSource(sql: SqlConnections, options: SourceCheck): Promise<void> {
  if (sql.driver === 'postgres') return (await import('./postgres-source.ts')).checkPostgresSource(sql, options);
  return (await import('./mariadb-source.ts')).checkMariadbSource(sql, options);
}
