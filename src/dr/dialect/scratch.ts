import { openSql, type SqlSource } from '../../sql/connect.ts';
import type { Manifest } from '../archive/manifest.ts';
import { createMariadbScratch, dropMariadbScratch } from './mariadb-scratch.ts';
import { createPostgresScratch, dropPostgresScratch, type ScratchDatabase } from './postgres-scratch.ts';

/** Creates an empty database that a backup can be restored into, beside another one; it is dropped when it is disposed of. */
export function createScratch(beside: SqlSource, name: string, manifest: Manifest): Promise<ScratchDatabase> {
  return manifest.dialect === 'postgres'
    ? createPostgresScratch(beside, name, manifest)
    : createMariadbScratch(beside, name);
}

/** Drops a scratch database that a process left when it was killed; nothing happens when there is none. */
export function dropScratch(beside: SqlSource, name: string): Promise<void> {
  const { driver } = openSql(beside, { connections: 1, applicationName: 'holdfast drill' });
  return driver === 'postgres' ? dropPostgresScratch(beside, name) : dropMariadbScratch(beside, name);
}
