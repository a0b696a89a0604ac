import type { SqlConnections } from '../../sql/connect.ts';
import type { BackupSource, SourceOptions } from './backup-source.ts';
import { openMariadbSource } from './mariadb-source.ts';
import { openPostgresSource } from './postgres-source.ts';

/** Holds a database of any kind still and plans what is read of it. @throws what `backup` names */
export function openSource(sql: SqlConnections, options: SourceOptions): Promise<BackupSource> {
  return sql.driver === 'postgres' ? openPostgresSource(sql, options) : openMariadbSource(sql, options);
}
