import { quoteMysql } from '../../sql/identifiers.ts';
import type { MysqlSession } from '../../sql/mysql-session.ts';
import type { Manifest, ManifestTable } from '../archive/manifest.ts';

/** Of a table, the number that its next row gets. */
const NEXT_NUMBER = /^\) .*?ENGINE=\w+ AUTO_INCREMENT=(\d+)/m;

/**
 * Empties a table whose rows cannot be rolled back. Its next number, which that would set to 1, stays what it is, or becomes what it
 * was in the source where that is more: no number of a deleted row is given again.
 */
export async function emptyTable(
  session: MysqlSession,
  { id, name }: ManifestTable,
  manifest: Manifest,
): Promise<void> {
  const [row] = await session.query(`SHOW CREATE TABLE ${quoteMysql(name)}`);
  const source = manifest.objects.find(({ kind, table }) => kind === 'TABLE' && table === id);
  const numbers = [Object.values(row ?? {})[1], source?.statements[0]].flatMap((statement) => {
    const [, number] = NEXT_NUMBER.exec(statement ?? '') ?? [];
    return number === undefined ? [] : [BigInt(number)];
  });
  const next = numbers.reduce((most, number) => (number > most ? number : most), 0n);
  await session.run(`TRUNCATE TABLE ${quoteMysql(name)}`);
  if (next > 1n) await session.run(`ALTER TABLE ${quoteMysql(name)} AUTO_INCREMENT = ${next}`);
}
