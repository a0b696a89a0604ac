import { HoldfastError } from '../../errors.ts';
import { quoteMysql } from '../../sql/identifiers.ts';
import { type MysqlSession, mysqlErrorName } from '../../sql/mysql-session.ts';

/** Sequences read in one statement. */
const TOGETHER = 100;

/**
 * Makes sure that each sequence of the session's database has its row. MariaDB does not wait for the disk when it creates one: killed within
 * a second, it comes back with a sequence that has none. Whoever then asks for its size or its definition gets an error at most, and the
 * session's next statement ends the server (10.11: `trx_locks`). Reading its row is harmless.
 * @throws DR_INCOMPATIBLE with its name
 */
export async function assertSequencesHold(session: MysqlSession): Promise<void> {
  // No other column of this view: those that count rows do the harm.
  const rows = await session.query(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'SEQUENCE'`,
  );
  const names = rows.map(({ name }) => name ?? '');
  for (let from = 0; from < names.length; from += TOGETHER) {
    const some = names.slice(from, from + TOGETHER);
    if (await haveRows(session, some)) continue;
    for (const name of some) if (!(await haveRows(session, [name]))) throw rowLost(name);
  }
}

async function haveRows(session: MysqlSession, sequences: readonly string[]): Promise<boolean> {
  try {
    await session.query(sequences.map((name) => `(SELECT 1 FROM ${quoteMysql(name)} LIMIT 1)`).join(' UNION ALL '));
    return true;
  } catch (error) {
    if (mysqlErrorName(error) === 'ER_KEY_NOT_FOUND') return false;
    throw error;
  }
}

function rowLost(name: string): HoldfastError {
  return new HoldfastError(
    'DR_INCOMPATIBLE',
    `The sequence ${name} has lost its row: its server was killed right after it was created. Drop it and create it again; until then a look at its definition can end the server.`,
    { details: { object: name } },
  );
}
