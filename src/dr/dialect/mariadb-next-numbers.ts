import { quoteMysql } from '../../sql/identifiers.ts';
import type { MysqlSession } from '../../sql/mysql-session.ts';
import type { Manifest, ManifestTable } from '../archive/manifest.ts';

/** As a server prints it: the next number is among the options after the columns. */
const NEXT_NUMBER = /^\) .*?ENGINE=\w+ AUTO_INCREMENT=(\d+)/m;

/**
 * Empties a table whose rows cannot be rolled back. Its next number, which that would set to 1, stays what it is, or becomes what it
 * was in the source where that is more: no number of a deleted row is given again.
 */
export async function emptyTable(session: MysqlSession, table: ManifestTable, manifest: Manifest): Promise<void> {
  const [here, there] = [await nextNumber(session, table), nextNumberOfSource(manifest, table)];
  await session.run(`TRUNCATE TABLE ${quoteMysql(table.name)}`);
  await setNextNumber(session, table, here > there ? here : there);
}

/** Raises the next numbers of tables that were there before to those of the source; none becomes less. */
export async function raiseNextNumbers(session: MysqlSession, manifest: Manifest): Promise<void> {
  for (const table of manifest.tables) {
    const there = nextNumberOfSource(manifest, table);
    if (there > 1n && there > (await nextNumber(session, table))) await setNextNumber(session, table, there);
  }
}

/** The number that the next row of a table gets; 1 when it numbers no rows, or gave none so far. */
async function nextNumber(session: MysqlSession, { name }: ManifestTable): Promise<bigint> {
  const [row] = await session.query(`SHOW CREATE TABLE ${quoteMysql(name)}`);
  return numberIn(Object.values(row ?? {})[1]);
}

function nextNumberOfSource({ objects }: Manifest, { id }: ManifestTable): bigint {
  return numberIn(objects.find(({ kind, table }) => kind === 'TABLE' && table === id)?.statements[0]);
}

function numberIn(statement: string | null | undefined): bigint {
  return BigInt(NEXT_NUMBER.exec(statement ?? '')?.[1] ?? 1);
}

async function setNextNumber(session: MysqlSession, { name }: ManifestTable, next: bigint): Promise<void> {
  if (next > 1n) await session.run(`ALTER TABLE ${quoteMysql(name)} AUTO_INCREMENT = ${next}`);
}
