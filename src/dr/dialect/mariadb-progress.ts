import type { MysqlSession } from '../../sql/mysql-session.ts';
import { PROGRESS_PREFIX } from './mariadb-catalog.ts';
import { progressRecord, type RestoreBinding, type RestoreProgressRecord } from './restore-binding.ts';

const RESTORE = `${PROGRESS_PREFIX}restore`;
const DONE = `${PROGRESS_PREFIX}done`;
const JOURNAL = `${PROGRESS_PREFIX}journal`;

/** What an interrupted restore left in the session's database; null when there is none. */
export async function readMariadbProgress(session: MysqlSession): Promise<RestoreProgressRecord | null> {
  const [found] = await session.query(
    `SELECT 1 AS there FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = '${RESTORE}'`,
  );
  if (found === undefined) return null;
  const [binding] = await session.query(`SELECT * FROM ${RESTORE}`);
  if (binding === undefined) return null;
  const done = await session.query(`SELECT task FROM ${DONE}`);
  return progressRecord(
    binding,
    done.map(({ task }) => task ?? null),
  );
}

/**
 * Marks the session's database as being restored, with what is done of it already. The row with the binding comes last and is the mark:
 * without it whatever else is there means nothing.
 */
export async function createMariadbProgress(
  session: MysqlSession,
  binding: RestoreBinding,
  done: readonly string[] = [],
): Promise<void> {
  await dropMariadbProgress(session);
  const options = 'ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin';
  await session.run(`CREATE TABLE ${DONE} (task varchar(190) PRIMARY KEY) ${options}`);
  await session.run(
    `CREATE TABLE ${JOURNAL} (id int AUTO_INCREMENT PRIMARY KEY, name varchar(190) UNIQUE, statements longtext NOT NULL) ${options}`,
  );
  await session.run(
    `CREATE TABLE ${RESTORE} (backup char(32) PRIMARY KEY, digest char(64) NOT NULL, mode varchar(8) NOT NULL, tables longtext NOT NULL,
       plan int NOT NULL, started_at timestamp NOT NULL DEFAULT current_timestamp) ${options}`,
  );
  if (done.length > 0) await markMariadbDone(session, done);
  const { backup, digest, mode, tables, plan } = binding;
  await session.run(`INSERT INTO ${RESTORE} (backup, digest, mode, tables, plan) VALUES (?, ?, ?, ?, ?)`, [
    ...[backup, digest, mode, tables, `${plan}`],
  ]);
}

/** Records finished tasks; in the transaction that did their work, where that can be. */
export async function markMariadbDone(session: MysqlSession, tasks: readonly string[]): Promise<void> {
  await session.run(`INSERT IGNORE INTO ${DONE} VALUES ${tasks.map(() => '(?)').join(', ')}`, tasks);
}

/** Takes the marks away from tasks that are to be done again. */
export async function forgetMariadbDone(session: MysqlSession, tasks: readonly string[]): Promise<void> {
  await session.run(`DELETE FROM ${DONE} WHERE task IN (${tasks.map(() => '?').join(', ')})`, tasks);
}

/** Removes the marks of a restore, first of all what makes them one. */
export async function dropMariadbProgress(session: MysqlSession): Promise<void> {
  for (const table of [RESTORE, DONE, JOURNAL]) await session.run(`DROP TABLE IF EXISTS ${table}`);
}

/** What has been taken away from the target and is put back at the end, oldest first. */
export interface JournalEntry {
  readonly name: string;
  readonly statements: readonly string[];
}

/** Adds what is not in the journal yet. Durable when it returns. */
export async function addToJournal(session: MysqlSession, { name, statements }: JournalEntry): Promise<void> {
  await session.run(`INSERT IGNORE INTO ${JOURNAL} (name, statements) VALUES (?, ?)`, [
    name,
    JSON.stringify(statements),
  ]);
}

export async function readMariadbJournal(session: MysqlSession): Promise<JournalEntry[]> {
  const rows = await session.query(`SELECT name, statements FROM ${JOURNAL} ORDER BY id`);
  return rows.map(({ name, statements }) => ({
    name: name ?? '',
    statements: JSON.parse(statements ?? '[]') as string[],
  }));
}
