import type { SqlConnections } from '../../sql/connect.ts';
import type { BackupSource, SourceCheck, SourceOptions } from './backup-source.ts';
import { checkMariadbSource, openMariadbSource } from './mariadb-source.ts';
import { checkPostgresSource, openPostgresSource } from './postgres-source.ts';

/** Holds a database of any kind still and plans what is read of it. @throws what `backup` names */
export function openSource(sql: SqlConnections, options: SourceOptions): Promise<BackupSource> {
  return sql.driver === 'postgres' ? openPostgresSource(sql, options) : openMariadbSource(sql, options);
}

/** Checks in a moment that a backup can begin: no lock is taken and nothing planned. @throws what `backup` names */
export function checkSource(sql: SqlConnections, options: SourceCheck): Promise<void> {
  return sql.driver === 'postgres' ? checkPostgresSource(sql, options) : checkMariadbSource(sql, options);
}
